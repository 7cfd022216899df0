import random
import sys
import threading
import unittest

import faketorch
from scripts import hook, replaced


class Listener:
    """What the iteration finder tells, in order."""

    def __init__(self, torch):
        self.torch, self.told, self.ours = torch, [], None
        self.finder = hook._Iterations(torch, self.on_end, self.on_begin, lambda profile: profile is self.ours)

    def on_end(self, source, by, is_new):
        self.torch.calls.append("end")
        self.told.append((source, type(by).__name__, is_new))

    def on_begin(self):
        self.torch.calls.append("begin")

    @property
    def count(self):
        return len(self.told)


class IterationTests(unittest.TestCase):
    def setUp(self):
        self.torch = faketorch.make()
        self.listener = Listener(self.torch)
        self.addCleanup(self.listener.finder.stop)

    def sgd(self):
        return self.torch.optim.SGD()

    def test_each_step_of_an_optimizer_ends_an_iteration(self):
        optimizer = self.sgd()
        for _ in range(3):
            optimizer.step()
        self.assertEqual([("optimizer", "SGD", True), ("optimizer", "SGD", False), ("optimizer", "SGD", False)], self.listener.told)

    def test_the_end_comes_after_the_step_and_the_next_begin_after_it(self):
        self.sgd().step()
        self.assertEqual(["step", "end", "begin"], self.torch.calls)

    def test_a_step_within_a_step_is_not_an_end(self):
        inner, outer = self.sgd(), self.sgd()
        outer.step(lambda: inner.step())
        self.assertEqual(1, self.listener.count)

    def test_the_step_of_a_base_class_is_wrapped_once(self):
        optimizers = self.torch.optim.AdamW(), self.torch.optim.AdamW(), self.torch.optim.Adam()
        optimizers[0].step()
        self.assertEqual([("optimizer", "AdamW", True)], self.listener.told)
        self.listener.finder.stop()
        self.assertNotIn("step", self.torch.optim.AdamW.__dict__)
        self.assertFalse(hasattr(self.torch.optim.Adam.step, "__wrapped__"))

    def test_a_step_that_fails_ends_no_iteration_and_the_next_one_does(self):
        optimizer = self.sgd()
        with self.assertRaises(ZeroDivisionError):
            optimizer.step(lambda: 1 / 0)
        self.assertEqual(0, self.listener.count)
        optimizer.step()
        self.assertEqual(1, self.listener.count)

    def test_results_and_arguments_pass_through(self):
        self.assertEqual(7, self.sgd().step(closure=lambda: 7))
        self.assertEqual((1, 2), self.torch.nn.Module()(1, 2))

    def test_the_outermost_module_leads_where_there_is_no_optimizer(self):
        model = self.torch.nn.Module(self.torch.nn.Module(), self.torch.nn.Module())
        model()
        model()
        self.assertEqual([("module", "Module", True), ("module", "Module", False)], self.listener.told)

    def test_a_module_without_parameters_is_no_source(self):
        self.torch.nn.Module(has_parameters=False)()
        self.assertEqual(0, self.listener.count)

    def test_a_forward_pass_of_training_is_no_iteration(self):
        model, optimizer = self.torch.nn.Module(), self.sgd()
        for _ in range(20):
            model()
        self.assertEqual(0, self.listener.count)
        optimizer.step()
        self.assertEqual(1, self.listener.count)

    def test_an_optimizer_takes_over_from_modules_for_good(self):
        model = self.torch.nn.Module()
        model()
        optimizer = self.sgd()
        optimizer.step()
        self.torch.state.grad = False
        for _ in range(20):
            model()
        optimizer.step()
        self.assertEqual([("module", "Module", True), ("optimizer", "SGD", True), ("optimizer", "SGD", False)], self.listener.told)
        self.assertFalse(hasattr(self.torch.nn.Module.__call__, "__wrapped__"))

    def test_steps_of_the_job_s_profiler_are_the_surest_source(self):
        optimizer, profile = self.sgd(), self.torch.profiler.profile()
        optimizer.step()
        for _ in range(2):
            optimizer.step()
            profile.step()
        self.assertEqual(["optimizer", "optimizer", "profiler", "profiler"], [source for source, _, _ in self.listener.told])
        self.assertEqual(2, profile.step_num)

    def test_the_step_of_a_profiler_belongs_to_no_iteration(self):
        profile = self.torch.profiler.profile(schedule=lambda step: self.torch.calls.append("profiler's own"))
        self.torch.calls.clear()
        profile.step()
        self.assertEqual(["end", "profiler's own", "begin"], self.torch.calls)

    def test_our_own_profiler_is_no_source(self):
        self.listener.ours = self.torch.profiler.profile()
        self.listener.ours.step()
        self.assertEqual(0, self.listener.count)
        self.assertEqual(1, self.listener.ours.step_num)

    def test_of_two_optimizers_in_turn_one_leads(self):
        generator, discriminator = self.sgd(), self.torch.optim.Adam()
        for _ in range(30):
            generator.step()
            discriminator.step()
        self.assertEqual(30, self.listener.count)
        self.assertEqual({"SGD"}, {name for _, name, _ in self.listener.told})

    def test_an_optimizer_that_is_heard_often_replaces_one_that_is_not(self):
        first, second = self.sgd(), self.torch.optim.Adam()
        first.step()
        for _ in range(hook._Iterations.PATIENCE - 1):
            second.step()
        self.assertEqual(1, self.listener.count)
        second.step()
        self.assertEqual(("optimizer", "Adam", True), self.listener.told[-1])
        second.step()
        self.assertEqual(("optimizer", "Adam", False), self.listener.told[-1])

    def test_other_threads_do_not_count(self):
        optimizer = self.sgd()
        optimizer.step()
        thread = threading.Thread(target=lambda: [optimizer.step() for _ in range(20)])
        thread.start()
        thread.join()
        self.assertEqual(1, self.listener.count)

    def test_a_worker_that_loads_data_has_no_iterations(self):
        data = faketorch.namespace(get_worker_info=lambda: "worker 3")
        with replaced(sys, modules={**sys.modules, "torch.utils.data": data}):
            self.torch.nn.Module()()
        self.assertEqual(0, self.listener.count)

    def test_wrappers_step_aside_while_code_is_compiled(self):
        self.torch.state.compiling = True
        self.sgd().step()
        self.torch.nn.Module()()
        self.assertEqual(0, self.listener.count)

    def test_one_class_of_modules_can_be_chosen(self):
        encoder = type("Encoder", (self.torch.nn.Module,), {})
        self.listener.finder.narrow(encoder)
        self.torch.nn.Module()()
        self.assertEqual(0, self.listener.count)
        encoder()()
        self.assertEqual(1, self.listener.count)
        self.assertFalse(hasattr(self.torch.nn.Module.__call__, "__wrapped__"))

    def test_stop_leaves_each_class_as_it_was(self):
        torch = faketorch.make()
        classes = [torch.optim.Optimizer, torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.nn.Module, torch.profiler.profile]
        before = [dict(c.__dict__) for c in classes]
        listener = Listener(torch)
        torch.optim.SGD().step()
        torch.optim.AdamW().step()
        torch.nn.Module()()
        listener.finder.narrow(type("Encoder", (torch.nn.Module,), {}))
        listener.finder.stop()
        self.assertEqual(before, [dict(c.__dict__) for c in classes])
        count = listener.count
        torch.optim.SGD().step()
        self.assertEqual(count, listener.count)

    def test_somebody_else_s_wrapper_around_ours_stays(self):
        optimizer = self.sgd()
        ours = self.torch.optim.SGD.step
        self.torch.optim.SGD.step = lambda this: ours(this)
        theirs = self.torch.optim.SGD.step
        self.listener.finder.stop()
        self.assertIs(theirs, self.torch.optim.SGD.step)
        optimizer.step()

    def test_any_order_of_steps_has_as_many_begins_as_ends_and_at_most_an_end_for_each(self):
        for seed in range(200):
            source = random.Random(seed)
            torch = faketorch.make()
            listener = Listener(torch)
            actors = [torch.optim.SGD().step, torch.optim.Adam().step, torch.profiler.profile().step,
                      torch.nn.Module(torch.nn.Module()), torch.nn.Module()]
            actors = source.sample(actors, source.randint(1, len(actors)))
            steps = source.randint(1, 60)
            for _ in range(steps):
                torch.state.grad = source.random() < 0.5
                source.choice(actors)()
            told = [call for call in torch.calls if call in ("end", "begin")]
            self.assertEqual(["end", "begin"] * (len(told) // 2), told, seed)
            self.assertLessEqual(listener.count, steps)
            # Sources only become surer, and each first call of a source is a new one's.
            order = [hook._Iterations.SOURCES.index(name) for name, _, _ in listener.told]
            self.assertEqual(sorted(order, reverse=True), order, seed)
            self.assertTrue(not listener.told or listener.told[0][2], seed)
            listener.finder.stop()
