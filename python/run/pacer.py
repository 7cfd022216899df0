# The original's pace.


class Pacer:
    """Waits where the original did something that is no operator, so that an iteration takes as long as the original's.

    It never waits where the replay is slower. Calls take longer between waits than unpaced: a wait ends when its call would
    start if calls took what they take unpaced.
    On a machine whose speed changes from one moment to the next, waits can be a share of the time that calls just take.
    On a device that works on its own, times are the host's, less those in which it waits for the device: the device follows.
    """

    SLEEP_FROM_NS, SPIN_NS = 1_000_000, 300_000
    MAX_LEARNING_ROUNDS, MIN_LEARNING_ROUNDS, LEARNING_NS = 9, 3, 1_000_000_000  # Of fewer iterations, if they take long.

    def __init__(self, learned, gaps, total, is_share=False):
        # When each call starts unpaced, and all is done; the original's gaps before that; an iteration's time; in nanoseconds.
        self.learned, self.gaps, self.total = learned, gaps, total
        share = max(0, total - learned[-1]) / max(1, sum(gaps))
        self.waits_ns = [int(g * share) for g in gaps]
        self.is_share, self.slowness = is_share, 1  # What calls took in the last iteration, of what they took when the pace was learned.
        self.reset()

    def with_share(self, unpaced_share):
        """Waits as a share of the time: unpaced, an iteration takes so much of one of the original."""
        return Pacer(self.learned, self.gaps, int(self.learned[-1] / min(1, unpaced_share)), True)

    def reset(self):
        self.waits = self.late = self.waited_ns = self.worst_late_ns = self.iterations = 0

    def run(self, steps, engine):
        clock = time.perf_counter_ns
        begin, owed, waited = clock() - engine.host_waits_ns, 0, 0
        for step, wait, start in zip([*steps, None], self.waits_ns, self.learned):
            owed += wait
            left = self.wait_before(start, owed, waited, clock() - begin - engine.host_waits_ns)
            if left > 0:
                waited += self.wait(left)
            if step is not None:
                step()
        late = clock() - begin - engine.host_waits_ns - self.total
        self.late += late > 0
        self.worst_late_ns = max(self.worst_late_ns, late)
        self.waited_ns += waited
        self.iterations += 1

    def wait_before(self, start, owed, waited, elapsed):
        if not self.is_share:
            return min(owed - waited, start + owed - elapsed)
        if start >= self.learned[-1] / 10:  # The first calls alone say too little.
            self.slowness = (elapsed - waited) / start
        return owed * self.slowness - waited

    def wait(self, nanoseconds):
        clock = time.perf_counter_ns
        start = clock()
        self.waits += 1
        if nanoseconds > self.SLEEP_FROM_NS:
            time.sleep((nanoseconds - self.SPIN_NS) / 1e9)
        now = clock()
        while now - start < nanoseconds:
            now = clock()
        return now - start

    def report(self):
        n = max(1, self.iterations)
        return {"waits": self.waits // n, "waitedNs": self.waited_ns // n, "late": self.late, "worstLateNs": self.worst_late_ns}


def pacer_of(engine, original_ns=0):
    """What an unpaced replay lacks is shared out over the original's gaps between operators.

    Without a profile, which tells the gaps, it is shared out over the calls, as they take long.
    """
    package = engine.package
    times = package.manifest.get("times")
    if not times and not original_ns:
        raise Problem("MYS413", "the package has no times of the original", package.path,
                      "generate it with --profile or --reference-time, or use --pace none")
    learned = learn(engine)
    gaps = gaps_of(package, times)
    if not any(gaps):
        gaps = [0] + [b - a for a, b in zip(learned, learned[1:])]
    total = original_ns or times["iteration_ns"]
    return Pacer(learned, gaps, total if engine.backend is None else host_time_of(package, times, total))


def host_time_of(package, times, iteration_ns):
    """How long the original's host was at work in an iteration, in nanoseconds: without its waits for the device.

    A host that was done earlier than the device, even while it was profiled, was not what the iteration waited for.
    """
    if not package.times:
        return iteration_ns
    waits = sum(call.get("sync_ns", 0) for call in package.manifest["schedule"])
    return round(min(iteration_ns, times["recorded_ns"]) * max(0, 1 - waits / times["recorded_ns"]))


def gaps_of(package, times):
    """How long the original ran no operator before each call, and after the last, in nanoseconds of the recorded iteration.

    Its waits for the device are no gaps: the replay waits as well.
    """
    gaps, end, idle = [], 0, 0
    for call in package.manifest["schedule"]:
        gap = 0
        for op in package.manifest["operators"][call["first"]:call["first"] + call["count"]]:
            known = [package.times[id_of(o)] for o in (op["backward"] if "backward" in op else [op]) if id_of(o) in package.times]
            if known and ("backward" in op or op.get("role") != "autograd"):
                gap += max(0, min(t["start_ns"] for t in known) - end - idle)
                end, idle = max([end] + [t["start_ns"] + t["duration_ns"] for t in known]), 0
        gaps.append(gap)
        idle += call.get("sync_ns", 0)
    return gaps + [max(0, times["recorded_ns"] - end - idle) if package.times else 0]


def learn(engine):
    """When calls start, and all is done, in a replay that never waits, in nanoseconds of the host's work: medians of a few.

    On a device that is done later than the host the last is the host's end: waits up to there are what an iteration can take.
    """
    rounds, clock = [], time.perf_counter_ns
    first = clock()
    while len(rounds) < Pacer.MIN_LEARNING_ROUNDS or len(rounds) < Pacer.MAX_LEARNING_ROUNDS \
            and engine.ranks.share(clock() - first < Pacer.LEARNING_NS):
        engine.externals.restore(False)
        engine.synchronize()
        engine.ranks.begin()
        begin, marks = clock() - engine.host_waits_ns, []
        for step in engine.steps:
            marks.append(clock() - begin - engine.host_waits_ns)
            step()
        engine.ranks.end()
        rounds.append(marks + [clock() - begin - engine.host_waits_ns])
        engine.synchronize()
    return [sorted(column)[len(rounds) // 2] for column in zip(*rounds)]
