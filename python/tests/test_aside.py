import contextlib
import signal
import sys
import types
import unittest
from unittest import mock

import faketorch
from scripts import hook, needs_torch, run


class AsideTests(unittest.TestCase):
    def setUp(self):
        self.torch = faketorch.make()

    def what(self, **core):
        self.torch._C = faketorch.namespace(**core)
        return hook._Aside(self.torch).what()

    def test_code_that_runs_is_not_transformed(self):
        self.assertEqual("", self.what())

    def test_each_transformation_has_a_name(self):
        self.assertEqual("torch.jit.trace", self.what(_get_tracing_state=lambda: "a graph"))
        self.assertEqual("torch.func", self.what(_functorch=faketorch.namespace(peek_interpreter_stack=lambda: "vmap")))
        self.assertEqual("torch.func", self.what(_are_functorch_transforms_active=lambda: True))
        with mock.patch.dict(sys.modules, {"torch.fx._symbolic_trace": faketorch.namespace(_is_fx_tracing_flag=True)}):
            self.assertEqual("torch.fx", self.what())
        self.torch.cuda = faketorch.namespace(is_initialized=lambda: True, is_current_stream_capturing=lambda: True)
        self.assertEqual("a CUDA graph", self.what())
        self.torch.state.compiling = True
        self.assertEqual("torch.compile", self.what())

    def test_a_mode_counts_by_its_class_and_those_that_it_is_derived_from(self):
        fake = type("Mine", (type("FakeTensorMode", (), {}),), {})
        for modes, expected in (([object()], ""), ([object(), fake()], "fake tensors")):
            self.assertEqual(expected, self.what(_len_torch_dispatch_stack=lambda m=modes: len(m),
                                                 _get_dispatch_stack_at=lambda i, m=modes: m[i]))

    def test_a_device_that_was_not_started_is_not_asked(self):
        self.torch.cuda = faketorch.namespace(is_initialized=lambda: False, is_current_stream_capturing=lambda: 1 / 0)
        self.assertEqual("", self.what())


class PassOnTests(unittest.TestCase):
    def raised(self, function):
        try:
            function()
        except Exception as error:
            return error

    def test_what_a_signal_handler_of_the_job_raises_is_the_job_s(self):
        def handler(*_):
            raise TimeoutError("the job's")
        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        error = self.raised(lambda: signal.raise_signal(signal.SIGUSR1))
        with self.assertRaises(TimeoutError):
            hook._pass_on(error)

    def test_what_anything_else_raises_is_ours(self):
        hook._pass_on(self.raised(lambda: 1 / 0))


class PatchTests(unittest.TestCase):
    def setUp(self):
        class Base:
            def call(self):
                return "base"

        class Derived(Base):
            pass
        self.base, self.derived, self.calls = Base, Derived, []

    def patch(self, owner):
        def make(call, patch):
            return lambda this: (self.calls.append("wrapper"), call(this))[1]
        return hook._Patch(owner, "call", make)

    def test_an_inherited_method_is_looked_up_at_each_call(self):
        patch = self.patch(self.derived)
        self.base.call = lambda this: "replaced"
        self.assertEqual("replaced", self.derived().call())
        patch.take_away()
        self.assertNotIn("call", self.derived.__dict__)

    def test_a_pause_leaves_the_class_as_it_was(self):
        for owner in (self.base, self.derived):
            before = dict(owner.__dict__)
            patch = self.patch(owner)
            patch.pause()
            self.assertEqual(before, dict(owner.__dict__))
            patch.resume()
            self.assertIs(patch.wrapped, owner.__dict__["call"])
            patch.take_away()
            patch.resume()
            self.assertEqual(before, dict(owner.__dict__))

    def test_a_method_that_somebody_replaced_meanwhile_stays(self):
        patch = self.patch(self.base)
        theirs = self.base.call = lambda this: "theirs"
        patch.pause()
        patch.resume()
        patch.take_away()
        self.assertIs(theirs, self.base.call)


class FinderTests(unittest.TestCase):
    def setUp(self):
        self.began, self.executed = [], []
        loader = faketorch.namespace(exec_module=self.executed.append)
        self.spec = types.SimpleNamespace(loader=loader)
        self.finder = hook._TorchFinder()
        other = faketorch.namespace(find_spec=lambda name, path=None, target=None: self.spec)
        stack = contextlib.ExitStack()
        stack.enter_context(mock.patch.object(sys, "meta_path", [self.finder, other]))
        stack.enter_context(mock.patch.object(hook, "_begin", self.began.append))
        self.addCleanup(stack.close)

    def test_who_only_asks_for_torch_does_not_send_it_away(self):
        self.finder.find_spec("torch")
        self.assertIn(self.finder, sys.meta_path)
        self.finder.find_spec("torch").loader.exec_module("torch itself")
        self.assertEqual((["torch itself"], ["torch itself"]), (self.executed, self.began))
        self.assertNotIn(self.finder, sys.meta_path)

    def test_it_begins_once(self):
        first, self.spec = self.finder.find_spec("torch"), faketorch.namespace(loader=faketorch.namespace(exec_module=self.executed.append))
        second = self.finder.find_spec("torch")
        first.loader.exec_module("torch")
        second.loader.exec_module("torch")
        self.assertEqual((2, 1), (len(self.executed), len(self.began)))

    def test_other_modules_are_nothing_to_it(self):
        self.assertIsNone(self.finder.find_spec("torchvision"))


@needs_torch
class HookFaultTests(unittest.TestCase):
    """Faults of the hook's own, at each of its entry points, on the real PyTorch."""

    def finder(self, **methods):
        self.failed = []
        finder = hook._Iterations(run.torch, lambda *_: 1 / 0, lambda: None, lambda profile: 1 / 0, lambda: self.failed.append("off"))
        self.addCleanup(finder.stop)
        for name in methods:
            setattr(finder, name, methods[name])
        return finder

    def test_a_fault_at_the_end_of_a_call_turns_it_off_and_the_call_returns(self):
        torch = run.torch
        before = torch.nn.Module.__call__
        self.finder()
        self.assertEqual((1, 2), tuple(torch.nn.Linear(3, 2)(torch.rand(1, 3)).shape))
        self.assertEqual(["off"], self.failed)
        self.assertIs(before, torch.nn.Module.__call__)

    def test_faults_in_optimizers_and_profilers(self):
        torch = run.torch
        self.finder(on_init=lambda kind: 1 / 0)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1)
        optimizer.step()
        self.assertEqual(["off"], self.failed)
        self.finder()
        marks = torch.profiler.profile(schedule=torch.profiler.schedule(wait=9, warmup=0, active=1))
        marks.step()
        self.assertEqual((1, ["off"]), (marks.step_num, self.failed))

    def test_a_fault_in_what_says_whether_code_is_transformed(self):
        finder = self.finder()
        finder.aside.what = lambda: 1 / 0
        run.torch.nn.Linear(3, 2)(run.torch.rand(1, 3))
        self.assertEqual(["off"], self.failed)


if __name__ == "__main__":
    unittest.main()
