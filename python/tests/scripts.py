"""The two scripts as modules, joined as the build joins them, and what tests need around them."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import join

PYTHON = pathlib.Path(__file__).resolve().parent.parent
ORIGINAL = PYTHON.parent / "tests" / "Original"  # What captures, replays and compares originals on this machine's PyTorch.
sys.path.append(str(ORIGINAL))

run = join.load("run.py", "mystique_run")
hook = join.load("sitecustomize.py", "mystique_hook")

needs_torch = unittest.skipIf(run.torch is None, f"needs PyTorch in {sys.executable}")


class FolderTest(unittest.TestCase):
    """A test with a temporary folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class TorchTest(FolderTest):
    """A test that replays: what it sets for all of PyTorch is set back."""

    def setUp(self):
        super().setUp()
        self.addCleanup(run.torch.set_grad_enabled, run.torch.is_grad_enabled())
        self.addCleanup(run.torch.set_num_threads, run.torch.get_num_threads())


class Clock:
    """A clock in the place of `time`: it goes on when somebody sleeps, and a little each time it is read."""

    def __init__(self, tick=1_000):
        self.now, self.tick, self.slept = 0, tick, []

    def perf_counter_ns(self):
        self.now += self.tick
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += round(seconds * 1e9)

    def work(self, nanoseconds):
        """A call that takes so long."""
        def step():
            self.now += nanoseconds
        return step


@contextlib.contextmanager
def replaced(owner, **values):
    """Attributes of a module or an object that have other values for a while."""
    with contextlib.ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(mock.patch.object(owner, name, value, create=True))
        yield


@contextlib.contextmanager
def printed():
    """What is printed within."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        yield text
