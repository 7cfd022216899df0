import json
import os
import sys
import unittest

import faketorch
from scripts import FolderTest, hook, needs_torch, run


class HookTests(FolderTest):
    """A job of the fake PyTorch under the whole hook."""

    def start(self, skip=2, reference=2, steps=1, values="", modules=False):
        self.torch = faketorch.make()
        settings = {"folder": str(self.folder), "skip": skip, "reference": reference, "steps": steps, "values": values, "modules": modules}
        self.hook = hook._Hook(self.torch, settings, 0)
        self.hook.iterations.aside.compiles = lambda: False  # The real PyTorch may have, in another test.
        self.addCleanup(self.hook.iterations.stop)
        self.addCleanup(self.hook.guard.stop)
        self.optimizer = self.torch.optim.SGD()
        return self.hook

    def steps(self, count):
        for _ in range(count):
            self.optimizer.step()

    def phases(self, count):
        """The phase after each of so many iterations."""
        phases = []
        for _ in range(count):
            self.optimizer.step()
            phases.append(self.hook.phase)
        return phases

    def status(self):
        return json.loads((self.folder / str(os.getpid()) / "status.json").read_text(encoding="utf-8"))

    def test_it_skips_measures_records_measures_again_and_goes_quiet(self):
        self.start(skip=2, reference=2)
        self.assertEqual(["waiting", "measuring", "measuring", "recording", "settling", "measuring_again", "measuring_again", "done"],
                         self.phases(8))
        self.assertEqual("done", self.status()["phase"])

    def test_the_status_tells_what_was_measured_and_recorded(self):
        self.start(skip=2, reference=3)
        self.steps(12)
        status = self.status()
        self.assertEqual(3, len(status["before"]["samples_ns"]))
        self.assertEqual(3, len(status["after"]["samples_ns"]))
        self.assertEqual((6, 1), (status["recorded_iteration"], len(status["recorded_ns"])))
        self.assertEqual({"source": "optimizer", "name": "SGD"}, status["source"])
        self.assertEqual((None, []), (status["error"], status["notes"]))
        self.assertEqual("2.99", status["job"]["versions"]["torch"])
        self.assertTrue(all(t > 0 for t in status["before"]["samples_ns"] + status["after"]["samples_ns"] + status["recorded_ns"]))

    def test_the_mark_has_the_number_of_the_recorded_iteration(self):
        self.start(skip=2, reference=3)
        self.steps(12)
        self.assertIn(f"+ ProfilerStep#{self.status()['recorded_iteration']}", self.torch.calls)

    def test_classes_are_as_they_were_when_it_is_done(self):
        torch = faketorch.make()
        names = sorted(torch.optim.SGD.__dict__)
        self.start()
        self.steps(10)
        self.assertEqual(names, sorted(self.torch.optim.SGD.__dict__))
        for owner, name in ((self.torch.optim.SGD, "step"), (self.torch.nn.Module, "__call__"), (self.torch.profiler.profile, "step"),
                            (self.torch.autograd.profiler.profile, "_start_trace")):
            self.assertFalse(hasattr(getattr(owner, name), "__wrapped__"), name)

    def test_several_iterations_are_recorded_in_a_row(self):
        self.start(skip=1, reference=1, steps=3)
        self.steps(10)
        status = self.status()
        self.assertEqual(3, len(status["recorded_ns"]))
        first = status["recorded_iteration"]
        self.assertEqual([f"+ ProfilerStep#{first + i}" for i in range(3)], [c for c in self.torch.calls if c.startswith("+ Pro")])

    def test_without_measuring_it_records_at_once(self):
        self.start(skip=1, reference=0)
        self.assertEqual(["recording", "settling", "done"], self.phases(3))

    def test_the_first_iteration_is_never_recorded(self):
        self.start(skip=0, reference=0)
        self.steps(3)
        self.assertEqual(2, self.status()["recorded_iteration"])

    def test_iterations_that_are_passed_over_are_in_no_other_s_time(self):
        self.start(skip=2, reference=2)
        at = [0]
        self.steps(2)
        self.hook.clock = self.hook.before.clock = lambda: at[0]
        self.hook.before.mark()
        for took, is_profiled in ((5, False), (50, True), (7, False)):
            self.torch.state.profiling = is_profiled
            at[0] += took
            self.optimizer.step()
        self.assertEqual(([5, 7], 1), (self.hook.before.samples, self.hook.passed_over))

    def test_iterations_under_the_job_s_profiler_are_passed_over(self):
        self.start(skip=1, reference=2)
        self.steps(1)
        self.torch.state.profiling = True
        self.steps(5)
        self.assertEqual(("measuring", 5, 0), (self.hook.phase, self.hook.passed_over, len(self.hook.before.samples)))
        self.torch.state.profiling = False
        self.steps(2)
        self.assertEqual("recording", self.hook.phase)

    def test_a_profiler_of_the_job_ends_the_recording_which_is_tried_again(self):
        self.start(skip=1, reference=1)
        self.steps(2)
        self.assertEqual("recording", self.hook.phase)
        self.torch.autograd.profiler.profile()._start_trace()
        self.assertEqual("measuring", self.hook.phase)
        self.assertFalse(self.torch.state.observing)
        self.torch.state.profiling = False
        self.steps(6)
        self.assertEqual("done", self.hook.phase)
        self.assertEqual(1, self.torch.calls.count("profiler on") - 2)  # Ours, the job's, and ours again.
        self.assertEqual((1, [], None), (len(self.status()["recorded_ns"]), self.status()["notes"], self.status()["error"]))

    def test_another_leader_while_measuring_starts_over(self):
        self.start(skip=2, reference=5)
        self.steps(4)
        self.assertEqual("measuring", self.hook.phase)
        profile = self.torch.profiler.profile(schedule=lambda step: self.torch.profiler.ProfilerAction.NONE)
        profile.step()
        self.assertEqual(("waiting", 1, []), (self.hook.phase, self.hook.count, self.hook.before.samples))
        self.assertEqual("profiler", self.hook.first["source"])

    def test_another_leader_while_recording_abandons_the_recording(self):
        self.start(skip=1, reference=0)
        self.steps(1)
        self.assertEqual("recording", self.hook.phase)
        profile = self.torch.profiler.profile(schedule=lambda step: self.torch.profiler.ProfilerAction.NONE)
        profile.step()
        self.assertFalse(self.hook.kept)
        profile.step()
        profile.step()
        self.assertEqual(("done", 2), (self.hook.phase, self.status()["recorded_iteration"]))

    def test_an_error_reaches_the_status_and_not_the_job(self):
        self.start(skip=1, reference=1)
        self.torch.state.fail = "observer on"
        self.steps(10)
        status = self.status()
        self.assertEqual("failed", status["phase"])
        self.assertIn("observer on failed", status["error"])
        self.assertFalse(hasattr(self.torch.optim.SGD.step, "__wrapped__"))

    def test_an_error_after_the_recording_keeps_it(self):
        self.start(skip=1, reference=1)
        self.steps(3)
        self.assertEqual("settling", self.hook.phase)
        self.hook.after = None
        self.steps(2)
        self.assertEqual("done", self.hook.phase)
        self.assertTrue((self.folder / str(os.getpid()) / "et.json").exists())
        self.assertIn("AttributeError", self.hook.error)

    def test_a_job_that_ends_in_the_recorded_iteration_says_so(self):
        self.start(skip=1, reference=0)
        self.steps(1)
        self.hook.at_exit()
        status = self.status()
        self.assertTrue(status["ended"])
        self.assertEqual(["the job ended in the iteration that was being recorded"], status["notes"])
        self.assertEqual({"status.json"}, set(os.listdir(self.folder / str(os.getpid()))))

    def test_a_job_that_ends_early_says_how_far_it_came(self):
        self.start(skip=10)
        self.steps(3)
        self.hook.at_exit()
        status = self.status()
        self.assertEqual(("waiting", True, 3, None), (status["phase"], status["ended"], status["iterations"], status["recorded_iteration"]))

    def test_a_job_that_ends_while_it_is_measured_again_has_what_was_measured(self):
        self.start(skip=1, reference=5)
        self.steps(1 + 5 + 1 + 1 + 3)
        self.assertEqual("measuring_again", self.hook.phase)
        self.hook.at_exit()
        after = self.status()["after"]
        self.assertEqual(3, len(after["samples_ns"]))
        self.assertGreater(after["system"]["duration_ns"], 0)
        self.assertGreater(after["end_ns"], after["start_ns"])

    def test_an_exception_that_ends_the_job_is_noted(self):
        self.start()
        sys.last_value = ValueError("no data left")
        try:
            self.hook.at_exit()
        finally:
            del sys.last_value
        self.assertEqual(["the job ended with ValueError: no data left"], self.status()["notes"])

    def test_a_forked_process_is_left_alone(self):
        self.start(skip=1, reference=0)
        self.steps(1)
        self.hook.in_child()
        self.assertEqual("done", self.hook.phase)
        self.assertFalse(hasattr(self.torch.optim.SGD.step, "__wrapped__"))
        self.assertFalse(self.torch.state.observing)

    def test_values_are_noted_in_the_iteration_after_the_recorded_one(self):
        self.start(skip=1, reference=1, values="ranges")
        done = []

        class Recorder(hook._Recorder):
            def start_values(self, keep_bytes):
                done.append(("start", keep_bytes))

            def stop_values(self):
                done.append("stop")
        self.steps(2)
        self.hook.recorder.__class__ = Recorder
        self.assertEqual(["noting_values", "settling", "measuring_again", "done"], self.phases(4))
        self.assertEqual([("start", False), "stop"], done)

    def test_every_number_of_settings_records_one_window_and_measures_as_asked(self):
        for skip in (0, 1, 4):
            for reference in (0, 1, 3):
                for steps in (1, 2):
                    with self.subTest(skip=skip, reference=reference, steps=steps):
                        self.start(skip, reference, steps)
                        self.steps(max(1, skip) + 2 * reference + steps + 1)
                        status = self.status()
                        self.assertEqual("done", status["phase"])
                        self.assertEqual([reference, steps, reference], [len(status["before"]["samples_ns"]), len(status["recorded_ns"]),
                                                                         len(status["after"]["samples_ns"])])
                        self.assertEqual(max(1, skip) + reference + 1, status["recorded_iteration"])


