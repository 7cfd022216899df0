import json
import os
import types
import unittest
import unittest.mock

import faketorch
from scripts import FolderTest, hook, needs_torch, run


class RecorderTests(FolderTest):
    def setUp(self):
        super().setUp()
        self.torch = faketorch.make()
        self.recorder = hook._Recorder(self.torch, str(self.folder))

    def test_profiler_and_observer_are_on_around_the_marked_iteration(self):
        self.recorder.start()
        self.recorder.mark(7)
        self.recorder.stop()
        self.recorder.write()
        self.assertEqual(["profiler on", "observer on", "+ ProfilerStep#7", "- ProfilerStep#7", "observer off", "profiler off",
                          "observer gone"], self.torch.calls)
        self.assertEqual({"et.json", "kineto.json"}, set(os.listdir(self.folder)))

    def test_in_a_job_of_ranks_the_profiler_stops_when_no_other_thread_runs(self):
        running, before = [True, True, False], hook._has_running_thread

        def has_running_thread(but):
            self.torch.calls.append("threads")
            return running.pop(0)
        self.torch.distributed = faketorch.namespace(is_available=lambda: True, is_initialized=lambda: True)
        with unittest.mock.patch.object(hook, "_has_running_thread", has_running_thread):
            self.recorder.start()
            self.recorder.stop()
        self.assertEqual(["observer off", "threads", "threads", "threads", "profiler off"], self.torch.calls[2:])
        for states, expected in (("S", False), ("SR", True), ("R", True), ("", False)):
            folder = self.folder / f"task{states}"
            for number, state in enumerate(states):
                (folder / str(number)).mkdir(parents=True)
                (folder / str(number) / "stat").write_text(f"7 (a) R b) {state} 1 2", encoding="utf-8")
            with self.subTest(states):
                self.assertEqual(expected, before(99, str(folder)))
        self.assertFalse(before(1, str(self.folder / "taskSR")))

    def test_threads_that_never_rest_are_waited_for_for_a_while(self):
        self.torch.distributed = faketorch.namespace(is_available=lambda: True, is_initialized=lambda: True)
        with unittest.mock.patch.object(hook, "_has_running_thread", lambda but: True):
            hook._await_threads(self.torch, 0.01)

    def test_of_a_compiled_job_the_kernels_arguments_and_sources_are_recorded(self):
        def kernel(name, size=4):
            path = self.folder / f"{name}.py"
            path.write_bytes(bytes(size))
            return type("CachingAutotuner", (), {"filename": str(path)})()

        # The module of a graph has the kernels that it calls, each with a file of its own.
        cached = [types.SimpleNamespace(__file__="graph.py", call=print, triton_poi_0=kernel("ckernel"), triton_red_1=kernel("cred")),
                  types.SimpleNamespace(__file__=None), types.SimpleNamespace(triton_poi_1=kernel("clarge", (1 << 20) + 1)),
                  types.SimpleNamespace(triton_poi_2=type("CachingAutotuner", (), {"filename": None})())]
        codecache = types.SimpleNamespace(PyCodeCache=types.SimpleNamespace(modules=cached))
        loaded = {"torch._inductor.codecache": codecache, "torch._inductor.runtime.triton_heuristics": codecache}
        for modules, expected in (({}, set()), (loaded, {"ckernel.py", "cred.py"})):
            with unittest.mock.patch.dict(hook.sys.modules):
                for name in [n for n in hook.sys.modules if n.startswith("torch._inductor")]:
                    del hook.sys.modules[name]  # Another test may have loaded PyTorch's own.
                hook.sys.modules.update(modules)
                self.recorder.start()
                self.recorder.stop()
                self.recorder.write()
            self.assertEqual((True, []), (self.torch.state.record_shapes, self.recorder.notes))
            kept = self.folder / "resources"
            self.assertEqual(expected, set(os.listdir(kept)) if kept.exists() else set())

    def test_two_iterations_have_a_mark_each(self):
        self.recorder.start()
        for number in (3, 4):
            self.recorder.mark(number)
            self.recorder.unmark()
        self.recorder.stop()
        self.assertEqual(["+ ProfilerStep#3", "- ProfilerStep#3", "+ ProfilerStep#4", "- ProfilerStep#4"],
                         [call for call in self.torch.calls if "Step" in call])

    def test_while_a_graph_is_captured_nothing_is_waited_for(self):
        for is_capturing, expected in ((True, []), (False, ["wait"])):
            torch, done = faketorch.make(), []
            torch.cuda = faketorch.namespace(is_initialized=lambda: True, is_current_stream_capturing=lambda now=is_capturing: now,
                                             synchronize=lambda to=done: to.append("wait"))
            hook._Recorder(torch, str(self.folder)).sync()
            self.assertEqual(expected, done)

    def test_without_a_profile_there_is_a_trace_and_a_note(self):
        self.torch.state.fail = "profiler on"
        self.recorder.start()
        self.recorder.stop()
        self.recorder.write()
        self.assertEqual(["no profile: profiler on failed"], self.recorder.notes)
        self.assertEqual({"et.json"}, set(os.listdir(self.folder)))

    def test_a_pytorch_without_an_observer_is_named(self):
        self.torch.profiler.ExecutionTraceObserver = None
        with self.assertRaisesRegex(RuntimeError, "PyTorch 2.99 has no execution-trace observer"):
            self.recorder.start()

    def test_the_observer_s_older_name_is_known(self):
        self.torch.profiler.ExecutionGraphObserver = self.torch.profiler.ExecutionTraceObserver
        del self.torch.profiler.ExecutionTraceObserver
        self.recorder.start()
        self.assertIn("observer on", self.torch.calls)

    def test_what_is_abandoned_is_off_and_leaves_the_status_alone(self):
        (self.folder / "status.json").write_text("{}", encoding="utf-8")
        self.recorder.start()
        self.recorder.mark(1)
        self.recorder.abandon()
        self.assertFalse(self.torch.state.observing)
        self.assertEqual(["observer off", "profiler off", "observer gone"], self.torch.calls[-3:])
        self.assertEqual({"status.json"}, set(os.listdir(self.folder)))

    def test_what_is_abandoned_leaves_no_files_even_where_that_fails(self):
        self.recorder.start()
        self.torch.state.fail = "observer off"
        with self.assertRaises(RuntimeError):
            self.recorder.abandon()
        self.assertEqual([], os.listdir(self.folder))

    @needs_torch
    def test_a_real_recording_has_the_operators_and_the_mark(self):
        torch = run.torch
        recorder = hook._Recorder(torch, str(self.folder))
        recorder.start()
        recorder.mark(5)
        torch.ones(3).add(1)
        recorder.stop()
        recorder.write()
        self.assertEqual([], recorder.notes)
        names = [node["name"] for node in json.loads((self.folder / "et.json").read_text(encoding="utf-8"))["nodes"]]
        self.assertIn("aten::add", names)
        self.assertIn("ProfilerStep#5", names)
        profile = json.loads((self.folder / "kineto.json").read_text(encoding="utf-8"))
        events = profile["traceEvents"] if isinstance(profile, dict) else profile
        self.assertIn("aten::add", [event.get("name") for event in events])
        self.assertIn("[memory]", [event.get("name") for event in events])

    @needs_torch
    def test_values_of_integral_tensors_are_noted_and_no_others(self):
        torch = run.torch
        recorder = hook._Recorder(torch, str(self.folder))
        recorder.start_values(keep_bytes=True)
        table = torch.rand(50, 4)
        found = torch.nn.functional.embedding(torch.tensor([41, 7, 7]), table)
        (found > 0.5).sum()
        recorder.stop_values()
        notes = json.loads((self.folder / "values.json").read_text(encoding="utf-8"))
        embedding = [note for note in notes if note["operator"] == "aten::embedding"]
        self.assertEqual([(7, 41, 1)], [(note["low"], note["high"], note["input"]) for note in embedding])
        self.assertEqual([[50, 4], [3]], embedding[0]["shapes"])
        data = (self.folder / embedding[0]["data"]).read_bytes()
        self.assertEqual([41, 7, 7], [int.from_bytes(data[i:i + 8], "little") for i in range(0, 24, 8)])
        self.assertNotIn("aten::sum", [note["operator"] for note in notes])


