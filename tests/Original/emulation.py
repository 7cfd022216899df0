#!/usr/bin/env python3
"""Measures how close fewer ranks come to a job of more, with calls that wait for the ranks that are not there.

    python3 tests/Original/emulation.py --ranks 4 --here 2 1 --python /usr/bin/python3 -o out mesh wide

Each job is captured on all ranks, and measured beside its emulations: in each round the original runs once, and for each number of
ranks that run the recorded waits and the two controls: no waits, and one for all calls, which is what PARAM's generator had.
A run's time is the median of its iterations, on the rank where it is longest; errors are against the same round's original.
"""
import argparse
import json
import os
import statistics
import sys

import ranks

WAITS = ("recorded", "constant", "none")


def measure(name, options):
    ranks.JOBS[name] = options.ranks
    job = ranks.Job(name, options)
    _, problem = job.record()
    if problem:
        raise SystemExit(f"{name}: {problem}")
    errors, exposed, times = {}, {}, []
    for number in range(options.rounds):
        original = ranks.slowest(job.original()["medians_ns"])
        times.append(original)
        for here in options.here:
            for waits in WAITS if number % 2 == 0 else reversed(WAITS):
                run = job.replay("--ranks-here", str(here), "--waits", waits)
                if run is None:
                    raise SystemExit(f"{name}: the emulation fails")
                errors.setdefault((here, waits), []).append(ranks.slowest(run["medians_ns"]) / original - 1)
                exposed.setdefault((here, waits), []).append(ranks.largest(run["blocked_shares"]))
        print(f"{name}: round {number + 1} of {options.rounds}", file=sys.stderr)
    return {"job": name, "ranks": options.ranks, "original_ns": statistics.median(times),
            "emulations": [{"here": here, "waits": waits, "error": ranks.spread(values),
                            "blocked_share": statistics.median(exposed[here, waits])} for (here, waits), values in errors.items()]}


def table(reports):
    lines = ["| job | ranks | original, ms | ranks here | recorded waits | constant | none | blocked share |", "|" + " --- |" * 8]
    for one in reports:
        for here in sorted({e["here"] for e in one["emulations"]}, reverse=True):
            found = {e["waits"]: e for e in one["emulations"] if e["here"] == here}
            cells = ["{median:+.1%} ({least:+.1%} to {most:+.1%})".format(**found[waits]["error"]) for waits in WAITS]
            lines.append(f"| {one['job']} | {one['ranks']} | {one['original_ns'] / 1e6:.1f} | {here} | {' | '.join(cells)} "
                         f"| {found['recorded']['blocked_share']:.1%} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="+")
    parser.add_argument("-o", "--output", required=True, help="the folder for captures, packages and emulation.json")
    parser.add_argument("--ranks", type=int, default=4, help="ranks of the original")
    parser.add_argument("--here", type=int, nargs="+", default=[2, 1], help="how many of them run")
    parser.add_argument("--python", default=sys.executable, help="the Python of the original; default: this one")
    parser.add_argument("--mystique", default=ranks.MYSTIQUE)
    parser.add_argument("--run-options", default="", help="more options of mystique run, in one argument")
    parser.add_argument("--pin", action="store_true",
                        help="the original's ranks share processors in their order: the first half of them the first half")
    parser.add_argument("--run-prefix", default="",
                        help="a command before mystique run: with --pin, taskset -c LIST gives emulations the processors of their ranks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1, help="of the jobs: iterations take about eight times as long with each doubling")
    parser.add_argument("--iterations", type=int, default=30, help="of a run's window")
    parser.add_argument("--warmup", type=int, default=10, help="iterations of a run before its window")
    options = parser.parse_args()
    options.output = os.path.abspath(options.output)
    reports = [measure(name, options) for name in options.jobs]
    with open(os.path.join(options.output, "emulation.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(reports, indent=2) + "\n")
    print(table(reports))


if __name__ == "__main__":
    sys.exit(main())
