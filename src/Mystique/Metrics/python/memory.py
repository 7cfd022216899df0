# Memory: resident bytes of this process that belong to no file (src/Mystique/Metrics/MemoryProbe.cs).


def _status_bytes(field):
    """A field of proc(5)'s status that is told in kilobytes; 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(field + ":")), 0)
    except OSError:
        return 0


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
