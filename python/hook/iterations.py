# Iterations: where one ends and the next begins.


class _Iterations:
    """Calls `on_end(source, by, is_new)` at the end of each iteration, and then `on_begin()` where the next one begins.

    The sources, the surest first: steps of the job's own `torch.profiler`, steps of an optimizer, calls of the outermost
    module that has parameters, or of one that keeps its weights elsewhere. One object leads: the first that is seen, until a
    surer source shows up, or another object was heard often since the leader's last. Only the thread that came first counts.

    The wrappers are out of the job's way: calls within the outermost one find the classes as they are without the hook, no
    call counts while PyTorch transforms code, and an exception of ours is told to `on_error` and goes no further.
    """

    SOURCES = ("profiler", "optimizer", "module")
    PATIENCE = 10

    def __init__(self, torch, on_end, on_begin, is_ours, on_error=None):
        import threading
        self.torch, self.on_end, self.on_begin, self.is_ours = torch, on_end, on_begin, is_ours
        self.on_error = on_error or self.stop
        self.thread_id = threading.get_ident
        self.source = self.leader = self.thread = None
        self.rank = len(self.SOURCES) + 1  # Of the leader, by its source; one that is weak stands behind all.
        self.heard = {}  # By id, how often since the leader's last.
        self.depth = {"optimizer": 0, "module": 0}
        self.seen = {"optimizers": 0, "training_calls": 0, "asides": {}, "without_weights": {}}  # For the account.
        self.aside = _Aside(torch)
        self.patches = _Patches()
        self.patches.add(torch.optim.Optimizer, "__init__", self.wrap_init)
        self.patches.add(torch.nn.Module, "__call__", lambda call, patch: self.wrap(call, patch, "module", self.on_module))
        self.patches.add(torch.profiler.profile, "step", self.wrap_profiler)

    def stop(self):
        self.patches.take_away()

    def wrap(self, call, patch, source, on_call):
        """A wrapper that tells calls from outside from those within."""
        depth, is_compiling, plainly = self.depth, self.aside.is_compiling, self.aside.plainly

        def wrapper(this, *args, **kwargs):
            if is_compiling() or depth[source] or not plainly(self.enter, source, patch):
                return call(this, *args, **kwargs)
            try:
                result = call(this, *args, **kwargs)
            finally:
                plainly(self.leave, source, patch)
            plainly(self.tell, on_call, this)
            return result
        self.aside.keep_whole(wrapper)
        return wrapper

    def enter(self, source, patch):
        """Whether a call that begins now counts when it ends."""
        if not patch.is_live or self.is_elsewhere():
            return False
        what = self.tell(self.aside.what)
        if what != "":
            if what:
                self.seen["asides"][what] = self.seen["asides"].get(what, 0) + 1
            return False
        self.depth[source] = 1
        if source == "module":
            patch.pause()
        return True

    def leave(self, source, patch):
        self.depth[source] = 0
        if source == "module":
            patch.resume()

    def tell(self, function, *args):
        """Calls what is ours, from within the job's call: whatever goes wrong there is not the job's."""
        try:
            return function(*args)
        except Exception as error:
            try:
                self.stop()
                self.on_error()
            except Exception:
                pass  # Nothing of this is the job's concern.
            _pass_on(error)
            return None

    def is_elsewhere(self):
        return self.thread is not None and self.thread != self.thread_id()

    def wrap_init(self, init, patch):
        def wrapper(this, *args, **kwargs):
            init(this, *args, **kwargs)
            if patch.is_live:
                self.tell(self.on_init, type(this))
        self.aside.keep_whole(wrapper)
        return wrapper

    def on_init(self, kind):
        self.seen["optimizers"] += 1
        owner = next((c for c in kind.__mro__ if "step" in c.__dict__), None)
        if owner is not None and not self.patches.has(owner):
            self.patches.add(owner, "step", lambda step, patch: self.wrap(step, patch, "optimizer", self.on_optimizer))

    def wrap_profiler(self, step, patch):
        def wrapper(this, *args, **kwargs):
            # The step itself, which can start and stop the job's own recording, belongs to no iteration.
            counts = patch.is_live and self.tell(self.on_profiler, this)
            result = step(this, *args, **kwargs)
            if counts:
                self.tell(self.on_begin)
            return result
        return wrapper

    def on_profiler(self, profile):
        return not self.is_elsewhere() and not self.is_ours(profile) and self.aside.what() == "" and self.end("profiler", profile)

    def on_module(self, module):
        if self.seen["optimizers"] and self.torch.is_grad_enabled():
            # It is a part of a training step, unless compiled code hides the steps.
            self.seen["training_calls"] += 1
            if self.source not in (None, "module") or self.seen["training_calls"] <= self.PATIENCE or not self.aside.compiles():
                return
        is_weak = self.leader != id(module) and next(module.parameters(), None) is None
        if is_weak and not self.has_weights(module):
            name, bare = type(module).__name__, self.seen["without_weights"]
            if name in bare or len(bare) < 8:
                bare[name] = bare.get(name, 0) + 1
        elif self.end("module", module, is_weak):
            self.on_begin()

    def has_weights(self, module):
        """Whether a module without parameters keeps its weights elsewhere: in frozen TorchScript, packed when it was quantised."""
        script = getattr(getattr(self.torch, "jit", None), "ScriptModule", ())
        return any(isinstance(m, script) or any(hasattr(m, p) for p in ("_packed_params", "_weight_bias", "_all_weight_values"))
                   for m in module.modules())

    def on_optimizer(self, optimizer):
        if self.end("optimizer", optimizer):
            self.on_begin()

    def end(self, source, by, is_weak=False):
        """One object says that an iteration has ended; true where that object leads, so that it counts."""
        is_new = False
        if self.source != source or self.leader != id(by):
            data = sys.modules.get("torch.utils.data")
            if data is not None and data.get_worker_info() is not None:
                return False  # A worker that loads data.
            count = self.heard[id(by)] = self.heard.get(id(by), 0) + 1
            rank = self.SOURCES.index(source) + is_weak
            if not rank < self.rank and count < self.PATIENCE:
                return False
            self.source, self.leader, self.rank, self.thread, is_new = source, id(by), rank, self.thread_id(), True
            if source != "module":
                self.patches.take_away(self.torch.nn.Module)
        self.heard.clear()
        self.on_end(source, by, is_new)
        return True

    def narrow(self, module_type):
        """From now on wraps calls of one class of modules, no longer of all."""
        self.patches.take_away(self.torch.nn.Module)
        self.patches.add(module_type, "__call__", lambda call, patch: self.wrap(call, patch, "module", self.on_module))
