import json
import os
import random
import sys
import unittest

import jobs
from scripts import FolderTest, TorchTest, needs_torch, printed, replaced, run


def problem_of(test, call, *given):
    with test.assertRaises(run.Problem) as raised:
        call(*given)
    return raised.exception.parts[0], raised.exception.exit_code


class RuleTests(FolderTest):
    def job(self, document):
        (self.folder / "job.json").write_text(json.dumps(document), encoding="utf-8")
        return run.Job(str(self.folder))

    def document(self):
        calls = {1: [{"node": 12, "group": 1, "root": 0, "input_splits": [1], "output_splits": [1], "duration_ns": 5}]}
        return jobs.document(2, [[0, 1], [1]], calls)

    def test_a_job_says_what_its_ranks_run(self):
        job = self.job(self.document())
        self.assertEqual(os.path.join(str(self.folder), "programs", "1"), job.package_of(1))
        self.assertEqual({(0, 12)}, set(job.differences_of(1)))
        self.assertEqual(("MYS433", 2), problem_of(self, job.package_of, 2))

    def test_what_breaks_a_rule_is_refused(self):
        def changed(change):
            document = self.document()
            change(document)
            return document

        changes = [
            lambda d: d.update(format="mystique-benchmark"), lambda d: d.update(format_version=2), lambda d: d.update(more=1),
            lambda d: d.update(world_size=0), lambda d: d.update(world_size=1), lambda d: d["groups"][0].update(ranks=[0, 0]),
            lambda d: d["groups"][0].update(ranks=[0, 2]), lambda d: d["groups"][0].update(ranks=[]),
            lambda d: d["ranks"][1].update(rank=0), lambda d: d["ranks"][1].update(rank=2), lambda d: d["ranks"][0].update(made_of=2),
            lambda d: d["ranks"][0].update(package="programs/../0"), lambda d: d["ranks"][0].update(package="programs/0\n"),
            lambda d: d["ranks"][0].update(package="/programs/0"), lambda d: d["ranks"][1]["calls"][0].update(group=2),
            lambda d: d["ranks"][0].update(calls=[{"node": 1, "group": 1}]), lambda d: d["ranks"][1]["calls"][0].update(root=1),
            lambda d: d["ranks"][1]["calls"][0].update(input_splits=[1, 2]), lambda d: d["ranks"][1]["calls"][0].update(output_splits=[-1]),
            lambda d: d["ranks"][1]["calls"].append({"node": 12}), lambda d: d["ranks"][1]["calls"][0].update(duration_ns=-1)]
        for i, change in enumerate(changes):
            with self.subTest(i=i):
                self.assertEqual(("MYS131", 2), problem_of(self, self.job, changed(change)))

    def test_any_damage_is_told_as_such(self):
        draw = random.Random(7)
        values = [None, True, -1, 0, 1, 2, 3, 1 << 70, 1.5, "", "programs/1", "a", [], [0], [[1]], {}, {"rank": 1}]

        def damage(value):
            if isinstance(value, dict) and value and draw.random() < 0.9:
                key = draw.choice(list(value))
                if draw.random() < 0.15:
                    del value[key]
                elif draw.random() < 0.1:
                    value["x" + key] = value[key]
                else:
                    value[key] = damage(value[key])
                return value
            if isinstance(value, list) and value and draw.random() < 0.9:
                at = draw.randrange(len(value))
                value[at] = damage(value[at])
                return value
            return draw.choice(values)

        for _ in range(2000):
            document = damage(self.document())
            try:
                self.job(document)
            except run.Problem as problem:
                self.assertEqual("MYS131", problem.parts[0])
        for text in (b"", b"\xff", b"[" * 100_000, b"null", b'{"a": NaN}'):
            (self.folder / "job.json").write_bytes(text)
            self.assertEqual(("MYS131", 2), problem_of(self, run.Job, str(self.folder)))

    def test_a_package_fits_its_job(self):
        for change in ({"group": 2}, {"group": 1}, {"root": 2}, {"input_splits": [1]}):
            with self.subTest(change=change):
                p = jobs.Plan()
                p.call("broadcast_", [[p.tensor(2, low=1)]], **{"root": 0, **change})
                package = type("Package", (), {"manifest": p.manifest()})
                job = self.job(self.document())
                self.assertEqual(("MYS131", 2), problem_of(self, job.check_package, package, 0))
        p = jobs.Plan()
        p.call("broadcast_", [[p.tensor(2, low=1)]])
        self.assertEqual(("MYS131", 2), problem_of(self, job.check_package, type("Package", (), {"manifest": p.manifest()}), 0))

    def test_only_the_table_s_calls_are_calls(self):
        p = jobs.Plan()
        p.call("barrier", [])
        m = p.manifest()
        m["schemas"][0] = "c10d::barrier(int a) -> ()"
        m["operators"][0]["args"] = [{"v": 1}]
        schemas = run.check_manifest(m)
        self.assertIn("no call between ranks", run.why_not_package(m, schemas))
        del p.operators[0]["collective"]["call"]
        m = p.manifest()
        self.assertIn("never run", run.why_not_package(m, run.check_manifest(m)))


