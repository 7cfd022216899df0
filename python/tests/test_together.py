import json
import os
import signal
import subprocess
import sys
import time

import jobs
from scripts import needs_torch
from test_calls import CallTest, needs_gloo


@needs_torch
@needs_gloo
class TogetherTests(CallTest):
    def plans(self, size=2):
        made = []
        for rank in range(size):
            p = jobs.Plan(rank)
            x = p.tensor(4, low=1)
            p.call("allreduce_", [[x]])
            p.call("barrier", [])
            made.append(p)
        return made

    def start(self, plans, *options, **more):
        folder = jobs.write_job(self.folder / "job", plans)
        return jobs.Started(folder, len(plans), "--iterations", "2", "--warmup", "0", "--status", str(folder / "status"), *options, **more)

    def test_of_a_job_some_ranks_stand_for_all(self):
        plans = []
        for rank in range(4):
            p = jobs.Plan(rank)
            x, y = p.tensor(2, low=rank + 1), p.tensor(2, low=rank + 1)
            p.call("allreduce_", [[x]])
            p.call("allreduce_", [[y]], group=1 if rank in (0, 2) else 2)
            plans.append(p)
        folder = jobs.write_job(self.folder / "job", plans, [[0, 1, 2, 3], [0, 2], [1, 3]])
        path = self.folder / "e.json"
        path.write_text(json.dumps({"calls": {"10": {"ns": 1_000_000}}, "present": [0, 2]}), encoding="utf-8")
        started = jobs.Started(folder, 2, "--emulation", str(path), "--iterations", "2", "--warmup", "0").finish()
        self.assertEqual([0, 0], started.codes, started.errors)
        for rank in (0, 2):
            calls = started.result(rank)["communication"]
            self.assertEqual((rank, 4, 2, 1, 1, 1), tuple(calls[k] for k in ("rank", "world_size", "present", "real", "local", "emulated")))
            self.assertEqual("exact", started.result(rank)["verification"]["status"])

    def test_a_profile_and_a_trace_are_of_one_iteration(self):
        self.run_job(self.plans(), "--profile", str(self.folder / "p-{rank}.json"), "--observe", str(self.folder / "t.json"))
        for rank in range(2):
            self.assertTrue((self.folder / f"p-{rank}.json").exists())
            trace = json.loads((self.folder / f"t.rank-{rank}.json").read_text(encoding="utf-8"))
            self.assertIn("c10d::allreduce_", [n["name"] for n in trace["nodes"]])

    def test_all_end_where_one_cannot_begin(self):
        plans = self.plans()
        folder = jobs.write_job(self.folder / "job", plans)
        (folder / "programs" / "1" / "program.pt").write_bytes(b"nothing")
        begin = time.monotonic()
        started = jobs.Started(folder, 2).finish(30)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual([1, 2], started.codes)
        self.assertIn("rank 1: MYS303", started.errors[1])
        self.assertRegex(started.errors[0], "rank 0: MYS434: the ranks cannot go on: another rank failed: rank 1: MYS303")

    def test_a_call_that_does_not_come_is_told_by_rank_and_node(self):
        plans = self.plans()
        plans[1].call("allreduce_", [[0]])  # The other one does not make it: the next iteration's stands for it, then nothing.
        plans[0].operators, plans[0].schemas = plans[0].operators[:1], plans[0].schemas[:1]
        started = self.start(plans, "--timeout", "3", "--no-verify", "--no-operators").finish(40)
        self.assertTrue(all(code not in (0, -signal.SIGKILL) for code in started.codes), started.codes)
        self.assertRegex("".join(started.errors), r"rank \d: MYS434: the ranks cannot go on: a call between ranks")
        self.assertRegex("".join(started.errors), r"rank \d, node \d+ \(\w+ in the group 0\), iteration \d+, gloo")

    def test_a_rank_that_is_killed_leaves_nobody(self):
        plans = self.plans()
        started = self.start(plans, "--timeout", "20", "--iterations", "10000000")
        time.sleep(6)
        started.processes[1].kill()
        started.finish(30)
        self.assertEqual([1, -signal.SIGKILL], started.codes)
        self.assertIn("rank 0: MYS434", started.errors[0])
        status = json.loads((started.folder / "status").read_text(encoding="utf-8"))
        self.assertEqual((0, "0"), (status["rank"], status["group"]))
        self.assertIn(status["kind"], ("all_reduce", "barrier"))

    def test_a_rank_in_a_call_ends_when_it_is_asked_to(self):
        plans = self.plans()
        started = self.start(plans, "--timeout", "60", "--iterations", "10000000")
        time.sleep(6)
        os.kill(started.processes[1].pid, signal.SIGSTOP)  # The other one waits for it, in its call.
        time.sleep(1)
        started.processes[0].terminate()
        self.assertEqual(128 + signal.SIGTERM, started.processes[0].wait(10))
        self.assertEqual(0, json.loads((started.folder / "status").read_text(encoding="utf-8"))["rank"])
        started.processes[1].kill()
        started.finish(10)

    def test_a_rank_ends_with_whoever_started_it(self):
        folder = jobs.write_job(self.folder / "job", self.plans())
        base = dict(os.environ, RANK="0", WORLD_SIZE="2", LOCAL_RANK="0", LOCAL_WORLD_SIZE="2")
        command = [sys.executable, str(folder / "run.py"), str(folder), "--store", str(folder / "s"), "--parent"]
        process = subprocess.Popen(command, env=base, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(4)  # It waits for a rank that nobody starts.
        self.assertIsNone(process.poll())
        process.stdin.close()
        self.assertEqual(1, process.wait(5))

    def test_ranks_meet_over_the_network_as_well(self):
        folder = jobs.write_job(self.folder / "job", self.plans())
        processes = []
        for rank in range(2):
            environ = {k: v for k, v in os.environ.items() if not k.startswith(("MASTER", "SLURM"))}
            environ.update(OMPI_COMM_WORLD_RANK=str(rank), OMPI_COMM_WORLD_SIZE="2", OMPI_COMM_WORLD_LOCAL_RANK=str(rank),
                           OMPI_COMM_WORLD_LOCAL_SIZE="2", PMIX_NAMESPACE=str(self.folder), OMP_NUM_THREADS="1")
            command = [sys.executable, str(folder / "run.py"), str(folder), "--iterations", "2", "--no-operators", "--device", "cpu"]
            processes.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        outputs = [process.communicate(timeout=40) for process in processes]
        self.assertEqual([0, 0], [process.returncode for process in processes], outputs)
        self.assertIn("on gloo with 2 ranks", outputs[0][0])
