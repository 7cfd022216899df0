#!/usr/bin/env python3
"""Measures jobs of several ranks and their replays interleaved: the original, a second original (the A/A control), the replay.

    python3 tests/Original/ranks.py ddp sharded pipeline --python /usr/bin/python3 -o out

Each job of rank_jobs.py is captured once, and a package made of it. Then, in each round, the original runs twice and the replay
unpaced and paced, each in processes of its own; the order turns with the rounds. A run's time is the median of an uninstrumented
window of iterations, on the rank where it is longest. Differences are those of a round's runs; the table has their medians and
extremes. Times in calls are those of one profiled iteration: each round captures the original once more, for one iteration says
little; the table has the medians of originals, unpaced and paced replays.
"""
import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MYSTIQUE = f"dotnet run -c Release --project {os.path.join(HERE, '..', '..', 'src', 'Mystique.Cli')} --"
REPLAYS = ("replay", "paced")
JOBS = {"ddp": 2, "sharded": 2, "pipeline": 2, "uneven": 2, "mesh": 4, "small": 2, "barriers": 2}  # Ranks of each.


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def slowest(medians):
    """The run's time: that of the rank which takes longest."""
    return max(medians)


# The original.

class Job:
    """A job of rank_jobs.py, and where what comes of it lies."""

    def __init__(self, name, options):
        self.name, self.options, self.count = name, options, JOBS[name]
        self.folder = os.path.join(options.output, name)
        self.capture, self.package = os.path.join(self.folder, "capture"), os.path.join(self.folder, f"{name}.bench")
        os.makedirs(self.folder, exist_ok=True)

    def command(self, iterations, *more):
        pins = ["--pin"] if getattr(self.options, "pin", False) else []
        return [sys.executable, os.path.join(HERE, "start_ranks.py"), *pins, str(self.count), "--", *shlex.split(self.options.python),
                os.path.join(HERE, "rank_jobs.py"), self.name, "--size", str(self.options.size), "--iterations", str(iterations), *more]

    def mystique(self, *arguments, prefix="", **how):
        return subprocess.run([*shlex.split(prefix), *shlex.split(self.options.mystique), *arguments], stdout=sys.stderr, **how)

    def captured(self, capture):
        """Captures the job; what `inspect` says of it."""
        skip, reference = self.options.warmup, self.options.iterations
        shutil.rmtree(capture, ignore_errors=True)
        self.mystique("capture", "-o", capture, "--skip", str(skip), "--reference", str(reference), "--",
                      *self.command(skip + 2 * reference + 8), check=True)
        summary = os.path.join(self.folder, "inspect.json")
        self.mystique("inspect", capture, "--json", summary)  # The exit code is 2 where ranks do not go together: the summary says it.
        about = read(summary)
        if about["format"] != "mystique-ranks":
            raise SystemExit(f"{self.name}: the capture has not several ranks")
        return about

    def record(self):
        """Captures the job and makes its package; what does not go together, or is no package, in words."""
        about = self.captured(self.capture)
        shutil.rmtree(self.package, ignore_errors=True)
        made = self.mystique("generate", self.capture, "-o", self.package)
        return about, None if made.returncode == 0 else f"generate fails with {made.returncode}"

    def original(self):
        """The median iteration of each rank, of one run."""
        with tempfile.TemporaryDirectory() as times:
            skip, count = self.options.warmup, self.options.iterations
            subprocess.run(self.command(skip + count, "--times", times), check=True, stdout=sys.stderr)
            ranks = [read(os.path.join(times, name)) for name in sorted(os.listdir(times))]
        if len(ranks) != self.count:
            raise SystemExit(f"{self.name}: {len(ranks)} of {self.count} ranks have written their times")
        return {"torch": ranks[0]["torch"], "medians_ns": [statistics.median(rank["samples_ns"][skip:]) for rank in ranks]}

    def again(self):
        """The times in calls of one more profiled iteration of the original."""
        return of_summary(self.captured(self.capture + "-again"))

    def replay(self, *more):
        """The same of a replay, with what its result says of its calls; None where there is none."""
        result = os.path.join(self.folder, "result.json")
        done = self.mystique("run", self.package, "--iterations", str(self.options.iterations), "--json", result,
                             *more, *shlex.split(self.options.run_options), prefix=getattr(self.options, "run_prefix", ""))
        return of_result(read(result)) if done.returncode == 0 and os.path.exists(result) else None


def of_summary(about):
    """What `inspect` says of a capture: the longest iteration of a rank, time in calls, and share that is exposed."""
    ranks = about["ranks"]
    return {**{key: largest(rank.get(key) for rank in ranks) for key in ("iteration_ns", "in_calls_ns")},
            "exposed_share": largest(r["exposed_ns"] / r["iteration_ns"] for r in ranks if r.get("exposed_ns") is not None)}


