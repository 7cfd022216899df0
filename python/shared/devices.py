# Devices: every accelerator by PyTorch's own generic functions; CUDA, ROCm, XPU, NPU, MPS and PrivateUse1 are cases of them.

# Where a PyTorch before 2.6 has no torch.accelerator, the kinds to ask for; the name of PrivateUse1 is asked of PyTorch.
_ACCELERATORS = ("cuda", "xpu", "mtia", "npu", "hpu", "mps")


def _kinds(torch):
    named = getattr(getattr(torch, "_C", None), "_get_privateuse1_backend_name", lambda: "privateuseone")()
    return *_ACCELERATORS, named


def _module_of(torch, kind):
    """PyTorch's module for a kind of device (torch.cuda, torch.xpu, …); None for the host, and where there is none."""
    if kind in ("cpu", "meta"):
        return None
    try:
        return torch.get_device_module(kind) if hasattr(torch, "get_device_module") else getattr(torch, kind, None)
    except Exception:  # RuntimeError where the name is none of a device.
        return getattr(torch, kind, None)


def _is_there(torch, kind):
    """Whether this PyTorch can use a device of the kind, here and now."""
    for owner in (_module_of(torch, kind), getattr(torch.backends, kind, None)):  # torch.backends.mps has it, torch.mps has not always.
        if hasattr(owner, "is_available"):
            try:
                return bool(owner.is_available())
            except Exception:  # A driver that is broken is not there.
                return False
    return False


def _accelerator(torch):
    """The kind of accelerator that this PyTorch can use; "" where there is none."""
    generic = getattr(torch, "accelerator", None)
    try:
        current = generic.current_accelerator() if generic is not None and generic.is_available() else None
        if current is not None:
            return current.type
    except Exception:
        pass  # Asked one by one, at least the others answer.
    return next((kind for kind in _kinds(torch) if _is_there(torch, kind)), "")


def _name_of(module, index=None):
    """The device's name; "" where PyTorch does not tell."""
    try:
        return str(module.get_device_name(*() if index is None else (index,)))
    except Exception:  # MPS and some NPUs have no such function.
        return ""


def _uuid_of(module, index=None):
    """The device's UUID, by which vendors' tools know it, whatever hides devices; None where PyTorch does not tell (before 2.4)."""
    try:
        return str(module.get_device_properties(module.current_device() if index is None else index).uuid)
    except Exception:  # Devices of most vendors have none.
        return None


def _device(torch):
    """The kind of device that the job has used, and PyTorch's module for it.

    No more is asked of PyTorch: that could start a device that the job does not use. It is asked in each iteration, so only for what
    is there: to ask torch for an attribute that it lacks makes it look for a module to import.
    """
    known = vars(torch)
    for kind in _kinds(torch):
        module = known.get(kind)
        try:
            if module is not None and getattr(module, "is_initialized", lambda: False)():
                return kind, module
        except Exception:
            pass  # A module that fails when it is asked this is none that the job has used.
    return "cpu", None


def _is_capturing(module):
    """Whether a graph of the device's work is being captured: whatever waits for the device would invalidate it."""
    try:
        return module is not None and bool(getattr(module, "is_current_stream_capturing", lambda: False)())
    except Exception:
        return True  # Nothing is known; so nothing is done.


# What a device reports in place of a result, and goes on to report for everything that comes after it.
_DEVICE_ERRORS = ("CUDA error", "HIP error", "device-side assert", "illegal memory access", "CUBLAS_STATUS_EXECUTION_FAILED",
                  "cuDNN error", "CUDNN_STATUS_EXECUTION_FAILED", "UR error", "Native API failed", "AcceleratorError", "NPU error")


def _is_device_error(error):
    """Whether an error is of the device itself, not of one call: the process cannot use the device any more."""
    text = f"{type(error).__name__}: {error}"
    return any(sign in text for sign in _DEVICE_ERRORS) and "out of memory" not in text
