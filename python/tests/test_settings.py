import os
import pathlib
import types
import unittest
import unittest.mock

import samples
import standin
from scripts import TorchTest, needs_torch, replaced, run


def pytorch(**more):
    """The parts of PyTorch 2.6 that settings are of."""
    state = {"precision": "highest"}
    return types.SimpleNamespace(
        __version__="2.99", state=state, get_float32_matmul_precision=lambda: state["precision"],
        set_float32_matmul_precision=lambda value: state.update(precision=value),
        are_deterministic_algorithms_enabled=lambda: False, get_default_dtype=lambda: "torch.float32",
        backends=types.SimpleNamespace(
            cudnn=types.SimpleNamespace(benchmark=False, allow_tf32=True, enabled=True, benchmark_limit=10),
            cuda=types.SimpleNamespace(matmul=types.SimpleNamespace(allow_tf32=False), **more)))


class NewPrecision:
    """torch.backends.cuda.matmul of PyTorch 2.9 and newer, where a job asked for precision the new way."""

    fp32_precision = "tf32"

    @property
    def allow_tf32(self):
        raise RuntimeError("mix of the legacy and new APIs\nmore")


class Words:
    """A part of a PyTorch that has all settings: each is False until it is set."""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        getters = {"set_float32_matmul_precision": "get_float32_matmul_precision", "use_deterministic_algorithms":
                   "are_deterministic_algorithms_enabled", "set_deterministic_debug_mode": "get_deterministic_debug_mode"}
        if name in getters or name.startswith("enable_"):
            getter = getters.get(name, name[len("enable_"):] + "_enabled")
            return lambda value: setattr(self, getter, lambda: value)
        if name.startswith(("get_", "are_")) or name.endswith("_enabled"):
            return lambda: False
        if name.startswith("preferred_"):
            return lambda *value: setattr(self, name, lambda *_: value[0]) if value else False
        return False


def pytorch_with_all():
    """The settings of PyTorch, whatever the version."""
    torch = Words()
    for path in ("backends.cuda.matmul", "backends.cudnn.conv", "backends.cudnn.rnn", "backends.mkldnn.matmul", "utils.deterministic"):
        owner = torch
        for part in path.split("."):
            if part not in vars(owner):
                setattr(owner, part, Words())
            owner = getattr(owner, part)
    torch.__version__ = "2.99"
    return torch


# What decides kernels, and is recorded and set wherever PyTorch has it.
DECIDING = (
    "deterministic", "deterministic_debug_mode", "fill_uninitialized_memory", "float32_matmul_precision", "matmul_allow_tf32",
    "matmul_allow_fp16_reduced_precision_reduction", "matmul_allow_bf16_reduced_precision_reduction", "matmul_allow_fp16_accumulation",
    "preferred_blas_library", "preferred_linalg_library", "flash_sdp", "mem_efficient_sdp", "math_sdp", "cudnn_sdp", "cudnn_enabled",
    "cudnn_benchmark", "cudnn_benchmark_limit", "cudnn_deterministic", "cudnn_allow_tf32")


