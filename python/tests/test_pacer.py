import random
import types
import unittest

import samples
from scripts import Clock, replaced, run

MS = 1_000_000


class PacerTests(unittest.TestCase):
    """Calls that take a known time, on a clock that only they and waits move."""

    def setUp(self):
        self.clock = Clock(tick=100)
        patch = replaced(run, time=self.clock)
        patch.__enter__()
        self.addCleanup(patch.__exit__, None, None, None)

    def iteration(self, pacer, works):
        start = self.clock.now
        pacer.run([self.clock.work(w) for w in works], types.SimpleNamespace(host_waits_ns=0))
        return self.clock.now - start

    def test_an_iteration_takes_as_long_as_the_original_s(self):
        pacer = run.Pacer([0, 10 * MS, 20 * MS], [0, 5 * MS, 5 * MS], 40 * MS)
        self.assertAlmostEqual(40 * MS, self.iteration(pacer, [10 * MS, 10 * MS]), delta=0.1 * MS)
        self.assertEqual(2, pacer.waits)
        self.assertLess(pacer.worst_late_ns, 0.1 * MS)

    def test_what_is_lacking_is_shared_out_over_the_gaps(self):
        pacer = run.Pacer([0, 10 * MS, 20 * MS], [0, 1 * MS, 3 * MS], 40 * MS)
        self.assertEqual([0, 5 * MS, 15 * MS], pacer.waits_ns)

    def test_a_replay_that_is_slower_never_waits_and_is_late(self):
        pacer = run.Pacer([0, 10 * MS, 20 * MS], [0, 1 * MS, 1 * MS], 15 * MS)
        self.iteration(pacer, [10 * MS, 10 * MS])
        self.assertEqual((0, 0, 1), (pacer.waits, pacer.waited_ns, pacer.late))
        self.assertAlmostEqual(5 * MS, pacer.worst_late_ns, delta=0.1 * MS)

    def test_calls_that_take_longer_than_learned_take_from_the_waits(self):
        pacer = run.Pacer([0, 10 * MS, 20 * MS], [0, 10 * MS, 10 * MS], 40 * MS)
        self.assertAlmostEqual(40 * MS, self.iteration(pacer, [15 * MS, 10 * MS]), delta=0.1 * MS)

    def test_a_share_waits_longer_where_calls_take_longer(self):
        pacer = run.Pacer([0, 10 * MS, 20 * MS], [0, 5 * MS, 5 * MS], 0).with_share(0.5)
        self.assertAlmostEqual(40 * MS, self.iteration(pacer, [10 * MS, 10 * MS]), delta=0.2 * MS)
        self.assertAlmostEqual(80 * MS, self.iteration(pacer, [20 * MS, 20 * MS]), delta=0.2 * MS)

    def test_a_share_above_one_never_waits(self):
        pacer = run.Pacer([0, 10 * MS], [0, 5 * MS], 99 * MS).with_share(1.5)
        self.iteration(pacer, [10 * MS])
        self.assertEqual(0, pacer.waits)

    def test_long_waits_sleep_and_spin_the_rest(self):
        pacer = run.Pacer([0], [1], 0)
        waited = pacer.wait(5 * MS)
        self.assertEqual([(5 * MS - run.Pacer.SPIN_NS) / 1e9], self.clock.slept)
        self.assertTrue(5 * MS <= waited < 5.01 * MS)

    def test_short_waits_do_not_sleep(self):
        waited = run.Pacer([0], [1], 0).wait(0.5 * MS)
        self.assertEqual([], self.clock.slept)
        self.assertTrue(0.5 * MS <= waited < 0.51 * MS)

    def test_the_report_is_of_an_iteration(self):
        pacer = run.Pacer([0, 10 * MS, 20 * MS], [0, 5 * MS, 5 * MS], 40 * MS)
        for _ in range(4):
            self.iteration(pacer, [10 * MS, 10 * MS])
        report = pacer.report()
        self.assertEqual(2, report["waits"])
        self.assertLess(report["worstLateNs"], 0.1 * MS)
        self.assertAlmostEqual(20 * MS, report["waitedNs"], delta=0.1 * MS)
        pacer.reset()
        self.assertEqual({"waits": 0, "waitedNs": 0, "late": 0, "worstLateNs": 0}, pacer.report())

    def test_any_calls_and_gaps_come_to_the_total_where_there_is_time(self):
        source = random.Random(7)
        for _ in range(200):
            works = [source.randint(0, 10 * MS) for _ in range(source.randint(1, 8))]
            starts = [sum(works[:i]) for i in range(len(works) + 1)]
            gaps = [source.choice([0, source.randint(0, MS)]) for _ in starts]
            gaps[-1] += 1
            total = sum(works) + source.randint(0, 20 * MS)
            took = self.iteration(run.Pacer(starts, gaps, total), works)
            self.assertAlmostEqual(total, took, delta=0.02 * MS)

    def engine(self, works, m):
        package = type("Package", (), {"manifest": m, "path": "p", "times": {run.id_of(t): t for t in m["times"]["operators"]}})
        return type("Engine", (), {"steps": [self.clock.work(w) for w in works], "package": package, "synchronize": lambda self: None,
                                   "ranks": run.Ranks(), "backend": None, "host_waits_ns": 0,
                                   "externals": type("Externals", (), {"restore": lambda self, all: None})()})()

    def test_the_pace_of_a_package_is_that_of_its_times(self):
        m = samples.manifest()
        m["times"]["iteration_ns"] = 30 * MS
        pacer = run.pacer_of(self.engine([5 * MS, 5 * MS], m))
        self.assertEqual([200, 1000, 2000], pacer.gaps)  # Between its operators, between its calls, and after the last.
        self.assertAlmostEqual(20 * MS, sum(pacer.waits_ns), delta=0.1 * MS)
        self.assertAlmostEqual(30 * MS, self.iteration(pacer, [5 * MS, 5 * MS]), delta=0.1 * MS)

    def test_a_time_that_is_asked_for_takes_the_place_of_the_package_s(self):
        pacer = run.pacer_of(self.engine([5 * MS, 5 * MS], samples.manifest()), 50 * MS)
        self.assertAlmostEqual(50 * MS, self.iteration(pacer, [5 * MS, 5 * MS]), delta=0.1 * MS)

    def test_without_a_profile_waits_are_shared_out_over_the_calls_as_they_take_long(self):
        m = samples.manifest()
        m["times"]["operators"] = []
        pacer = run.pacer_of(self.engine([2 * MS, 6 * MS], m), 16 * MS)
        for expected, wait in zip([0, 2 * MS, 6 * MS], pacer.waits_ns):
            self.assertAlmostEqual(expected, wait, delta=0.1 * MS)

    def test_a_pace_is_learned_from_medians(self):
        works = iter([5, 9, 9, 1, 5, 9, 7, 7, 7] * 2)
        steps = [lambda: self.clock.work(next(works) * MS)()] * 2
        engine = type("Engine", (), {"ranks": run.Ranks(), "steps": steps, "host_waits_ns": 0,
                                     "externals": type("E", (), {"restore": lambda self, all: None})(),
                                     "synchronize": lambda self: None})()
        with replaced(run.Pacer, MAX_LEARNING_ROUNDS=9):
            learned = run.learn(engine)
        pairs = [[5, 9], [9, 1], [5, 9], [7, 7], [7, 5], [9, 9], [1, 5], [9, 7], [7, 7]]
        self.assertAlmostEqual(sorted(a for a, _ in pairs)[4] * MS, learned[1], delta=0.01 * MS)
        self.assertAlmostEqual(sorted(a + b for a, b in pairs)[4] * MS, learned[2], delta=0.01 * MS)


