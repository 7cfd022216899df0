import itertools
import json
import os
import subprocess
import sys
import unittest

import join
import samples
from scripts import FolderTest, TorchTest, needs_torch, printed, replaced, run

RELU = "aten::relu(Tensor self) -> Tensor"


def with_operator(schema, m=None):
    """The sample with another operator in the place of gelu, and the program that calls it."""
    m = m or samples.manifest()
    m["schemas"][1] = schema
    m["operators"][1]["args"] = m["operators"][1]["args"][:1]
    namespace, name = schema.split("(")[0].split(".")[0].split("::")
    return m, samples.CODE.replace("ops.aten.gelu(t2, approximate=\"tanh\")", f"ops.{namespace}.{name}(t2)")


@needs_torch
class RunTests(TorchTest):
    """run.py by hand, in this process."""

    def run_package(self, m=None, code=samples.CODE, *options):
        folder = samples.write(self.folder / "p", m, code)
        result = self.folder / "r.json"
        arguments = ["run.py", folder, "--iterations", "3", "--warmup", "1", "--threads", "1", "--json", str(result), *options]
        with replaced(sys, argv=arguments), replaced(run, give_way=lambda: None), printed() as text:
            self.exit_code = run.main()
        self.text = text.getvalue()
        return json.loads(result.read_text(encoding="utf-8")) if result.exists() else None

    def test_the_program_runs_as_torchscript_and_is_exact(self):
        result = self.run_package()
        self.assertEqual((0, "torchscript", "exact", 4), (self.exit_code, result["program"]["form"], result["verification"]["status"],
                                                          result["verification"]["exact_operators"]))
        self.assertEqual(3, len(result["iterations"]["samples_ns"]))
        self.assertTrue(result["verification"]["strides_compared"] or run.torch.__version__ < "2")
        self.assertIn("exact: 4 operators", self.text)

    def test_operator_by_operator_it_is_exact_too(self):
        result = self.run_package(None, samples.CODE, "--eager", "--check-values")
        self.assertEqual((0, "eager", "exact", []), (self.exit_code, result["program"]["form"], result["verification"]["status"],
                                                     result["non_finite"]))

    def test_memory_that_the_original_held_is_held(self):
        m = samples.manifest()
        m["storages"][2]["until"] = 3  # What add makes, used last by gelu, lives as long as the last operator.
        m["storages"][4]["until"] = 2  # What zeros makes lives until it is made again.
        held = samples.CODE.replace("    t3 = ops", "    s[4] = t2\n    t3 = ops").replace("    s[1] = t4", "    s[6] = t4").replace(
            "    s[5] = s[0]\n    return", "    s[5] = s[0]\n    s[4] = s[0]\n    return")
        for options in ((), ("--eager",)):
            result = self.run_package(m, held, *options)
            self.assertEqual((0, "exact"), (self.exit_code, result["verification"]["status"]), self.text)
        package = run.Package(samples.write(self.folder / "p", m, held))
        engine = run.Engine(package, "cpu", 1, 1, eager=True)
        engine.start()
        live = []
        for i in range(4):
            engine.program.run_one(i)
            live.append([slot for slot in (2, 3, 4) if engine.program.get(slot) is not None])
        self.assertEqual([[2], [2, 3], [2, 3, 4], [4]], live)
        engine.program.run_one(0)
        self.assertEqual([True, True], [engine.program.get(slot) is not None for slot in (2, 4)])

    def test_held_slots_are_the_last_made_ones_of_storages_that_outlive_their_use(self):
        m = samples.manifest()
        self.assertEqual({}, run.held_slots(m))
        for storage, until in ((0, 3), (2, 1), (3, 3), (4, 0)):  # External; its last use; its last use; of the next iteration.
            m["storages"][storage]["until"] = until
        self.assertEqual({4: 0}, run.held_slots(m))

    def test_both_ways_compute_the_same(self):
        package = run.Package(samples.write(self.folder / "p"))
        results = []
        for eager in (False, True):
            engine = run.Engine(package, "cpu", 1, 1, eager=eager)
            engine.start()
            engine.externals.restore(True)
            engine.run_all()
            results.append(engine.externals.memory[1].tolist())
        self.assertEqual(results[0], results[1])
        torch = run.torch
        expected = run.Externals(package, engine.devices, 1, lambda done, total: None)
        first, second = (expected.view(package.manifest["tensors"][i]) for i in (0, 1))
        second.add_(torch.nn.functional.gelu(first + second, approximate="tanh"), alpha=0.5)
        self.assertEqual(expected.memory[1].tolist(), results[0])

    def test_an_operator_that_this_pytorch_lacks_is_done_by_a_substitute(self):
        schema = "aten::no_such_operator(Tensor self) -> Tensor"
        m = samples.manifest()
        m["substitutions"] = [{"operator": "aten::no_such_operator",
                               "calls": [{"operator": "aten::neg", "results": ["x"], "args": [["", "self"]]},
                                         {"operator": "aten::relu", "results": ["out0"], "args": [["", "x"]]}]}]
        result = self.run_package(*with_operator(schema, m))
        self.assertEqual((0, "exact", 1, 0), (self.exit_code, result["verification"]["status"], result["coverage"]["substituted_operators"],
                                              result["coverage"]["stand_ins"]))
        self.assertEqual("aten::neg, aten::relu", result["coverage"]["replaced"][0]["by"])
        self.assertIn("does not have this operator", result["coverage"]["replaced"][0]["reason"])

    def test_an_operator_that_nothing_does_is_stood_in_for(self):
        result = self.run_package(*with_operator("aten::no_such_operator(Tensor self) -> Tensor"))
        self.assertEqual((0, 3, 1), (self.exit_code, result["coverage"]["planned_operators"], result["coverage"]["stand_ins"]))
        self.assertEqual("exact", result["verification"]["status"])

    def test_an_operator_that_fails_is_found_and_the_rest_runs(self):
        m, code = with_operator("aten::inverse(Tensor self) -> Tensor")  # Of a matrix that is not square.
        result = self.run_package(m, code)
        self.assertEqual((0, 1, "eager"), (self.exit_code, result["coverage"]["stand_ins"], result["program"]["form"]))
        self.assertIn("it failed: ", result["coverage"]["replaced"][0]["reason"])

    def test_rows_that_always_apply_replace_what_would_run(self):
        m = samples.manifest()
        m["substitutions"][0]["always"] = True
        result = self.run_package(m)
        self.assertEqual((1, "aten::relu"), (result["coverage"]["substituted_operators"], result["coverage"]["replaced"][0]["by"]))

    def test_a_guard_chooses_the_row(self):
        m = samples.manifest()
        m["substitutions"] = [dict(m["substitutions"][0], always=True, argument="approximate", **{"is": 7})]
        self.assertEqual(0, self.run_package(m)["coverage"]["substituted_operators"])

    def test_conditions_choose_the_row(self):
        def number(of, relation, value, **more):
            return dict(argument="self", of=of, relation=relation, number=value, **more)

        def dtype(relation, name):
            return {"argument": "self", "of": "dtype", "relation": relation, "dtype": name}

        base = samples.manifest()
        op = next(o for o in base["operators"] if base["schemas"][o["schema"]].startswith("aten::gelu"))
        shape = base["tensors"][op["args"][0]["t"][0]]["shape"]
        size, elements = shape[-1], run.math.prod(shape)
        for is_held, conditions in (
                (True, [dtype("=", "float32")]), (False, [dtype("!=", "float32")]), (False, [dtype("=", "int64")]),
                (True, [number("dim", "=", len(shape)), number("numel", ">=", elements)]), (False, [number("numel", ">", elements)]),
                (True, [number("size", "<=", size, dimension=-1)]), (False, [number("size", "<", size, dimension=len(shape) - 1)]),
                (False, [number("size", ">", -1, dimension=len(shape))]), (False, [number("value", "!=", 0)]),
                (False, [dtype("=", "float32"), number("dim", "=", 9)])):
            with self.subTest(conditions=conditions):
                m = samples.manifest()
                m["substitutions"] = [dict(m["substitutions"][0], always=True, conditions=conditions)]
                self.assertEqual(is_held, self.run_package(m)["coverage"]["substituted_operators"] == 1)

    def test_numbers_that_become_nan_are_found(self):
        m, code = with_operator("aten::log(Tensor self) -> Tensor")
        m["storages"][0]["init"] = m["storages"][1]["init"] = samples.uniform(-3, -2)
        result = self.run_package(m, code, "--check-values")
        self.assertEqual([{"node": 12, "operator": "aten::log", "what": "it makes NaN of numbers"}], result["non_finite"])

    def test_gradients_that_overflow_are_told(self):
        with replaced(run, overflows=lambda schema, op, slots: op["node"] == 12):
            result = self.run_package(None, samples.CODE, "--check-values")
        self.assertEqual([{"node": 12, "operator": "aten::gelu", "what": run.OVERFLOW}], result["non_finite"])

    def test_fresh_memory_may_hold_anything(self):
        m, code = with_operator("aten::empty_like(Tensor self) -> Tensor")
        calls = itertools.count()
        with replaced(run.torch, isnan=lambda value: run.torch.tensor([next(calls) > 0])):  # From the second operator on.
            found = self.run_package(m, code, "--check-values")["non_finite"]
        self.assertEqual(["aten::zeros"], [f["operator"] for f in found])  # Not what uses the fresh memory, either.

    def test_infinities_out_of_finite_numbers_are_found(self):
        m, code = with_operator("aten::reciprocal(Tensor self) -> Tensor")
        for storage in m["storages"][:2]:
            storage["init"] = {"kind": "constant", "dtype": "float32", "low": 0, "high": 0}
        self.assertEqual(["it makes infinities of finite numbers"],
                         [f["what"] for f in self.run_package(m, code, "--check-values")["non_finite"]])

    def test_the_pace_is_kept(self):
        m = samples.manifest()
        m["times"]["iteration_ns"] = 20_000_000
        result = self.run_package(m, samples.CODE, "--pace", "recorded")
        self.assertGreaterEqual(result["iterations"]["median_ns"], 19_900_000)
        self.assertGreater(result["pace"]["waited_ns"], 10_000_000)

    def test_a_profile_is_written(self):
        self.run_package(None, samples.CODE, "--profile", str(self.folder / "k.json"))
        self.assertIn("aten::gelu", (self.folder / "k.json").read_text(encoding="utf-8"))

    def test_an_output_in_the_place_of_the_package_is_refused(self):
        self.run_package(None, samples.CODE, "--profile", str(self.folder / "p" / "program.pt"))
        self.assertEqual(2, self.exit_code)
        self.assertIn("MYS305", self.text)
        self.assertIn("a file of the package itself", self.text)

    def test_a_device_that_is_not_there_is_named(self):
        self.run_package(None, samples.CODE, "--device", "cuda:77")
        self.assertEqual(2, self.exit_code)
        self.assertIn("MYS411: there is no device cuda:77", self.text)

    def test_memory_that_cannot_be_had_is_named_before_anything_is_made(self):
        m = samples.manifest()
        m["memory"]["peak_bytes"] = 1 << 49
        self.run_package(m)
        self.assertEqual(2, self.exit_code)
        self.assertIn("MYS403: the replay needs 562,950.0 GB", self.text)

    def test_a_library_that_is_not_there_is_named(self):
        self.run_package(None, samples.CODE, "--load-library", str(self.folder / "none.so"))
        self.assertIn("MYS408", self.text)

    def test_a_bug_is_a_message_and_not_a_stack(self):
        with replaced(run, run=lambda options: 1 / 0):
            self.run_package()
        self.assertEqual(1, self.exit_code)
        self.assertIn("MYS407: the replay failed: division by zero", self.text)


