import json
import os
import pathlib
import unittest
from unittest import mock

import samples
import standin
from scripts import Clock, FolderTest, TorchTest, needs_torch, printed, replaced, run

PACKAGES = sorted(pathlib.Path(p) for p in os.environ.get("MYSTIQUE_PACKAGES", "").split(os.pathsep) if p)


def two_streams(counts=(1, 1, 1, 1), streams=(None, 7, None, 7), waits=((), (0,), (), (1, 2))):
    """The sample with a call for each operator, on two streams."""
    m, first = samples.manifest(), 0
    m["devices"], m["schedule"] = ["cuda:0"], []
    m["operators"][2]["args"][3] = {"v": {"device": "cuda:0"}}
    for i, (count, stream, wait) in enumerate(zip(counts, streams, waits)):
        call = {"call": f"f{i}", "first": first, "count": count}
        m["schedule"].append({**call, **({"stream": stream} if stream else {}), **({"wait": list(wait)} if wait else {})})
        first += count
    head = samples.FUNCTION
    code = run.PROLOGUE + head.format("f0") + """\
    s = self.slots
    d = self.devices
    t0 = s[2]
    t1 = s[3]
    t2 = ops.aten.add(t0, t1, alpha=1)
    s[4] = t2
    return None
""" + head.format("f1") + """\
    s = self.slots
    d = self.devices
    t2 = s[4]
    t3 = ops.aten.gelu(t2, approximate="tanh")
    s[5] = t3
    s[4] = s[0]
    return None
""" + head.format("f2") + """\
    s = self.slots
    d = self.devices
    t4 = ops.aten.zeros([2, 3], dtype=6, layout=None, device=d[0], pin_memory=False)
    s[1] = t4
    return None
""" + head.format("f3") + """\
    s = self.slots
    d = self.devices
    t1 = s[3]
    t3 = s[5]
    t5 = ops.aten.add_(t1, t3, alpha=0.5)
    s[5] = s[0]
    return None
""" + head.format("last") + "    return None\n"
    return m, code


class DeviceTest(TorchTest):
    def engine(self, m=None, code=samples.CODE, device="", **given):
        return run.Engine(run.Package(samples.write(self.folder / "p", m, code)), device, 1, **given)

    def run_package(self, m, code, *options):
        result = self.folder / "r.json"
        arguments = ["run.py", samples.write(self.folder / "p", m, code), "--threads", "1", "--json", str(result), *options]
        with replaced(run.sys, argv=arguments), replaced(run, give_way=lambda: None), printed() as text:
            self.exit_code = run.main()
        self.text = text.getvalue()
        return json.loads(result.read_text(encoding="utf-8")) if result.exists() else None