class MeasureTests(unittest.TestCase):
    @needs_torch
    def test_each_storage_of_live_tensors_counts_once(self):
        before = hook._live_bytes(run.torch)
        tensor = run.torch.zeros(1 << 20)
        views = [tensor[1:], tensor.view(2, -1)]
        self.assertEqual((4 << 20, 0), tuple(b - a for a, b in zip(before, hook._live_bytes(run.torch))))
        tensor.requires_grad_(True).sum().backward()  # Its gradient.
        self.assertEqual(8 << 20, hook._live_bytes(run.torch)[0] - before[0])
        del tensor, views
        self.assertEqual(before, hook._live_bytes(run.torch))

    @needs_torch
    def test_a_job_is_described_on_any_pytorch(self):
        described = hook._describe(run.torch, [])
        self.assertEqual({"type": "cpu", "name": ""}, described["device"])
        self.assertEqual("float32", described["settings"]["default_dtype"])
        self.assertEqual(run.torch.get_num_threads(), described["threads"]["intra_op"])
        self.assertEqual([], described["process_groups"])
        self.assertTrue(all(isinstance(v, str) for v in [*described["versions"].values(), *described["settings"].values()]))

    def test_times_of_a_device_are_those_of_events(self):
        torch, at = faketorch.make(), iter([0, 5, 5, 12])

        class Event:
            def __init__(self, enable_timing):
                self.synchronized = not enable_timing

            def record(self):
                self.at = next(at)

            def synchronize(self):
                pass

            def elapsed_time(self, end):
                return end.at - self.at
        torch.cuda = faketorch.namespace(is_initialized=lambda: True, Event=Event)
        reset = []
        torch.cuda.reset_peak_memory_stats = lambda: reset.append(1)
        torch.cuda.max_memory_allocated = lambda: 70
        window = hook._Window(torch)
        window.open()
        for _ in range(2):
            window.mark()
            window.add(window.clock())
        window.close()
        self.assertEqual(([5_000_000, 7_000_000], "events"), (window.describe()["samples_ns"], window.clock_used))
        self.assertEqual(([], None), (reset, window.describe()["device"]))  # The job may look at its peaks itself.

    def test_an_iteration_that_is_passed_over_is_in_no_time_and_events_still_count(self):
        """On any kind of device: the job's own profiler was on in the second of three."""
        for kind in ("cuda", "xpu", "npu"):
            torch, at = faketorch.make(), iter([0, 5, 5, 60, 67])

            class Event:
                def __init__(self, enable_timing, times=at):
                    self.times = times

                def record(self):
                    self.at = next(self.times)

                def synchronize(self):
                    pass

                def elapsed_time(self, end):
                    return end.at - self.at
            setattr(torch, kind, faketorch.namespace(is_initialized=lambda: True, Event=Event))
            window = hook._Window(torch)
            window.open()
            for counts in (True, False, True):
                window.mark()
                if counts:
                    window.add(window.clock())
            window.close()
            self.assertEqual(([5_000_000, 7_000_000], "events"), (window.describe()["samples_ns"], window.clock_used), kind)

    def test_while_a_graph_is_captured_no_event_is_recorded(self):
        torch = faketorch.make()
        made = []
        torch.cuda = faketorch.namespace(is_initialized=lambda: True, Event=lambda **_: made.append(1) or faketorch.namespace(
            record=lambda: None), is_current_stream_capturing=lambda: True)
        window = hook._Window(torch)
        window.open()
        window.mark()
        window.add(window.clock())
        window.close()
        self.assertEqual(("host", []), (window.clock_used, made))