class ModuleLabelTests(unittest.TestCase):
    def setUp(self):
        self.torch = faketorch.make()
        self.labels = hook._ModuleLabels(self.torch, hook._Aside(self.torch))
        self.labels.start()
        self.leaf = self.torch.nn.Module()
        self.model = self.torch.nn.Module(self.torch.nn.Module(self.leaf))

    def enter(self, module):
        for function in self.torch.hooks.before:
            function(module, ())

    def leave(self, module):
        for function in self.torch.hooks.after:
            function(module, (), None)

    def test_labels_have_the_names_in_the_outermost_module(self):
        self.enter(self.model)
        self.enter(self.leaf)
        self.leave(self.leaf)
        self.leave(self.model)
        self.assertEqual(["+ nn.Module: Module", "+ nn.Module: 0.0", "- nn.Module: 0.0", "- nn.Module: Module"], self.torch.calls)

    def test_a_module_that_an_exception_left_is_closed_with_the_one_around_it(self):
        self.enter(self.model)
        self.enter(self.leaf)
        self.leave(self.model)
        self.assertEqual(["- nn.Module: 0.0", "- nn.Module: Module"], self.torch.calls[2:])

    def test_a_module_that_was_entered_before_changes_nothing(self):
        self.leave(self.leaf)
        self.assertEqual([], self.torch.calls)

    def test_stop_closes_what_is_open_and_takes_the_hooks_away(self):
        self.enter(self.model)
        self.labels.stop()
        self.assertEqual("- nn.Module: Module", self.torch.calls[-1])
        self.assertEqual(([], []), (self.torch.hooks.before, self.torch.hooks.after))
