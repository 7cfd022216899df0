# The guard: the job has its own profilers and observers, and they get their way.


class _Guard:
    """Knows whether the job has a profiler or an observer of its own on: there can be one of each at a time.

    One that starts while ours are on gets its way: `on_collision` is called first. What is called within a `with` is our own.
    """

    def __init__(self, torch, on_collision, on_error=lambda: None):
        self.torch, self.on_collision, self.on_error = torch, on_collision, on_error
        self.is_ours_on = self.is_changing = False
        self.observers = set()  # The job's, by id.
        self.patches = _Patches()
        profile, observer = torch.autograd.profiler.profile, _observer_type(torch)
        for name in ("_prepare_trace", "_start_trace", "__enter__"):
            if name in profile.__dict__:
                self.wrap(profile, name, lambda this: None)
        if observer is not None:
            self.wrap(observer, "register_callback", lambda this: self.observers.add(id(this)))
            self.wrap(observer, "unregister_callback", lambda this: self.observers.discard(id(this)), collides=False)

    def wrap(self, owner, name, note, collides=True):
        def make(original, patch):
            def wrapper(this, *args, **kwargs):
                if patch.is_live and not self.is_changing:
                    self.meet(this, note, collides)
                return original(this, *args, **kwargs)
            return wrapper
        self.patches.add(owner, name, make)

    def meet(self, this, note, collides):
        try:
            if self.is_ours_on and collides:
                self.on_collision()
            note(this)
        except Exception as error:
            self.on_error()
            _pass_on(error)

    def __enter__(self):
        self.is_changing = True

    def __exit__(self, *error):
        self.is_changing = False

    def is_free(self, source, by, steps=1):
        """Whether the iteration that has just ended, and those that start now, are without a profiler or an observer of the job."""
        if self.observers or self.torch.autograd._profiler_enabled():
            return False
        none = self.torch.profiler.ProfilerAction.NONE
        return source != "profiler" or by.current_action == none and all(by.schedule(by.step_num + 1 + i) == none for i in range(steps))

    def stop(self):
        self.patches.take_away()