class EnvironmentTests(unittest.TestCase):
    def setUp(self):
        self.before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(self.before)))
        os.environ.clear()

    def test_variables_that_change_the_speed_are_kept_without_paths_and_addresses(self):
        os.environ.update(OMP_NUM_THREADS="4", NCCL_SOCKET_IFNAME="eth0", TORCH_HOME="/home/somebody", CUDA_VISIBLE_DEVICES="0,1",
                          LD_PRELOAD="/usr/lib/libtcmalloc.so.4", HOME="x", PYTORCH_NVML_BASED_CUDA_CHECK="1", NCCL_COMM_ID="me@there",
                          GLOO_HOST="x", TORCH_ADDR="x")
        self.assertEqual({"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "0,1", "LD_PRELOAD": "libtcmalloc.so.4",
                          "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}, hook._environment())

    def test_the_rank_is_the_launcher_s(self):
        torch = faketorch.make()
        self.assertEqual((0, 1), hook._rank(torch))
        os.environ.update(SLURM_PROCID="5", SLURM_NTASKS="8")
        self.assertEqual((5, 8), hook._rank(torch))
        os.environ.update(RANK="3", WORLD_SIZE="4")
        self.assertEqual((3, 4), hook._rank(torch))
        os.environ.update(RANK="three")
        self.assertEqual((5, 8), hook._rank(torch))

    def test_the_rank_is_that_of_the_job_where_it_says_one(self):
        torch = faketorch.make()
        torch.distributed = faketorch.namespace(is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 6,
                                                get_world_size=lambda: 7)
        os.environ.update(RANK="3", WORLD_SIZE="4")
        self.assertEqual((6, 7), hook._rank(torch))
