# PyTorch: what both scripts ask of it, of every version in the same way.


def _observer_type(torch):
    """The class of the execution-trace observer; its older name is PyTorch 1.13's. None where there is none."""
    return getattr(torch.profiler, "ExecutionTraceObserver", None) or getattr(torch.profiler, "ExecutionGraphObserver", None)


def _versions(torch, has_device=True):
    """The versions of PyTorch and Python, and of what PyTorch was built for where a device is used."""
    versions = {"torch": str(torch.__version__), "python": sys.version.split()[0]}
    for name in ("cuda", "hip") if has_device else ():
        if getattr(torch.version, name, None):
            versions[name] = getattr(torch.version, name)
    return versions


def _overload_of(schema):
    """The name of an operator with its overload: aten::add.Tensor."""
    return f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name


def _nanoseconds_between(starts, ends):
    """The times between pairs of a device's events, which have happened."""
    return [round(start.elapsed_time(end) * 1e6) for start, end in zip(starts, ends)]
