import json
import os
import socket
import threading
import unittest
from unittest import mock

import faketorch
from scripts import FolderTest, hook


@unittest.skipUnless(hasattr(socket, "AF_UNIX"), "needs sockets of files")
class SteppedJobTests(FolderTest):
    """A job that is held, in a thread, and the test in the place of whoever measures it."""

    def setUp(self):
        super().setUp()
        self.path = str(self.folder / "job")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(10)
        self.torch, self.steps, self.exits = faketorch.make(), 0, []
        # The job ends as its process would. It is over before this is: see the order of cleanups.
        exit_patch = mock.patch.object(os, "_exit", self.end)
        exit_patch.start()
        self.addCleanup(exit_patch.stop)

    class End(Exception):
        """In the place of the end of a process."""

    def end(self, code):
        self.exits.append(code)
        raise self.End

    def start(self, skip=2, **settings):
        self.job = hook._SteppedJob(self.torch, {"socket": self.path, "skip": skip, **settings})
        self.addCleanup(self.job.iterations.stop)
        self.thread = threading.Thread(target=self.run_job, daemon=True)
        self.thread.start()
        self.addCleanup(self.join)
        self.link, _ = self.listener.accept()
        self.link.settimeout(10)
        self.addCleanup(self.link.close)
        self.answers = self.link.makefile("r", encoding="utf-8")
        self.addCleanup(self.answers.close)

    def join(self):
        self.thread.join(10)
        self.assertFalse(self.thread.is_alive())

    def run_job(self):
        optimizer = self.torch.optim.SGD()
        try:
            while self.steps < 1000:
                self.steps += 1
                optimizer.step()
        except self.End:
            pass

    def ask(self, count):
        self.link.sendall(f"{count}\n".encode())
        return json.loads(self.answers.readline())

    def test_it_is_held_after_the_skipped_iterations(self):
        self.start(skip=3)
        self.assertEqual("L", self.link.recv(1).decode())
        self.assertEqual(3, self.steps)

    def test_each_answer_has_as_many_times_as_were_asked_for_after_one_that_warms_up(self):
        self.start()
        self.link.recv(1)
        for count in (1, 3, 2):
            before = self.steps
            answer = self.ask(count)
            self.assertEqual(count, len(answer["samples_ns"]))
            self.assertTrue(all(t > 0 for t in answer["samples_ns"]))
            self.assertEqual(before + count + 1, self.steps)
            self.assertEqual(2, answer["threads"])

    def on_a_device(self):
        done = []
        self.torch.cuda = faketorch.namespace(
            is_initialized=lambda: True, synchronize=lambda: done.append("wait"), empty_cache=lambda: done.append("empty cache"),
            reset_peak_memory_stats=lambda: done.append("reset"), max_memory_allocated=lambda: 70, max_memory_reserved=lambda: 90)
        return done

    def test_the_device_s_peak_is_that_of_the_block(self):
        done = self.on_a_device()
        self.start()
        self.link.recv(1)
        answer = self.ask(2)
        self.assertEqual({"peak_bytes": 70, "reserved_bytes": 90}, answer["device"])
        self.assertEqual(["wait", "reset"], done[:2])
        self.assertNotIn("empty cache", done)

    def test_it_leaves_its_cache_to_others_whenever_it_is_held_where_that_is_asked_for(self):
        done = self.on_a_device()
        self.start(releases_cache=True)
        self.link.recv(1)
        self.ask(1)
        self.ask(1)
        self.assertEqual(["wait", "empty cache", "reset"] * 2, done[:6])

    def test_it_ends_when_nobody_is_there_to_ask(self):
        self.start()
        self.link.recv(1)
        self.ask(1)
        self.answers.close()
        self.link.close()
        self.join()
        self.assertEqual([0], self.exits)

    def test_it_ends_where_the_request_is_invalid(self):
        self.start()
        self.link.recv(1)
        self.link.sendall(b"many\n")
        self.join()
        self.assertEqual([0], self.exits)

    def test_other_ranks_are_not_held(self):
        self.torch.distributed = faketorch.namespace(is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 1,
                                                     get_world_size=lambda: 2)
        job = hook._SteppedJob(self.torch, {"socket": self.path, "skip": 1})
        optimizer = self.torch.optim.SGD()
        optimizer.step()
        optimizer.step()
        self.assertIsNone(job.link)
        self.assertFalse(hasattr(self.torch.optim.SGD.step, "__wrapped__"))


class ClockTests(FolderTest):
    def start(self, skip):
        self.torch = faketorch.make()
        clock = hook._Clock(self.torch, {"folder": str(self.folder), "skip": skip})
        self.addCleanup(clock.iterations.stop)
        return clock

    def test_the_ends_of_iterations_are_written_when_the_job_ends(self):
        clock = self.start(skip=2)
        optimizer = self.torch.optim.SGD()
        for _ in range(5):
            optimizer.step()
        clock.at_exit()
        status = json.loads((self.folder / str(os.getpid()) / "status.json").read_text(encoding="utf-8"))
        self.assertEqual(("clock", 5), (status["phase"], len(status["ends_ns"])))
        self.assertEqual(sorted(status["ends_ns"]), status["ends_ns"])

    def test_modules_are_narrowed_to_the_class_that_leads(self):
        clock = self.start(skip=2)
        encoder = type("Encoder", (self.torch.nn.Module,), {})
        model = encoder()
        model()
        self.assertNotIn("__call__", encoder.__dict__)
        model()
        self.assertIn("__call__", encoder.__dict__)
        self.assertEqual(2, len(clock.ends))
