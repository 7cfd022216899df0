"""tests/Original/accept.py: the table of the acceptance, out of made figures and files; and what becomes of a step that fails."""
import fcntl
import json
import sys
import time
import types
import unittest

from scripts import FolderTest, printed

import accept
import accept_figures
import accept_table as table

ALL = {"attention": True, "scaler": True, "fp32_precision": True, "streams": True, "compile": True}
GPU = {"kind": "cuda", "built_for": {"cuda": "12.8"}, "has": ALL}
HOST = {"kind": "cpu", "built_for": {}, "has": ALL}
DONE = [{"variant": "gemm", "step": "capture", "exit_code": 0, "seconds": 1, "said": ""}]

# A variant that is as expected.
GOOD = {
    "job_exit": 0, "values_exit": 0, "job_recorded": True, "values_recorded": True, "values_missing": "none", "verification": "exact",
    "not_as_recorded": 0, "program": "torchscript", "non_finite": 0, "unpaced_error": -0.01, "paced_error": 0.02, "cupti_left": 0.001,
    "kernels": 40, "replay_kernels": 40, "other_kernels": 0, "waits": 1, "replay_waits": 3, "extra_waits": 2,
    "copies": {"Memcpy HtoD (Pinned -> Device)": 2},
    "replay_copies": {"Memcpy HtoD (Pinned -> Device)": 2}, "pinned_copies": 2, "device_error": 0.01, "overlap_error": 0.0,
    "peak_error": -0.04, "before_ms": 10.0, "unpaced_ms": 10.0, "framework_verification": "exact", "framework_error": 0.01,
    "framework_other_kernels": 0, "framework_peak_error": 0.01}

# By variant, figures that are not as expected.
BAD = [("gemm", "job_exit", 1), ("gemm", "values_exit", -6), ("gemm", "job_recorded", False), ("gemm", "values_recorded", False),
       ("attention", "values_missing", "not all values of tensors were noted: RuntimeError"), ("gemm", "verification", "different"),
       ("gemm", "verification", "not_run"), ("gemm", "not_as_recorded", 1), ("gemm", "program", "eager"), ("scaler", "non_finite", 3),
       ("gemm", "unpaced_error", 0.031), ("conv", "unpaced_error", -0.04), ("launch", "unpaced_error", 0.001),
       ("item", "paced_error", -0.05), ("gemm", "cupti_left", 0.03), ("gemm", "replay_kernels", 39),
       ("gemm", "other_kernels", 2), ("item", "extra_waits", 0),
       ("gemm", "replay_copies", {"Memcpy HtoD (Pageable -> Device)": 2}), ("pinned", "pinned_copies", 0), ("gemm", "device_error", 0.05),
       ("streams", "overlap_error", -0.2), ("gemm", "peak_error", 0.06), ("gemm", "paced_error", float("nan")),
       ("streams", "not_as_recorded", 0), ("gemm", "framework_verification", "different"), ("gemm", "framework_error", 0.08),
       ("gemm", "framework_other_kernels", 1), ("gemm", "framework_peak_error", -0.2)]


def judged(variant, facts=GPU, **figures):
    """The outcomes of a variant by figure, where it is as expected but for some figures."""
    good = {**GOOD, "not_as_recorded": 1} if variant == "streams" else GOOD
    rows = table.rows_of_variants({variant: {**good, **figures}}, [variant], facts)
    return {row["figure"]: row["outcome"] for row in rows}, rows


