import os
import time
import unittest

import faketorch
from scripts import FolderTest, hook, replaced, run


class SharedTests(unittest.TestCase):
    def test_both_scripts_have_the_same_code(self):
        for name in ("_Counters", "_anonymous_peak", "_write_profile", "_observer_type", "_versions"):
            self.assertEqual(vars(run)[name].__doc__, vars(hook)[name].__doc__)
            self.assertIsNot(vars(run)[name], vars(hook)[name])

    def test_the_name_of_an_overload(self):
        schema = faketorch.namespace(name="aten::add", overload_name="Tensor")
        self.assertEqual("aten::add.Tensor", run._overload_of(schema))
        schema.overload_name = ""
        self.assertEqual("aten::add", run._overload_of(schema))

    def test_versions_have_what_a_device_needs_where_one_is_used(self):
        torch = faketorch.make()
        torch.version = faketorch.namespace(cuda="12.8")  # Older ones have no hip.
        self.assertEqual(["torch", "python", "cuda"], list(run._versions(torch)))
        self.assertEqual(["torch", "python"], list(run._versions(torch, False)))

    def test_times_between_events_are_nanoseconds(self):
        class Event:
            def __init__(self, at):
                self.at = at

            def elapsed_time(self, end):
                return (end.at - self.at) / 1e6
        events = [Event(at) for at in (0, 5_000_000, 5_000_001)]
        self.assertEqual([5_000_000, 1], run._nanoseconds_between(events, events[1:]))
        self.assertEqual([], run._nanoseconds_between([], []))


class DeviceTests(unittest.TestCase):
    def test_a_device_that_does_not_tell_its_name_has_none(self):
        refusing = faketorch.namespace(get_device_name=lambda: 1 / 0)
        self.assertEqual(["", "", "a GPU"], [hook._name_of(module) for module in (
            faketorch.namespace(), refusing, faketorch.namespace(get_device_name=lambda: "a GPU"))])

    def test_the_accelerator_that_pytorch_names_is_taken_before_others_are_asked(self):
        there = faketorch.namespace(is_available=lambda: True)
        torch = faketorch.namespace(backends=faketorch.namespace(), cuda=there, accelerator=faketorch.namespace(
            is_available=lambda: True, current_accelerator=lambda: faketorch.namespace(type="mine")))
        self.assertEqual("mine", run._accelerator(torch))
        torch.accelerator.is_available = lambda: 1 / 0
        self.assertEqual("cuda", run._accelerator(torch))

    def test_a_backend_of_any_vendor_is_found_by_the_name_that_it_gave_itself(self):
        torch = faketorch.namespace(_C=faketorch.namespace(_get_privateuse1_backend_name=lambda: "mine"), backends=faketorch.namespace(),
                                    mine=faketorch.namespace(is_available=lambda: True, is_initialized=lambda: True))
        self.assertEqual(("mine", ("mine", torch.mine)), (run._accelerator(torch), hook._device(torch)))
        torch.mine.is_available = torch.mine.is_initialized = lambda: False
        self.assertEqual(("", ("cpu", None)), (run._accelerator(torch), hook._device(torch)))


class StreamWaitTests(unittest.TestCase):
    def test_waits_of_streams_are_asked_for_on_cuda_where_pytorch_knows_them(self):
        def config(**given):
            return given
        torch = faketorch.namespace(_C=faketorch.namespace(_profiler=faketorch.namespace(_ExperimentalConfig=config)))
        self.assertEqual({"experimental_config": {"enable_cuda_sync_events": True}}, run._stream_waits(torch, "cuda"))
        self.assertEqual({}, run._stream_waits(torch, "cpu"))
        torch._C._profiler._ExperimentalConfig = lambda: None  # PyTorch 1.13's takes no such setting.
        self.assertEqual({}, run._stream_waits(torch, "cuda"))
        self.assertEqual({}, run._stream_waits(faketorch.namespace(), "cuda"))


