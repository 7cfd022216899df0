#!/usr/bin/env python3
"""Starts the ranks of a job on this machine, as torchrun does: with RANK, WORLD_SIZE and where they meet in the environment.

    python3 tests/Original/start_ranks.py 2 -- python3 tests/Original/rank_jobs.py ddp

With --pin each rank has one processor: they are shared out among the ranks in their order. When one fails, the others are ended, and
the exit code is that of the first that failed (128 and its number for a signal). Signals go to all ranks, and no rank outlives
this process. Each rank has one thread, unless OMP_NUM_THREADS says otherwise.
"""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

PASSED_ON = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
PATIENCE_S = 5  # Between asking a rank to end and ending it.
PR_SET_PDEATHSIG = 1


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def tied_to(parent, libc, processor=None):
    """What a rank does before it starts: from now on it ends when this process does, however that ends."""
    def tie():
        if processor is not None:
            os.sched_setaffinity(0, {processor})
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    return tie


class Ranks:
    """The processes, each the head of a group of its own, so that what a rank starts is reached, too."""

    def __init__(self, count, command, environment, pins=False):
        self.running, self.groups = {}, []
        libc, processors = ctypes.CDLL(None), sorted(os.sched_getaffinity(0))
        for rank in range(count):
            tie = tied_to(os.getpid(), libc, processors[rank * len(processors) // count] if pins else None)
            own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = subprocess.Popen(command, env=own, start_new_session=True, preexec_fn=tie)
            self.running[process.pid] = process
            self.groups.append(process.pid)

    def tell(self, number):
        for group in self.groups:
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                pass

    def first_failure(self):
        """Waits until one has failed, or all have ended well: 0."""
        while self.running:
            for pid, process in list(self.running.items()):
                code = process.poll()
                if code is not None:
                    del self.running[pid]
                if code:
                    return code if code > 0 else 128 - code
            time.sleep(0.02)
        return 0

    def end(self):
        """Ends whatever is left, also of what ranks have started."""
        self.tell(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        while any(process.poll() is None for process in self.running.values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.tell(signal.SIGKILL)
        for process in self.running.values():
            process.wait()


def main(arguments):
    pins = arguments[:1] == ["--pin"]
    arguments = arguments[pins:]
    if len(arguments) < 3 or not arguments[0].isdigit() or int(arguments[0]) < 1 or arguments[1] != "--":
        print("usage: start_ranks.py [--pin] N -- command…", file=sys.stderr)
        return 2
    count, command = int(arguments[0]), arguments[2:]
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "MASTER_PORT": str(free_port()), **os.environ,
                   "MASTER_ADDR": "127.0.0.1", "USE_LIBUV": "0", "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    ranks = None

    def on_signal(number, frame):
        if ranks is None:
            raise SystemExit(128 + number)
        ranks.tell(number)

    for number in PASSED_ON:
        signal.signal(number, on_signal)
    try:
        ranks = Ranks(count, command, environment, pins)
        return ranks.first_failure()
    finally:
        if ranks is not None:
            ranks.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