class Queue:
    """A device that works on its own: it takes up to 1,024 launches, and does them in order."""

    def __init__(self, clock, gap_ns, host_ns, device_ns, waits_after=()):
        self.clock, self.backend, self.host_waits_ns, self.ends, self.operators = clock, self, 0, [], []
        self.ranks = run.Ranks()
        self.externals = types.SimpleNamespace(restore=lambda everything: None)
        self.steps = [self.step(gap_ns, host_ns, device_ns, i in waits_after) for i in range(CALLS)]

    def step(self, gap_ns, host_ns, device_ns, waits):
        def run_it():
            self.clock.now += gap_ns
            start = self.clock.now
            self.clock.now += host_ns
            if len(self.ends) >= 1024:
                self.clock.now = max(self.clock.now, self.ends[-1024])
            self.ends.append(max(self.clock.now, self.ends[-1] if self.ends else 0) + device_ns)
            self.operators.append((start, self.clock.now - start))
            if waits:
                before = self.clock.now
                self.synchronize()
                self.host_waits_ns += self.clock.now - before
        return run_it

    def synchronize(self):
        self.clock.now = max(self.clock.now, self.ends[-1] if self.ends else 0)

    def iteration(self, pacer=None):
        """The time of an iteration until the device has done it, and until the host has, in nanoseconds."""
        start = self.clock.now
        if pacer is not None:
            pacer.run(self.steps, self)
        else:
            for step in self.steps:
                step()
        host = self.clock.now - start
        self.synchronize()
        return self.clock.now - start, host


