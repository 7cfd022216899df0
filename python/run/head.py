#!/usr/bin/env python3
"""Runs the benchmark package that this file lies in, on the PyTorch that this Python has (1.13 or newer).

It needs torch and nothing else. It makes the package's tensors, runs its operators in order, measures, compares what
ran with what was recorded, and writes the result. See `python3 run.py --help`.
"""
import _thread
import argparse
import ast
import base64
import collections
import concurrent.futures
import contextlib
import ctypes
import datetime
import hashlib
import inspect
import io
import json
import math
import operator
import os
import platform
import queue
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import zipfile

FORMAT_VERSION = 3
OLDEST_FORMAT_VERSION = 2  # It is given the names of the newer one when it is read.
RESULT_VERSION = 5
OLDEST_TORCH = (1, 13)
RESERVED_SLOTS = 2  # Of the program's list: one for what is freed, one for results that nobody uses.
ITERATIONS, WARM_UP = 20, 3  # Unless told otherwise; on a device more of both: see Engine.warm_up.
LEAST_WARM_UP_NS, MOST_WARM_UP_NS, LEAST_MEASURED_NS = 2_000_000_000, 20_000_000_000, 1_000_000_000
RESTORE_EVERY = 10  # Iterations after which all state is brought back, not integers alone.

try:
    import torch
except Exception as error:  # A broken installation fails with all kinds of errors.
    torch, torch_error = None, error


class Problem(Exception):
    """Something that the user can act on: what is wrong, where, and how to fix it."""

    def __init__(self, id, what, where, fix, exit_code=2):
        id, what, where, fix = self.parts = [printable(part) for part in (id, what, where, fix)]
        super().__init__(f"{id}: {what}\n  where: {where}\n  fix: {fix}")
        self.exit_code = exit_code


def output_problem(why, path):
    return Problem("MYS305", f"the output cannot be written: {why}", path, "check that the folder exists, is writable and has free space")


def printable(text):
    """A text as it may reach a terminal: what is no character of a line is written as its number."""
    return "".join(c if c.isprintable() or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs")
                   else f"\\x{ord(c):02x}" if ord(c) < 0x100 else f"\\u{ord(c):04x}" for c in str(text))


def need_torch():
    where = f"{sys.executable}, Python {platform.python_version()}"
    if torch is None:
        raise Problem("MYS409", f"this Python has no usable PyTorch: {first_line(torch_error)}", where,
                      "install torch (1.13 or newer) for it, or name another Python")
    if tuple(int(p) for p in torch.__version__.split("+")[0].split(".")[:2]) < OLDEST_TORCH:
        raise Problem("MYS421", f"PyTorch {torch.__version__} is too old: 1.13 or newer is needed", where,
                      "install a newer torch, or name another Python")


def first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
