"""tests/Original/compare.py: the original's side of a comparison, on the stand-in of a device."""
import json
import types
import unittest
from unittest import mock

import standin
from scripts import TorchTest, needs_torch, run

import compare
import target

GB = 1 << 30


@needs_torch
class OriginalTests(TorchTest):
    def measured(self, device, name, count=3):
        """What an original says of iterations on the stand-in, and the log of the device."""
        def step():
            device.note("step")
        with standin.installed(device):
            original = compare.Original(run.torch, step, target.Target(run.torch, name))
            del device.log[:]
            return original.answer({"command": "iterate", "count": count}), device.log

    def test_iterations_lie_between_events_of_any_kind_of_device(self):
        for kind in ("cuda", "xpu", "hpu"):
            with self.subTest(kind):
                device = standin.Device(kind)
                told, log = self.measured(device, kind)
                self.assertEqual(("events", 3, 1500), (told["clock"], len(told["samplesNs"]), told["device"]["peak_bytes"]))
                self.assertEqual(["record", "step", "record"] * 3 + ["synchronize"], [entry[0] for entry in log])
                self.assertTrue(device.peak_is_reset)

    def test_without_times_the_host_s_clock_waits_for_each_iteration(self):
        told, log = self.measured(standin.Device(has_no_times=True), "cuda:0")
        self.assertEqual(("host", 3), (told["clock"], len(told["samplesNs"])))
        self.assertEqual(["step", "synchronize"] * 3, [entry[0] for entry in log][:6])

    def test_the_host_has_no_peak_to_compare(self):
        original = compare.Original(run.torch, lambda: None, target.Target(run.torch, "cpu"))
        told = original.answer({"command": "iterate", "count": 2})
        self.assertEqual(("host", 2, None), (told["clock"], len(told["samplesNs"]), told["device"]))

    def test_the_device_that_is_named_is_made_the_current_one(self):
        device = standin.Device(count=2)
        with standin.installed(device):
            self.assertEqual("cuda:1 (stand-in)", target.Target(run.torch, "cuda:1").describe())
        self.assertIn(("device", 1), device.log)

    def test_a_device_that_is_not_there_is_told_with_a_fix(self):
        for name in ("xpu:0", "nonsense"):
            with self.subTest(name), self.assertRaisesRegex(SystemExit, f"{name}(.|\n)*fix: name "):
                target.Target(run.torch, name)

    def test_a_recording_waits_for_the_device_and_leaves_it_what_it_does_not_use(self):
        device = standin.Device(free_bytes=5 * GB)
        weight = run.torch.rand(3, 3)
        with standin.installed(device):
            original = compare.Original(run.torch, lambda: weight @ weight, target.Target(run.torch, "cuda"))
            told = original.answer({"command": "record", "trace": str(self.folder / "et.json"), "profile": str(self.folder / "k.json")})
        self.assertEqual(("cuda:0 (stand-in)", 5 * GB), (told["device"], told["freeBytes"]))
        self.assertEqual(["synchronize", "synchronize", "empty cache"], [entry[0] for entry in device.log if entry[0] != "device"])
        names = [node["name"] for node in json.loads((self.folder / "et.json").read_text(encoding="utf-8"))["nodes"]]
        self.assertIn("aten::matmul", names)
        self.assertTrue((self.folder / "k.json").stat().st_size)


class SideTests(unittest.TestCase):
    """Processes of both sides: held, or one after another."""

    def setUp(self):
        self.log = []

        def process(*command):
            number = sum(entry == "start" for entry in self.log)
            self.log.append("start")

            def ask(**request):
                self.log.append((number, request["command"], *[v for k, v in request.items() if k != "command"]))
                return {"samplesNs": [1]}
            return types.SimpleNamespace(ask=ask, close=lambda: self.log.append("close"))
        patched = mock.patch.object(compare, "Process", process)
        patched.start()
        self.addCleanup(patched.stop)

    def test_with_room_one_process_is_held(self):
        side = compare.Side(["x"], [{"command": "open"}], warmup=2)
        for _ in range(2):
            side.ask(command="iterate", count=5)
        side.close()
        self.assertEqual(["start", (0, "open"), (0, "iterate", 2), (0, "iterate", 5), (0, "iterate", 5), "close"], self.log)

    def test_without_room_each_block_has_a_process_that_is_warmed_up_and_told_the_pace(self):
        side = compare.Side(["x"], [{"command": "open"}], warmup=2, is_held=False)
        side.ask(command="iterate", count=5)
        side.ask(command="pace", share=0.5)
        side.ask(command="iterate", count=5)
        self.assertEqual(["start", (0, "open"), (0, "iterate", 2), (0, "iterate", 5), "close",
                          "start", (1, "open"), (1, "pace", 0.5), (1, "iterate", 2), (1, "iterate", 5), "close"], self.log)

    def test_a_device_is_warmed_up_for_a_time(self):
        compare.Side(["x"], [], warmup=2, least_warmup_ns=3).ask(command="iterate", count=5)
        self.assertEqual(["start", (0, "iterate", 2), (0, "iterate", 2), (0, "iterate", 2), (0, "iterate", 5)], self.log)

    def test_room_is_what_the_plan_needs_and_a_process_beside_it(self):
        for free, planned, expected in ((None, 100 * GB, True), (8 * GB, 5 * GB, True), (6 * GB, 5 * GB, False), (GB // 2, 0, False)):
            with self.subTest(free=free, planned=planned):
                self.assertEqual(expected, compare.has_room(free, planned))

    def test_memory_that_one_side_does_not_tell_is_not_compared(self):
        def side(peak):  # In a worker's answer, peakBytes is the process's, on every device.
            device = None if peak is None else {"peak_bytes": peak}
            return types.SimpleNamespace(ask=lambda **request: {"samplesNs": [10, 10], "peakBytes": 10 ** 9, "device": device})
        options = types.SimpleNamespace(rounds=2, iterations=2)
        for original, replay, expected in ((100, 110, 0.1), (None, 110, None), (100, None, None)):
            found = compare.interleaved(side(original), side(replay), options, paced=False)
            self.assertEqual(expected, found["peak_error"] and round(found["peak_error"], 3))
            notes = compare.notes_of(found, {"engine": {}})
            self.assertEqual(expected is None, any("memory is not compared" in note for note in notes))

    def test_other_clocks_are_told(self):
        notes = compare.notes_of({"peak_error": 0, "original_clock": "events", "replay_clock": "host"}, {"engine": {"notes": ["one"]}})
        self.assertEqual(["the original's time is of events, the replay's of host", "one"], notes)


class LimitTests(unittest.TestCase):
    REPORT = {"verification": "exact", "kernels": 100, "replayed_kernels": 100, "other_kernels": 2,
              "paced": {"error": 0.01}, "unpaced": {"peak_error": 0.02}}

    def test_what_is_not_within_the_limit_fails(self):
        self.assertTrue(compare.is_within(0.05, self.REPORT))
        for other in ({"verification": "different"}, {"other_kernels": 20}, {"paced": {"error": -0.06}}, {"unpaced": {"peak_error": 0.06}}):
            with self.subTest(other):
                self.assertFalse(compare.is_within(0.05, {**self.REPORT, **other}))


if __name__ == "__main__":
    unittest.main()
