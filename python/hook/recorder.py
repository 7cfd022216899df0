# The recorder: PyTorch's execution-trace observer and its profiler, on at the same time, so that both have the same ids.


class _Recorder:
    """Records into a folder: `et.json`, `kineto.json`, and with `--tensor-values` `values.json` and `*.dat`."""

    def __init__(self, torch, folder, modules=False):
        self.torch, self.folder = torch, folder
        self.modules = _ModuleLabels(torch) if modules else None
        self.observer = self.profile = self.label = self.values = None
        self.notes = []

    def sync(self):
        device = _device(self.torch)[1]
        if device is not None:
            device.synchronize()

    def is_ours(self, profile):
        return profile is self.profile

    def start(self):
        observer_type = _observer_type(self.torch)
        if observer_type is None:
            raise RuntimeError(f"PyTorch {self.torch.__version__} has no execution-trace observer; 1.13 and newer have one")
        observer = observer_type()
        observer.register_callback(os.path.join(self.folder, "et.json"))
        self.observer = observer
        try:
            self.profile = self.torch.profiler.profile(profile_memory=True)
            self.profile.start()
        except Exception as error:
            self.profile = None
            self.notes.append(f"no profile: {error}")
        self.sync()
        observer.start()
        if self.modules is not None:
            self.modules.start()

    def mark(self, number):
        """Marks the iteration that starts now as torch.profiler does."""
        self.label = self.torch.autograd.profiler.record_function(f"ProfilerStep#{number}")
        self.label.__enter__()

    def unmark(self):
        if self.modules is not None:
            self.modules.unwind()
        if self.label is not None:
            self.label.__exit__(None, None, None)
            self.label = None

    def stop(self):
        """Ends the recording."""
        self.unmark()
        if self.modules is not None:
            self.modules.stop()
        self.sync()
        if self.observer is not None:
            self.observer.stop()
        if self.profile is not None:
            self.profile.stop()

    def write(self):
        if self.profile is not None:
            try:
                _write_profile(self.profile, os.path.join(self.folder, "kineto.json"))
            except Exception as error:
                self.notes.append(f"no profile: {error}")
        self.drop()

    def drop(self):
        """Lets go of the observer; what it wrote is complete then."""
        observer, self.observer, self.profile = self.observer, None, None
        if observer is not None:
            observer.unregister_callback()

    def start_values(self, keep_bytes):
        """Notes what integral tensors operators get, in a separate iteration: looking at them takes time."""
        from torch.utils._python_dispatch import TorchDispatchMode
        torch, folder, notes = self.torch, self.folder, []

        def is_integral(tensor):
            return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)

        class Values(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, torch.Tensor)]
                for place, tensor in tensors:
                    if tensor.numel() and is_integral(tensor):
                        notes.append(self.look(func._schema, place, tensor.detach(), [list(t.shape) for _, t in tensors]))
                return func(*args, **(kwargs or {}))

            @staticmethod
            def look(schema, place, tensor, shapes):
                note = {"operator": _overload_of(schema), "input": place, "shapes": shapes,
                        "low": int(tensor.min()), "high": int(tensor.max())}
                if keep_bytes and tensor.numel() * tensor.element_size() <= 16 << 20:
                    note["data"] = f"{len(notes)}.dat"
                    with open(os.path.join(folder, note["data"]), "wb") as file:
                        file.write(tensor.cpu().contiguous().numpy().tobytes())
                return note

        self.values = Values(), notes
        self.values[0].__enter__()

    def stop_values(self):
        import json
        mode, notes = self.values
        self.values = None
        mode.__exit__(None, None, None)
        with open(os.path.join(self.folder, "values.json"), "w", encoding="utf-8") as file:
            json.dump(notes, file)

    def abandon(self):
        """Ends whatever is on and throws away what it wrote."""
        try:
            if self.values is not None:
                self.values[0].__exit__(None, None, None)
                self.values = None
            if self.observer is not None:
                self.stop()
            self.drop()
        finally:
            for name in os.listdir(self.folder):
                if name != "status.json":
                    os.remove(os.path.join(self.folder, name))


class _ModuleLabels:
    """Labels what runs within a module's forward by its name in the outermost module: `nn.Module: layer1.0.conv1`."""

    def __init__(self, torch):
        self.torch, self.names, self.open, self.handles = torch, {}, [], []

    def start(self):
        hooks = self.torch.nn.modules.module
        self.handles = [hooks.register_module_forward_pre_hook(self.enter), hooks.register_module_forward_hook(self.leave)]

    def enter(self, module, inputs):
        if not self.open:
            self.names.update({id(m): name or type(m).__name__ for name, m in module.named_modules()})
        label = self.torch.autograd.profiler.record_function("nn.Module: " + self.names.get(id(module), type(module).__name__))
        label.__enter__()
        self.open.append((id(module), label))

    def leave(self, module, inputs, outputs):
        while self.open and any(opened == id(module) for opened, _ in self.open):  # Those within it that an exception left open, too.
            opened, label = self.open.pop()
            label.__exit__(None, None, None)
            if opened == id(module):
                break

    def unwind(self):
        while self.open:
            self.open.pop()[1].__exit__(None, None, None)

    def stop(self):
        self.unwind()
        for handle in self.handles:
            handle.remove()


def _device(torch):
    """The kind of device that the job has used, and PyTorch's module for it.

    No more is asked of PyTorch: that could start a device that the job does not use.
    """
    for name in ("cuda", "xpu", "mtia", "npu", "hpu"):
        module = getattr(torch, name, None)
        if module is not None and getattr(module, "is_initialized", lambda: False)():
            return name, module
    return "cpu", None


def _process_groups(torch):
    """The process groups that this rank belongs to."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return []
    from torch.distributed import distributed_c10d as c10d
    groups = []
    for group, name in c10d._world.pg_names.items() if hasattr(c10d, "_world") else c10d._pg_names.items():
        ranks = (c10d._world.pg_group_ranks if hasattr(c10d, "_world") else c10d._pg_group_ranks).get(group) or {}
        ranks = sorted(ranks) or list(range(distributed.get_world_size()))
        groups.append({"pg_name": str(name), "backend_config": str(distributed.get_backend(group)),
                       "ranks": ranks, "group_size": len(ranks)})
    return groups