class TableTests(unittest.TestCase):
    def test_what_is_as_expected_is_accepted(self):
        for variant in table.VARIANTS:
            outcomes, rows = judged(variant, unpaced_error=-0.01)
            self.assertEqual([], [o for o in outcomes.values() if o in table.BAD], variant)
            self.assertTrue(table.is_accepted(rows, DONE))

    def test_each_figure_that_is_off_is_told_and_nothing_is_accepted(self):
        for variant, figure, value in BAD:
            with self.subTest(f"{variant} {figure}"):
                outcomes, rows = judged(variant, **{figure: value})
                self.assertEqual([figure], [f for f, outcome in outcomes.items() if outcome in table.BAD])
                self.assertFalse(table.is_accepted(rows, DONE))
                text = table.markdown({"accepted": False, "machine": {}, "rows": rows, "steps": DONE})
                self.assertRegex(text, rf"\| {variant} \| {figure} \| [^|]+ \| [^|]+ \| \*\*off\*\* \|")

    def test_each_rule_has_a_figure_that_breaks_it(self):
        self.assertEqual({rule.figure for rule in table.RULES}, {figure for _, figure, _ in BAD})

    def test_a_figure_that_nobody_saw_is_not_within(self):
        for figure in {rule.figure for rule in table.RULES if rule.is_for("gemm")}:
            with self.subTest(figure):
                figures = {name: value for name, value in GOOD.items() if name != figure}
                rows = table.rows_of_variants({"gemm": figures}, ["gemm"], GPU)
                self.assertEqual([table.NOT_SEEN], [r["outcome"] for r in rows if r["figure"] == figure])
                self.assertFalse(table.is_accepted(rows, DONE))

    def test_a_variant_without_any_result_is_not_accepted(self):
        rows = table.rows_of_variants({}, ["gemm"], GPU)
        self.assertEqual({table.NOT_SEEN}, {row["outcome"] for row in rows})

    def test_a_step_that_failed_is_never_accepted(self):
        _, rows = judged("gemm")
        failed = [{"variant": "gemm", "step": "replay", "exit_code": 3, "seconds": 1, "said": "MYS411: a | b"}]
        self.assertFalse(table.is_accepted(rows, DONE + failed))
        text = table.markdown({"accepted": False, "machine": {}, "rows": rows, "steps": DONE + failed})
        self.assertIn("1 of 2 steps failed", text)
        self.assertIn("| gemm: replay | 3 | MYS411: a \\| b |", text)

    def test_on_the_host_what_needs_an_accelerator_does_not_apply_and_never_passes(self):
        rows = table.rows_of_variants({v: GOOD for v in table.VARIANTS}, table.VARIANTS, HOST)
        for variant in set(table.VARIANTS) - set(table.ANYWHERE):
            self.assertEqual([(table.NOT_APPLICABLE, "needs an accelerator")],
                             [(r["outcome"], r["why"]) for r in rows if r["variant"] == variant])
        on_device = {rule.figure for rule in table.RULES if rule.on_device}
        self.assertEqual({table.NOT_APPLICABLE}, {r["outcome"] for r in rows if r["figure"] in on_device and r["outcome"] != table.TOLD})
        self.assertTrue(table.is_accepted(rows, DONE))
        none = table.rows_of_variants({}, ["streams"], HOST)
        self.assertFalse(table.is_accepted(none, DONE))  # Nothing was judged.

    def test_what_this_pytorch_lacks_is_told(self):
        lacking = {"kind": "cuda", "built_for": {"hip": "6.1"}, "has": dict.fromkeys(ALL, False)}
        for variant in ("tf32", "tf32_new", "attention", "scaler", "streams", "compile"):
            self.assertNotEqual("", table.why_not(variant, lacking))
            self.assertEqual("", table.why_not(variant, GPU))

    def test_tf32_must_gain_in_the_replay_what_it_gains_in_the_original(self):
        for unpaced, expected in ((5.0, table.WITHIN), (10.0, table.OFF)):
            figures = {"gemm": GOOD, "tf32": {**GOOD, "before_ms": 5.0, "unpaced_ms": unpaced}}
            rows = table.rows_of_variants(figures, ["gemm", "tf32"], GPU)
            self.assertEqual([expected], [r["outcome"] for r in rows if r["figure"] == "tf32_gain"])

    def test_a_wait_that_the_replay_lacks_is_seen_beside_gemm(self):
        for extra, expected in ((2, table.WITHIN), (1, table.OFF), (None, table.NOT_SEEN)):
            figures = {"gemm": GOOD, "endsync": {**GOOD, "extra_waits": extra}}
            rows = table.rows_of_variants(figures, ["gemm", "endsync"], GPU)
            self.assertEqual([expected], [r["outcome"] for r in rows if r["variant"] == "endsync and gemm"])

    def test_values_under_torch_compile_are_not_expected(self):
        outcomes, _ = judged("compile", values_missing="no values of tensors were noted: the job uses torch.compile")
        self.assertEqual(table.TOLD, outcomes["values_missing"])

    def test_checks(self):
        good = {"device": "cuda:0 (H100)", "named": "cuda:0", "long_run": 0.01, "eager_error": 0.02, "hook_cost": 0.005,
                "compare_verification": "exact", "compare_time": 0.04, "compare_peak": -0.01, "compare_kernels": 0.0}
        bad = {"device": "cpu", "long_run": -0.03, "eager_error": 0.05, "hook_cost": 0.02, "compare_verification": "different",
               "compare_time": 0.06, "compare_peak": 0.2, "compare_kernels": 0.1}
        for rule in table.CHECKS:
            with self.subTest(rule.figure):
                rows = table.rows_of_check("check", good, [rule.figure], GPU)
                self.assertEqual(table.WITHIN, rows[0]["outcome"])
                rows = table.rows_of_check("check", {**good, rule.figure: bad[rule.figure]}, [rule.figure], GPU)
                self.assertEqual(table.OFF, rows[0]["outcome"])
                self.assertEqual(table.NOT_SEEN, table.rows_of_check("check", {}, [rule.figure], GPU)[0]["outcome"])


