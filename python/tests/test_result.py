import json
import os
import random
import statistics
import threading
import unittest

import samples
from scripts import FolderTest, printed, replaced, run


def package(m=None):
    made = type("Package", (), {"manifest": m or samples.manifest(), "name_of": lambda self, op: self.names[op["schema"]]})()
    made.names = [run.Schema.parse(text).name for text in made.manifest["schemas"]]
    return made


def result_of(m=None, missing=None, substituted=None, samples_ns=(3000, 1000, 2000), pacer=None, non_finite=None, allocated=5, system=None,
              info=()):
    engine = type("Engine", (), {})()
    engine.package, engine.pacer, engine.program, engine.rank_calls = package(m), pacer, None, {}
    engine.info = lambda: {"name": "python", "device": "cpu", "threads": 2, "versions": {"torch": "9.9"}, **dict(info)}
    options = run.parse(["p", "--iterations", "3", "--warmup", "1"])
    measured = {"samplesNs": list(samples_ns), "peakBytes": 900, "cpuTimeNs": 9000, "device": None, "system": system}
    verification = {"status": "exact", "expected_operators": 4, "exact_operators": 4, "unobserved_kernels": 0,
                    "strides_compared": True, "differences": []}
    return run.result_of(engine, options, measured, 400, allocated, [], verification, missing or {}, substituted or {}, non_finite)


class PercentileTests(unittest.TestCase):
    def test_any_percentile_is_that_of_statistics(self):
        source = random.Random(10)
        for _ in range(100):
            values = [source.randint(0, 10 ** 9) for _ in range(source.randint(2, 50))]
            quantiles = statistics.quantiles(values, n=100, method="inclusive")
            for percent in (1, 5, 50, 95, 99):
                self.assertAlmostEqual(quantiles[percent - 1], run.percentile(values, percent), delta=1e-3)

    def test_one_sample_is_every_percentile(self):
        self.assertEqual([7, 7, 7], [run.percentile([7], percent) for percent in (5, 50, 95)])


