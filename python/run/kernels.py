# Triton kernels that came with the trace; only where the user allows it.


def compile_kernels(package, device, allowed):
    """By place, functions that launch the Triton kernels of a package, where that is allowed and this PyTorch can compile them."""
    kernels, compiled = {}, {}
    for i, op in enumerate(package.manifest["operators"] if allowed else ()):
        file = op.get("kernel")
        if file is None:
            continue
        if file not in compiled:
            compiled[file] = compile_kernel(package.kernels[file], package.name_of(op).split("::")[1], device)
        kernels[i] = compiled[file]
    return kernels


def compile_kernel(source, name, device):
    """A function that launches a kernel that torch.compile made, on the current stream, with the arguments that were recorded."""
    text = source.decode("utf-8", "replace")
    try:
        try:
            from torch._inductor.async_compile import AsyncCompile
        except ImportError:
            from torch._inductor.codecache import AsyncCompile
        try:
            kernel = AsyncCompile().triton(name, text, device_str=device.type)
        except AttributeError:  # Without unique names all kernels are called triton_.
            kernel = AsyncCompile().triton("triton_", text, device_str=device.type)
        kernel = kernel.result() if hasattr(kernel, "result") else kernel
    except Exception as error:
        raise Problem("MYS415", f"the kernel {name} cannot be compiled here: {first_line(error)}", "the package's kernels",
                      "use a PyTorch with Triton for this device, or omit --allow-trace-code", 1)

    def launch(*arguments):
        stream = torch._C._cuda_getCurrentRawStream(device.index or 0) if device.type == "cuda" else 0
        values = [a for a in arguments if not isinstance(a, str)]  # A recorded grid is a text.
        try:
            kernel.run(*values, stream=stream)  # PyTorch from 2.7 on works out the grid.
        except TypeError:
            from torch._inductor.runtime.triton_heuristics import grid
            sizes = [v for v in values if isinstance(v, int)]
            kernel.run(*values, grid=grid(*sizes[:3]), stream=stream)
    return launch