@needs_torch
class EngineTests(TorchTest):
    def test_threads_are_the_original_s_and_no_more_than_there_are(self):
        self.addCleanup(run.torch.set_num_threads, run.torch.get_num_threads())
        with replaced(run, processors=lambda: 3):
            for recorded, asked, expected in ((2, 0, 2), (64, 0, 3), (2, 5, 5), (None, 0, 3)):
                with self.subTest(recorded=recorded, asked=asked):
                    package = run.Package(samples.write(self.folder / "p"))
                    package.manifest["baseline"] = {"threads": {} if recorded is None else {"intra_op": recorded}}
                    engine = run.Engine(package, "cpu", asked)
                    self.assertEqual((expected, expected), (engine.threads, run.torch.get_num_threads()))

    def engine(self, m=None, device=""):
        return run.Engine(run.Package(samples.write(self.folder / "p", m)), device, 1)

    def test_too_little_memory_of_a_device_is_a_problem_of_its_own(self):
        engine = self.engine()
        self.assertIsNone(engine.memory_problem(RuntimeError("shape mismatch")))
        for text in ("CUDA out of memory. Tried", "you tried to allocate memory"):
            self.assertEqual("MYS412", engine.memory_problem(RuntimeError(text)).parts[0])

    def test_the_most_memory_at_one_time_is_that_of_the_plan(self):
        engine = self.engine()
        engine.start()
        self.assertEqual(engine.package.manifest["memory"]["peak_bytes"], engine.allocated_bytes(engine.profiled(engine.run_unpaced)))

    def test_iterations_start_from_the_same_state(self):
        engine = self.engine()
        engine.start()
        states = []
        before = engine.run_all
        engine.run_all = lambda: (states.append(engine.externals.memory[1].tolist()), before())
        with replaced(run, RESTORE_EVERY=1):
            engine.iterate(3)
        self.assertEqual(states[0], states[2])
        self.assertNotEqual(states[0], states[1])  # The floats of an iteration are those that the one before left.