def of_result(result):
    """What a document `mystique-job-run` says: the median iteration of each rank, and the time of a rank in calls, and exposed."""
    ranks = result["ranks"]
    profiled, calls = [rank.get("profiled") or {} for rank in ranks], [rank.get("calls") or {} for rank in ranks]
    return {"medians_ns": [rank["result"]["iterations"]["median_ns"] for rank in ranks], "ranks": len(ranks),
            "in_calls_ns": largest(times.get("in_calls_ns") for times in profiled),
            "exposed_share": largest(
                times["exposed_ns"] / times["profiled_ns"] for times in profiled if times.get("exposed_ns") is not None),
            "calls": sum(call.get("exact", 0) for call in calls), "recorded_calls": sum(call.get("recorded", 0) for call in calls),
            "blocked_shares": [rank["result"]["communication"]["blocked_ns"] / rank["result"]["iterations"]["median_ns"] for rank in ranks],
            "verification": sorted({rank["result"]["verification"]["status"] for rank in ranks})}


def largest(values):
    known = [value for value in values if value is not None]
    return max(known) if known else None


def middle(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


# The measurement.

def measure(job, options):
    about, problem = job.record()
    runs = {"original": job.original, "control": job.original, "captured": job.again,
            "replay": job.replay, "paced": lambda: job.replay("--pace", "recorded")}
    sides = {side: [] for side in runs}
    for number in range(options.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            if side not in REPLAYS or problem is None:
                sides[side].append(runs[side]())
        if problem is None and None in (sides["replay"][-1], sides["paced"][-1]):
            problem = "run fails"
        print(f"{job.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
    return report(job.name, about, sides, problem)


def report(name, about, sides, problem):
    """What the runs come to."""
    times = {side: [slowest(run["medians_ns"]) for run in runs if run is not None] for side, runs in sides.items() if side != "captured"}
    last = (sides["replay"] or [None])[-1]
    if problem is None and last["ranks"] != about["world_size"]:
        problem = f"the replay is of {last['ranks']} ranks"
    return {
        "job": name, "torch": sides["original"][0]["torch"], "world_size": about["world_size"],
        "original_ns": statistics.median(times["original"]), "control": spread(ratios(times["control"], times["original"])),
        "captured": {key: [run[key] for run in sides["captured"]] for key in sides["captured"][0]},
        "calls": {f"{kind['kind']} of {kind.get('group_size', '?')}": kind["count"] for kind in about["kinds"]},
        "mismatches": len(about["mismatches"]), "problem": problem,
        **{side: of_replays(sides[side], times[side], times["original"]) if problem is None else None for side in REPLAYS},
        "runs": {side: [run and run["medians_ns"] for run in runs] for side, runs in sides.items() if side != "captured"}}


def of_replays(runs, times, originals):
    return {"error": spread(ratios(times, originals)), "ns": statistics.median(times),
            **{key: runs[-1][key] for key in ("verification", "ranks", "calls", "recorded_calls")},
            **{key: [run[key] for run in runs] for key in ("in_calls_ns", "exposed_share")}}


def ratios(these, those):
    return [this / that - 1 for this, that in zip(these, those)]


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def table(reports):
    """The reports as a table in Markdown."""
    def ms(value):
        return "not known" if value is None else f"{value / 1e6:.1f}"

    def share(value):
        return "not known" if value is None else f"{value:.1%}"

    def percent(value):
        return f"{value['median']:+.1%} ({value['least']:+.1%} to {value['most']:+.1%})"

    rows = [["job", "ranks", "PyTorch", "original, ms", "A/A control", "unpaced", "paced", "in calls, ms", "exposed",
             "calls as recorded", "problem"]]
    for one in reports:
        replays = [one[side] for side in REPLAYS if one[side]]
        rows.append([
            one["job"], str(one["world_size"]), one["torch"], ms(one["original_ns"]), percent(one["control"]),
            *([percent(replay["error"]) for replay in replays] or ["none", "none"]),
            *(" / ".join(show(middle(runs[key])) for runs in (one["captured"], *replays))
              for key, show in (("in_calls_ns", ms), ("exposed_share", share))),
            f"{replays[0]['calls']} of {replays[0]['recorded_calls']}" if replays else "none", one["problem"] or ""])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="+", choices=sorted(JOBS))
    parser.add_argument("-o", "--output", required=True, help="the folder for captures, packages and report.json")
    parser.add_argument("--python", default=sys.executable, help="the Python of the original; default: this one")
    parser.add_argument("--mystique", default=MYSTIQUE)
    parser.add_argument("--run-options", default="", help="more options of mystique run, in one argument")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1, help="of the jobs: iterations take about eight times as long with each doubling")
    parser.add_argument("--iterations", type=int, default=30, help="of a run's window")
    parser.add_argument("--warmup", type=int, default=10, help="iterations of a run before its window")
    options = parser.parse_args()
    options.output = os.path.abspath(options.output)
    reports = [measure(Job(name, options), options) for name in options.jobs]
    with open(os.path.join(options.output, "report.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(reports, indent=2) + "\n")
    print(table(reports))


if __name__ == "__main__":
    sys.exit(main())