class LaunchTests(unittest.TestCase):
    def launch(self, **environ):
        found = run.launch_of(environ)
        return found and tuple(found)

    def test_launchers_say_which_rank_this_is(self):
        self.assertIsNone(self.launch())
        self.assertEqual(("torchrun", 3, 4, 1, 2), self.launch(RANK="3", WORLD_SIZE="4", LOCAL_RANK="1", LOCAL_WORLD_SIZE="2"))
        slurm = {"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0"}
        self.assertEqual(("srun", 3, 8, 1, None), self.launch(**slurm))
        self.assertIsNone(self.launch(SLURM_PROCID="0", SLURM_NTASKS="8"))  # The script of a batch job.
        mpi = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
               "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}
        self.assertEqual(("mpirun", 1, 2, 1, 2), self.launch(**mpi))
        self.assertEqual(("mpirun", 1, 2, 1, 2), self.launch(**mpi, **slurm))  # Its daemons are the tasks that Slurm started.
        self.assertEqual(("torchrun", 0, 1, 0, None), self.launch(RANK="0", WORLD_SIZE="1", **mpi))
        self.assertEqual(("mpirun", 1, 2, 1, 2), self.launch(PMI_RANK="1", PMI_SIZE="2", MPI_LOCALRANKID="1", MPI_LOCALNRANKS="2", **slurm))
        self.assertEqual(("mpirun", 1, 2, 0, None), self.launch(PMI_RANK="1", PMI_SIZE="2"))
        self.assertIsNone(self.launch(RANK="x", WORLD_SIZE="2"))

    def test_where_ranks_meet(self):
        launch = run.Launch("torchrun", 0, 2, 0, 2)
        environ = {"MASTER_ADDR": "h", "MASTER_PORT": "7"}
        self.assertEqual(("h", 7, False), run.meeting_of(environ, launch))
        self.assertEqual(("h", 7, True), run.meeting_of({**environ, "TORCHELASTIC_USE_AGENT_STORE": "True"}, launch))
        slurm = {"SLURM_STEP_NODELIST": "n[07-09]", "SLURM_JOB_ID": "5", "SLURM_STEP_ID": "0", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}
        found = [run.meeting_of(slurm, run.Launch("srun", rank, 2, 0, None)) for rank in range(2)]
        self.assertEqual(("n07", found[1][1], False), found[0])
        self.assertTrue(15_000 <= found[0][1] < 30_000)
        self.assertNotEqual(found[0][1], run.meeting_of({**slurm, "SLURM_STEP_ID": "1"}, run.Launch("srun", 0, 2, 0, None))[1])
        here = run.meeting_of({"PMIX_NAMESPACE": "a"}, run.Launch("mpirun", 0, 2, 0, 2))
        self.assertEqual(("127.0.0.1", here[1], False), run.meeting_of({"PMIX_NAMESPACE": "a"}, run.Launch("mpirun", 1, 2, 1, 2)))
        self.assertEqual(("MYS432", 2), problem_of(self, run.meeting_of, {}, run.Launch("mpirun", 0, 4, 0, 2)))

    def test_slurm_s_lists_of_hosts(self):
        for text, hosts in (("a", ["a"]), ("a,b", ["a", "b"]), ("n[1-3,7]", ["n1", "n2", "n3", "n7"]), ("", []),
                            ("gpu-[08-10],x[1]-ib,y", ["gpu-08", "gpu-09", "gpu-10", "x1-ib", "y"])):
            self.assertEqual(hosts, run.hosts_of(text), text)

    def test_each_rank_has_outputs_of_its_own(self):
        for path, rank, expected in (("a.json", 3, "a.rank-3.json"), ("d/{rank}/a.json", 3, "d/3/a.json"), ("-", 0, "-"), ("-", 1, None),
                                     (None, 0, None), ("d.x/a", 1, "d.x/a.rank-1")):
            self.assertEqual(expected, run.path_of_rank(path, rank))

    @needs_torch
    def test_each_rank_of_a_host_has_a_device_of_its_own(self):
        launch = run.Launch("torchrun", 3, 4, 3, 4)
        module = type("Module", (), {"device_count": staticmethod(lambda: 2)})
        with replaced(run, _is_there=lambda torch, kind: kind == "cuda", _module_of=lambda torch, kind: module):
            self.assertEqual("cuda:1", run.device_of_rank("cuda", ["cpu"], launch))
            self.assertEqual("cuda:1", run.device_of_rank("", ["cpu", "cuda:0"], launch))
            for name, recorded, started in (("cuda:0", [], launch), ("cpu", ["cuda:0"], launch), ("", ["cpu"], launch), ("cuda", [], None)):
                self.assertEqual(name, run.device_of_rank(name, recorded, started))

    @needs_torch
    def test_nccl_shares_no_device(self):
        job = type("Job", (), {"world_size": 3, "differences_of": lambda self, rank: {}})()
        store = run.torch.distributed.HashStore() if hasattr(run.torch.distributed, "HashStore") else None
        others = [run.Ranks(job, rank, run.Launch("torchrun", rank, 3, rank, 3)) for rank in range(3)]
        for i, key in enumerate(("a", "b", "a")):
            store.set(f"device/{i}", key)
        with replaced(run.Ranks, wait_for_all=lambda self, name: None):
            others[1].meet(store, "nccl", "cuda:0", "b")
            others[0].meet(store, "gloo", "cuda:0", "a")
            with self.assertRaisesRegex(run.Problem, "MYS436: ranks share a device, which NCCL does not let them: the ranks 0, 2 have"):
                others[2].meet(store, "nccl", "cuda:0", "a")

    @needs_torch
    def test_a_backend_that_is_not_there_is_told(self):
        cpu = run.torch.device("cpu")
        self.assertEqual("gloo", run.backend_of("", cpu))
        for name in ("smoke", "cpu:gloo,cuda:smoke", "nccl"):
            self.assertEqual(("MYS435", 2), problem_of(self, run.backend_of, name, cpu))