class DocumentTests(unittest.TestCase):
    def test_the_fields_are_those_of_the_format(self):
        self.assertEqual(["format", "format_version", "source", "engine", "program", "host", "options", "coverage", "iterations",
                          "cpu_time_ns", "memory", "operators", "verification", "reference"], list(result_of()))

    def test_times_are_of_the_samples_and_in_their_order(self):
        times = result_of()["iterations"]
        self.assertEqual({"count": 3, "median_ns": 2000, "mean_ns": 2000, "p5_ns": 1100, "p95_ns": 2900, "samples_ns": [3000, 1000, 2000]},
                         times)
        self.assertEqual(3000, result_of()["cpu_time_ns"])

    def test_memory_is_what_is_beyond_the_baseline(self):
        self.assertEqual({"baseline_bytes": 400, "peak_bytes": 900, "used_bytes": 500, "planned_peak_bytes": 96, "allocated_bytes": 5},
                         result_of()["memory"])
        self.assertNotIn("allocated_bytes", result_of(allocated=None)["memory"])

    def test_all_of_the_sample_is_replayed(self):
        coverage = result_of()["coverage"]
        self.assertEqual((4, 4, 1, []), tuple(coverage[k] for k in
                                              ("selected_operators", "planned_operators", "planned_share", "replaced")))

    def test_operators_that_do_not_run_here_are_no_longer_replayed(self):
        coverage = result_of(missing={1: "no"}, substituted={0: ("aten::sub", "failed")})["coverage"]
        self.assertEqual((2, 1, 1, 0.5), tuple(coverage[k] for k in
                                               ("planned_operators", "substituted_operators", "stand_ins", "planned_share")))
        self.assertEqual([("aten::add.Tensor", "substitute", "aten::sub", "failed"), ("aten::gelu", "stand_in", "", "no")],
                         [(r["operator"], r["remedy"], r["by"], r["reason"]) for r in coverage["replaced"]])

    def test_what_nobody_saw_has_no_share(self):
        self.assertNotIn("share", result_of()["coverage"])

    def test_shares_are_of_what_the_observer_saw(self):
        classes = {"exact": 1, "other_implementation": 1, "targets_own": 0, "variant": 1, "different": 0, "substituted": 1, "stand_in": 0,
                   "missing": 0, "unplanned": 1}
        self.assertEqual({"recorded_operators": 1, "share": 0.2, "work_share": 0.6}, run.verified(classes, 4))
        self.assertEqual(0.999999, run.verified({**classes, "time_share": 1 - 1e-9}, 4)["time_share"])

    def test_operators_beside_the_trace_s_are_not_counted(self):
        m = samples.manifest()
        m["operators"][2]["role"] = "added"
        m["coverage"].update(selected_operators=3, replayed_operators=3, added_operators=1)
        self.assertEqual([], result_of(m, missing={2: "no"})["coverage"]["replaced"])

    def test_equal_replacements_are_one_entry(self):
        m = samples.manifest()
        row = {"operator": "x::y", "remedy": "missing", "reason": "why"}
        m["replaced"] = [dict(row, node=20), dict(row, node=21), dict(row, node=22, reason="other")]
        self.assertEqual([2, 1], [r["count"] for r in result_of(m)["coverage"]["replaced"]])

    def test_nothing_selected_has_no_share(self):
        m = samples.manifest()
        m["coverage"]["selected_operators"] = 0
        self.assertEqual(0, result_of(m)["coverage"]["planned_share"])

    def test_inputs_that_stand_in_for_computed_ones_are_counted(self):
        m = samples.manifest()
        m["operators"][0]["args"][0]["p"] = m["operators"][3]["args"][1]["p"] = True
        self.assertEqual(2, result_of(m)["coverage"]["prepared_inputs"])

    def test_what_is_not_known_is_not_there(self):
        m = samples.manifest()
        del m["times"]
        result = result_of(m)
        for field in ("reference", "baseline", "pace", "non_finite", "system"):
            self.assertNotIn(field, result)

    def test_the_original_s_measurements_are_handed_on(self):
        m = dict(samples.manifest(), baseline={"rank": 3})
        self.assertEqual({"rank": 3}, result_of(m)["baseline"])
        self.assertEqual({"source": "a.kineto.json", "iteration_ns": 4000, "recorded_ns": 5000, "linked_operators": 4,
                          "unlinked_operators": 0, "device_ns": 0, "unexplained_ns": 0}, result_of(m)["reference"])

    def test_what_was_set_and_what_the_target_is_not_are_told(self):
        told = {"settings": {"cudnn_benchmark": "true"}, "notes": ["the trace ran on cuda, this replay on xpu"]}
        engine = result_of(info=told)["engine"]
        self.assertEqual(told, {name: engine[name] for name in told})
        self.assertFalse({"settings", "notes"} & set(result_of(info={"settings": {}, "notes": []})["engine"]))

    def test_pace_and_values_have_the_names_of_the_format(self):
        pacer = run.Pacer([0, 5], [0, 5], 10)
        result = result_of(pacer=pacer, non_finite=[(1, "it makes NaN of numbers")])
        self.assertEqual({"waits": 0, "waited_ns": 0, "late": 0, "worst_late_ns": 0}, result["pace"])
        self.assertEqual([{"node": 12, "operator": "aten::gelu", "what": "it makes NaN of numbers"}], result["non_finite"])

    def test_the_document_is_json(self):
        result = result_of(missing={1: "no"}, system={"duration_ns": 1})
        self.assertEqual(result, json.loads(json.dumps(result)))


