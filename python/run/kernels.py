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

    takes_grid = "grid" in inspect.signature(kernel.run).parameters  # PyTorch from 2.7 on works it out.

    def launch(*arguments):
        values, grids = [a for a in arguments if not isinstance(a, str)], [a for a in arguments if isinstance(a, str)]
        named = {"grid": recorded_grid(grids[0] if grids else "")} if takes_grid else {}
        kernel.run(*values, **named, stream=raw_stream(device))
    return launch


def recorded_grid(text):
    """The grid of a kernel as it was recorded: `grid(128,)`, the numbers of elements that inductor's own function divides."""
    from torch._inductor.runtime import triton_heuristics
    found = re.fullmatch(r"(grid|split_scan_grid|cooperative_reduction_grid)(\([0-9, ]*\))", text)
    function = found and getattr(triton_heuristics, found.group(1), None)
    if not function:
        raise RuntimeError(f"its grid {text!r} is none that can be made again" if text else "its grid was not recorded")
    sizes = ast.literal_eval(found.group(2))
    return function(*(sizes if isinstance(sizes, tuple) else (sizes,)))


def raw_stream(device):
    """The current stream of a device as a number, for Triton's launchers."""
    if device.type == "cpu":  # It has none.
        return 0
    get = getattr(torch._C, f"_{device.type}_getCurrentRawStream", None)
    if get is None:
        from torch._dynamo.device_interface import get_interface_for_device
        get = get_interface_for_device(device.type).get_raw_stream
    return get(device.index or 0)
