import json
import subprocess
import sys
import unittest

from scripts import ORIGINAL, FolderTest, run

has_gloo = run.torch is not None and run.torch.distributed.is_available() and hasattr(run.torch.distributed, "ProcessGroupGloo")


@unittest.skipUnless(has_gloo and sys.platform == "linux", "needs a PyTorch with Gloo, and Linux")
class RankJobTests(FolderTest):
    def check(self, name, ranks=2):
        done = subprocess.run([sys.executable, str(ORIGINAL / "start_ranks.py"), str(ranks), "--", sys.executable,
                               str(ORIGINAL / "rank_jobs.py"), name, "--iterations", "2", "--times", str(self.folder)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))
        times = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("rank-*.json"))]
        self.assertEqual([(name, rank, ranks, 2) for rank in range(ranks)],
                         [(one["job"], one["rank"], one["world_size"], len(one["samples_ns"])) for one in times])

    def test_ddp(self):
        self.check("ddp")

    def test_sharded(self):
        self.check("sharded")

    def test_pipeline_of_three_stages(self):
        self.check("pipeline", 3)

    def test_uneven(self):
        self.check("uneven")

    def test_mesh(self):
        self.check("mesh", 4)

    def test_small(self):
        self.check("small")

    def test_barriers(self):
        self.check("barriers")
