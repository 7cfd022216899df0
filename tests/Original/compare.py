#!/usr/bin/env python3
"""Captures an original on this machine's own PyTorch, generates its package, and measures original and replay interleaved.

One command does all of it: the execution trace, the Kineto profile, the package, A B A B …, kernels, memory, the report.

    python3 tests/Original/compare.py tiny -o out
    python3 tests/Original/compare.py resnet50 gpt2 --device cuda:0 --limit 0.05 -o examples/gpu

It needs torch (1.13 or newer), and mystique as --mystique names it.
"""
import argparse
import collections
import gzip
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


# The original's process: answers lines of JSON, as a worker of the replay does.

class Original:
    """A training step on a device, measured as the replay's worker measures an iteration."""

    def __init__(self, torch, step, target):
        self.torch, self.step, self.target = torch, step, target

    def iterate(self, count):
        self.target.reset_peak()
        samples, pairs = [], []
        for _ in range(count):
            pair, start = self.target.events(), time.perf_counter_ns()
            if pair:
                pair[0].record()
            self.step()
            if pair:
                pair[1].record()
                pairs.append(pair)
            else:
                self.target.synchronize()  # Without events the host's clock has to do.
            samples.append(time.perf_counter_ns() - start)
        self.target.synchronize()
        if pairs:
            samples = [round(a.elapsed_time(b) * 1e6) for a, b in pairs]
        return {"samplesNs": samples, "clock": "events" if pairs else "host", "device": self.target.allocator_use()}

    def record(self, trace, profile):
        record(self.torch, self.step, self.target, trace, profile)
        self.target.give_back()
        return {"torch": self.torch.__version__, "device": self.target.describe(), "freeBytes": self.target.free_bytes()}

    def answer(self, request):
        if request["command"] == "iterate":
            return self.iterate(request["count"])
        return self.record(request["trace"], request["profile"])


def serve(name, device, threads):
    import torch
    from originals import workload
    from target import Target
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(threads or os.cpu_count())
    target = Target(torch, device)
    original = Original(torch, workload(name, target.device), target)
    for line in sys.stdin:
        output.write(json.dumps({"kind": "result", **original.answer(json.loads(line))}) + "\n")
        output.flush()


def record(torch, step, target, trace, profile):
    """One iteration under the observer and the profiler at once, so that both have the same ids."""
    observer = getattr(torch.profiler, "ExecutionTraceObserver", None) or torch.profiler.ExecutionGraphObserver
    observer = observer()
    observer.register_callback(trace)
    target.synchronize()
    with torch.profiler.profile() as profiler:
        observer.start()
        step()
        target.synchronize()
        observer.stop()
    observer.unregister_callback()
    profiler.export_chrome_trace(profile)


# The comparison.

