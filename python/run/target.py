# The target: the device that stands for the recorded ones.


def find_device(name, recorded, path, notes):
    """The device asked for, else the recorded kind of accelerator, or any that is there, for what ran on one; else the host."""
    kinds = [d.split(":")[0] for d in recorded if not d.startswith(("cpu", "meta"))]
    if not name:
        name = next((k for k in kinds if _is_there(torch, k)), (_accelerator(torch) if kinds else "") or "cpu")
    try:
        device = torch.device(name)
        backend = _module_of(torch, device.type)
        if hasattr(backend, "current_device"):  # With its index: streams and memory are asked for by it.
            device = torch.device(device.type, backend.current_device() if device.index is None else device.index)
        torch.empty(1, device=device)
        if hasattr(backend, "set_device"):
            backend.set_device(device)
    except Exception as error:  # PyTorch says by many types of errors that a device is not there.
        raise why_refused(name, error, path)
    if backend is not None and not hasattr(backend, "synchronize"):
        raise no_device(name, "PyTorch cannot wait for it, so that its times would be those of launches", path)
    if " MIG " in f" {_name_of(backend, device.index) if backend is not None else ''} ":
        notes.append(f"{device} is a part of a GPU (MIG): clocks and what limits them are not known, and others may use the rest")
    if kinds and device.type not in kinds:
        notes.append(f"the trace ran on {kinds[0]}, this replay on {device.type}")
    return device


# Libraries of matrix products whose own threads PyTorch's setting does not reach, and how they are told.
PRODUCT_LIBRARIES = {"openblas": ("openblas_set_num_threads", "openblas_set_num_threads64_"), "blis": ("bli_thread_set_num_threads",)}


def hold_products_to(threads, environ=os.environ, maps="/proc/self/maps"):
    """Matrix products take so many threads, unless the user's environment says how many; the libraries that were told.

    Ranks that share a host would take all of its processors each.
    """
    if any(name in environ for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS")):
        return []
    try:
        with open(maps, encoding="utf-8", errors="replace") as file:
            paths = {line.split(None, 5)[5].strip() for line in file if line.count("/")}
    except (OSError, IndexError):
        return []
    told = []
    for path in sorted(path for path in paths if ".so" in path):
        for setter in [name for kind, names in PRODUCT_LIBRARIES.items() if kind in os.path.basename(path) for name in names]:
            try:
                getattr(ctypes.CDLL(path), setter)(ctypes.c_long(threads))
                told.append(path)
            except (OSError, AttributeError):
                pass  # Another build of it.
    return told


def no_device(name, why, path):
    return Problem("MYS411", f"there is no device {name} for PyTorch {torch.__version__}: {why}", path,
                   f"use one of {', '.join(['cpu', *devices_there()])}")


def why_refused(name, error, path):
    """The problem behind a device that cannot be used: it is not there, it is somebody else's, or its memory is."""
    text = first_line(error)
    if "out of memory" in text:
        return Problem("MYS412", f"the device has too little memory: {text}", f"{path}: {name}, before anything of the replay is on it",
                       "end other processes on the device (nvidia-smi, rocm-smi or xpu-smi lists them), or use another device", 1)
    if any(sign in text for sign in BUSY):
        return Problem("MYS425", f"the device is busy or unavailable: {name}: {text}", path,
                       "end the process that has it to itself (compute mode: exclusive), or use another device", 1)
    return no_device(name, why_no_device(name, error), path)


# How drivers say that a device is there, and not to be had: another process has it to itself, or it is switched off.
BUSY = ("busy or unavailable", "already in use", "DEVICE_NOT_AVAILABLE")


def devices_there():
    kind = _accelerator(torch)
    count = getattr(_module_of(torch, kind), "device_count", lambda: 1)() if kind else 0
    return [f"{kind}:{i}" for i in range(count)]


def why_no_device(name, error):
    """The cause, as far as it can be told: another vendor's PyTorch, devices that are hidden, or what PyTorch says."""
    kind, _, index = name.partition(":")
    built = next((v for v in ("hip", "cuda", "xpu") if getattr(torch.version, v, None)), None)
    by = "hip" if built == "hip" and kind == "cuda" else kind  # ROCm's devices have CUDA's name.
    hidden = next((f"{v}={os.environ[v]}" for v in HIDING.get(by, ()) if v in os.environ), "")
    if kind in _kinds(torch) and not _is_there(torch, kind):
        if built != by:
            return f"it is built for {built or 'the host alone'}"
        return "its driver shows no device" + (f", as {hidden} says" if hidden else "; another vendor's device needs another PyTorch")
    there = devices_there()
    if index.isdigit() and there and int(index) >= len(there):
        return f"there are {len(there)}" + (f", as {hidden} says" if hidden else "")
    return first_line(error)


# Variables that hide devices, by what PyTorch is built for. A part of a GPU (MIG) is named in the first, too, and counts as a device.
HIDING = {"cuda": ("CUDA_VISIBLE_DEVICES",), "hip": ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
          "xpu": ("ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR")}


def target_of(recorded, all_recorded, device):
    """Accelerators become the device, and the host stays the host; where only the host was used, it becomes the device.

    Meta tensors have no memory and no kernels anywhere: they stay meta.
    """
    if recorded == "meta":
        return torch.device("meta")
    if recorded.startswith("cpu") and any(not d.startswith(("cpu", "meta")) for d in all_recorded):
        return torch.device("cpu")
    return device


# Operators that a GPU's library of matrix products runs.
PRODUCTS = {"aten::" + name for name in ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "addmv", "mv", "addbmm", "einsum")}


def hold_second_workspace(package, device):
    """The library of matrix products has a workspace for each thread, of 32 MiB on Hopper (`aten/src/ATen/cuda/CublasHandlePool.cpp`).

    In a job autograd's thread has one beside the main thread's. Recorded operators are replayed by one thread: another makes a product
    here, so that a device holds as much in the replay.
    """
    m = package.manifest
    names = {package.name_of(op).split(".")[0] for op in m["operators"]}
    if device.type != "cuda" or not m["source"]["has_backward"] or is_of_framework(m) or not names & PRODUCTS:
        return

    def multiply():
        a = torch.ones(2, 2, device=device)
        torch.mm(a, a)

    multiply()  # First the own one: a thread that has ended leaves its own to the next that asks.
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        other.submit(multiply).result()