def event(cat, name, ts, dur, **args):
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, "args": args}


class FiguresTests(FolderTest):
    """Figures out of files."""

    def profile(self, *events):
        path = self.folder / "k.json"
        path.write_text(json.dumps({"traceEvents": events}), encoding="utf-8")
        return accept_figures.Profile(str(path))

    def test_waits_are_those_of_the_iteration(self):
        step = event("user_annotation", "ProfilerStep#7", 100, 100)
        calls = [event("cuda_runtime", "cudaDeviceSynchronize", at, 1) for at in (50, 120, 190, 250)]
        operators = [event("cpu_op", "aten::mm", 110, 10), event("cpu_op", "aten::item", 118, 20)]
        mark = event("gpu_user_annotation", "ProfilerStep#7", 0, 1000)  # Its like on the device, which ends later.
        self.assertEqual(2, self.profile(mark, step, *calls, *operators).waits())
        self.assertEqual(4, self.profile(*calls, *operators).waits())

    def test_overlap_is_work_over_the_time_in_which_there_was_any(self):
        one = [event("kernel", "a", 0, 10), event("kernel", "b", 5, 10), event("gpu_memcpy", "c", 30, 5)]
        self.assertEqual((25 / 20, 0.025), (self.profile(*one).overlap(), self.profile(*one).device_ms()))
        self.assertIsNone(self.profile().overlap())

    def test_kernels_copies_and_peaks_are_compared(self):
        def memory(total, on_device=1):
            return {"name": "[memory]", "ph": "i", "args": {"Device Type": on_device, "Total Allocated": total}}
        copy = event("gpu_memcpy", "Memcpy HtoD (Pinned -> Device)", 20, 1)
        original = self.profile(event("kernel", "a", 0, 10), event("kernel", "b", 5, 10), copy, memory(100), memory(200), memory(999, 0))
        replay = self.profile(event("kernel", "a", 0, 10), event("kernel", "c", 5, 10), copy, memory(210))
        found = accept_figures.of_profiles(original, replay)
        self.assertEqual((2, 2, 2, 1), tuple(found[n] for n in ("kernels", "replay_kernels", "other_kernels", "pinned_copies")))
        self.assertEqual(found["copies"], found["replay_copies"])
        self.assertAlmostEqual(0.05, found["peak_error"])

    def test_a_folder_gives_the_figures_of_what_is_in_it(self):
        job = self.folder / "job"
        job.mkdir()
        (job / "capture.json").write_text(json.dumps({"exit_code": 0, "captured": True, "account": []}), encoding="utf-8")
        (job / "reference.json").write_text(json.dumps({"before": {"samples_ns": [2_000_000]}, "after": {"samples_ns": [2_200_000]}}),
                                            encoding="utf-8")
        (self.folder / "paced.json").write_text(json.dumps({"iterations": {"median_ns": 2_020_000}}), encoding="utf-8")
        (self.folder / "unpaced.json").write_text("{", encoding="utf-8")
        found = accept_figures.of_variant(str(self.folder))
        self.assertEqual({"job_exit": 0, "job_recorded": True, "before_ms": 2.0, "after_ms": 2.2, "paced_ms": 2.02},
                         {n: v for n, v in found.items() if n not in ("cupti_left", "paced_error")})
        self.assertEqual((0.1, 0.01), (round(found["cupti_left"], 6), round(found["paced_error"], 6)))

    def test_values_that_were_not_noted_are_a_figure(self):
        values = self.folder / "values"
        values.mkdir()
        for account, expected in (([], "none"), (["recorded", "not all values of tensors were noted: x"],
                                                 "not all values of tensors were noted: x")):
            (values / "capture.json").write_text(json.dumps({"exit_code": 0, "captured": True, "account": account}), encoding="utf-8")
            self.assertEqual(expected, accept_figures.of_captures(str(self.folder))["values_missing"])

    def test_a_long_run_is_judged_by_its_ends(self):
        path = self.folder / "long.json"
        path.write_text(json.dumps({"iterations": {"samples_ns": [100] * 30 + [50] * 10 + [110] * 20}}), encoding="utf-8")
        self.assertAlmostEqual(0.1, accept_figures.of_long_run(str(path))["long_run"])
        path.write_text(json.dumps({"iterations": {"samples_ns": [100] * 30}}), encoding="utf-8")
        self.assertEqual({}, accept_figures.of_long_run(str(path)))

    def test_the_hook_s_cost_is_its_share_of_an_iteration(self):
        (self.folder / "capture.json").write_text(json.dumps({"cost": {"untouched_ns": 20_000, "start_up_ns": 10 ** 6}}), encoding="utf-8")
        (self.folder / "reference.json").write_text(json.dumps({"before": {"samples_ns": [2_000_000]}}), encoding="utf-8")
        said = "| uninstrumented iteration of the captured job, median of 60 | 2.010 ms | +0.5 % |\n"
        self.assertEqual({"hook_cost": 0.01, "start_up_ms": 1.0, "between_runs": 0.005}, accept_figures.of_hook(str(self.folder), said))


