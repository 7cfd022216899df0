# Aside: where PyTorch turns code into something else, or runs it for something else than its results, the hook keeps out of it.


class _Aside:
    """Tells what PyTorch is doing with the job's code, other than running it; "" where it runs it.

    A call within such a transformation is no iteration, and nothing may be recorded, timed or labelled there: it would get
    into a traced graph, or fail on tensors that have no memory. No check imports anything, nor starts a device.
    """

    # Modes of the dispatcher under which tensors are stand-ins: by class, what they belong to.
    MODES = {"FakeTensorMode": "fake tensors", "ProxyTorchDispatchMode": "make_fx", "FunctionalTensorMode": "torch.export",
             "PreDispatchTorchFunctionMode": "torch.export"}

    def __init__(self, torch):
        self.torch, core = torch, getattr(torch, "_C", None)
        self.is_compiling = getattr(getattr(torch, "compiler", None), "is_compiling", None) or (lambda: False)
        self.tracing_state = getattr(core, "_get_tracing_state", None) or (lambda: None)
        self.modes = getattr(core, "_len_torch_dispatch_stack", None) or (lambda: 0)
        self.transform = getattr(getattr(core, "_functorch", None), "peek_interpreter_stack", None) or (
            getattr(core, "_are_functorch_transforms_active", None) or (lambda: None))
        frames = getattr(getattr(core, "_dynamo", None), "eval_frame", None)
        self.set_frames, self.skip_code = getattr(frames, "set_eval_frame", None), getattr(frames, "skip_code", None)
        self.keep_whole(self.is_compiling)
        self.keep_whole(self.plainly)

    def what(self):
        if self.is_compiling():
            return "torch.compile"
        if self.tracing_state() is not None:
            return "torch.jit.trace"
        if self.transform():
            return "torch.func"
        symbolic = sys.modules.get("torch.fx._symbolic_trace")
        if symbolic is not None and getattr(symbolic, "_is_fx_tracing_flag", False):
            return "torch.fx"
        if self.modes():
            what = self.mode()
            if what:
                return what
        kind, device = _device(self.torch)
        return "" if not _is_capturing(device) else "a CUDA graph" if kind == "cuda" else "a graph of the device's work"

    def mode(self):
        at = getattr(self.torch._C, "_get_dispatch_stack_at", None)
        kinds = [type(at(i)) for i in range(self.modes())] if at is not None else []
        return next((self.MODES[c.__name__] for kind in kinds for c in kind.__mro__ if c.__name__ in self.MODES), "")

    def compiles(self):
        """Whether the job has compiled anything with torch.compile."""
        utils = sys.modules.get("torch._dynamo.utils")
        return utils is not None and bool(getattr(utils, "counters", {}).get("frames"))

    def unseen(self, function, *args):
        """Calls what is ours where modes of the job, which watch or change operators, do not see it."""
        import contextlib
        taken = self.take_modes(self.modes())
        try:
            with getattr(getattr(self.torch, "_C", None), "DisableTorchFunction", contextlib.nullcontext)():
                return function(*args)
        finally:
            self.put_modes(taken)

    @staticmethod
    def take_modes(count):
        """Takes the topmost modes of the dispatcher off; the topmost comes first."""
        if not count:
            return []
        from torch.utils._python_dispatch import _pop_mode
        return [_pop_mode() for _ in range(count)]

    @staticmethod
    def put_modes(taken):
        if taken:
            from torch.utils._python_dispatch import _push_mode
            for mode in reversed(taken):
                _push_mode(mode)

    def keep_whole(self, function):
        """Has torch.compile not take a wrapper of ours for a frame of the job."""
        if self.skip_code is not None and hasattr(function, "__code__"):
            self.skip_code(function.__code__)

    def plainly(self, function, *args):
        """Calls what is ours as if torch.compile were not there: called from compiled code, it would be compiled too."""
        if self.set_frames is None:
            return function(*args)
        before = self.set_frames(None)
        try:
            return function(*args)
        finally:
            self.set_frames(before)


def _pass_on(error):
    """Raises again what a signal handler of the job raised while the hook happened to be at work: it is the job's."""
    import signal
    handlers = [signal.getsignal(s) for s in signal.valid_signals()] if hasattr(signal, "valid_signals") else []
    codes = {getattr(h, "__code__", None) for h in handlers} - {None}
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code in codes:
            raise error
        at = at.tb_next
