# The recorder: PyTorch's execution-trace observer and its profiler, on at the same time, so that both have the same ids.


def _launches_kernels():
    """Whether the job has loaded what launches kernels that torch.compile made: Triton's."""
    return any(name.startswith("torch._inductor.") and name.endswith("triton_heuristics") for name in list(sys.modules))


def _keep_kernels(folder, most_bytes=1 << 20):
    """Copies the sources of compiled kernels: a trace names their files, and a replay that may run code of the trace compiles them."""
    import shutil
    cache = getattr(sys.modules.get("torch._inductor.codecache"), "PyCodeCache", None)
    modules = getattr(cache, "modules", None) or list(getattr(cache, "cache", {}).values())
    kernels = [kernel for module in (modules if _launches_kernels() else ()) for kernel in list(vars(module).values())
               if type(kernel).__name__ == "CachingAutotuner"]
    for path in sorted({kernel.filename for kernel in kernels if getattr(kernel, "filename", None)}):
        if os.path.getsize(path) <= most_bytes:
            os.makedirs(folder, exist_ok=True)
            shutil.copyfile(path, os.path.join(folder, os.path.basename(path)))


class _Recorder:
    """Records into a folder: `et.json`, `kineto.json`, and with `--tensor-values` `values.json` and `*.dat`."""

    def __init__(self, torch, folder, modules=False, aside=None):
        import threading
        self.thread_id = threading.get_ident
        self.torch, self.folder, self.aside = torch, folder, aside or _Aside(torch)
        self.modules = _ModuleLabels(torch, self.aside) if modules else None
        self.calls = _CallLabels(torch, self.aside)
        self.observer = self.profile = self.label = self.values = None
        self.notes, self.problems, self.is_left = [], [], False
        self.passed_over, self.too_large = set(), set()  # Within what values were not looked at; of what they are beyond 63 bits.

    def sync(self):
        device = _device(self.torch)[1]
        if device is not None and not _is_capturing(device):
            device.synchronize()

    def settle(self):
        _await_threads(self.torch)

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
            # With shapes it has numbers in full, of which the trace has six decimals, and compiled kernels tell their arguments.
            self.profile = self.torch.profiler.profile(profile_memory=True, record_shapes=True,
                                                       **_stream_waits(self.torch, _device(self.torch)[0]))
            self.profile.start()
        except Exception as error:
            self.profile = None
            self.notes.append(f"no profile: {error}")
        self.sync()
        observer.start()
        self.calls.start()
        if self.modules is not None:
            self.modules.start()

    def mark(self, number):
        """Marks the iteration that starts now as torch.profiler does."""
        self.label = self.aside.unseen(self.torch.autograd.profiler.record_function, f"ProfilerStep#{number}")
        self.aside.unseen(self.label.__enter__)

    def unmark(self):
        if self.modules is not None:
            self.modules.unwind()
        if self.label is not None:
            self.aside.unseen(self.label.__exit__, None, None, None)
            self.label = None

    def stop(self):
        """Ends the recording. One part that fails leaves none of the others on."""
        failed = []
        for end in (self.unmark, self.modules and self.modules.stop, self.calls.stop, self.sync, self.observer and self.observer.stop,
                    self.settle, self.profile and self.profile.stop):
            try:
                if end is not None:
                    end()
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def write(self):
        if self.profile is not None:
            try:
                _write_profile(self.profile, os.path.join(self.folder, "kineto.json"))
                kind = _device(self.torch)[0]
                if kind != "cpu" and _has_work_of_device(self.profile) is False:
                    self.notes.append(f"the profile has no work of the {kind} device: {_NOTHING_SEEN}")
            except Exception as error:
                self.notes.append(f"no profile: {error}")
                _remove(os.path.join(self.folder, "kineto.json"))
        try:
            _keep_kernels(os.path.join(self.folder, "resources"))
        except Exception as error:
            self.notes.append(f"not all sources of compiled kernels are kept: {error}")
        self.drop()

    def drop(self):
        """Lets go of the observer; what it wrote is complete then."""
        observer, self.observer, self.profile = self.observer, None, None
        if observer is not None:
            observer.unregister_callback()

    def start_values(self, keep_bytes):
        """Notes what integral tensors operators get, in a separate iteration: looking at them takes time."""
        from torch.utils._python_dispatch import TorchDispatchMode
        torch, folder, notes, aside, problems = self.torch, self.folder, [], self.aside, self.problems
        passed_over, too_large = self.passed_over, self.too_large

        def is_integral(tensor):
            return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool) and tensor.device.type != "meta"

        def bounds_of(tensor):
            """The least and the greatest value; on a device it is waited for once."""
            if str(tensor.dtype).startswith("torch.uint") and tensor.dtype != torch.uint8:
                values = tensor.detach().cpu().numpy()  # PyTorch has no min of these, but NumPy has.
                return int(values.min()), int(values.max())
            return [int(v) for v in torch.stack(torch.aminmax(tensor)).tolist()]

        class Values(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                if not problems:
                    try:
                        self.look_at(func._schema, args)
                    except Exception as error:  # Once is enough.
                        problems.append(f"not all values of tensors were noted: {type(error).__name__}: {error}"[:500])
                return func(*args, **(kwargs or {}))

            def look_at(self, schema, args):
                tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, torch.Tensor)]
                if tensors and _is_capturing(_device(torch)[1]):
                    passed_over.add(aside.what())  # Replays of the graph do this work, but to look at it would end the capture.
                    return
                for place, tensor in tensors:
                    if type(tensor) in (torch.Tensor, torch.nn.Parameter) and is_integral(tensor) and tensor.numel() and not aside.what():
                        self.look(schema, place, tensor.detach(), [list(t.shape) for _, t in tensors])

            @staticmethod
            def look(schema, place, tensor, shapes):
                low, high = bounds_of(tensor)
                if high >= 2 ** 63:  # Most often the seed of a kernel's random numbers; files of values have signed integers.
                    too_large.add(f"{schema.name} ({tensor.dtype})".replace("torch.", ""))
                    return
                note = {"operator": _overload_of(schema), "input": place, "shapes": shapes, "low": low, "high": high}
                if keep_bytes and tensor.numel() * tensor.element_size() <= 16 << 20:
                    note["data"] = f"{len(notes)}.dat"
                    with open(os.path.join(folder, note["data"]), "wb") as file:
                        file.write(tensor.cpu().contiguous().numpy().tobytes())
                notes.append(note)

        self.values = Values(), notes, self.thread_id()
        self.patches = _Patches()
        for owner, name in self.cannot_be_looked_at():
            self.patches.add(owner, name, self.look_no_more_within)
        self.values[0].__enter__()

    def cannot_be_looked_at(self):
        """Functions of PyTorch that fail, or do something else, while operators are looked at."""
        torch = self.torch
        for owner in (torch.jit, torch.jit._trace):
            yield from ((owner, name) for name in ("trace", "trace_module", "_get_trace_graph") if hasattr(owner, name))
        yield torch.Tensor, "as_subclass"
        if hasattr(torch, "compile"):
            yield torch, "compile"
        for name, entry in (("torch.export", "export"), ("torch.fx.experimental.proxy_tensor", "make_fx")):
            if hasattr(sys.modules.get(name), entry):
                yield sys.modules[name], entry

    def look_no_more_within(self, function, patch):
        def wrapper(*args, **kwargs):
            if patch.is_live:
                self.leave_values(patch.name)
            return function(*args, **kwargs)
        return wrapper

    def leave_values(self, because=""):
        """Looks no more; what was noted stays. Modes that the job has put on top since then stay, too."""
        if self.values[2] != self.thread_id():
            return  # It is another thread's, and modes are a thread's own.
        self.patches.take_away()
        if not self.is_left:
            self.is_left = True
            mode, at = self.values[0], getattr(self.torch._C, "_get_dispatch_stack_at", None)
            modes = [at(i) for i in range(self.aside.modes())] if at is not None else []
            above = self.aside.take_modes(next((i for i, m in enumerate(reversed(modes)) if m is mode), 0))
            mode.__exit__(None, None, None)
            self.aside.put_modes(above)
        if because:
            self.problems.append(f"values of tensors were noted until the job called {because}, which cannot be looked at")

    def stop_values(self):
        import json
        notes = self.values[1]
        self.leave_values()
        self.values = None
        self.problems += [f"values of tensors were not noted within {what}: to look at them would end it" for what in self.passed_over]
        if self.too_large:
            self.problems.append(f"values of 2**63 and more are left out: arguments of {', '.join(sorted(self.too_large))}")
        path = os.path.join(self.folder, "values.json")
        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(notes, file)
        except OSError as error:  # The disk is full.
            self.problems.append(f"no values of tensors were noted: they cannot be written: {error.strerror}")
            _remove(path)

    def abandon(self):
        """Ends whatever is on and throws away what it wrote."""
        try:
            if self.values is not None:
                self.leave_values()
                self.values = None
            try:
                if self.observer is not None:
                    self.stop()
            finally:
                self.drop()
        finally:
            for name in os.listdir(self.folder):
                if name != "status.json":
                    os.remove(os.path.join(self.folder, name))


