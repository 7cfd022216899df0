class Pacer:
    """Waits before calls so that they start when they started in the original; never where the replay is already late."""

    SLEEP_FROM_NS, SPIN_NS = 1_000_000, 300_000

    def __init__(self, starts, total):
        self.starts, self.total = starts, total  # In nanoseconds from the iteration's start.
        self.marks = None  # Where it is a list, the times at which calls could have started go there.
        self.reset()

    def reset(self):
        self.waits = self.late = self.waited_ns = self.worst_late_ns = self.iterations = 0

    def run(self, steps):
        begin = time.perf_counter_ns()
        for step, start in zip(steps, self.starts):
            self.wait_until(begin, begin + start)
            step()
        self.wait_until(begin, begin + self.total)
        self.iterations += 1

    def wait_until(self, begin, due):
        clock = time.perf_counter_ns
        now = clock()
        if self.marks is not None:
            self.marks.append(now - begin)
        if now >= due:
            self.late += now > due
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


def pacer_of(engine, reference_ns=0):
    """When calls started in the original: recorded, or spread as a replay flat out spends its time."""
    package = engine.package
    times, schedule, operators = package.manifest.get("times"), package.manifest["schedule"], package.manifest["operators"]
    if not times and not reference_ns:
        raise Problem("MYS413", "the package has no times to keep", package.path,
                      "generate it with --profile or --reference-time, or take --pace none")
    total = reference_ns or times["iteration_ns"]
    learned = learn(engine)
    flat_out, starts, last = max(1, learned[-1]), [], 0
    for call, mark in zip(schedule, learned):
        known = package.times.get(operators[call["first"]]["node"])
        start = mark * total // flat_out if not package.times else known["start_ns"] * total // times["recorded_ns"] if known else last
        # A profiler costs some operators more than others: no call starts so late that the rest would not fit.
        last = max(last, min(start, total - (flat_out - mark)))
        starts.append(last)
    return Pacer(starts, total)


def learn(engine):
    """When calls start, and the last one ends, in a replay that never waits, in nanoseconds: medians of a few."""
    rounds, calls = [], len(engine.steps)
    for _ in range(5):
        engine.externals.restore(False)
        pacer = Pacer([0] * calls, 0)
        marks = pacer.marks = []
        pacer.run(engine.steps)
        rounds.append(marks)
    return [sorted(column)[len(rounds) // 2] for column in zip(*rounds)]


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
