#!/usr/bin/env python3
"""Runs the benchmark package that this file lies in, on the PyTorch that this Python has (1.13 or newer).

It needs torch and nothing else. It makes the package's tensors, runs its operators in order, measures, compares what
ran with what was recorded, and writes the result. See `python3 run.py --help`.
"""
import argparse
import ast
import base64
import collections
import contextlib
import hashlib
import json
import os
import platform
import sys
import tempfile
import time

FORMAT_VERSION = 2
RESULT_VERSION = 3
OLDEST_TORCH = (1, 13)
RESERVED_SLOTS = 2  # Of the program's list: one for what is freed, one for results that nobody uses.
RESTORE_EVERY = 10  # Iterations after which all state is brought back, not integers alone.

try:
    import torch
except Exception as error:  # A broken installation fails with all kinds of errors.
    torch, torch_error = None, error


class Problem(Exception):
    """Something that the user can act on: what is wrong, where, and the way out."""

    def __init__(self, id, what, where, way_out, exit_code=2):
        super().__init__(f"{id}: {what}\n  where: {where}\n  way out: {way_out}")
        self.parts, self.exit_code = [id, what, where, way_out], exit_code


def need_torch():
    where = f"{sys.executable}, Python {platform.python_version()}"
    if torch is None:
        raise Problem("MYS409", f"this Python has no usable PyTorch: {first_line(torch_error)}", where,
                      "install torch (1.13 or newer) for it, or name another Python")
    if tuple(int(p) for p in torch.__version__.split("+")[0].split(".")[:2]) < OLDEST_TORCH:
        raise Problem("MYS409", f"PyTorch {torch.__version__} is too old: 1.13 or newer is needed", where,
                      "install a newer torch, or name another Python")


def first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# The package.

class Package:
    """The manifest (benchmark.json) and where the program (program.pt) is; docs/package-format.md names the fields."""

    def __init__(self, folder):
        self.program_path = os.path.join(folder, "program.pt")
        path = os.path.join(folder, "benchmark.json")
        try:
            with open(path, encoding="utf-8") as file:
                m = json.load(file)
            with open(self.program_path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            raise Problem("MYS306", f"the package cannot be read: {error.strerror}", error.filename, "copy the package again as a whole")
        except ValueError as error:
            raise Problem("MYS301", f"the manifest makes no sense: {error}", path, "generate the package again")
        if not isinstance(m, dict) or m.get("format") != "mystique-benchmark":
            raise Problem("MYS301", 'the manifest makes no sense: its format is not "mystique-benchmark"', path, "generate the package again")
        if m["format_version"] != FORMAT_VERSION:
            raise Problem("MYS302", f"the package's format version {m['format_version']} is not known: {FORMAT_VERSION} is", path,
                          "use the run.py or the mystique that wrote it, or generate it again")
        if digest != m["program"]["sha256"]:
            raise Problem("MYS303", "the package's manifest and program disagree: the program is not the one that the manifest was written with"
                          " (its SHA-256 differs)", self.program_path, "generate the package again, or copy it again as a whole")
        self.manifest, self.path = m, path
        self.names = [s[:s.index("(")] for s in m["schemas"]]  # With the overload: aten::add.Tensor.
        self.times = {t["node"]: t for t in (m.get("times") or {}).get("operators", [])}

    def name_of(self, op):
        return self.names[op["schema"]]