class AllocationTests(unittest.TestCase):
    def profiler(self, *events):
        class Event:
            def __init__(self, name, at, size, device):
                self.name, self.start_us, self.nbytes, self.device_type = lambda: name, lambda: at, lambda: size, lambda: device
        results = faketorch.namespace(events=lambda: [Event(*event) for event in events])
        return faketorch.namespace(profiler=faketorch.namespace(kineto_results=results))

    def test_allocations_are_in_order_and_nothing_else_is_one(self):
        profiler = self.profiler(("[memory]", 9, -4, "DeviceType.CPU"), ("aten::add", 1, 0, "DeviceType.CPU"),
                                 ("[memory]", 3, 4, "DeviceType.CUDA"))
        self.assertEqual([(3000, 4, True), (9000, -4, False)], run._allocations(profiler))

    def test_a_profiler_that_saw_nothing_has_none(self):
        self.assertEqual([], run._allocations(faketorch.namespace(profiler=None)))


class MemoryTests(FolderTest):
    def test_a_field_of_a_file_is_in_bytes_and_its_whole_name_counts(self):
        path = self.folder / "status"
        path.write_text("VmRSSx:\t 1 kB\nVmRSS:\t  12 kB\nVmHWM:\t 9 kB\n", encoding="ascii")
        self.assertEqual(12 * 1024, run._bytes_in(str(path), "VmRSS"))
        self.assertIsNone(run._bytes_in(str(path), "VmSwap"))
        self.assertIsNone(run._bytes_in(str(self.folder / "none"), "VmRSS"))

    @unittest.skipUnless(os.path.exists("/proc/self/status"), "needs /proc")
    def test_memory_that_is_written_to_is_counted_and_its_peak_stays(self):
        before = run._anonymous_bytes()
        data = bytearray(os.urandom(1) * (64 << 20))
        self.assertGreater(run._anonymous_bytes(), before + (60 << 20))
        del data
        self.assertGreater(run._anonymous_peak(), before + (60 << 20))


class CounterTests(unittest.TestCase):
    def test_only_what_happens_between_start_and_stop_is_counted(self):
        counters = run._Counters()
        sum(range(3_000_000))
        counters.start()
        counters.stop()
        idle = counters.sums[0]
        counters.start()
        sum(range(3_000_000))
        counters.stop()
        counters.close()
        self.assertGreater(counters.sums[0], idle + 10_000_000)

    def test_the_description_has_the_names_of_the_format(self):
        counters = run._Counters()
        counters.start()
        time.sleep(0.01)
        counters.stop()
        counters.close()
        described = counters.describe()
        self.assertGreaterEqual(described["duration_ns"], 10_000_000)
        self.assertLessEqual({"cpu_time_ns", "minor_faults", "major_faults", "voluntary_switches", "involuntary_switches",
                              "core_utilisation", "gpus", "unavailable"}, set(described))
        self.assertTrue(all(0 <= share <= 1 for share in described["core_utilisation"]))
        self.assertTrue(all(described["unavailable"].values()))

    def test_counters_that_never_ran_describe_nothing(self):
        counters = run._Counters()
        self.assertIsNone(counters.describe())
        counters.close()
        self.assertIsNone(counters.describe())

    def test_energy_is_that_of_the_counted_share_of_the_time(self):
        readings = iter([([(0, 0), (5, 10)], 1000), ([(30, 40), (5, 10)], 3000)])
        clock = iter([0, 0, 500, 1000])
        with replaced(run, _machine=lambda: next(readings), time=faketorch.namespace(perf_counter_ns=lambda: next(clock))):
            counters = run._Counters()
            counters.start()
            counters.stop()
            counters.close()
        described = counters.describe()
        self.assertEqual((1000, [0.75, 0]), (described["package_energy_microjoules"], described["core_utilisation"]))

    def test_an_energy_counter_that_starts_anew_is_left_out(self):
        readings = iter([([], 3000), ([], 1000)])
        with replaced(run, _machine=lambda: next(readings)):
            counters = run._Counters()
            counters.start()
            counters.stop()
            counters.close()
        self.assertNotIn("package_energy_microjoules", counters.describe())
        self.assertNotIn("package energy", counters.describe()["unavailable"])
