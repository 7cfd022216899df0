class Pacer:
    """Waits before calls so that they start when they started in the original; never where the replay is already late."""

    SLEEP_FROM_NS, SPIN_NS = 1_000_000, 300_000

    def __init__(self, starts, total):
        self.starts, self.total = starts, total  # In nanoseconds from the iteration's start.
        self.reset()

    def reset(self):
        self.waits = self.late = self.waited_ns = self.worst_late_ns = self.iterations = 0

    def run(self, steps):
        begin = time.perf_counter_ns()
        for step, start in zip(steps, self.starts):
            self.wait_until(begin + start)
            step()
        self.wait_until(begin + self.total)
        self.iterations += 1

    def wait_until(self, due):
        clock = time.perf_counter_ns
        now = clock()
        if now >= due:
            if now - due > 0:
                self.late += 1
                self.worst_late_ns = max(self.worst_late_ns, now - due)
            return
        self.waits += 1
        self.waited_ns += due - now
        if due - now > self.SLEEP_FROM_NS:
            time.sleep((due - now - self.SPIN_NS) / 1e9)
        while clock() < due:
            pass

    def report(self):
        n = max(1, self.iterations)
        return {"waits": self.waits // n, "waitedNs": self.waited_ns // n, "late": self.late // n, "worstLateNs": self.worst_late_ns}


def pacer_of(engine):
    """When calls started in the original: recorded, or spread as a replay flat out spends its time."""
    package = engine.package
    times, schedule, operators = package.manifest.get("times"), package.manifest["schedule"], package.manifest["operators"]
    if not times or not times.get("iteration_ns"):
        raise Problem("MYS413", "the package has no times to keep", package.path,
                      "generate it with --profile or --reference-time, or take --pace none")
    total, recorded = times["iteration_ns"], times["recorded_ns"]
    if package.times:
        starts, last = [], 0
        for call in schedule:
            known = [package.times[op["node"]]["start_ns"] for op in operators[call["first"]:call["first"] + 1] if op["node"] in package.times]
            last = max(last, known[0] * total // recorded) if known else last
            starts.append(last)
        return Pacer(starts, total)
    rounds = []
    for _ in range(5):
        engine.externals.restore(False)
        begin, marks = time.perf_counter_ns(), []
        for step in engine.steps:
            marks.append(time.perf_counter_ns() - begin)
            step()
        rounds.append(marks + [time.perf_counter_ns() - begin])
    middle = [sorted(column)[len(rounds) // 2] for column in zip(*rounds)]
    return Pacer([round(mark * total / max(1, middle[-1])) for mark in middle[:-1]], total)


# Memory, as `mystique run` measures it: resident bytes that belong to no file, or what the device's allocator gave out.

def status_bytes(field):
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def reset_peak(backend):
    if hasattr(backend, "reset_peak_memory_stats"):
        backend.reset_peak_memory_stats()
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass  # Then the peak is that of the process: no less than what is asked for.


def peak_bytes(backend):
    if hasattr(backend, "max_memory_allocated"):
        return backend.max_memory_allocated()
    return status_bytes("VmHWM:") - status_bytes("RssFile:") - status_bytes("RssShmem:")


def baseline_bytes(backend):
    return backend.memory_allocated() if hasattr(backend, "memory_allocated") else status_bytes("RssAnon:")
