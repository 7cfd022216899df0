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
