"""The figures of the acceptance, out of the files that captures and replays leave. What is not there is no figure."""
import collections
import gzip
import json
import os
import re
import statistics

UNSEEN_VALUES = ("not all values of tensors", "values of tensors were noted until", "no values of tensors were noted",
                 "values of tensors were not noted", "the values of tensors cannot be used")

WAIT = re.compile("Synchronize|urQueueFinish|urEventWait")  # CUDA, HIP, Level Zero and CANN; Unified Runtime.


def load(path):
    """A JSON file, packed or not; None where there is none, or it is damaged."""
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
            return json.load(file)
    except (OSError, EOFError, ValueError):
        return None


def median_of(window):
    samples = (window or {}).get("samples_ns")
    return statistics.median(samples) / 1e6 if samples else None


def end_of(event):
    return event["ts"] + event.get("dur", 0)


class Profile:
    """What a Kineto profile says of the device in one iteration."""

    def __init__(self, path):
        events = load(path)
        self.events = events["traceEvents"] if isinstance(events, dict) else events or []
        self.kernels = self.of("kernel")
        self.work = self.kernels + self.of("gpu_memcpy", "gpu_memset")

    def of(self, *categories):
        return [e for e in self.events if e.get("cat") in categories]

    def names(self, category):
        return collections.Counter(e["name"] for e in self.of(category))

    def waits(self):
        """How often the host waited for the device in the iteration that is marked; where none is, in all of the profile."""
        calls = [e["ts"] for e in self.events if str(e.get("cat")).endswith(("_runtime", "_driver")) and WAIT.search(e["name"])]
        steps = [e for e in self.of("user_annotation") if e["name"].startswith("ProfilerStep#")]
        return sum(any(s["ts"] <= at < end_of(s) for s in steps) for at in calls) if steps else len(calls)

    def device_ms(self):
        return sum(e["dur"] for e in self.work) / 1e3

    def overlap(self):
        """The time of all work on the device, over the time in which there was any."""
        busy, until = 0, float("-inf")
        for start, end in sorted((e["ts"], end_of(e)) for e in self.work):
            busy += max(0, end - max(start, until))
            until = max(until, end)
        return sum(e["dur"] for e in self.work) / busy if busy else None

    def peak_bytes(self):
        """The most that the device's allocator had given out."""
        totals = [e["args"]["Total Allocated"] for e in self.events
                  if e.get("name") == "[memory]" and e.get("args", {}).get("Device Type") and "Total Allocated" in e["args"]]
        return max(totals) if totals else None


def error_of(replay, original):
    return replay / original - 1 if replay is not None and original else None


def of_captures(folder):
    """What the two captures of a job say."""
    record, values = (load(os.path.join(folder, name, "capture.json")) or {} for name in ("job", "values"))
    reference = load(os.path.join(folder, "job", "reference.json")) or {}
    unseen = [s for s in values.get("account", ()) if any(part in s for part in UNSEEN_VALUES)]
    before, after = (median_of(reference.get(window)) for window in ("before", "after"))
    return {"job_exit": record.get("exit_code"), "values_exit": values.get("exit_code"), "job_recorded": record.get("captured"),
            "values_recorded": values.get("captured"), "values_missing": "; ".join(unseen) or "none" if values else None,
            "before_ms": before, "after_ms": after, "cupti_left": error_of(after, before)}


def of_replays(folder, before_ms):
    found = {}
    for kind in ("unpaced", "paced"):
        result = load(os.path.join(folder, f"{kind}.json"))
        if result is None:
            continue
        found[f"{kind}_ms"] = median = result["iterations"]["median_ns"] / 1e6
        found[f"{kind}_error"] = error_of(median, before_ms)
        if kind == "unpaced":
            found.update(verification=result["verification"]["status"], program=result["program"]["form"],
                         not_as_recorded=sum(r["count"] for r in result["coverage"]["replaced"]), clock=result["engine"]["clock"],
                         non_finite=len(result["non_finite"]) if "non_finite" in result else None)
    framework = load(os.path.join(folder, "framework.json"))
    if framework is not None:
        found.update(framework_verification=framework["verification"]["status"], framework_ms=framework["iterations"]["median_ns"] / 1e6)
        found["framework_error"] = error_of(found["framework_ms"], before_ms)
    return found


