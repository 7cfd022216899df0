import random
import unittest

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
        pacer.run([self.clock.work(w) for w in works])
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

    def test_a_pace_is_learned_from_medians(self):
        works = iter([5, 9, 9, 1, 5, 9, 7, 7, 7] * 2)
        steps = [lambda: self.clock.work(next(works) * MS)()] * 2
        engine = type("Engine", (), {"steps": steps, "externals": type("E", (), {"restore": lambda self, all: None})(),
                                     "synchronize": lambda self: None})()
        with replaced(run.Pacer, MAX_LEARNING_ROUNDS=9):
            learned = run.learn(engine)
        pairs = [[5, 9], [9, 1], [5, 9], [7, 7], [7, 5], [9, 9], [1, 5], [9, 7], [7, 7]]
        self.assertAlmostEqual(sorted(a for a, _ in pairs)[4] * MS, learned[1], delta=0.01 * MS)
        self.assertAlmostEqual(sorted(a + b for a, b in pairs)[4] * MS, learned[2], delta=0.01 * MS)


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
