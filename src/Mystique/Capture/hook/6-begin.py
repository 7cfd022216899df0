# The start: what is done when the job has imported torch.


class _Clock:
    """For `--report`: reads the clocks at the end of each iteration and does nothing else, to compare the hook with."""

    def __init__(self, torch, settings):
        self.ends, self.cpu, self.narrow_at, self.pid = [], [], max(1, settings["skip"]), os.getpid()
        self.baseline = _anonymous_bytes()
        self.folder = os.path.join(settings["folder"], f"{self.pid}")
        self.iterations = _Iterations(torch, self.on_end, lambda: None, lambda profile: False)
        os.makedirs(self.folder, exist_ok=True)

    def on_end(self, source, by, is_new):
        self.ends.append(time.perf_counter_ns())
        self.cpu.append(time.process_time_ns())
        if source == "module" and len(self.ends) == self.narrow_at:
            self.iterations.narrow(type(by))

    def at_exit(self):
        if os.getpid() == self.pid:
            _write_json(self.folder, {"phase": "clock", "pid": self.pid, "ends_ns": self.ends, "cpu_ns": self.cpu, "baseline_bytes": self.baseline, "peak_bytes": _anonymous_peak()})

    def in_child(self):
        self.iterations.stop()


def _begin(torch):
    """Called when the job has imported torch."""
    started = time.perf_counter_ns()
    try:
        import atexit
        import json
        settings = json.loads(_SETTINGS)
        hook = _Clock(torch, settings) if settings["mode"] == "clock" else _Hook(torch, settings, started)
        atexit.register(hook.at_exit)
        os.register_at_fork(after_in_child=hook.in_child)
    except Exception as error:
        sys.stderr.write(f"mystique: the job cannot be recorded: {error}\n")


_start()
