import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from scripts import ORIGINAL, FolderTest

SCRIPT = str(ORIGINAL / "start_ranks.py")


@unittest.skipUnless(sys.platform == "linux", "ends ranks as Linux can")
class StartRanksTests(FolderTest):
    def start(self, count, text):
        """Starts ranks that run a program, in a folder of their own; `here` is that folder."""
        program = "import os, pathlib, signal, subprocess, sys, time\nhere = pathlib.Path(sys.argv[1])\nrank = os.environ['RANK']\n" + text
        return subprocess.Popen([sys.executable, SCRIPT, str(count), "--", sys.executable, "-c", program, str(self.folder)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, count, seconds=20):
        """The process ids that ranks have written."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [path.read_text() for path in self.folder.glob("pid*")]
            if len(found) == count and all(found):
                return [int(text) for text in found]
            time.sleep(0.02)
        raise AssertionError("the ranks have not started")

    def assert_gone(self, pids, seconds=10):
        def is_alive(pid):
            try:
                return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
            except (FileNotFoundError, ProcessLookupError):
                return False
        deadline = time.monotonic() + seconds
        while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual([], [pid for pid in pids if is_alive(pid)])

    def test_each_rank_knows_its_number_and_where_they_meet(self):
        ranks = self.start(3, "names = 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'\n"
                              "os.write(1, (' '.join(os.environ[n] for n in names) + '\\n').encode())")  # In one piece.
        output, error = ranks.communicate(timeout=30)
        lines = sorted(line.split() for line in output.splitlines())
        self.assertEqual((0, "", [["0", "0", "3", "127.0.0.1"], ["1", "1", "3", "127.0.0.1"], ["2", "2", "3", "127.0.0.1"]]),
                         (ranks.returncode, error, [line[:4] for line in lines]))
        self.assertEqual(1, len({line[4] for line in lines}))

    def test_when_one_fails_the_others_end_and_its_exit_code_counts(self):
        ranks = self.start(3, "(here / f'pid{rank}').write_text(str(os.getpid()))\n"
                              "while len(list(here.glob('pid*'))) < 3: time.sleep(0.02)\n"
                              "if rank == '1': sys.exit(7)\n"
                              "time.sleep(60)")
        self.assertEqual(7, ranks.wait(timeout=30))
        self.assert_gone(self.wait_for(3))
        ranks.communicate()

    def test_a_rank_that_a_signal_ends_has_128_and_its_number(self):
        ranks = self.start(2, "os.kill(os.getpid(), signal.SIGKILL) if rank == '1' else time.sleep(60)")
        ranks.communicate(timeout=30)
        self.assertEqual(128 + signal.SIGKILL, ranks.returncode)

    def test_signals_go_to_all_ranks(self):
        ranks = self.start(2, "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))\n"
                              "(here / f'pid{rank}').write_text(str(os.getpid()))\n"
                              "time.sleep(60)")
        self.wait_for(2)
        ranks.send_signal(signal.SIGUSR1)
        ranks.communicate(timeout=30)
        self.assertEqual(0, ranks.returncode)

    def test_what_ranks_have_started_ends_with_them(self):
        ranks = self.start(2, "child = subprocess.Popen(['sleep', '60'])\n"
                              "(here / f'pid{rank}').write_text(str(child.pid))\n"
                              "while len(list(here.glob('pid*'))) < 2: time.sleep(0.02)\n"
                              "sys.exit(3 if rank == '0' else 0)")
        ranks.communicate(timeout=30)
        self.assertEqual(3, ranks.returncode)
        self.assert_gone(self.wait_for(2))

    def test_no_rank_outlives_a_starter_that_is_killed(self):
        ranks = self.start(2, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                              "(here / f'pid{rank}').write_text(str(os.getpid()))\n"
                              "time.sleep(60)")
        pids = self.wait_for(2)
        os.kill(ranks.pid, signal.SIGKILL)
        ranks.communicate(timeout=30)
        self.assert_gone(pids)

    def test_what_it_cannot_do_is_said(self):
        for arguments in ([], ["2"], ["0", "--", "true"], ["2", "true"]):
            done = subprocess.run([sys.executable, SCRIPT, *arguments], stderr=subprocess.PIPE, text=True)
            self.assertEqual((2, True), (done.returncode, done.stderr.startswith("usage")))
