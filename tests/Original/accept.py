#!/usr/bin/env python3
"""The acceptance of Mystique on a device, in one command: jobs are captured and replayed, and each figure is judged.

    python3 tests/Original/accept.py --device cuda:0 -o examples/gpu
    python3 tests/Original/accept.py --device cpu -o out          # a dry run: what needs an accelerator is listed as not applicable

It needs torch in this Python, the .NET SDK (or mystique, as --mystique names it), and about twenty minutes on a GPU. The exit code is
0 where all that was judged is within, else 1. A step that fails is told, and the others go on.
"""
import argparse
import concurrent.futures
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import accept_figures as figures_of
import accept_table as table
from accept_table import VARIANTS

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.join(HERE, "..", "..", "src", "Mystique.Cli")
WORKLOADS = ("tiny", "resnet50", "gpt2")
TOO_LONG = ("resnet50", "gpt2")  # For a dry run.


class Acceptance:
    """Runs steps, each a process of its own, and collects figures."""

    def __init__(self, options, work):
        self.options, self.work, self.steps, self.rows = options, work, [], []
        self.mystique, self.python = shlex.split(options.mystique), options.python
        self.is_dry = options.device.split(":")[0] == "cpu"
        self.facts = None

    def step(self, variant, name, *command):
        """Runs a command; what it says is kept, and where it fails, its last words are told. Returns all that it said."""
        log = os.path.join(self.work, f"{variant}.{name}.log".replace(" ", "-"))
        start = time.monotonic()
        code, text = self.run(command, log)
        for path, short in ((self.work, "WORK"), (os.path.abspath(os.path.join(HERE, "..", "..")), "."), (self.python, "python3")):
            text = text.replace(path, short)  # The table tells nothing of the machine's folders.
        said = [line.strip() for line in text.splitlines() if line.strip()]
        step = {"variant": variant, "step": name, "exit_code": code, "seconds": round(time.monotonic() - start, 1),
                "said": " / ".join(said[-3:])[-500:] if code else ""}
        self.steps.append(step)
        print(f"{variant}: {name}: {'done' if code == 0 else f'FAILED ({code}): ' + step['said']}, {step['seconds']} s", file=sys.stderr)
        return text

    def run(self, command, log):
        """A command in a session of its own, so that it ends with all that it started where it takes too long."""
        with open(log, "w+", encoding="utf-8", errors="replace") as file:
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as error:
                return 127, f"{command[0]} cannot be started: {error.strerror}"
            try:
                code = process.wait(self.options.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = 124
                file.write(f"\nstopped after {self.options.timeout} s (--timeout)\n")
            file.seek(0)
            return code, file.read()

    def job(self, variant):
        return [self.python, os.path.join(HERE, "accept_job.py"), variant, "--device", self.options.device,
                "--iterations", str(self.counts["iterations"])]

    @property
    def counts(self):
        """How much is run: on the host just so much that each step has something to do."""
        if self.is_dry:
            return {"iterations": 16, "skip": 2, "reference": 4, "measured": ["--iterations", "5", "--warmup", "1"], "long": "60"}
        return {"iterations": 100, "skip": 10, "reference": 30, "measured": [], "long": "500"}

    def bench(self, variant):
        return os.path.join(self.work, variant, "bench")

    def replay(self, variant, name, result, *options, of=None, device=None):
        """Replays a variant's package by its run.py; where there is no package, nothing is to be said beside that."""
        script = os.path.join(self.bench(of or variant), "run.py")
        if not os.path.exists(script):
            return
        device = ["--device", self.options.device] if device is None else device
        self.step(variant, name, self.python, script, *device, "--json", result, "--no-operators", *options)

    def capture(self, variant, name, output, *options):
        self.step(variant, name, *self.mystique, "capture", "--skip", str(self.counts["skip"]), *options, "-o",
                  os.path.join(self.work, variant, output), "--", *self.job(variant))

    def capture_values(self, variants):
        """The captures with values, of which nothing is timed: as many side by side as the device has room for."""
        for variant in variants:
            os.makedirs(os.path.join(self.work, variant))
        with concurrent.futures.ThreadPoolExecutor(self.options.at_once) as pool:
            for variant in variants:
                pool.submit(self.capture, variant, "capture with values", "values", "--reference", "4", "--tensor-values", "values")

    def variant(self, variant):
        """Captures, generates and replays one."""
        folder, count = os.path.join(self.work, variant), self.counts
        self.capture(variant, "capture", "job", "--reference", str(count["reference"]))
        code = ["--allow-trace-code"] if variant == "compile" else []
        self.step(variant, "generate", *self.mystique, "generate", os.path.join(folder, "job"), "-o", self.bench(variant), *code)
        self.replay(variant, "replay unpaced", os.path.join(folder, "unpaced.json"), "--check-values", "--profile",
                    os.path.join(folder, "replay.kineto.json"), *count["measured"], *code)
        self.replay(variant, "replay at pace", os.path.join(folder, "paced.json"), "--pace", "recorded", "--no-verify",
                    *count["measured"], *code)
        if variant in table.NOT_COMPILED:
            self.replay(variant, "replay at the framework's level", os.path.join(folder, "framework.json"), "--level", "framework",
                        "--profile", os.path.join(folder, "framework.kineto.json"), *count["measured"])
        return figures_of.of_variant(folder)

    def check(self, name, wanted, seen):
        self.rows += table.rows_of_check(name, seen, wanted, self.facts)

    def checks(self, variant):
        """What is looked at once, on one variant's package."""
        kind, quick = self.facts["kind"], ["--no-verify", "--iterations", "5", "--warmup", "1"]
        current = "cpu" if kind == "cpu" else f"{kind}:0"  # Without an index: the first of those that are visible.
        for name, expected in (("", current), (kind, current), (self.options.device, self.options.device)):
            path, told = os.path.join(self.work, f"device-{name.replace(':', '-')}.json"), f"--device {name}" if name else "no --device"
            if any(step["variant"] == told for step in self.steps):
                continue
            self.replay(told, "run.py", path, *quick, of=variant, device=["--device", name] if name else [])
            expected = expected if ":" in expected else current
            self.check(told, ["device"], {**figures_of.of_result(path), "named": expected})
        path, eager = (os.path.join(self.work, f"{name}.json") for name in ("long", "eager"))
        self.replay("long run", "run.py", path, "--no-verify", "--iterations", self.counts["long"], of=variant)
        self.check("long run", ["long_run"], figures_of.of_long_run(path))
        self.replay("eager", "run.py --eager", eager, "--no-verify", "--eager", *self.counts["measured"], of=variant)
        both = [figures_of.of_result(p).get("ms") for p in (eager, os.path.join(self.work, variant, "unpaced.json"))]
        self.check("eager", ["eager_error"], {"eager_error": figures_of.error_of(*both)} if all(both) else {})

    def hook(self, variant):
        folder, count = os.path.join(self.work, "report"), self.counts
        said = self.step("hook", "capture --report", *self.mystique, "capture", "--report", "1" if self.is_dry else "3", "--skip",
                         str(count["skip"]), "--reference", str(count["reference"]), "-o", folder, "--", *self.job(variant))
        self.check("hook", ["hook_cost"], figures_of.of_hook(folder, said))

    def compare(self, workload):
        """Original and replay in turns, by compare.py."""
        name = f"compare {workload}"
        if self.is_dry and workload in TOO_LONG:
            self.rows.append({"variant": name, "figure": "all", "expected": "", "seen": None, "outcome": table.NOT_APPLICABLE,
                              "why": "takes too long on a host"})
            return
        folder, limit = os.path.join(self.work, f"compare-{workload}"), "1000000" if self.is_dry else "0.05"
        count = ["--rounds", "2", "--iterations", "2", "--warmup", "1", "--threads", "1"] if self.is_dry else ["--rounds", "10"]
        self.step(name, "compare.py", sys.executable, os.path.join(HERE, "compare.py"), workload, "--device", self.options.device,
                  "--limit", limit, "--mystique", shlex.join(self.mystique), "--python", self.python, "-o", folder, *count)
        report = figures_of.load(os.path.join(folder, "report.json"))
        wanted = ["compare_verification", "compare_time", "compare_peak", "compare_kernels"]
        self.check(name, wanted, figures_of.of_comparison(report[0]) if report else {})
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if file.endswith(".json.gz"):
                shutil.copy(os.path.join(folder, file), self.options.output)

    def run_all(self):
        """All of it; returns the result."""
        variants = self.options.variants
        if not self.options.has_mystique:
            self.step("mystique", "dotnet build", "dotnet", "build", "-c", "Release", "-v", "q", PROJECT)
        said = self.step("machine", "facts", self.python, os.path.join(HERE, "accept_job.py"), "--facts", "--device",
                         self.options.device)
        try:
            self.facts = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError):
            raise SystemExit(f"the device {self.options.device} cannot be used by the PyTorch of {self.python}:\n{said.strip()}\n"
                             "fix: name another device with --device, or run this with a Python whose PyTorch has it")
        possible = [v for v in variants if not table.why_not(v, self.facts)]
        self.capture_values(possible)
        figures = {}
        for variant in possible:
            figures[variant] = self.variant(variant)
            self.write(table.rows_of_variants(figures, [v for v in variants if v in figures], self.facts))
        self.rows += table.rows_of_variants(figures, variants, self.facts)
        made = [v for v in ("gemm", *variants) if os.path.exists(os.path.join(self.bench(v), "run.py"))]
        if not self.options.variants_only:
            if made and "device" in self.options.checks:
                self.checks(made[0])
            if "hook" in self.options.checks:
                self.hook("launch")
            for workload in self.options.workloads if "compare" in self.options.checks else ():
                self.write(self.rows)
                self.compare(workload)
        return self.write(self.rows)

    def write(self, rows):
        """Writes what there is by now: a run that is cut off leaves what it saw. Returns the result."""
        result = {"accepted": table.is_accepted(rows, self.steps), "machine": self.machine(), "rows": rows, "steps": self.steps}
        for name, content in (("acceptance.json", json.dumps(result, indent=2) + "\n"), ("acceptance.md", table.markdown(result))):
            with open(os.path.join(self.options.output, name), "w", encoding="utf-8") as file:
                file.write(content)
        return result

    def machine(self):
        """What it ran on: no names or paths of the machine."""
        facts = self.facts
        about = {"device": f"{self.options.device} {facts['name']}".strip(), "PyTorch": facts["torch"], **facts["built_for"],
                 "Python": facts["python"], "processors": os.cpu_count()}
        if facts["cudnn"]:
            about["cuDNN"] = facts["cudnn"]
        if shutil.which("nvidia-smi"):
            fields = "name,driver_version,clocks.sm,clocks.max.sm,mig.mode.current"
            done = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], stdout=subprocess.PIPE, text=True)
            about[f"nvidia-smi ({fields})"] = "; ".join(done.stdout.split("\n")).strip("; ")
        return about


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0", help="the device (cuda:0); cpu is a dry run")
    parser.add_argument("-o", "--output", required=True, help="acceptance.json, acceptance.md and the traces of compare.py go there")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="of " + ",".join(VARIANTS))
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="of compare.py; of " + ",".join(WORKLOADS))
    parser.add_argument("--variants-only", action="store_true", help="none of the checks beside the variants")
    parser.add_argument("--at-once", type=int, default=1, help="so many captures with values run side by side (1); none of them is timed")
    parser.add_argument("--checks", default="device,hook,compare", help="of what comes after the variants, device, hook, compare")
    parser.add_argument("--keep", metavar="DIR", help="keep captures, packages, results and logs there")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for a step (600)")
    parser.add_argument("--python", default=sys.executable, help="the Python that jobs and replays run in; default: this one")
    parser.add_argument("--mystique", help="the command; default: the one of this repository, which is built first")
    options = parser.parse_args()
    for name, known in (("variants", VARIANTS), ("workloads", WORKLOADS), ("checks", ("device", "hook", "compare"))):
        asked = [part for part in getattr(options, name).split(",") if part]
        unknown = [part for part in asked if part not in known]
        if unknown:
            parser.error(f"--{name}: there is no {unknown[0]}; there are {', '.join(known)}")
        setattr(options, name, asked)
    if options.keep and os.path.isdir(options.keep) and os.listdir(options.keep):
        parser.error(f"--keep: {options.keep} is not empty; name another folder")
    options.has_mystique = options.mystique is not None
    options.mystique = options.mystique or shlex.join(["dotnet", "run", "-c", "Release", "--no-build", "--project", PROJECT, "--"])
    return options


def main():
    options = parse()
    os.makedirs(options.output, exist_ok=True)
    work = options.keep or tempfile.mkdtemp(prefix="mystique-accept-")
    os.makedirs(work, exist_ok=True)
    try:
        result = Acceptance(options, work).run_all()
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    print(table.markdown(result), end="")
    return 0 if result["accepted"] else 1


if __name__ == "__main__":
    sys.exit(main())
