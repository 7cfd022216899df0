# Iterations: where one ends and the next begins.


class _Patches:
    """Wrappers in the places of classes' methods, and how to take them away."""

    def __init__(self):
        self.undo = []

    def add(self, owner, name, wrapper):
        """Puts what `wrapper` makes of a method in its place."""
        import functools
        own = name in owner.__dict__
        original = getattr(owner, name)
        wrapped = functools.wraps(original)(wrapper(original))
        setattr(owner, name, wrapped)

        def restore():
            if owner.__dict__.get(name) is wrapped:
                setattr(owner, name, original) if own else delattr(owner, name)
        self.undo.append((owner, restore))

    def has(self, owner):
        return any(u[0] is owner for u in self.undo)

    def take_away(self, owner=None):
        """All of them, or those of one class."""
        for entry in [u for u in self.undo if owner is None or u[0] is owner]:
            entry[1]()
            self.undo.remove(entry)


class _Iterations:
    """Calls `on_end(source, by, is_new)` at the end of each iteration, and then `on_begin()` where the next one begins.

    The sources, the surest first: steps of the job's own `torch.profiler`, steps of an optimizer, calls of the outermost
    module that has parameters. One object leads: the first that is seen, until a surer source shows up, or another object
    was heard often since the leader's last. Only the thread that came first counts.
    """

    SOURCES = ("profiler", "optimizer", "module")
    PATIENCE = 10

    def __init__(self, torch, on_end, on_begin, is_ours):
        import threading
        self.torch, self.on_end, self.on_begin, self.is_ours = torch, on_end, on_begin, is_ours
        self.thread_id = threading.get_ident
        self.source = self.leader = self.thread = None
        self.heard = {}  # By id, how often since the leader's last.
        self.depth = {"optimizer": 0, "module": 0}
        self.has_optimizer = False
        self.patches = _Patches()
        self.is_compiling = getattr(getattr(torch, "compiler", None), "is_compiling", None) or (lambda: False)
        self.patches.add(torch.optim.Optimizer, "__init__", self.wrap_init)
        self.patches.add(torch.nn.Module, "__call__", lambda call: self.wrap(call, "module", self.on_module))
        self.patches.add(torch.profiler.profile, "step", self.wrap_profiler)

    def stop(self):
        self.patches.take_away()

    def wrap(self, call, source, on_call):
        """A wrapper that tells calls from outside from those within."""
        depth, is_compiling = self.depth, self.is_compiling

        def wrapper(this, *args, **kwargs):
            if is_compiling() or depth[source] or self.is_elsewhere():
                return call(this, *args, **kwargs)
            depth[source] = 1
            try:
                result = call(this, *args, **kwargs)
            finally:
                depth[source] = 0
            on_call(this)
            return result
        return wrapper

    def is_elsewhere(self):
        return self.thread is not None and self.thread != self.thread_id()

    def wrap_init(self, init):
        def wrapper(this, *args, **kwargs):
            init(this, *args, **kwargs)
            self.has_optimizer = True
            owner = next((c for c in type(this).__mro__ if "step" in c.__dict__), None)
            if owner is not None and self.patches.undo and not self.patches.has(owner):
                self.patches.add(owner, "step", lambda step: self.wrap(step, "optimizer", self.on_optimizer))
        return wrapper

    def wrap_profiler(self, step):
        def wrapper(this, *args, **kwargs):
            # The step itself, which can start and stop the job's own recording, belongs to no iteration.
            counts = not self.is_elsewhere() and not self.is_ours(this) and self.end("profiler", this)
            result = step(this, *args, **kwargs)
            if counts:
                self.on_begin()
            return result
        return wrapper

    def on_module(self, module):
        # With an optimizer and gradients it is a part of a training step.
        if not (self.has_optimizer and self.torch.is_grad_enabled()) and next(module.parameters(), None) is not None:
            if self.end("module", module):
                self.on_begin()

    def on_optimizer(self, optimizer):
        if self.end("optimizer", optimizer):
            self.on_begin()

    def end(self, source, by):
        """One object says that an iteration has ended; true where that object leads, so that it counts."""
        is_new = False
        if self.source != source or self.leader != id(by):
            data = sys.modules.get("torch.utils.data")
            if data is not None and data.get_worker_info() is not None:
                return False  # A worker that loads data.
            count = self.heard[id(by)] = self.heard.get(id(by), 0) + 1
            is_surer = self.source is None or self.SOURCES.index(source) < self.SOURCES.index(self.source)
            if not is_surer and count < self.PATIENCE:
                return False
            self.source, self.leader, self.thread, is_new = source, id(by), self.thread_id(), True
            if source != "module":
                self.patches.take_away(self.torch.nn.Module)
        self.heard.clear()
        self.on_end(source, by, is_new)
        return True

    def narrow(self, module_type):
        """From now on wraps calls of one class of modules, no longer of all."""
        self.patches.take_away(self.torch.nn.Module)
        self.patches.add(module_type, "__call__", lambda call: self.wrap(call, "module", self.on_module))
