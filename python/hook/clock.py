# Clocks: a job whose iterations are timed and nothing else.


class _Clock:
    """For `--report`: reads the clocks at the end of each iteration and does nothing else, to compare the hook with."""

    def __init__(self, torch, settings):
        self.ends, self.narrow_at, self.pid = [], max(1, settings["skip"]), os.getpid()
        self.folder = os.path.join(settings["folder"], f"{self.pid}")
        self.iterations = _Iterations(torch, self.on_end, lambda: None, lambda profile: False)
        os.makedirs(self.folder, exist_ok=True)

    def on_end(self, source, by, is_new):
        self.ends.append(time.perf_counter_ns())
        if source == "module" and len(self.ends) == self.narrow_at:
            self.iterations.narrow(type(by))

    def at_exit(self):
        if os.getpid() == self.pid:
            try:
                _write_json(self.folder, {"phase": "clock", "pid": self.pid, "ends_ns": self.ends})
            except OSError:
                pass  # The disk is full, or the folder gone: nothing of this is the job's concern.

    def in_child(self):
        self.iterations.stop()
