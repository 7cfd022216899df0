# A job that is held between iterations.


def _connect(path, role):
    """A connection to whoever measures the job, through a socket that only this user can reach.

    It says by its first byte what it is for: L, to be asked for iterations; W, to end with it.
    """
    import socket
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(path)
    link.sendall(role)
    return link


def _end_with(path):
    """Has this process end at once when whoever measures it is gone: the system kills it when the connection ends."""
    global _lifeline
    _lifeline = _connect(path, b"W")
    import fcntl
    import signal
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(_lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(_lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(_lifeline, fcntl.F_SETFL, fcntl.fcntl(_lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    else:
        import threading
        threading.Thread(target=lambda: (_lifeline.recv(1), os._exit(0)), daemon=True).start()


def _end_with_parent():
    """Has this process end when its parent does, stopped or not (prctl(2), PR_SET_PDEATHSIG)."""
    try:
        import ctypes
        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
    except (OSError, AttributeError):
        pass


class _SteppedJob:
    """For `mystique bench`: holds the job between iterations until it is asked for some, and tells what they took.

    One more runs before those that are asked for: after a pause the caches are somebody else's. When nobody is there to
    ask, the job ends. Of a job with several ranks the first is held, and so are, at their next collective, the others.
    """

    def __init__(self, torch, settings):
        self.torch, self.socket, self.skip = torch, settings["socket"], max(1, settings["skip"])
        self.releases_cache = settings.get("releases_cache", False)  # Others need the device's memory while it is held.
        self.link, self.window, self.asked, self.left = None, None, 0, self.skip
        self.baseline = _anonymous_bytes()
        self.iterations = _Iterations(torch, self.on_end, self.on_begin, lambda profile: False, self.on_error)

    def on_end(self, source, by, is_new):
        now = time.perf_counter_ns()
        if is_new:  # What was counted before were no iterations.
            self.window, self.left = None, self.skip
        elif self.window is not None:
            self.window.add(now)
        self.left -= 1
        if self.left > 0:
            return
        self.step(source, by)

    @staticmethod
    def on_error():
        """The other side is gone, or its request is invalid: there is nothing to run for."""
        os._exit(0)

    def step(self, source, by):
        import json
        if self.window is None and self.asked:  # It is warm.
            self.window, self.left = _Window(self.torch, is_ours=True), self.asked
            return self.window.open()
        if self.link is None:
            if _rank(self.torch)[0] != 0:
                return self.iterations.stop()
            if source == "module":
                self.iterations.narrow(type(by))
            self.connect()
        if self.window is not None:
            self.window.close()
            answer, self.window = self.window.describe(), None
            answer["peak_bytes"] = max(0, answer["peak_bytes"] - self.baseline)
            answer["threads"] = self.torch.get_num_threads()
            self.link.sendall((json.dumps(answer) + "\n").encode())
        self.asked, self.left = self.wait(), 1
        return None

    def on_begin(self):
        if self.window is not None:
            self.window.mark()

    def connect(self):
        self.link = _connect(self.socket, b"L")
        self.lines = self.link.makefile("r", encoding="utf-8")

    def wait(self):
        """Holds the job, and the processes that load its data, until iterations are asked for."""
        import signal
        device = _device(self.torch)[1]
        if device is not None:
            device.synchronize()
            if self.releases_cache:
                _release_cache(device)
        has_helpers = "multiprocessing" in sys.modules and hasattr(signal, "SIGSTOP")
        helpers = [c.pid for c in sys.modules["multiprocessing"].active_children()] if has_helpers else []
        try:
            for pid in helpers:
                os.kill(pid, signal.SIGSTOP)
            return int(self.lines.readline())
        finally:
            for pid in helpers:
                os.kill(pid, signal.SIGCONT)

    def at_exit(self):
        """The other side sees that the connection ends."""

    def in_child(self):
        """A forked process, most often a worker that loads data, ends with the process that it belongs to, held or not."""
        _end_with_parent()
        self.iterations.stop()
        if self.link is not None:
            self.lines.close()
            self.link.close()