class KindTests(unittest.TestCase):
    def kinds(self, m=None, times=(10, 40, 20, 30.6)):
        return {kind["name"]: kind for kind in run.kinds_of(package(m), times)}

    def test_the_longest_kind_comes_first(self):
        self.assertEqual(["aten::gelu", "aten::add_.Tensor", "aten::zeros", "aten::add.Tensor"], list(self.kinds()))

    def test_times_and_counts_are_summed_by_kind(self):
        m = samples.manifest()
        m["operators"].append(m["operators"][1])
        kind = self.kinds(m, (10, 40, 20, 30, 5.4))["aten::gelu"]
        self.assertEqual((2, 45), (kind["count"], kind["time_ns"]))

    def test_the_original_s_times_are_beside(self):
        kind = self.kinds()["aten::add_.Tensor"]
        self.assertEqual((31, 1, 900), (kind["time_ns"], kind["original_count"], kind["original_ns"]))

    def test_memory_counts_for_the_operator_that_makes_the_storage(self):
        self.assertEqual({"aten::gelu": 24, "aten::add_.Tensor": 0, "aten::zeros": 24, "aten::add.Tensor": 24},
                         {name: kind["allocated_bytes"] for name, kind in self.kinds().items()})

    def test_a_kind_that_the_replay_lacks_has_no_count(self):
        m = samples.manifest()
        m["replaced"] = [{"node": 99, "operator": "x::y", "remedy": "missing", "reason": "why"}]
        self.assertEqual({"name": "x::y", "count": 0, "time_ns": 0, "allocated_bytes": 0, "original_count": 1}, self.kinds(m)["x::y"])

    def test_what_nobody_saw_has_no_share(self):
        self.assertNotIn("share", result_of()["coverage"])

    def test_shares_are_of_what_the_observer_saw(self):
        classes = {"exact": 1, "other_implementation": 1, "targets_own": 0, "variant": 1, "different": 0, "substituted": 1, "stand_in": 0,
                   "missing": 0, "unplanned": 1}
        self.assertEqual({"recorded_operators": 1, "share": 0.2, "work_share": 0.6}, run.verified(classes, 4))
        self.assertEqual(0.999999, run.verified({**classes, "time_share": 1 - 1e-9}, 4)["time_share"])

    def test_operators_beside_the_trace_s_are_told_apart(self):
        m = samples.manifest()
        m["operators"][2]["role"] = "added"
        kind = self.kinds(m)["aten::zeros"]
        self.assertEqual((1, 1, 0), (kind["count"], kind["added_count"], kind["original_count"]))


class OutputTests(FolderTest):
    def test_a_file_is_written_as_a_whole(self):
        path = self.folder / "r.json"
        run.write_json(str(path), {"a": "ä"})
        self.assertEqual('{\n  "a": "ä"\n}\n', path.read_text(encoding="utf-8"))
        self.assertEqual(["r.json"], os.listdir(self.folder))

    def test_what_fails_leaves_the_old_file(self):
        path = self.folder / "r.json"
        path.write_text("old", encoding="utf-8")
        with self.assertRaises(ZeroDivisionError):
            with run.staged(str(path)) as staging:
                with open(staging, "w", encoding="utf-8") as file:
                    file.write("half")
                1 / 0
        self.assertEqual("old", path.read_text(encoding="utf-8"))
        self.assertEqual(["r.json"], os.listdir(self.folder))

    def test_the_rights_of_a_file_stay(self):
        path = self.folder / "r.json"
        path.write_text("old", encoding="utf-8")
        path.chmod(0o640)
        run.write_json(str(path), {})
        self.assertEqual(0o640, path.stat().st_mode & 0o777)

    def test_a_pipe_is_written_to_and_not_replaced(self):
        path = self.folder / "pipe"
        os.mkfifo(path)
        read = []
        thread = threading.Thread(target=lambda: read.append(path.read_text(encoding="utf-8")))
        thread.start()
        run.write_json(str(path), {"a": 1})
        thread.join(10)
        self.assertEqual([{"a": 1}], [json.loads(text) for text in read])
        self.assertTrue(path.is_fifo())

    def test_a_folder_that_is_not_there_is_a_problem_of_the_output(self):
        with self.assertRaisesRegex(run.Problem, "MYS305"):
            run.write_json(str(self.folder / "none" / "r.json"), {})

    def test_standard_output_is_ascii(self):
        with printed() as text:
            run.write_json("-", {"a": "ä\u202e"})
        self.assertTrue(text.getvalue().isascii())

    def test_the_table_has_no_character_that_a_terminal_obeys(self):
        m = samples.manifest()
        m["source"]["notes"] = ["\x1b[2J\u202enote"]
        with printed() as text:
            run.print_result(result_of(m, missing={1: "a\nb"}), "fell back")
        self.assertIn("\\x1b[2J\\u202enote", text.getvalue())
        self.assertIn("aten::gelu (1): stand-in; a\\x0ab", text.getvalue())
        self.assertTrue(all(line.isprintable() for line in text.getvalue().splitlines()))

    def test_what_a_time_leaves_out_stands_beside_it(self):
        for form, device_ns, unexplained_ns, words in (
                ("torchscript", 0, 0, ""), ("torchscript", 1000, 4, ""),
                ("eager", 0, 0, "; operator by operator: Python's own time is in it"),
                ("torchscript", 1000, 500, "; without 50.0% of the original's time on the device, which no operator started")):
            m = samples.manifest()
            m["times"].update(device_ns=device_ns, unexplained_ns=unexplained_ns)
            with printed() as text:
                result = result_of(m)
                run.print_result(dict(result, program=dict(result["program"], form=form)), "")
            self.assertEqual(f"{'iteration time, median:':32}0.002 ms{words}", text.getvalue().splitlines()[0])

    def test_each_state_of_the_verification_has_its_words(self):
        result = result_of()
        for changes, words in (({}, "exact: 4 operators"), ({"status": "different", "exact_operators": 3}, "3 of 4 exact"),
                               ({"status": "not_run"}, "not run"), ({"status": "not_run", "reason": "no observer"}, "no observer"),
                               ({"strides_compared": False}, "exact: 4 operators (strides not recorded)"),
                               ({"unobserved_kernels": 2},
                                "exact: 4 operators; 2 compiled kernels were launched, which no observer sees")):
            with printed() as text:
                run.print_result(dict(result, verification=dict(result["verification"], **changes)), "")
            line = [line for line in text.getvalue().splitlines() if line.startswith("verification")]
            self.assertEqual([f"{'verification:':32}{words}"], line)