@needs_torch
class AloneTests(TorchTest):
    """A rank without the others, in this process."""

    def run_alone(self, *options, plans=None, environ=None):
        from test_calls import every_call
        folder = jobs.write_job(self.folder / "job", plans or [every_call(rank)[0] for rank in range(2)])
        arguments = ["run.py", str(folder), "--iterations", "2", "--warmup", "1", "--threads", "1", "--device", "cpu", "--json",
                     str(self.folder / "r.json"), *options]
        with replaced(sys, argv=arguments), replaced(run, give_way=lambda: None), replaced(run.os, environ=environ or {}), \
                printed() as text:
            code = run.main()
        self.text = text.getvalue()
        rank = next((options[i + 1] for i, option in enumerate(options) if option == "--rank"), "0")
        path = self.folder / f"r.rank-{rank}.json"
        return code, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def test_passes_over_its_tensors_stand_for_calls(self):
        for options in (["--rank", "1"], ["--rank", "0", "--eager", "--check-values"]):
            code, result = self.run_alone(*options)
            self.assertEqual(0, code, self.text)
            calls, classes = result["communication"], result["verification"]["classes"]
            self.assertEqual(("exact", [], 0), (result["verification"]["status"], result["verification"]["differences"], calls["real"]))
            self.assertEqual((calls["calls"], 2, "none"), (calls["local"], calls["world_size"], calls["backend"]))
            self.assertGreaterEqual(classes["substituted"], calls["calls"])

    def test_no_launcher_is_told(self):
        code, _ = self.run_alone()
        self.assertEqual(2, code)
        self.assertIn("MYS432", self.text)
        self.assertIn("torchrun", self.text)

    def test_another_number_of_ranks_is_told(self):
        code, _ = self.run_alone(environ={"RANK": "0", "WORLD_SIZE": "3"})
        self.assertEqual(2, code)
        self.assertIn("MYS433", self.text)
        self.assertEqual(2, self.run_alone("--rank", "7")[0])

    def test_a_job_of_one_rank_needs_no_launcher(self):
        p = jobs.Plan()
        p.call("allreduce_", [[p.tensor(2, low=1)]])
        self.assertEqual(0, self.run_alone(plans=[p])[0], self.text)

    def test_a_call_takes_as_long_as_an_emulation_says(self):
        p, q = jobs.Plan(0), jobs.Plan(1)
        for each in (p, q):
            x, y = each.tensor(2, low=1), each.tensor(2, low=1)
            first = each.call("allreduce_", [[x]], **{"async": True})
            each.call("allreduce_", [[y]], **{"async": True})  # Behind the first one.
            each.call("wait", [[x]], waits_for=first)
            each.call("wait", [[y]], waits_for=11)
        path = self.folder / "e.json"
        path.write_text(json.dumps({"calls": {"10": {"ns": 30_000_000}, "11": {"ns": 20_000_000}}, "present": [0]}), encoding="utf-8")
        code, result = self.run_alone("--rank", "0", "--emulation", str(path), plans=[p, q])
        self.assertEqual(0, code, self.text)
        self.assertEqual((2, 0, 2), tuple(result["communication"][k] for k in ("local", "real", "emulated")))
        self.assertGreaterEqual(result["iterations"]["median_ns"], 50_000_000)
        self.assertGreaterEqual(result["communication"]["blocked_ns"], 49_000_000)
        self.assertLess(result["iterations"]["p5_ns"], 60_000_000)
        path.write_text("[]", encoding="utf-8")
        self.assertEqual(2, self.run_alone("--rank", "0", "--emulation", str(path))[0])