class _ModuleLabels:
    """Labels what runs within a module's forward by its name in the outermost module: `nn.Module: layer1.0.conv1`."""

    def __init__(self, torch, aside):
        self.torch, self.aside, self.names, self.open, self.handles = torch, aside, {}, [], []

    def start(self):
        hooks = self.torch.nn.modules.module
        self.handles = [hooks.register_module_forward_pre_hook(lambda module, inputs: self.attempt(self.enter, module)),
                        hooks.register_module_forward_hook(lambda module, inputs, outputs: self.attempt(self.leave, module))]

    def attempt(self, function, module):
        """Labels are not worth the job's trouble: none within code that is being traced, and none after one that failed."""
        try:
            if self.handles and not self.aside.what():
                function(module)
        except Exception as error:
            self.handles, handles = [], self.handles
            for handle in handles:
                handle.remove()
            _pass_on(error)

    def enter(self, module):
        if not self.open:
            self.names.update({id(m): name or type(m).__name__ for name, m in module.named_modules()})
        name = "nn.Module: " + self.names.get(id(module), type(module).__name__)
        label = self.aside.unseen(self.torch.autograd.profiler.record_function, name)
        self.aside.unseen(label.__enter__)
        self.open.append((id(module), label))

    def leave(self, module):
        while self.open and any(opened == id(module) for opened, _ in self.open):  # Those within it that an exception left open, too.
            opened, label = self.open.pop()
            self.aside.unseen(label.__exit__, None, None, None)
            if opened == id(module):
                break

    def unwind(self):
        while self.open:
            self.aside.unseen(self.open.pop()[1].__exit__, None, None, None)

    def stop(self):
        self.unwind()
        for handle in self.handles:
            handle.remove()


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