class HeadTests(unittest.TestCase):
    def test_any_text_is_printed_on_one_line_and_plain_text_as_it_is(self):
        source = random.Random(11)
        self.assertEqual("plain ä 漢 text", run.printable("plain ä 漢 text"))
        for _ in range(500):
            codes = [source.choice([source.randrange(0x300), source.randrange(0x2000, 0x2100), 0xFEFF, 0xD800]) for _ in range(20)]
            text = "".join(map(chr, codes))
            self.assertFalse([c for c in run.printable(text) if ord(c) < 32 or c in "\x7f\x85\u2028\u2029\u202e\ufeff\ud800"], ascii(text))

    def test_a_problem_says_what_where_and_what_helps(self):
        problem = run.Problem("MYS999", "what", "where\n", "fix", 5)
        self.assertEqual("MYS999: what\n  where: where\\x0a\n  fix: fix", str(problem))
        self.assertEqual((["MYS999", "what", "where\\x0a", "fix"], 5), (problem.parts, problem.exit_code))

    def test_the_first_line_of_an_error_is_its_message_or_its_type(self):
        self.assertEqual("a", run.first_line(ValueError(" a\nb")))
        self.assertEqual("ValueError", run.first_line(ValueError("")))

    def test_an_old_pytorch_and_none_are_named(self):
        for version, is_new_enough in (("1.12.1", False), ("1.13.0a0", True), ("2.0", True), ("1.9", False), ("10.1+cu12", True)):
            with replaced(run, torch=type("torch", (), {"__version__": version})):
                if is_new_enough:
                    run.need_torch()
                else:
                    self.assertRaisesRegex(run.Problem, f"MYS421: PyTorch {version} is too old", run.need_torch)
        with replaced(run, torch=None, torch_error=ImportError("no libgomp\nmore")):
            self.assertRaisesRegex(run.Problem, "MYS409.*no usable PyTorch: no libgomp\n", run.need_torch)

    def test_options_have_their_defaults_and_least_values(self):
        options = run.parse(["p"])
        self.assertEqual((None, None, 0, 1), (options.iterations, options.warmup, options.threads, options.seed))
        self.assertEqual(("none", False, False), (options.pace, options.eager, options.allow_trace_code))
        for arguments in (["--iterations", "0"], ["--warmup", "-1"], ["--seed", "-1"], ["--pace", "fast"], ["--iterations", "1.5"]):
            with printed(), self.assertRaises(SystemExit) as caught:
                run.parse(arguments)
            self.assertEqual(2, caught.exception.code)