def of_profiles(original, replay):
    waits, replay_waits = original.waits(), replay.waits()
    ours, theirs = replay.names("kernel"), original.names("kernel")
    copies = original.names("gpu_memcpy")
    return {"kernels": len(original.kernels), "replay_kernels": len(replay.kernels),
            "other_kernels": sum(((ours - theirs) + (theirs - ours)).values()), "waits": waits, "replay_waits": replay_waits,
            "extra_waits": replay_waits - waits, "copies": dict(copies),
            "replay_copies": dict(replay.names("gpu_memcpy")), "pinned_copies": sum(n for name, n in copies.items() if "Pinned" in name),
            "device_ms": original.device_ms(), "device_error": error_of(replay.device_ms(), original.device_ms()),
            "overlap": original.overlap(), "overlap_error": error_of(replay.overlap(), original.overlap()),
            "peak_bytes": original.peak_bytes(), "peak_error": error_of(replay.peak_bytes(), original.peak_bytes())}


def of_variant(folder):
    """The figures of a variant whose files lie in a folder."""
    found = of_captures(folder)
    found.update(of_replays(folder, found["before_ms"]))
    original, replay, framework = (os.path.join(folder, *parts) for parts in (
        ("job", "rank-0.kineto.json.gz"), ("replay.kineto.json",), ("framework.kineto.json",)))
    if os.path.exists(original):
        original = Profile(original)
        found.update(of_profiles(original, Profile(replay)) if os.path.exists(replay) else {})
        if os.path.exists(framework):
            seen = of_profiles(original, Profile(framework))
            found.update({f"framework_{name}": seen[name] for name in ("other_kernels", "device_error", "peak_error")})
    return {name: value for name, value in found.items() if value is not None}


# Of the checks beside the variants.

def of_result(path):
    """The device that a replay ran on, and its time."""
    result = load(path)
    return {} if result is None else {"device": result["engine"]["device"], "ms": result["iterations"]["median_ns"] / 1e6}


def of_long_run(path, count=20):
    """How much the last samples of many differ from the first."""
    samples = (load(path) or {}).get("iterations", {}).get("samples_ns", ())
    if len(samples) < 2 * count:
        return {}
    first, last = statistics.median(samples[:count]), statistics.median(samples[-count:])
    return {"long_run": last / first - 1, "samples": len(samples)}


def of_hook(folder, said=""):
    """What the hook takes at the end of an iteration, as a share of it; and what runs with and without it differ by."""
    row = re.search(r"uninstrumented iteration of the captured job.*?([+-]?[0-9.]+) %", said)
    cost = (load(os.path.join(folder, "capture.json")) or {}).get("cost")
    before = median_of((load(os.path.join(folder, "reference.json")) or {}).get("before"))
    found = {"hook_cost": cost["untouched_ns"] / 1e6 / before, "start_up_ms": cost["start_up_ns"] / 1e6} if cost and before else {}
    return {**found, "between_runs": float(row.group(1)) / 100} if row else found


def of_comparison(report):
    """What compare.py says of a workload."""
    kernels = report["kernels"] + report["replayed_kernels"]
    found = {"compare_verification": report["verification"], "compare_time": report["paced"]["error"],
             "compare_peak": report["unpaced"]["peak_error"], "compare_kernels": report["other_kernels"] / kernels if kernels else None,
             "time_unpaced": report["unpaced"]["error"], "processes": report.get("processes")}
    return {name: value for name, value in found.items() if value is not None}
