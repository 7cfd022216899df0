# Measures: what the job's process does in uninstrumented iterations.


class _Window:
    """The times of uninstrumented iterations, and what the process used meanwhile."""

    def __init__(self, torch, is_ours=False):
        self.torch, self.clock, self.is_ours = torch, time.perf_counter_ns, is_ours
        self.samples, self.events = [], []  # For each counted iteration, events of the device at its start and its end.
        self.start = self.start_event = None
        self.counters, self.system = None, None
        self.cpu_ns, self.peak, self.allocator = 0, 0, None
        self.clock_used = None

    def open(self):
        _reset_peak()
        if self.is_ours:
            _reset_allocator(_device(self.torch)[1])
        self.counters = _Counters()
        self.counters.start()

    def mark(self):
        """An iteration starts now."""
        self.start_event = self.event()
        self.start = self.clock()

    def event(self):
        """On a device that works on its own, the host's clock at an iteration's end says little: events do."""
        device = _device(self.torch)[1]
        if not hasattr(device, "Event") or _is_capturing(device):
            return None
        try:
            event = device.Event(enable_timing=True)
            event.record()
            return event
        except Exception:  # Some backends have events without times.
            return None

    def add(self, now):
        """An iteration has ended."""
        self.samples.append(now - self.start)
        self.events.append((self.start_event, self.event()))

    def close(self):
        self.counters.stop()
        self.counters.close()
        self.cpu_ns = self.counters.sums[0] // max(1, len(self.samples))
        self.system = self.counters.describe()
        self.peak = _anonymous_peak()
        self.allocator = _allocator_use(_device(self.torch)[1]) if self.is_ours else None
        self.clock_used = "host"
        pairs = [pair for pair in self.events if None not in pair]
        if pairs and len(pairs) == len(self.events):
            try:
                pairs[-1][1].synchronize()
                self.samples, self.clock_used = _nanoseconds_between(*zip(*pairs)), "events"
            except Exception:
                pass  # The host's clock is left.

    def describe(self):
        return {"samples_ns": self.samples, "clock": self.clock_used, "cpu_time_ns": self.cpu_ns, "peak_bytes": self.peak,
                "device": self.allocator, "system": self.system,
                "start_ns": self.counters.opened if self.counters else 0, "end_ns": self.counters.closed or 0 if self.counters else 0}


def _live_bytes(torch):
    """Bytes of the storages of all tensors that Python can reach, on the host and on the device."""
    import contextlib
    plain = getattr(getattr(torch, "_C", None), "DisableTorchFunction", contextlib.nullcontext)
    with plain():  # A subclass of the job's would notice that somebody looks at it.
        host, device = _bytes_of_tensors(torch)
    return host, getattr(_device(torch)[1], "memory_allocated", lambda: device)()


def _bytes_of_tensors(torch):
    import gc
    host, device, seen = 0, 0, set()
    for thing in gc.get_objects():
        if not issubclass(type(thing), torch.Tensor):
            continue
        try:
            for tensor in (thing, thing.grad if thing.is_leaf else None):
                if tensor is None:
                    continue
                storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
                key, size = (tensor.device, storage.data_ptr()), storage.nbytes()
                if key in seen:
                    continue
                seen.add(key)
                host, device = (host + size, device) if tensor.device.type == "cpu" else (host, device + size)
        except Exception:
            pass  # It has no memory of its own: a sparse, fake or lazy one.
    return host, device


# Variables that change how fast a job runs. Values that look like paths stay out: they tell of the owner's machine.
_PREFIXES = ("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "NCCL_", "GLOO_", "TORCH_", "PYTORCH_", "CUDA_", "CUBLAS_", "CUDNN_",
             "NVIDIA_TF32", "HIP_", "HSA_", "ROCR_", "MIOPEN_", "RCCL_", "MALLOC_", "ONEDNN_", "DNNL_", "LD_PRELOAD", "WORLD_SIZE",
             "LOCAL_WORLD_SIZE")
_ADDRESSES = ("ADDR", "HOST", "IFNAME")


def _environment():
    found = {}
    for name, value in sorted(os.environ.items()):
        if name == "LD_PRELOAD":
            found[name] = os.path.basename(value)
        elif name.startswith(_PREFIXES) and not any(c in value for c in "/\\@") and not any(a in name for a in _ADDRESSES):
            found[name] = value
    return found


_LAUNCHERS = (("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
              ("SLURM_PROCID", "SLURM_NTASKS"))


def _rank(torch):
    """This process's rank and the number of ranks: what the job says, else what its launcher says."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    for rank, size in _LAUNCHERS:
        if os.environ.get(rank, "").isdigit() and os.environ.get(size, "").isdigit():
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def _describe(torch, notes):
    """The job's machine and settings, as far as PyTorch knows them; what it does not tell is noted."""
    kind, device = _device(torch)
    settings, problems = _settings_of(torch)
    notes += problems
    return {
        "device": {"type": kind, "name": _name_of(device) if device is not None else ""},
        "device_uuid": _uuid_of(device),  # For who samples GPUs meanwhile; no file that is kept has it.
        "versions": _versions(torch),
        "threads": {"intra_op": torch.get_num_threads(), "inter_op": torch.get_num_interop_threads()},
        "settings": settings,
        "environment": _environment(),
        "process_groups": _process_groups(torch),
    }