class SettingsTests(unittest.TestCase):
    def test_each_that_decides_kernels_is_read_and_set(self):
        for name in (*DECIDING, "fp32_precision", "matmul_fp32_precision", "conv_fp32_precision", "rnn_fp32_precision"):
            with self.subTest(name):
                torch = pytorch_with_all()
                self.assertEqual(("false", []), (run._settings_of(torch)[0].get(name), run._settings_of(torch)[1]))
                self.assertEqual(({name: "true"}, []), run._apply_settings(torch, {name: "true"}, "cuda"))
                self.assertEqual("true", run._settings_of(torch)[0][name])

    def test_each_is_read_on_its_own_and_what_cannot_be_read_is_told(self):
        torch = pytorch()
        torch.backends.cuda.matmul = NewPrecision()
        settings, problems = run._settings_of(torch)
        names = "matmul_fp32_precision", "cudnn_benchmark", "cudnn_allow_tf32"
        self.assertEqual(("tf32", "false", "true"), tuple(settings[n] for n in names))
        self.assertNotIn("matmul_allow_tf32", settings)
        self.assertEqual(["the setting matmul_allow_tf32 cannot be read: RuntimeError: mix of the legacy and new APIs"], problems)

    def test_what_was_recorded_is_set_and_what_is_equal_left_alone(self):
        torch = pytorch()
        changed, notes = run._apply_settings(torch, {"cudnn_benchmark": "true", "cudnn_benchmark_limit": "0", "cudnn_enabled": "true",
                                                     "float32_matmul_precision": "high"}, "cuda")
        self.assertEqual({"cudnn_benchmark": "true", "cudnn_benchmark_limit": "0", "float32_matmul_precision": "high"}, changed)
        cudnn = torch.backends.cudnn
        self.assertEqual((True, 0, True, "high", []),
                         (cudnn.benchmark, cudnn.benchmark_limit, cudnn.enabled, torch.state["precision"], notes))

    def test_what_this_pytorch_does_not_know_is_a_note_unless_it_says_nothing(self):
        changed, notes = run._apply_settings(pytorch(), {"matmul_allow_fp16_accumulation": "true", "cudnn_sdp": "false"}, "cuda")
        self.assertEqual(({}, ["PyTorch 2.99 has no setting matmul_allow_fp16_accumulation, which was true"]), (changed, notes))

    def test_what_cannot_be_set_is_a_note(self):
        def refuse(value):
            raise RuntimeError("not built with it")
        torch = pytorch(preferred_blas_library=lambda *value: refuse(value) if value else "_BlasBackend.Cublas")
        notes = run._apply_settings(torch, {"preferred_blas_library": "cublaslt"}, "cuda")[1]
        self.assertEqual(["the setting preferred_blas_library cannot be cublaslt here: not built with it"], notes)

    def test_the_new_way_of_asking_for_precision_is_put_into_the_old_words(self):
        torch = pytorch()
        changed, notes = run._apply_settings(torch, {"matmul_fp32_precision": "tf32", "conv_fp32_precision": "ieee",
                                                     "cudnn_allow_tf32": "true"}, "cuda")
        self.assertEqual(({"matmul_allow_tf32": "true", "cudnn_allow_tf32": "false"}, []), (changed, notes))

    def test_where_both_ways_are_there_the_one_that_the_job_used_is_used(self):
        torch = pytorch()
        torch.backends.fp32_precision, torch.backends.cuda.matmul = "none", type("New", (NewPrecision,), {"fp32_precision": "ieee"})()
        recorded = {"matmul_allow_tf32": "false", "matmul_fp32_precision": "tf32"}
        self.assertEqual(({"matmul_fp32_precision": "tf32"}, []), run._apply_settings(torch, recorded, "cuda"))

    def test_what_is_cuda_s_alone_is_nothing_to_another_device(self):
        self.assertEqual(({}, []), run._apply_settings(pytorch(), {"cudnn_benchmark": "true", "default_dtype": "float64"}, "xpu"))


@needs_torch
class RecordedSettingsTests(TorchTest):
    """The manifest's settings, in this PyTorch."""

    def engine(self, **given):
        m = samples.manifest()
        m["settings"] = {"source": "capture", "values": {"float32_matmul_precision": "medium", "fill_uninitialized_memory": "false"}}
        return run.Engine(run.Package(samples.write(self.folder / "p", m)), "cpu", 1, **given)

    def test_they_are_set_before_anything_runs_and_told(self):
        self.addCleanup(run.torch.set_float32_matmul_precision, run.torch.get_float32_matmul_precision())
        engine = self.engine()
        self.assertEqual("medium", run.torch.get_float32_matmul_precision())
        self.assertEqual("medium", engine.info()["settings"]["float32_matmul_precision"])

    def test_the_target_s_own_are_kept_where_that_is_asked_for(self):
        before = run.torch.get_float32_matmul_precision()
        self.assertEqual(({}, before), (self.engine(flags="target").settings, run.torch.get_float32_matmul_precision()))

    def test_tf32_is_as_it_was_asked_for_whatever_was_recorded(self):
        matmul, cudnn = run.torch.backends.cuda.matmul, run.torch.backends.cudnn
        self.addCleanup(setattr, matmul, "allow_tf32", matmul.allow_tf32)
        self.addCleanup(setattr, cudnn, "allow_tf32", cudnn.allow_tf32)
        self.addCleanup(run.torch.set_float32_matmul_precision, run.torch.get_float32_matmul_precision())
        applied = []
        with replaced(run, _apply_settings=lambda torch, settings, kind: (applied.append(settings), ({}, []))[1]):
            self.engine(tf32="on")
            self.engine(flags="target", tf32="off")
        self.assertEqual([{"fill_uninitialized_memory": "false", "matmul_allow_tf32": "true", "cudnn_allow_tf32": "true"},
                          {"matmul_allow_tf32": "false", "cudnn_allow_tf32": "false"}], applied)

    def test_an_environment_that_differs_is_told_on_an_accelerator(self):
        m = samples.manifest()
        m["devices"] = ["cuda:0"]
        m["operators"][2]["args"][3] = {"v": {"device": "cuda:0"}}
        with unittest.mock.patch.dict(os.environ, {"CUDA_MODULE_LOADING": "EAGER"}), standin.installed(standin.Device()):
            os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
            package = run.Package(samples.write(self.folder / "p", m))
            package.manifest["baseline"] = {"environment": {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "LD_PRELOAD": "x.so"}}
            notes = run.Engine(package, "", 1).notes
            self.assertEqual(["CUDA_DEVICE_MAX_CONNECTIONS was 1, and is not set here",
                              "CUDA_MODULE_LOADING was not set, and is EAGER here"], notes)
            self.assertEqual([], run.Engine(package, "cpu", 1).notes[1:])  # The first is the other device.
            self.assertNotIn("CUDA_DEVICE_MAX_CONNECTIONS", os.environ)

    def test_all_that_this_pytorch_tells_are_texts(self):
        settings, problems = run._settings_of(run.torch)
        self.assertEqual([], problems)
        self.assertIn("cudnn_benchmark", settings)
        self.assertTrue(all(isinstance(value, str) and value == value.lower() for value in settings.values()))

    def test_what_is_told_can_be_set_again(self):
        settings, _ = run._settings_of(run.torch)
        self.assertEqual({}, run._apply_settings(run.torch, settings, "cuda")[0])


