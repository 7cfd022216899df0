import unittest

import faketorch
from scripts import hook

ACTIONS = "NONE WARMUP RECORD".split()


class GuardTests(unittest.TestCase):
    def setUp(self):
        self.torch, self.collisions = faketorch.make(), 0
        self.guard = hook._Guard(self.torch, self.collide)
        self.addCleanup(self.guard.stop)

    def collide(self):
        self.collisions += 1

    def profile(self, *actions):
        """A profiler of the job whose schedule has these actions, and NONE after them."""
        actions = [self.torch.profiler.ProfilerAction[a] for a in actions]
        none = self.torch.profiler.ProfilerAction.NONE
        return self.torch.profiler.profile(schedule=lambda step: actions[step] if step < len(actions) else none)

    def test_a_profiler_that_the_job_starts_while_ours_is_on_collides(self):
        self.guard.is_ours_on = True
        self.torch.autograd.profiler.profile()._prepare_trace()
        self.assertEqual(1, self.collisions)

    def test_an_observer_that_the_job_registers_while_ours_is_on_collides(self):
        self.guard.is_ours_on = True
        self.torch.profiler.ExecutionTraceObserver().register_callback("/dev/null")
        self.assertEqual(1, self.collisions)

    def test_the_job_s_collision_is_told_before_its_call(self):
        self.guard.is_ours_on = True
        self.guard.on_collision = lambda: self.torch.calls.append("collision")
        self.torch.autograd.profiler.profile()._start_trace()
        self.assertEqual(["collision", "profiler on"], self.torch.calls)

    def test_without_ours_nothing_collides(self):
        self.torch.autograd.profiler.profile()._start_trace()
        self.torch.profiler.ExecutionTraceObserver().register_callback("/dev/null")
        self.assertEqual(0, self.collisions)

    def test_our_own_calls_do_not_collide_and_are_not_the_job_s(self):
        self.guard.is_ours_on = True
        with self.guard:
            self.torch.autograd.profiler.profile()._prepare_trace()
            self.torch.profiler.ExecutionTraceObserver().register_callback("/dev/null")
        self.assertEqual(0, self.collisions)
        self.assertTrue(self.guard.is_free("optimizer", None))

    def test_an_observer_that_goes_does_not_collide(self):
        observer = self.torch.profiler.ExecutionTraceObserver()
        observer.register_callback("/dev/null")
        self.guard.is_ours_on = True
        observer.unregister_callback()
        self.assertEqual(0, self.collisions)

    def test_an_iteration_is_not_free_while_the_job_has_an_observer(self):
        observer = self.torch.profiler.ExecutionTraceObserver()
        observer.register_callback("/dev/null")
        self.assertFalse(self.guard.is_free("optimizer", None))
        observer.unregister_callback()
        self.assertTrue(self.guard.is_free("optimizer", None))

    def test_an_iteration_is_not_free_while_the_job_profiles(self):
        self.torch.state.profiling = True
        self.assertFalse(self.guard.is_free("optimizer", None))

    def test_the_schedule_of_a_profiler_tells_whether_the_next_iterations_are_free(self):
        self.assertTrue(self.guard.is_free("profiler", self.profile("NONE", "NONE", "RECORD")))
        self.assertFalse(self.guard.is_free("profiler", self.profile("NONE", "NONE", "RECORD"), steps=2))
        self.assertFalse(self.guard.is_free("profiler", self.profile("RECORD", "NONE", "NONE")))
        self.assertFalse(self.guard.is_free("profiler", self.profile("NONE", "WARMUP", "NONE")))

    def test_is_free_agrees_with_the_schedule_at_every_step(self):
        schedule = ["NONE", "NONE", "WARMUP", "RECORD", "NONE", "NONE", "NONE", "RECORD"]
        profile = self.profile(*schedule)
        for at in range(len(schedule)):
            for steps in (1, 2, 3):
                expected = all(action == "NONE" for action in schedule[at:at + 1 + steps])
                self.assertEqual(expected, self.guard.is_free("profiler", profile, steps), (at, steps))
            profile.step()

    def test_stop_leaves_each_class_as_it_was(self):
        torch = faketorch.make()
        classes = [torch.autograd.profiler.profile, torch.profiler.ExecutionTraceObserver]
        before = [dict(c.__dict__) for c in classes]
        guard = hook._Guard(torch, self.collide)
        self.assertNotEqual(before, [dict(c.__dict__) for c in classes])
        guard.stop()
        self.assertEqual(before, [dict(c.__dict__) for c in classes])
