# Profiles: what torch.profiler saw.


def _allocations(profiler):
    """Each allocation and each free, in order: its time in nanoseconds, its bytes (negative for a free), whether on a device."""
    results = getattr(getattr(profiler, "profiler", None), "kineto_results", None)
    found = [(e.start_ns() if hasattr(e, "start_ns") else e.start_us() * 1000, e.nbytes(), not str(e.device_type()).endswith("CPU"))
             for e in (results.events() if results else ()) if e.name() == "[memory]"]
    return sorted(found, key=lambda a: a[0])


# Why a profile can have nothing of a device that worked.
_NOTHING_SEEN = ("the profiler cannot see it (no CUPTI, or another tool has it, Nsight for one; a container without it), so that kernels, "
                 "streams and waits are not known")


def _has_work_of_device(profiler):
    """Whether the profiler saw anything on a device, other than memory; None where that cannot be told."""
    results = getattr(getattr(profiler, "profiler", None), "kineto_results", None)
    if results is None:
        return None
    return any(not str(e.device_type()).endswith("CPU") and e.name() != "[memory]" for e in results.events())


def _stream_waits(torch, kind):
    """Settings of torch.profiler with which it tells what streams wait for: CUDA's, from PyTorch 2.1 on; none elsewhere."""
    try:
        return {"experimental_config": torch._C._profiler._ExperimentalConfig(enable_cuda_sync_events=True)} if kind == "cuda" else {}
    except Exception:  # An older PyTorch does not know the setting, or its profiler.
        return {}


def _await_threads(torch, most=0.1):
    """In a job of ranks, waits until no other thread of the process runs, or for `most` seconds.

    Gloo says that a call is done, and only then ends its label. DDP goes on at the first: a profile that stops in between has the
    label's end written into memory that it gave back. PyTorch 1.13 died of it in 4 of 60 processes with 60 profiles each.
    """
    import threading
    import time
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    own, end = threading.get_native_id(), time.monotonic() + most
    while _has_running_thread(own) and time.monotonic() < end:
        time.sleep(0.001)


def _has_running_thread(but, folder="/proc/self/task"):
    """Whether a thread of the process runs or is about to; False where the system does not tell."""
    def state(thread):
        try:
            with open(os.path.join(folder, thread, "stat"), encoding="utf-8", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0]
        except (OSError, IndexError):  # It ended meanwhile.
            return ""

    try:
        return any(state(thread) == "R" for thread in os.listdir(folder) if thread != str(but))
    except OSError:
        return False


def _write_profile(profiler, path):
    """Writes a Kineto profile. A PyTorch that was built without Kineto leaves the allocations out: they are put in as Kineto has them."""
    import json
    profiler.export_chrome_trace(path)
    results = getattr(getattr(profiler, "profiler", None), "kineto_results", None)
    with open(path, encoding="utf-8") as file:
        if file.read(1) != "[" or not hasattr(results, "trace_start_us"):
            return
        file.seek(0)
        events = json.load(file)
    start = results.trace_start_us()
    events += [{"name": "[memory]", "ph": "i", "ts": at // 1000 - start, "args": {"Bytes": size, "Device Type": int(is_on_device)}}
               for at, size, is_on_device in _allocations(profiler)]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(events, file)
