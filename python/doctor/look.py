"""What a Python has that Mystique needs; the last line that this writes is JSON. What cannot be found out is None."""
import sys

sys.path[:] = [folder for folder in sys.path if folder]  # Not the folder in which this runs: its modules are anybody's.

import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import shutil  # noqa: E402


def _ask(question):
    """The answer; None where asking fails."""
    try:
        return question()
    except Exception:  # Of a broken installation, or of a version that has no such function.
        return None


def _devices(torch):
    """The accelerators: kind, name, and bytes of memory."""
    found = []
    for kind in ("cuda", "xpu", "mps", "npu", "hpu"):
        module = getattr(torch, kind, None)
        if module is None or not _ask(module.is_available):
            continue
        for index in range(_ask(module.device_count) or 0):
            memory = _ask(lambda m=module, i=index: int(m.get_device_properties(i).total_memory))
            found.append({"kind": kind, "name": _ask(lambda m=module, i=index: str(m.get_device_name(i))), "memory_bytes": memory})
    return found


def _backends(torch):
    """The backends of process groups that this PyTorch was built with."""
    distributed = torch.distributed
    if not distributed.is_available():
        return []
    return [name for name in ("gloo", "nccl", "mpi") if _ask(getattr(distributed, f"is_{name}_available", lambda: name == "gloo"))]


def _triton():
    import triton
    return str(triton.__version__)


def _look():
    here = {"executable": sys.executable, "version": platform.python_version()}
    try:
        import torch
    except ImportError as error:
        return {**here, "problem": f"no torch: {error}"}
    except Exception as error:  # A library of its that cannot be loaded.
        return {**here, "problem": f"torch cannot be imported: {type(error).__name__}: {error}"}
    profiler = getattr(torch, "profiler", None)
    observers = ("ExecutionTraceObserver", "ExecutionGraphObserver")
    return {
        **here,
        "torch": str(torch.__version__),
        "cuda": getattr(torch.version, "cuda", None),
        "hip": getattr(torch.version, "hip", None),
        "observer": None if profiler is None else any(hasattr(profiler, name) for name in observers),
        "kineto": _ask(lambda: bool(torch.profiler.kineto_available()) if hasattr(torch.profiler, "kineto_available")
                       else bool(torch.autograd.kineto_available())),
        "backends": _ask(lambda: _backends(torch)),
        "devices": _ask(lambda: _devices(torch)),
        "triton": _ask(_triton),
        "torchrun": shutil.which("torchrun", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])),
    }


print(json.dumps(_look()))