@needs_torch
class TargetTests(DeviceTest):
    """Which device a package runs on."""

    def recorded_on(self, kind):
        m = samples.manifest()
        m["devices"] = [f"{kind}:0"]
        m["operators"][2]["args"][3] = {"v": {"device": f"{kind}:0"}}
        return m

    def test_what_ran_on_an_accelerator_runs_on_it_without_options_and_by_every_name(self):
        for name in ("", "cuda", "cuda:0"):
            with self.subTest(name=name), standin.installed(standin.Device()):
                engine = self.engine(self.recorded_on("cuda"), device=name)
                self.assertEqual("cuda:0", str(engine.device))

    def test_the_second_device_is_made_the_current_one(self):
        with standin.installed(standin.Device(count=2)) as device:
            self.assertEqual("cuda:1", str(self.engine(self.recorded_on("cuda"), device="cuda:1").device))
            self.assertIn(("device", 1), device.log)

    def test_the_second_device_of_any_kind_is_made_the_current_one_and_named(self):
        with standin.installed(standin.Device("xpu", count=2)) as device:
            engine = self.engine(self.recorded_on("xpu"), device="xpu:1")
            self.assertEqual("xpu:1 (stand-in)", engine.info()["device"])
            self.assertIn(("device", 1), device.log)

    def test_any_kind_that_pytorch_knows_is_found_and_another_than_recorded_is_told(self):
        with standin.installed(standin.Device("xpu")):
            engine = self.engine(self.recorded_on("cuda"))
            self.assertEqual(("xpu:0", ["the trace ran on cuda, this replay on xpu"]), (str(engine.device), engine.notes))
            self.assertIs(run.torch.xpu, engine.backend)
        self.assertEqual(["the trace ran on cuda, this replay on cpu"], self.engine(self.recorded_on("cuda")).notes)

    def test_what_ran_on_the_host_stays_there(self):
        with standin.installed(standin.Device()):
            self.assertEqual("cpu", str(self.engine().device))

    def test_accelerators_become_the_device_and_the_host_stays(self):
        recorded = ["cpu", "cuda:0", "cuda:1", "meta"]
        device = run.torch.device("xpu:0")
        self.assertEqual(["cpu", "xpu:0", "xpu:0", "meta"], [str(run.target_of(d, recorded, device)) for d in recorded])
        self.assertEqual("xpu:0", str(run.target_of("cpu", ["cpu"], device)))

    def test_a_device_that_is_not_there_is_told_with_its_cause(self):
        for name, cause in (("cuda", "it is built for the host alone"), ("nonsense", "Expected one of"), ("cuda:0:1", ".")):
            with self.subTest(name=name), self.assertRaisesRegex(run.Problem, f"MYS411.*no device {name}[^\n]*{cause}"):
                self.engine(device=name)
        with standin.installed(standin.Device()), mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES="3"):
            with self.assertRaisesRegex(run.Problem, "there are 1, as CUDA_VISIBLE_DEVICES=3 says(.|\n)*use one of cpu, cuda:0$"):
                self.engine(device="cuda:4")

    def test_another_vendor_s_pytorch_is_told(self):
        with replaced(run.torch.version, hip="6.1", cuda=None), self.assertRaisesRegex(run.Problem, "it is built for hip"):
            self.engine(device="xpu")
        with replaced(run.torch.version, cuda="12.4"), self.assertRaisesRegex(
                run.Problem, "its driver shows no device; another vendor's device needs another PyTorch"):
            self.engine(device="cuda")

    def test_a_driver_that_shows_nothing_is_told_with_the_variable_that_hides_it(self):
        """What a machine with a GPU says where CUDA_VISIBLE_DEVICES names none of its devices, or a MIG part that is not there."""
        for hidden in ("", "7", "MIG-0b1f"):
            with self.subTest(hidden), mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES=hidden), replaced(run.torch.version, cuda="12.4"):
                with self.assertRaisesRegex(run.Problem, f"MYS411.*its driver shows no device, as CUDA_VISIBLE_DEVICES={hidden} says"):
                    self.engine(device="cuda")

    def test_a_second_part_of_a_gpu_is_not_there_where_one_is_visible(self):
        mig = mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES="MIG-0b1f")
        with standin.installed(standin.Device()), mig, replaced(run.torch.version, cuda="12.4"):
            with self.assertRaisesRegex(run.Problem, "MYS411.*there are 1, as CUDA_VISIBLE_DEVICES=MIG-0b1f says"):
                self.engine(device="cuda:1")

    def test_a_part_of_a_gpu_is_told(self):
        device = standin.Device()
        device.module.get_device_name = lambda index=None: "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
        with standin.installed(device):
            notes = self.engine(self.recorded_on("cuda")).notes
        self.assertRegex(notes[0], r"^cuda:0 is a part of a GPU \(MIG\)")

    def test_a_device_that_is_busy_or_full_is_told_as_that(self):
        for refusal, told in (("CUDA error: CUDA-capable device(s) is/are busy or unavailable",
                               "MYS425: the device is busy or unavailable: cuda: CUDA error(.|\n)*fix: end the process"),
                              ("CUDA out of memory. Tried to allocate 2.00 MiB",
                               "MYS412: the device has too little memory: CUDA out of memory(.|\n)*fix: end other processes"),
                              ("CUDA error: out of memory", "MYS412: (.|\n)*before anything of the replay is on it")):
            with self.subTest(refusal), standin.installed(standin.Device(refuses=refusal)):
                with self.assertRaisesRegex(run.Problem, told) as caught:
                    self.engine(self.recorded_on("cuda"), device="cuda")
                self.assertEqual((1, "fix"), (caught.exception.exit_code, str(caught.exception).splitlines()[2].split(":")[0].strip()))
                self.assertNotIn("there is no device", str(caught.exception))

    def test_memory_that_runs_out_later_is_told_with_what_the_plan_needs(self):
        with standin.installed(standin.Device()):
            engine = self.engine(*two_streams())
            engine.start()
            with replaced(engine, run_all=mock.Mock(side_effect=RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"))):
                with self.assertRaisesRegex(run.Problem, "MYS412(.|\n)*the plan needs .* GB on cuda:0(.|\n)*fix: "):
                    engine.iterate(1)

    def test_a_profile_without_the_device_is_told(self):
        with standin.installed(standin.Device()):
            engine = self.engine(*two_streams())
            engine.start()
            engine.kineto(str(self.folder / "k.json"))
        self.assertRegex(engine.notes[-1], "the replay's profile has no work of the cuda device: .*no CUPTI")

    def test_a_device_that_cannot_be_waited_for_is_refused(self):
        lazy = standin.Device("hpu")
        del lazy.module.synchronize
        with standin.installed(lazy), self.assertRaisesRegex(run.Problem, "MYS411.*cannot wait for it"):
            self.engine(device="hpu")

    def test_devices_without_doubles_get_contents_that_were_drawn_on_the_host(self):
        contents = []
        for has_doubles in (True, False):
            with standin.installed(standin.Device("xpu", has_doubles=has_doubles)):
                engine = self.engine(self.recorded_on("xpu"))
                engine.start()
                contents.append([m.tolist() for m in engine.externals.memory.values()])
        self.assertEqual(contents[0], contents[1])


@needs_torch
@needs_torch
class ProductTests(FolderTest):
    """Libraries of matrix products, whose threads are their own."""

    def told(self, environ=None):
        maps, told = self.folder / "maps", []
        maps.write_text("7f0-7f1 r-xp 0000 08:01 12      /usr/lib/libopenblas.so.0\n7f2-7f3 r-xp 0000 08:01 13      /usr/lib/libc.so.6\n"
                        "7f4-7f5 r-xp 0000 08:01 14      /usr/lib/libblis.so.4 (deleted)\n7f6-7f7 rw-p 0000 00:00 0 \n", encoding="utf-8")

        class Library:
            def __init__(self, path):
                self.path = path

            def openblas_set_num_threads(self, count):
                told.append((self.path, count.value))
        with replaced(run.ctypes, CDLL=Library):
            libraries = run.hold_products_to(2, environ or {}, str(maps))
        self.assertEqual(libraries, [path for path, _ in told])
        return told

    def test_those_that_are_loaded_are_told(self):
        self.assertEqual([("/usr/lib/libopenblas.so.0", 2)], self.told())

    def test_the_users_environment_has_the_last_word(self):
        self.assertEqual([], self.told({"OMP_NUM_THREADS": "4"}))

    def test_a_system_that_does_not_tell_is_left_alone(self):
        self.assertEqual([], run.hold_products_to(2, {}, str(self.folder / "none")))


class StreamTests(DeviceTest):
    """The order of what is asked of a device."""

    def log_of(self, m, code, iterations=1):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(m, code)
            with mock.patch.object(run, "steps_of", side_effect=run.steps_of) as steps_of:
                def logged(engine, program, before=run.steps_of):
                    standin.logged(device, program)
                    return run.DeviceSteps(engine, program).steps()
                steps_of.side_effect = logged
                engine.start()
            start = len(device.log)
            for _ in range(iterations):
                engine.run_all()
            return device.log[:start], device.log[start:], device

    def test_side_streams_begin_after_the_main_one_and_the_iteration_ends_after_them(self):
        started, log, device = self.log_of(*two_streams())
        self.assertIn(("synchronize",), started)  # After the fill.
        before = standin.happens_before(log)
        self.assertEqual({0, 1, 2, 3}, before["end"])
        self.assertEqual(set(), before[0])
        self.assertIn(0, before[1])  # It reads what the main stream made.
        self.assertLessEqual({1, 2}, before[3])
        self.assertIs(device.main, device.current)

    def test_a_side_stream_that_waits_for_nothing_still_begins_after_what_was_restored(self):
        m, code = two_streams(streams=(7, None, None, None), waits=((), (0,), (), ()))
        _, log, _ = self.log_of(m, code)
        forks = [i for i, entry in enumerate(log) if entry[0] == "wait"]
        self.assertLess(forks[0], next(i for i, entry in enumerate(log) if entry[0] == "call"))

    def test_the_next_iteration_begins_after_all_streams(self):
        _, log, _ = self.log_of(*two_streams(), iterations=2)
        second = [i for i, entry in enumerate(log) if entry[:2] == ("call", 0)][1]
        self.assertEqual({0, 1, 2, 3}, standin.happens_before(log[:second])["end"])

    def test_memory_that_another_stream_uses_is_kept_until_that_is_done(self):
        _, log, _ = self.log_of(*two_streams())
        kept = [entry for entry in log if entry[0] == "keep"]
        self.assertEqual(1, len(kept))  # What the main stream made and the side stream reads; what existed before is never given back.

    def test_a_call_waits_for_an_event_or_for_the_device_as_recorded(self):
        m, code = two_streams()
        m["schedule"][2]["sync"], m["schedule"][3]["sync"], m["schedule"][3]["sync_on"] = True, True, 1
        _, log, _ = self.log_of(m, code)
        calls = [i for i, entry in enumerate(log) if entry[0] == "call"]
        self.assertIn(("synchronize",), log[calls[2]:calls[3]])
        recorded = next(entry[2] for entry in log[calls[1]:] if entry[0] == "record")
        self.assertIn(("host waits for", recorded), log[calls[3]:])

    def test_what_the_host_waits_as_recorded_is_counted(self):
        m, code = two_streams()
        m["schedule"][2]["sync"] = True
        with standin.installed(standin.Device()), replaced(run, time=Clock(tick=7)):
            engine = self.engine(m, code)
            engine.start()
            engine.run_all()
        self.assertEqual(7, engine.host_waits_ns)

    def test_the_stream_is_set_where_it_changes_alone(self):
        m, code = two_streams(streams=(None, 7, 7, None), waits=((), (), (), ()))
        with standin.installed(standin.Device()) as device:
            engine = self.engine(m, code)
            engine.start()
            changes = []
            device.set_stream = lambda stream, before=device.set_stream: (changes.append(stream.name), before(stream))
            with replaced(device.module, set_stream=device.set_stream):
                engine.run_all()
        self.assertEqual(3, len(changes))  # To the side stream, back, and the end of the iteration.
        self.assertEqual("main", changes[-1])

    def test_a_device_without_streams_runs_all_on_one_and_says_so(self):
        with standin.installed(standin.Device(has_streams=False)):
            engine = self.engine(*two_streams())
            engine.start()
            engine.run_all()
            self.assertIn("PyTorch has no streams for cuda: what ran on 2 runs on one", engine.notes)

    def test_events_without_times_leave_the_host_s_clock(self):
        for has_no_times, clock in ((False, "events"), (True, "host")):
            with standin.installed(standin.Device(has_no_times=has_no_times)):
                engine = self.engine(*two_streams())
                engine.start()
                measured = engine.iterate(2)
                self.assertEqual((clock, 2), (measured["clock"], len(measured["samplesNs"])))
                self.assertEqual(4, len(engine.time_operators(1)))

    def test_without_events_the_host_waits_for_each_iteration_and_with_them_for_none(self):
        for has_no_times, waits in ((False, 1), (True, 4)):  # One is for the end of all.
            with self.subTest(has_no_times), standin.installed(standin.Device(has_no_times=has_no_times)) as device:
                engine = self.engine(*two_streams())
                engine.start()
                del device.log[:]
                engine.iterate(3)
                self.assertEqual(waits, sum(entry[0] == "synchronize" for entry in device.log))

    def test_operators_are_timed_between_events_and_nothing_waits_between_them(self):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(*two_streams())
            engine.start()
            del device.log[:]
            engine.time_operators(1)
        passes = ["synchronize", *["record"] * 8, "synchronize"]  # Before the first of four operators, and after the last.
        self.assertEqual(passes * 2, [entry[0] for entry in device.log])

    def test_what_restores_is_done_before_the_profiler_starts(self):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(*two_streams())
            engine.start()
            profile = run.torch.profiler.profile
            with replaced(engine.externals, restore=lambda everything: device.note("restore")), replaced(
                    run.torch.profiler, profile=lambda **given: (device.note("profiler"), profile(**given))[1]):
                engine.profiled(engine.run_unpaced)
        log = [entry[0] for entry in device.log if entry[0] in ("restore", "synchronize", "profiler")]
        self.assertEqual(["restore", "synchronize", "profiler", "synchronize"], log[-4:])


@needs_torch
class MemoryTests(DeviceTest):
    """What the device's allocator has, and what is left to other processes."""

    def test_iterations_tell_what_the_allocator_had_while_they_ran(self):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(*two_streams())
            engine.start()
            measured = engine.iterate(2)
        self.assertTrue(device.peak_is_reset)
        self.assertEqual({"peak_bytes": 1500, "reserved_bytes": 2048}, measured["device"])
        self.assertGreater(measured["peakBytes"], 10_000)  # That of the host's process.

    def test_the_host_has_no_such_thing(self):
        engine = self.engine(device="cpu")
        engine.start()
        self.assertIsNone(engine.iterate(1)["device"])
        self.assertNotIn("freeBytes", engine.info())

    def test_a_backend_without_an_answer_leaves_it_out(self):
        device = standin.Device()
        device.module.mem_get_info = mock.Mock(side_effect=RuntimeError("not supported"))
        del device.module.max_memory_allocated
        with standin.installed(device):
            engine = self.engine(*two_streams())
            engine.start()
            self.assertIsNone(engine.iterate(1)["device"])
            self.assertNotIn("freeBytes", engine.info())

    def test_a_worker_tells_what_is_free_and_leaves_its_cache_where_that_is_asked_for(self):
        with standin.installed(standin.Device()) as device, replaced(run.os, dup=lambda number: number, dup2=lambda a, b: None), \
                replaced(run.os, fdopen=lambda *_, **__: None):
            worker = run.Worker(eager=False)
            opened = worker.answer({"command": "open", "package": samples.write(self.folder / "p", *two_streams())})
            self.assertEqual(8 << 30, opened["info"]["freeBytes"])
            worker.progress = lambda done, total: None
            worker.answer({"command": "start"})
            worker.answer({"command": "iterate", "count": 1})
            self.assertNotIn(("empty cache",), device.log)
            worker.answer({"command": "iterate", "count": 1, "releasesCache": True})
            self.assertEqual(("empty cache",), device.log[-1])
            answer = worker.answer({"command": "kineto", "path": str(self.folder / "k.json")})
            self.assertEqual({"deviceLiveBytes": 1000}, answer)

    def test_tensors_at_their_peak_start_from_what_the_allocator_had_given_out(self):
        with standin.installed(standin.Device()), replaced(run, _allocations=lambda _: [(1, 70, True), (2, 900, False), (3, -70, True)]):
            engine = self.engine(*two_streams())
            engine.start()
            self.assertEqual(1070, engine.allocated_bytes(engine.profiled(engine.run_unpaced)))


@needs_torch
class PinnedTests(DeviceTest):
    """The host's memory that a device copies from without the processor."""

    def pinned(self):
        m, code = two_streams()
        m["devices"] = ["cuda:0", "cpu"]
        m["operators"][2]["args"][3:] = [{"v": {"device": "cpu"}}, {"v": True}]
        m["storages"][0].update(device=1, pinned=True)
        m["storages"][4].update(device=1)
        return m, code.replace("device=d[0]", "device=d[1]")

    def asked_for(self, can_pin, eager=False):
        """The engine; whether memory from before the iteration was asked to be pinned is in its list `asked`."""
        m, code = self.pinned()
        with standin.installed(standin.Device()), replaced(run, can_pin=lambda device: can_pin):
            before, asked = run.torch.empty, []

            def empty(*args, **given):
                asked.append(given.get("pin_memory", False))
                return before(*args, **given)
            with replaced(run.torch, empty=empty):
                engine = self.engine(m, code, eager=eager)
                engine.start()
        engine.asked = asked
        return engine

    def test_where_the_device_can_it_is_pinned_as_it_was(self):
        for can_pin in (True, False):
            with self.subTest(can_pin):
                self.assertEqual(can_pin, any(self.asked_for(can_pin, eager=True).asked))

    def test_the_program_says_so_to_torchscript(self):
        for can_pin in (True, False):
            loaded = []  # First as the package is written, then as it is loaded.
            with replaced(run, archive_of=lambda text, before=run.archive_of, seen=loaded: (seen.append(text), before(text))[1]):
                self.asked_for(can_pin)
            self.assertEqual([0, int(can_pin)], [text.count("pin_memory=True") for text in loaded])

    def test_operator_by_operator_it_is_asked_for_too(self):
        for can_pin in (True, False):
            program = self.asked_for(can_pin, eager=True).program
            argument = next(a for a in program.schemas["aten::zeros"].arguments if a.name == "pin_memory")
            self.assertEqual(can_pin, program.maker({"v": True}, argument)())

    def test_a_device_that_cannot_is_asked_once(self):
        class Memory:
            def __init__(self, answer):
                self.is_pinned = lambda: answer
        for answer, expected in ((True, True), (False, False), (None, False)):
            def empty(*args, pin_memory=False, answer=answer, **given):
                if answer is None:
                    raise RuntimeError("there is no such memory")
                return Memory(answer)
            with self.subTest(answer), replaced(run.torch, empty=empty):
                self.assertEqual(expected, run.can_pin(run.torch.device("cuda:0")))
                self.assertFalse(run.can_pin(run.torch.device("cpu")))


@needs_torch
class RunTests(DeviceTest):
    """run.py by hand, on a device."""

    def test_a_run_is_exact_and_says_what_measured_it(self):
        with standin.installed(standin.Device()), replaced(run, LEAST_WARM_UP_NS=0, LEAST_MEASURED_NS=1, MOST_WARM_UP_NS=1):
            result = self.run_package(*two_streams(), "--pace", "recorded")
        self.assertEqual((0, "exact", "events", "cuda:0 (stand-in)"), (
            self.exit_code, result["verification"]["status"], result["engine"]["clock"], result["engine"]["device"]), self.text)
        self.assertEqual(run.ITERATIONS, result["iterations"]["count"])
        self.assertEqual({"peak_bytes": 1500, "reserved_bytes": 2048}, result["memory"]["device"])
        self.assertIn("0.0 MB held by the allocator", self.text)

    def test_what_operators_start_on_the_device_is_told_and_compared(self):
        m, code = two_streams()
        m["times"]["operators"][1].update(kernels=3, device_ns=3000)
        work = {i: (1, 1000) for i in range(4)}
        with standin.installed(standin.Device()), replaced(run, device_work=lambda package, profiler: work):
            result = self.run_package(m, code, "--iterations", "1", "--warmup", "1")
        kinds = {kind["name"]: kind for kind in result["operators"]}
        self.assertEqual((1000, 3000), tuple(kinds["aten::gelu"][name] for name in ("device_ns", "original_device_ns")))
        self.assertIn("it starts 1 kernels, copies and fillings instead of 3", [d["what"] for d in result["verification"]["differences"]])

    def test_warm_up_on_a_device_goes_on_until_its_times_are_steady(self):
        with standin.installed(standin.Device()):
            engine = self.engine(*two_streams())
            times = iter([50, 40, 30, 20, 10] + [10] * 10_000)
            engine.iterate = lambda count, progress=None: {"samplesNs": [next(times) for _ in range(count)]}
            with replaced(run, LEAST_WARM_UP_NS=0):
                count = engine.warm_up()
            self.assertGreater(count, 8)
            self.assertEqual(7, engine.warm_up(7))
            engine.iterate = lambda count: {"samplesNs": [10 ** 7] * count}
            self.assertEqual((100, 5), (engine.iterations_for(), engine.iterations_for(5)))

    def test_warm_up_on_a_device_takes_its_least_time_however_steady_it_is(self):
        clock = Clock(tick=0)
        with standin.installed(standin.Device()), replaced(run, time=clock):
            engine = self.engine(*two_streams())

            def iterate(count, progress=None):
                clock.work(count * 10 ** 7)()
                return {"samplesNs": [10 ** 7] * count}
            engine.iterate = iterate
            engine.warm_up()
            self.assertTrue(run.LEAST_WARM_UP_NS <= clock.now < run.MOST_WARM_UP_NS, clock.now)
            self.assertGreaterEqual(clock.now, 2 * 10 ** 9)

    def test_warm_up_that_does_not_get_steady_ends_and_is_told(self):
        clock = Clock(tick=0)
        with standin.installed(standin.Device()), replaced(run, time=clock):
            engine = self.engine(*two_streams())

            def iterate(count, progress=None):
                clock.work(count * 10 ** 7)()
                return {"samplesNs": [10 ** 7 * (clock.now // 10 ** 7 + i) for i in range(count)]}
            engine.iterate = iterate
            engine.warm_up()
        self.assertRegex(engine.notes[-1], "times were not steady after .* s of warm-up")

    def test_clocks_of_a_gpu_are_told_from_before_and_after_what_is_measured(self):
        device, told = standin.Device(), mock.Mock(side_effect=[mock.Mock(stdout=f"{clock}, 0x04\n".encode()) for clock in (1980, 1410)])
        device.module.get_device_properties = lambda index: mock.Mock(uuid="aa-bb")
        with standin.installed(device), replaced(run.subprocess, run=told):
            result = self.run_package(*two_streams(), "--iterations", "1", "--warmup", "1")
        self.assertEqual([{"sm_megahertz": 1980, "reasons": "0x04"}, {"sm_megahertz": 1410, "reasons": "0x04"}],
                         result["engine"]["clocks"])
        self.assertIn("--id=GPU-aa-bb", told.call_args.args[0])

    def test_clocks_that_nothing_tells_are_not_there(self):
        for fails in (OSError("no such tool"), run.subprocess.TimeoutExpired("nvidia-smi", 10)):
            with self.subTest(fails), standin.installed(standin.Device()), replaced(run.subprocess, run=mock.Mock(side_effect=fails)):
                result = self.run_package(*two_streams(), "--iterations", "1", "--warmup", "1")
                self.assertNotIn("clocks", result["engine"], self.text)

    def test_after_an_error_of_the_device_nothing_is_probed(self):
        done = mock.Mock(stdout=b"null\n")
        with standin.installed(standin.Device(fails_at=2)), mock.patch.object(run.subprocess, "run", return_value=done) as started, \
                mock.patch.object(run.Engine, "probe") as probed:
            self.run_package(*two_streams(), "--warmup", "1")
        self.assertFalse(probed.called)
        self.assertRegex(self.text, "MYS423: the device failed: CUDA error.* does not show which")
        environment = started.call_args.kwargs["env"]
        self.assertEqual(["1", "3", "1"], [environment[n] for n in ("CUDA_LAUNCH_BLOCKING", "AMD_SERIALIZE_KERNEL", "HIP_LAUNCH_BLOCKING")])

    def test_a_probe_ends_with_an_error_of_the_device(self):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(*two_streams())
            engine.start()
            device.fails_at = sum(entry[0] == "synchronize" for entry in device.log) + 2
            with self.assertRaisesRegex(RuntimeError, "device-side assert"):
                engine.probe(lambda i: None)

    def test_what_the_integral_inputs_of_a_failing_operator_hold_is_told(self):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(*embedding(high=4))
            engine.start()
            device.fails_at = sum(entry[0] == "synchronize" for entry in device.log) + 1
            found = run.find_failure(engine)
        self.assertRegex(found["inputs"], r"^; its integral inputs hold \[3\] from [0-3] to [0-3]$")

    def test_a_worker_says_in_which_operator_its_device_failed(self):
        told, answers = {"node": 12, "operator": "aten::gelu", "error": "CUDA error: x", "inputs": ""}, []
        requests = [{"command": "open", "package": samples.write(self.folder / "p", *two_streams())}, {"command": "start"},
                    {"command": "iterate", "count": 1}]
        with standin.installed(standin.Device(fails_at=2)), replaced(run.os, dup=lambda number: number, dup2=lambda a, b: None), \
                replaced(run.os, fdopen=lambda *_, **__: None), replaced(run.sys, stdin=[json.dumps(r) for r in requests]), \
                mock.patch.object(run.subprocess, "run", return_value=mock.Mock(stdout=json.dumps(told).encode())):
            worker = run.Worker(eager=False)
            worker.send = answers.append
            worker.run()
        self.assertEqual(["result", "result", "failure"], [a["kind"] for a in answers if a["kind"] != "progress"])
        self.assertIn("the device failed in aten::gelu", json.dumps(answers[-1]["problem"]))
        self.assertEqual(1, answers[-1]["exitCode"])

    def test_a_device_that_fails_says_in_which_operator(self):
        told = json.dumps({"node": 12, "operator": "aten::gelu", "error": "CUDA error: device-side assert triggered", "inputs": ""})
        done = mock.Mock(stdout=f"a library's word\n{told}\n".encode())
        with standin.installed(standin.Device(fails_at=3)), mock.patch.object(run.subprocess, "run", return_value=done) as started:
            self.assertIsNone(self.run_package(*two_streams(), "--warmup", "1"))
        self.assertEqual(1, self.exit_code)
        self.assertRegex(self.text, "MYS423: the device failed in aten::gelu: CUDA error(.|\n)*node 12")
        self.assertEqual("1", started.call_args.kwargs["env"]["CUDA_LAUNCH_BLOCKING"])
        self.assertIn("--find-failure", started.call_args.args[0])

    def test_the_first_operator_that_fails_is_found_with_what_its_inputs_hold(self):
        with standin.installed(standin.Device()) as device:
            engine = self.engine(*two_streams())
            engine.start()
            device.fails_at = sum(entry[0] == "synchronize" for entry in device.log) + 2
            found = run.find_failure(engine)
        self.assertEqual((12, "aten::gelu"), (found["node"], found["operator"]))

    def test_places_out_of_bounds_are_found_before_the_device_does(self):
        m, code = embedding(high=10)
        with standin.installed(standin.Device()):
            self.assertIsNone(self.run_package(m, code, "--iterations", "1"))
            self.assertRegex(self.text, "MYS424: aten::embedding would read at 9 of 4")
            m, code = embedding(high=4)
            self.run_package(m, code, "--iterations", "1", "--warmup", "1")
            self.assertEqual(0, self.exit_code, self.text)


@needs_torch
@unittest.skipUnless(PACKAGES, "needs packages, in MYSTIQUE_PACKAGES")
class PackageTests(DeviceTest):
    """Whole packages: each through all that is different on a device."""

    def test_packages_are_exact_and_their_iterations_lie_between_events(self):
        for package in PACKAGES:
            with self.subTest(package.name), standin.installed(standin.Device()) as device:
                engines = []

                def logged(engine, program):
                    standin.logged(device, program)
                    self.log_frees(device, engine, program)
                    engines.append(engine)
                    return run.DeviceSteps(engine, program).steps()
                result = self.folder / "r.json"
                arguments = ["run.py", str(package), "--device", "cuda", "--json", str(result), "--iterations", "2", "--warmup", "1",
                             "--threads", "1", "--no-operators", "--level", "operator"]
                with replaced(run.sys, argv=arguments), replaced(run, give_way=lambda: None, steps_of=logged), printed() as text:
                    self.assertEqual(0, run.main(), text.getvalue())
                told = json.loads(result.read_text(encoding="utf-8"))
                self.assertEqual(("exact", "events", "cuda:0 (stand-in)"), (
                    told["verification"]["status"], told["engine"]["clock"], told["engine"]["device"]), text.getvalue())
                if any("stream" in call for call in engines[-1].package.manifest["schedule"]):
                    self.check_streams(engines[-1].package, device.log)
                else:
                    self.check_last_iteration(device.log)

    def log_frees(self, device, engine, program):
        """Has noted in the log, after each call, which tensors are gone that were there before it."""
        made = sorted(s for s, t in enumerate(engine.package.manifest["tensors"])
                      if not t.get("external") and t["storage"] >= 0 and 0 not in t["shape"])

        def there():
            values = {slot: program.get(slot) for slot in made}  # In TorchScript, an empty tensor takes the place of what is gone.
            return {slot for slot, value in values.items() if value is not None and value.numel()}

        def noting(number, call):
            def run_it():
                before = there()
                call()
                device.note("freed", number, sorted(before - there()))
            return run_it
        if any("stream" in c for c in engine.package.manifest["schedule"]):
            program.calls = [noting(i, call) for i, call in enumerate(program.calls)]

    def check_streams(self, package, log):
        """Fork, join, order, waits and frees of the last iteration are those of the schedule."""
        schedule = package.manifest["schedule"]
        first = max(i for i, entry in enumerate(log) if entry[:2] == ("call", 0))
        begin = max(i for i in range(first) if log[i][:2] == ("record", "main") and log[i + 1][0] == "wait")  # The fork's.
        log = log[begin:]
        before = standin.happens_before([("call", "begin", "main"), *log])
        self.assertTrue(all("begin" in before[i] for i in range(len(schedule))), "a call begins before the iteration does")
        self.assertLessEqual(set(range(len(schedule))), before["end"])
        streams = {entry[1]: entry[2] for entry in log if entry[0] == "call" and entry[1] != "begin"}
        for i, call in enumerate(schedule):
            self.assertEqual("stream" in call, streams[i] != "main", f"call {i}")
            self.assertLessEqual(set(call.get("wait", ())), before[i], f"call {i}")
        self.assertEqual([], standin.unordered(package, before))
        beside = [(a, b) for b in range(len(schedule)) for a in range(b) if streams[a] != streams[b] and a not in before[b]]
        self.assertTrue(beside, "all calls wait for one another")
        self.check_waits_of_the_host(schedule, log)
        self.check_frees(package, log, streams)

    def check_waits_of_the_host(self, schedule, log):
        for i, call in enumerate(schedule):
            start, next_ = (next((n for n, e in enumerate(log) if e[:2] == ("call", number)), None) for number in (i, i + 1))
            waits = [entry for entry in log[start:next_] if entry[0] in ("synchronize", "host waits for")]
            if next_ is not None:  # After the last one the measurement waits, too.
                self.assertEqual(bool(call.get("sync")), bool(waits), f"call {i}")

    def check_frees(self, package, log, streams):
        """A tensor goes after the last call that uses it; until then its memory is kept for the other streams that use it."""
        m, last, makers = package.manifest, {}, {}
        for i, call in enumerate(m["schedule"]):
            for op in m["operators"][call["first"]:call["first"] + call["count"]]:
                for slot in run.slots_of(op):
                    if slot >= 0 and m["tensors"][slot]["storage"] >= 0 and not m["tensors"][slot].get("external"):
                        last[slot] = i
                        makers.setdefault(m["tensors"][slot]["storage"], i)
        freed = {slot: entry[1] for entry in log if entry[0] == "freed" for slot in entry[2]}
        self.assertEqual({slot: last[slot] for slot in freed}, freed)
        self.assertTrue(freed)
        others = {(m["tensors"][slot]["storage"], streams[i]) for i, call in enumerate(m["schedule"])
                  for op in m["operators"][call["first"]:call["first"] + call["count"]] for slot in run.slots_of(op)
                  if slot in last and streams[i] != streams[makers[m["tensors"][slot]["storage"]]]}
        kept = [entry[1] for entry in log if entry[0] == "keep"]
        self.assertEqual(sorted(stream for _, stream in others), sorted(kept))

    def check_last_iteration(self, log):
        first = max(i for i, entry in enumerate(log) if entry[:2] == ("call", 0))
        begin = max(i for i in range(first) if log[i][:2] == ("record", "main"))
        end = min(i for i in range(first, len(log)) if log[i][:2] == ("record", "main"))
        calls = [entry[1] for entry in log[begin:end] if entry[0] == "call"]
        self.assertEqual(list(range(len(calls))), calls)
        self.assertNotIn("call", [entry[0] for entry in log[end:]])
        self.assertEqual(set(calls), standin.happens_before(log[begin:])["end"])


def embedding(high):
    """A package of one embedding, whose indices reach up to a number."""
    m = samples.manifest()
    m.update(devices=["cuda:0"], substitutions=[], schemas=[
        "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False)"
        " -> Tensor"])
    m["schedule"] = [{"call": "f0", "first": 0, "count": 1}]
    m["operators"] = [{"node": 11, "schema": 0, "args": [{"t": [0]}, {"t": [1]}, {"v": -1}, {"v": False}, {"v": False}], "outs": [[2]]}]
    m["coverage"].update(selected_operators=1, replayed_operators=1)
    m["source"]["outermost_operators"] = 1
    del m["times"]
    m["storages"] = [{"bytes": 32, "device": 0, "init": samples.uniform()},
                     {"bytes": 24, "device": 0, "init": {"kind": "uniform", "dtype": "int64", "low": 0, "high": high}},
                     {"bytes": 24, "device": 0}]
    m["tensors"] = [{"storage": 0, "dtype": "float32", "shape": [4, 2], "strides": [2, 1], "external": True},
                    {"storage": 1, "dtype": "int64", "shape": [3], "strides": [1], "external": True},
                    {"storage": 2, "dtype": "float32", "shape": [3, 2], "strides": [2, 1]}]
    m["memory"] = {"external_bytes": 56, "peak_bytes": 80}
    return m, run.PROLOGUE + samples.FUNCTION.format("f0") + """\
    s = self.slots
    d = self.devices
    t0 = s[2]
    t1 = s[3]
    t2 = ops.aten.embedding(t0, t1, -1, False, False)
    s[1] = t2
    return None
""" + samples.FUNCTION.format("last") + "    return None\n"


if __name__ == "__main__":
    unittest.main()