class Process:
    """A process that answers lines of JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer["kind"] == "failure":
                raise SystemExit("\n".join(answer.get("problem") or [answer["error"]]))
            if answer["kind"] == "result":
                return answer
        raise SystemExit(f"the process ended while asked to {request['command']}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Side:
    """The original or the replay. Where the device has room for both, its process is held; else one is started for each block."""

    def __init__(self, command, opening, warmup, least_warmup_ns=0, is_held=True):
        self.command, self.opening, self.warmup, self.least_warmup_ns = command, opening, warmup, least_warmup_ns
        self.is_held, self.process, self.pace = is_held, None, []

    def start(self):
        self.process = Process(*self.command)
        for request in (*self.opening, *self.pace):
            self.process.ask(**request)
        spent = 0
        while self.warmup and (not spent or spent < self.least_warmup_ns):
            spent += sum(self.process.ask(command="iterate", count=self.warmup)["samplesNs"])

    def ask(self, **request):
        if request["command"] == "pace":
            self.pace = [request]
            if self.process is None:
                return None  # It is told when it starts.
        if self.process is None:
            self.start()
        answer = self.process.ask(**request)
        if not self.is_held:
            self.close()
        return answer

    def close(self):
        if self.process is not None:
            self.process.close()
            self.process = None


CONTEXT_BYTES = 1 << 30  # What a process on a device takes beside its tensors: a context, libraries, workspaces; 0.5 GB on an H100.


def has_room(free_bytes, planned_bytes):
    """Whether a replay fits beside the original that holds the device; where the device does not tell what is free, it is tried."""
    return free_bytes is None or free_bytes >= 1.2 * planned_bytes + CONTEXT_BYTES


def kernels_of(profile):
    """How often each kernel of a profile was launched."""
    with open(profile, encoding="utf-8") as file:
        events = json.load(file)
    # Without Kineto, PyTorch writes the operators of the host alone.
    events = events if isinstance(events, list) else events["traceEvents"]
    return collections.Counter(e["name"] for e in events if e.get("cat") == "kernel")


def interleaved(original, replay, options, paced):
    """Medians over rounds of blocks A B A B …, in nanoseconds, and of the rounds' own errors; peak memory of the device.

    A replay that keeps the pace waits the share of an iteration that its calls left free in the rounds so far, as
    `mystique bench` has it (src/Mystique/Fidelity/InterleavedMeasurement.cs); first rounds, which do not count, tell what that is.
    """
    samples, errors, shares, peaks = {"original": [], "replay": []}, [], [], {"original": [], "replay": []}
    first = 3 if paced else 0
    for number in range(first + options.rounds):
        if shares and paced:
            replay.ask(command="pace", share=statistics.median(shares))
        theirs, ours = (process.ask(command="iterate", count=options.iterations) for process in (original, replay))
        a, b = (statistics.median(answer["samplesNs"]) for answer in (theirs, ours))
        waited = (ours.get("pace") or {}).get("waitedNs", 0) / statistics.mean(ours["samplesNs"])
        shares.append(b * (1 - waited) / a)
        if number < first:
            continue
        errors.append(b / a - 1)
        for side, answer in (("original", theirs), ("replay", ours)):
            samples[side] += answer["samplesNs"]
            peaks[side].append((answer.get("device") or {}).get("peak_bytes"))
    median = {side: statistics.median(values) for side, values in samples.items()}
    a, b = (None if None in of_side else max(of_side) for of_side in peaks.values())
    return {**median, "error": statistics.median(errors), "original_peak_bytes": a, "replay_peak_bytes": b,
            "peak_error": b / a - 1 if a and b else None,
            "original_clock": theirs.get("clock", "host"), "replay_clock": ours.get("clock", "host"), "pace": ours.get("pace")}


def compare(name, options, folder):
    work = os.path.join(folder, "work")
    os.makedirs(work, exist_ok=True)
    least_warmup_ns = 0 if options.device == "cpu" else 2_000_000_000  # A device's clocks rise for a while.
    trace, profile, bench = (os.path.join(work, f"{name}.{kind}") for kind in ("et.json", "kineto.json", "bench"))
    original = Side([options.python, os.path.abspath(__file__), name, "--serve", "--device", options.device,
                     "--threads", str(options.threads)], [], options.warmup, least_warmup_ns)
    about = original.ask(command="record", trace=trace, profile=profile)
    subprocess.run([*shlex.split(options.mystique), "generate", trace, "--profile", profile, "-o", bench], check=True, stdout=sys.stderr)
    with open(os.path.join(bench, "benchmark.json"), encoding="utf-8") as file:
        planned = json.load(file)["memory"]["peak_bytes"]
    is_held = has_room(about["freeBytes"], planned)
    processes = "side by side" if is_held else f"one after another: the device has {about['freeBytes'] / 1e9:.1f} GB left beside the " \
        f"original, and the replay needs {(1.2 * planned + CONTEXT_BYTES) / 1e9:.1f} GB"
    if not is_held:
        original.close()

    verified = os.path.join(work, f"{name}.result.json")
    subprocess.run([options.python, os.path.join(bench, "run.py"), "--device", options.device,
                    "--threads", str(options.threads), "--iterations", "1",
                    "--no-operators", "--profile", os.path.join(work, f"{name}.replay.kineto.json"), "--json", verified],
                   check=True, stdout=sys.stderr)
    with open(verified, encoding="utf-8") as file:
        result = json.load(file)

    opening = [{"command": "open", "package": bench, "device": options.device, "threads": options.threads, "seed": 1}, {"command": "start"}]
    replay = Side([options.python, os.path.join(bench, "run.py"), "--worker"], opening, options.warmup, least_warmup_ns, is_held)
    original.is_held = is_held
    unpaced = interleaved(original, replay, options, paced=False)
    paced = interleaved(original, replay, options, paced=True)
    original.close()
    replay.close()

    ours, theirs = kernels_of(os.path.join(work, f"{name}.replay.kineto.json")), kernels_of(profile)
    report = {
        "workload": name, "torch": about["torch"], "device": about["device"], "processes": processes,
        "rounds": options.rounds, "iterations": options.iterations,
        "operators": result["coverage"]["selected_operators"], "replayed": result["coverage"].get("recorded_operators"),
        "verification": result["verification"]["status"], "differences": result["verification"]["differences"][:20],
        "unpaced": unpaced, "paced": paced, "kernels": sum(theirs.values()), "replayed_kernels": sum(ours.values()),
        "other_kernels": sum((theirs - ours).values()) + sum((ours - theirs).values()),
        "notes": notes_of(unpaced, result)}
    if options.keep:
        for path in (trace, profile):
            with open(path, "rb") as source, gzip.GzipFile(os.path.join(folder, os.path.basename(path) + ".gz"), "wb", mtime=0) as target:
                shutil.copyfileobj(source, target)
    shutil.rmtree(work)
    return report


def notes_of(unpaced, result):
    """What is not compared, and why."""
    notes = [] if unpaced["peak_error"] is not None else [
        "memory is not compared: PyTorch does not tell the peak of this device; on the host, a process has more than the job in it"]
    clocks = unpaced["original_clock"], unpaced["replay_clock"]
    if clocks[0] != clocks[1]:
        notes.append(f"the original's time is of {clocks[0]}, the replay's of {clocks[1]}")
    return [*notes, *result["engine"].get("notes", [])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="+", help="tiny, resnet50, gpt2")
    parser.add_argument("-o", "--output", help="keep traces, profiles and the report in this folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--limit", type=float, help="exit with 1 where time or peak memory differ by more (0.05), a larger share of the "
                        "kernels is the other's alone, or the replay is not exact")
    parser.add_argument("--mystique", default=f"dotnet run -c Release --project {os.path.join(HERE, '..', '..', 'src', 'Mystique.Cli')} --")
    parser.add_argument("--python", default=sys.executable, help="the Python of the original and of the replay; default: this one")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.workloads[0], options.device, options.threads)
    options.keep = options.output is not None
    folder = options.output or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    reports = [compare(name, options, folder) for name in options.workloads]
    text = json.dumps(reports, indent=2) + "\n"
    if options.keep:
        with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as file:
            file.write(text)
    else:
        shutil.rmtree(folder)
    print(text, end="")
    return 0 if options.limit is None or all(is_within(options.limit, report) for report in reports) else 1


def is_within(limit, report):
    """Whether a replay is close enough: its time, its peak memory, and of the kernels of both the share that the other lacks."""
    kernels = report["kernels"] + report["replayed_kernels"]
    errors = report["paced"]["error"], report["unpaced"]["peak_error"] or 0, report["other_kernels"] / kernels if kernels else 0
    return report["verification"] == "exact" and all(abs(error) <= limit for error in errors)


if __name__ == "__main__":
    sys.exit(main())
