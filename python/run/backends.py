# What ranks talk through, and what an emulation says of them.


def read_emulation(path, job):
    """The file of an emulation: what calls shall take, and which ranks are there."""
    try:
        emulation = json.loads(read_plain(path))
        check({"calls": {"*": {"ns": "ns"}}, "present?": ["count", 1, 1048576], "queues?": "bool"}, emulation, "", emulation)
        hold(all(rank < job.world_size for rank in emulation.get("present", ())), "present")
        return emulation
    except (ValueError, Broken) as error:
        raise Problem("MYS131", f"the job's file is invalid: that of its emulation: {first_line(error)}", path, "make it again")


def backend_of(name, device):
    """The backend that was asked for, or that fits the device; a Problem where this PyTorch does not have it."""
    try:
        import torch.distributed as dist
        is_there = dist.is_available()
    except ImportError:
        is_there = False
    if not is_there:
        raise Problem("MYS435", f"the backend cannot be used: PyTorch {torch.__version__} is built without torch.distributed",
                      sys.executable, "use another PyTorch")

    def has(backend):
        known = getattr(dist, f"is_{backend}_available", None)
        if known is not None:
            return known()
        return backend in getattr(dist.Backend, "backend_list", ()) or backend.upper() in getattr(dist.Backend, "_plugins", ())

    wanted = name or {"cuda": "nccl", "xpu": "xccl"}.get(device.type, "gloo")
    if not name and not has(wanted):
        wanted = "gloo"
    parts = [part.split(":")[-1] for part in wanted.split(",")]
    lacking = next((part for part in parts if not has(part)), None)
    if lacking is not None:
        there = [b for b in ("gloo", "nccl", "mpi", "ucc", "xccl") if has(b)]
        raise Problem("MYS435", f"the backend cannot be used: there is no {lacking} in PyTorch {torch.__version__}", "--backend",
                      f"use one of {', '.join(there)}")
    if "nccl" in parts and device.type != "cuda":
        raise Problem("MYS435", f"the backend cannot be used: nccl does not work on {device.type}", "--backend",
                      "use --device cuda, or --backend gloo")
    return wanted
