# Memory: resident bytes of this process that belong to no file (MemoryProbe.cs).


def _bytes_in(path, field):
    """A field of a file of proc(5) that is told in kilobytes; None where there is none."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(field + ":")), None)
    except OSError:
        return None


def _status_bytes(field):
    return _bytes_in("/proc/self/status", field) or 0


def _available_bytes():
    """Bytes that can be had without swapping, in this container or on this machine; None where the system does not say."""
    available = _bytes_in("/proc/meminfo", "MemAvailable")
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
        return min(available, int(limit)) if available is not None and limit.isdigit() else available
    except OSError:
        return available


def _anonymous_bytes():
    return _status_bytes("RssAnon")


def _anonymous_peak():
    """The most such bytes since `_reset_peak`: the peak of all resident bytes without those of files."""
    peak = _status_bytes("VmHWM")
    return peak and peak - _status_bytes("RssFile") - _status_bytes("RssShmem")


def _reset_peak():
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass  # Then the peak is that of the process: no less than what is asked for.


# Memory of a device: what PyTorch's caching allocator gave out to tensors, and what it holds for them.

def _reset_allocator(module):
    """The peaks count from now on. Only for a process of ours: a job may look at them itself."""
    if hasattr(module, "reset_peak_memory_stats"):
        module.reset_peak_memory_stats()


def _allocator_use(module):
    """The most bytes that the allocator gave out, and that it held, since `_reset_allocator`; None where PyTorch does not tell."""
    if not hasattr(module, "max_memory_allocated"):
        return None
    reserved = getattr(module, "max_memory_reserved", lambda: None)()
    return {"peak_bytes": module.max_memory_allocated(), **({} if reserved is None else {"reserved_bytes": reserved})}


def _free_bytes(module, device):
    """Bytes of a device that no process uses; None for the host, and where PyTorch does not tell."""
    try:
        return module.mem_get_info(device)[0] if hasattr(module, "mem_get_info") else None
    except RuntimeError:  # Some backends have the function and no answer.
        return None


def _release_cache(module):
    """Gives back to the device what the allocator holds for tensors to come, so that other processes can have it."""
    if hasattr(module, "empty_cache"):
        module.empty_cache()