CALLS = 100


class DeviceTests(unittest.TestCase):
    """The pace on a device: jobs that wait for the host, for the device, and for both (a simulation: no GPU).

    An original is a loop of calls with gaps between them; its profile is of an iteration that a profiler made slower.
    """

    def assert_paced(self, gap, host, device, replay_host, slower=1.0, waits_after=(), unpaced_differs=True, tolerance=0.02):
        """All in microseconds of a call; the replay's calls take less of the host, and have no gaps."""
        clock = Clock(tick=1000)
        with replaced(run, time=clock):
            original = Queue(clock, gap * 1000, host * 1000, device * 1000, waits_after)
            iteration_ns, _ = original.iteration()
            profiled = Queue(clock, round(gap * slower * 1000), round(host * slower * 1000), device * 1000, waits_after)
            _, recorded_ns = profiled.iteration()
            first = profiled.operators[0][0]
            operators = [{"node": i, "start_ns": start - first, "duration_ns": took} for i, (start, took) in enumerate(profiled.operators)]
            schedule = [{"first": i, "count": 1} for i in range(CALLS)]
            for i in waits_after:
                schedule[i].update(sync=True, sync_ns=profiled.host_waits_ns // len(waits_after))
            replay = Queue(clock, 0, replay_host * 1000, device * 1000, waits_after)
            replay.package = types.SimpleNamespace(path="p", times={run.id_of(o): o for o in operators}, manifest={
                "times": {"iteration_ns": iteration_ns, "recorded_ns": recorded_ns, "operators": operators},
                "schedule": schedule, "operators": [{"node": i} for i in range(CALLS)]})
            unpaced = replay.iteration()[0]
            pacer = run.pacer_of(replay)
            for _ in range(3):
                taken = replay.iteration(pacer)[0]
        self.assertLess(abs(taken / iteration_ns - 1), tolerance, (taken, iteration_ns, unpaced))
        if unpaced_differs is not None:
            self.assertEqual(unpaced_differs, abs(unpaced / iteration_ns - 1) > tolerance)
        return pacer.report()

    def test_a_job_that_waits_for_its_host_is_paced(self):
        self.assert_paced(gap=3000, host=1500, device=500, replay_host=1500)

    def test_a_profiler_that_made_the_host_slower_does_not_make_the_pace_slower(self):
        self.assert_paced(gap=3000, host=1500, device=500, replay_host=1500, slower=1.6)

    def test_a_device_that_is_done_later_than_the_host_takes_none_of_the_waits(self):
        self.assert_paced(gap=3000, host=1500, device=3700, replay_host=1500)

    def test_a_job_that_waits_for_its_device_is_as_fast_as_its_device(self):
        report = self.assert_paced(gap=100, host=400, device=3700, replay_host=350, unpaced_differs=False)
        self.assertLess(report["waitedNs"], 20 * MS)  # Of 370: its own gaps.

    def test_waits_for_the_device_are_no_gaps(self):
        self.assert_paced(gap=1000, host=500, device=3000, replay_host=500, waits_after=(49,), unpaced_differs=None)
        self.assert_paced(gap=2500, host=500, device=2000, replay_host=500, waits_after=(49, 99))

    def test_any_job_is_close_to_its_time(self):
        """Closest where it waits for one of the two; where waits lie within, how much slower the profiler made the host is not known."""
        source = random.Random(16)
        for _ in range(60):
            host, waits = source.randint(50, 2000), source.choice([(), (99,), (24, 99), (49,)])
            gap, device, slower = source.randint(0, 3000), source.randint(10, 5000), source.choice([1.0, 1.2, 1.5])
            with self.subTest(gap=gap, host=host, device=device, waits=waits, slower=slower):
                self.assert_paced(gap, host, device, host, slower, waits, None, tolerance=0.04 if waits == () else 0.08)

    def test_late_is_the_host_without_its_waits(self):
        clock = Clock(tick=100)
        with replaced(run, time=clock):
            replay, pacer = Queue(clock, 0, MS, 5 * MS, waits_after=(CALLS - 1,)), run.Pacer([i * MS for i in range(CALLS + 1)],
                                                                                             [0] * (CALLS + 1), CALLS * MS + 5 * MS)
            replay.iteration(pacer)
        self.assertEqual((0, 0), (pacer.report()["late"], pacer.report()["worstLateNs"]))

    def test_a_share_is_nothing_to_a_device(self):
        engine = types.SimpleNamespace(learned=run.Pacer([0, 1], [0, 1], 10), backend=object(), pacer=None)
        run.Engine.keep_pace(engine, 0.5)
        self.assertIs(engine.learned, engine.pacer)


class GapTests(unittest.TestCase):
    def package(self, times, counts=(2, 1)):
        first, schedule = 0, []
        for count in counts:
            schedule.append({"first": first, "count": count})
            first += count
        package = type("Package", (), {})()
        package.manifest = {"schedule": schedule, "operators": [{"node": i} for i in range(first)]}
        package.times = {(0, node): {"start_ns": start, "duration_ns": duration} for node, (start, duration) in times.items()}
        return package

    def test_gaps_are_what_no_operator_took_before_each_call_and_after_the_last(self):
        package = self.package({0: (0, 10), 1: (15, 10), 2: (40, 5)})
        self.assertEqual([5, 15, 55], run.gaps_of(package, {"recorded_ns": 100}))

    def test_operators_that_overlap_leave_no_gap(self):
        package = self.package({0: (0, 50), 1: (10, 10), 2: (40, 5)})
        self.assertEqual([0, 0, 50], run.gaps_of(package, {"recorded_ns": 100}))

    def test_operators_without_times_belong_to_the_gap(self):
        package = self.package({0: (0, 10), 2: (40, 5)})
        self.assertEqual([0, 30, 55], run.gaps_of(package, {"recorded_ns": 100}))

    def test_without_times_there_are_no_gaps(self):
        self.assertEqual([0, 0, 0], run.gaps_of(self.package({}), None))

    def test_a_package_without_times_has_no_pace(self):
        engine = type("Engine", (), {"package": type("Package", (), {"manifest": {}, "path": "p"})})
        with self.assertRaisesRegex(run.Problem, "MYS413"):
            run.pacer_of(engine)