@needs_torch
class WorkerTests(FolderTest):
    """run.py as a worker: requests and answers, lines of JSON."""

    def setUp(self):
        super().setUp()
        script = self.folder / "run.py"
        script.write_text(join.join("run.py"), encoding="utf-8")
        self.process = subprocess.Popen([sys.executable, "-B", str(script), "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end)

    def end(self):
        self.process.stdin.close()
        exit_code = self.process.wait(30)
        self.process.stdout.close()
        self.assertEqual(0, exit_code)

    def ask(self, command, **fields):
        self.process.stdin.write(json.dumps({"command": command, **fields}) + "\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer["kind"] != "progress":
                return answer

    def open(self, **fields):
        return self.ask("open", package=samples.write(self.folder / "p"), device="cpu", threads=1, seed=1, **fields)

    def test_a_session(self):
        self.assertEqual("python", self.open()["info"]["name"])
        schemas = self.ask("schemas", names=["aten::add.Tensor", "aten::no_such_operator"])["schemas"]
        self.assertEqual(["aten::add.Tensor"], list(schemas))
        self.assertGreaterEqual(self.ask("start")["baselineBytes"], 0)
        answer = self.ask("iterate", count=2)
        self.assertEqual((2, False), (len(answer["samplesNs"]), "pace" in answer))
        self.assertEqual("result", self.ask("pace")["kind"])
        self.assertIn("waits", self.ask("iterate", count=1)["pace"])
        self.assertEqual("result", self.ask("unpaced")["kind"])
        self.assertNotIn("pace", self.ask("iterate", count=1))
        self.assertEqual("result", self.ask("observe", path=str(self.folder / "t.json"))["kind"])
        package = run.Package(str(self.folder / "p"))
        self.assertEqual("exact", run.verify(package, str(self.folder / "t.json"), {}, {})["status"])
        self.assertEqual([], self.ask("probe")["failures"])
        self.assertEqual([], self.ask("check")["failures"])
        self.assertEqual(4, len(self.ask("profile", count=1)["operatorTimesNs"]))
        self.assertEqual("result", self.ask("kineto", path=str(self.folder / "k.json"), trace=str(self.folder / "t2.json"))["kind"])
        self.assertTrue(os.path.exists(self.folder / "k.json") and os.path.exists(self.folder / "t2.json"))

    def test_a_problem_is_told_with_its_parts(self):
        answer = self.ask("open", package=str(self.folder / "none"))
        self.assertEqual(("failure", "MYS306", 2), (answer["kind"], answer["problem"][0], answer["exitCode"]))

    def test_an_unknown_command_fails_and_the_session_goes_on(self):
        answer = self.ask("dance")
        self.assertEqual(("failure", "there is no command dance"), (answer["kind"], answer["error"]))
        self.assertEqual("result", self.open()["kind"])


@unittest.skipIf(os.name != "posix", "needs signals")
class ProcessTests(FolderTest):
    def test_without_pytorch_it_says_so(self):
        script = self.folder / "run.py"
        script.write_text(join.join("run.py"), encoding="utf-8")
        (self.folder / "torch.py").write_text("raise ImportError('no torch here')", encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(self.folder)})
        self.assertEqual((2, ""), (done.returncode, done.stdout))
        self.assertTrue(done.stderr.startswith("MYS409: this Python has no usable PyTorch: no torch here\n"), done.stderr)

    def test_help_needs_no_pytorch(self):
        script = self.folder / "run.py"
        script.write_text(join.join("run.py"), encoding="utf-8")
        (self.folder / "torch.py").write_text("raise ImportError('no torch here')", encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", str(script), "--help"], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(self.folder)})
        self.assertEqual(0, done.returncode)
        self.assertIn("--pace {none,recorded}", done.stdout)