class StepTests(FolderTest):
    """Steps are processes; one that fails is told, and the next ones go on."""

    def acceptance(self, **options):
        given = {"device": "cpu", "mystique": "true", "python": sys.executable, "timeout": 30, **options}
        return accept.Acceptance(types.SimpleNamespace(**given), str(self.folder))

    def test_a_step_that_fails_is_told_with_its_last_words(self):
        acceptance = self.acceptance()
        with printed() as told:
            acceptance.step("gemm", "replay", sys.executable, "-c", f"print('one'); print('in {self.folder}/x'); raise SystemExit(3)")
            acceptance.step("gemm", "next", sys.executable, "-c", "print('fine')")
            acceptance.step("gemm", "none", str(self.folder / "no-such-program"))
        self.assertEqual([3, 0, 127], [step["exit_code"] for step in acceptance.steps])
        self.assertEqual(["one / in WORK/x", "", "WORK/no-such-program cannot be started: No such file or directory"],
                         [step["said"] for step in acceptance.steps])
        self.assertIn("gemm: replay: FAILED (3): one / in WORK/x", told.getvalue())

    def test_a_step_that_takes_too_long_ends_with_all_that_it_started(self):
        acceptance, held = self.acceptance(timeout=2), self.folder / "held"
        child = f"import fcntl, time; file = open({str(held)!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX); time.sleep(60)"
        with printed():
            acceptance.step("gemm", "slow", sys.executable, "-c",
                            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
        self.assertEqual(124, acceptance.steps[0]["exit_code"])
        self.assertIn("stopped after 2 s", acceptance.steps[0]["said"])
        with open(held, "a", encoding="utf-8") as file:
            for left in reversed(range(100)):  # What was killed may end a little later.
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self.assertTrue(left, "the child still has the file")
                    time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