@needs_torch
class PinTests(TorchTest):
    """What the user decides, whatever was recorded."""

    def test_attention_is_its_four_switches_and_other_names_are_their_own(self):
        self.assertEqual({"flash_sdp": "false", "mem_efficient_sdp": "false", "math_sdp": "true", "cudnn_sdp": "false",
                          "cudnn_benchmark": "true"}, run._pins_of(["attention=math", "cudnn_benchmark=true"]))
        for text in ("attention", "attention=fast", "=true", "a=b=c", "a="):
            with self.assertRaisesRegex(ValueError, "no NAME=VALUE"):
                run._pins_of([text])

    def test_a_pin_goes_before_what_was_recorded_and_before_the_target_s(self):
        before = run.torch._C._get_mkldnn_enabled()
        try:
            for flags in ("recorded", "target"):
                engine = self.engine(flags, {"mkldnn_enabled": str(not before).lower()})
                self.assertEqual((not before, str(not before).lower()),
                                 (run.torch._C._get_mkldnn_enabled(), engine.settings["mkldnn_enabled"]))
                run.torch._C._set_mkldnn_enabled(before)
        finally:
            run.torch._C._set_mkldnn_enabled(before)

    def test_a_name_that_is_none_is_refused(self):
        with self.assertRaises(run.Problem) as caught:
            self.engine("recorded", {"nothing": "1"})
        self.assertEqual(("MYS427", 2), (caught.exception.parts[0], caught.exception.exit_code))

    def engine(self, flags, pins):
        m = samples.manifest()
        m["settings"] = {"source": "capture", "values": {"mkldnn_enabled": str(run.torch._C._get_mkldnn_enabled()).lower()}}
        return run.Engine(run.Package(samples.write(self.folder / "pins", m)), threads=1, flags=flags, pins=pins)

    def test_each_setting_is_documented(self):
        page = (pathlib.Path(__file__).parents[2] / "docs" / "hosts.md").read_text(encoding="utf-8")
        self.assertEqual([], [name for name in run._SWITCHES if f"`{name}`" not in page])


class KernelTests(unittest.TestCase):
    """How a kernel of torch.compile is launched."""

    def launch(self, run_it, *arguments):
        compiled = types.SimpleNamespace(run=run_it)
        modules = {"torch._inductor": types.ModuleType("i"), "torch._inductor.async_compile": types.ModuleType("a")}
        modules["torch._inductor.async_compile"].AsyncCompile = lambda: types.SimpleNamespace(triton=lambda *a, **k: compiled)
        heuristics = types.SimpleNamespace(grid=lambda *sizes: ("grid", sizes), split_scan_grid=lambda *sizes: ("split", sizes))
        modules["torch._inductor.runtime"] = types.SimpleNamespace(triton_heuristics=heuristics)
        torch = types.SimpleNamespace(_C=types.SimpleNamespace(_xpu_getCurrentRawStream=lambda index: ("xpu", index)))
        device = types.SimpleNamespace(type="xpu", index=1)
        with unittest.mock.patch.dict("sys.modules", modules), replaced(run, torch=torch):
            run.compile_kernel(b"source", "triton_red_fused", device)(*arguments)

    def test_the_recorded_grid_is_used_and_not_the_sizes(self):
        launched = []

        def run_it(*values, grid, stream):
            launched.append((values, grid, stream))
        self.launch(run_it, 128, 1024, "grid(128,)")
        self.launch(run_it, 128, 1024, "split_scan_grid(128, 1024)")
        self.assertEqual([((128, 1024), ("grid", (128,)), ("xpu", 1)), ((128, 1024), ("split", (128, 1024)), ("xpu", 1))], launched)

    def test_a_newer_pytorch_works_the_grid_out(self):
        launched = []
        self.launch(lambda *values, stream, benchmark_run=False: launched.append((values, stream)), 128, 1024, "grid(128,)")
        self.assertEqual([((128, 1024), ("xpu", 1))], launched)

    def test_a_kernel_without_a_grid_that_can_be_made_is_not_launched(self):
        def run_it(*values, grid, stream):
            self.fail("it was launched")
        for text in ("", "grid(open('x'))", "<lambda>"):
            with self.assertRaisesRegex(RuntimeError, "its grid"):
                self.launch(run_it, 128, *([text] if text else []))

    def test_an_error_of_the_kernel_is_its_own(self):
        def run_it(*values, stream):
            raise TypeError("of the kernel itself")
        with self.assertRaisesRegex(TypeError, "of the kernel itself"):
            self.launch(run_it, 1)


if __name__ == "__main__":
    unittest.main()
