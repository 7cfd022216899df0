# The result, for people and for machines.


LEAST_TOLD = 0.005  # Of the original's time on the device, what is worth a word.


def percentile(samples, percent):
    """With linear interpolation between the two nearest ranks."""
    ordered, rank = sorted(samples), percent / 100 * (len(samples) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def share_of(part, whole):
    """Rounded down: what is not all is never 1."""
    return int(part / whole * 1e6) / 1e6 if whole else 0


def percent_of(share):
    """Rounded down, as above."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:.1f} %"


def verified(classes, selected):
    """What the observer says of the replay; nothing where nobody looked."""
    if classes is None:
        return {}
    whole = selected + classes["unplanned"]
    shares = {"recorded_operators": classes["exact"], "share": share_of(classes["exact"], whole + classes.get("targets_more", 0)),
              "work_share": share_of(sum(classes[k] for k in ("exact", "other_implementation", "targets_own", "substituted")), whole)}
    return {**shares, "time_share": share_of(classes["time_share"], 1)} if "time_share" in classes else shares


def result_of(engine, options, measured, baseline, allocated, kinds, verification, missing, substituted, non_finite):
    m, info, samples = engine.package.manifest, engine.info(), measured["samplesNs"]
    coverage = dict(m["coverage"])
    coverage["planned_operators"] = coverage.pop("replayed_operators")
    replaced = [(r["operator"], r["remedy"], r.get("by", ""), r["reason"]) for r in m["replaced"]]
    changed = []
    for i, (by, reason) in sorted([(i, ("", why)) for i, why in missing.items()] + list(substituted.items())):
        op = m["operators"][i]
        if "role" not in op:
            coverage["planned_operators"] -= 1
            coverage["substituted_operators" if by else "stand_ins"] += 1
            changed.append((engine.package.name_of(op), "substitute" if by else "stand_in", by, reason))
            replaced.append(changed[-1])
    changes = [{"operator": operator, "count": count, "change": remedy, "by": by, "reason": reason}
               for (operator, remedy, by, reason), count in collections.Counter(changed).items()]
    grouped = [{"operator": operator, "count": count, "remedy": remedy, "by": by, "reason": reason}
               for (operator, remedy, by, reason), count in collections.Counter(replaced).items()]
    source = m["source"]
    selected = coverage["selected_operators"]
    result = {
        "format": "mystique-run", "format_version": RESULT_VERSION,
        "source": {k: source[k] for k in ("trace", "sha256", "schema", "iteration")},
        "engine": {"name": info["name"], "device": info["device"], "threads": info["threads"], "versions": info["versions"],
                   **{k: info[k] for k in ("settings", "notes") if info.get(k)}, "clock": measured.get("clock", "host"),
                   **({"clocks": measured["clocks"]} if measured.get("clocks") else {})},
        "program": {"level": FRAMEWORK if is_of_framework(m) else "operator",
                    "form": "torchscript" if isinstance(engine.program, ScriptProgram) else "eager", "sha256": m["program"]["sha256"],
                    "fitted": bool(changes), "changes": changes},
        "host": {"os": platform.platform(), "processor": processor(), "processors": processors(), "memory_bytes": memory_total(),
                 "runtime": f"Python {platform.python_version()}"},
        "options": {"iterations": len(samples), "warmup": options.warmup, "seed": options.seed, "pace": options.pace},
        "coverage": {**{k: source[k] for k in ("outermost_operators", "decomposed_operators")}, **coverage,
                     "prepared_inputs": sum(a.get("p", False) for op in m["operators"] for a in op["args"]),
                     "planned_share": share_of(coverage["planned_operators"], selected), **verified(verification.get("classes"), selected),
                     "notes": source.get("notes", []), "replaced": grouped},
        "iterations": {"count": len(samples), "median_ns": round(percentile(samples, 50)), "mean_ns": round(sum(samples) / len(samples)),
                       "p5_ns": round(percentile(samples, 5)), "p95_ns": round(percentile(samples, 95)), "samples_ns": samples},
        "cpu_time_ns": round(measured["cpuTimeNs"] / len(samples)),
        "memory": {"baseline_bytes": baseline, "peak_bytes": measured["peakBytes"], "used_bytes": max(0, measured["peakBytes"] - baseline),
                   "planned_peak_bytes": m["memory"]["peak_bytes"], **({"device": measured["device"]} if measured["device"] else {})},
        "operators": kinds, "verification": verification}
    if allocated is not None:
        result["memory"]["allocated_bytes"] = allocated
    if measured["system"] is not None:
        result["system"] = measured["system"]
    if m.get("times"):
        times = m["times"]
        result["reference"] = {
            **{k: times[k] for k in ("source", "iteration_ns", "recorded_ns")}, "linked_operators": len(times["operators"]),
            "unlinked_operators": times["unlinked"], "device_ns": times["device_ns"], "unexplained_ns": times["unexplained_ns"]}
    if m.get("baseline"):
        result["baseline"] = m["baseline"]
    if engine.pacer is not None:
        pace = engine.pacer.report()
        result["pace"] = {"waits": pace["waits"], "waited_ns": pace["waitedNs"], "late": pace["late"],
                          "worst_late_ns": pace["worstLateNs"]}
    if engine.rank_calls:
        result["communication"] = engine.ranks.report(measured.get("blockedNs", []))
    if non_finite is not None:
        result["non_finite"] = [{**{k: op[k] for k in ("segment", "node") if k in op}, "operator": engine.package.name_of(op), "what": why}
                                for op, why in ((m["operators"][i], why) for i, why in non_finite)]
    return result


def processor():
    """The CPU's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def processors():
    """How many logical CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def memory_total():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0


def kinds_of(package, times):
    """What a pass over the operators took, by kind, beside what the original's operators of the kind took; the longest first."""
    m, sums, made = package.manifest, {}, set()
    for op, spent in zip(m["operators"], times):
        if op.get("role") == "autograd":
            continue  # No operator of the dispatcher's.
        count, sum_ns = sums.get(package.name_of(op), (0, 0))
        sums[package.name_of(op)] = count + 1, sum_ns + spent
    kinds = {}
    took = {id_of(t): t["duration_ns"] for t in m.get("times", {}).get("operators", ())}

    def kind_of(name, count=0, sum_ns=0):
        return kinds.setdefault(name, {"name": name, "count": count, "time_ns": round(sum_ns), "allocated_bytes": 0, "original_count": 0})

    for name, (count, sum_ns) in sorted(sums.items(), key=lambda item: -item[1][1]):
        kind_of(name, count, sum_ns)

    def original(name, entry):
        kind = kind_of(name)
        kind["original_count"] += 1
        if id_of(entry) in took:
            kind["original_ns"] = kind.get("original_ns", 0) + took[id_of(entry)]

    for op in m["operators"]:
        name = package.name_of(op)
        for recorded in op.get("backward", ()):
            original(package.name_of(recorded), recorded)
        if "role" not in op:
            original(name, op)
        elif op["role"] == "added" and name in kinds:
            kinds[name]["added_count"] = kinds[name].get("added_count", 0) + 1
        for slot in (s for out in op["outs"] for s in out if s >= 0):
            storage = m["tensors"][slot]["storage"]
            if storage >= 0 and storage not in made and "init" not in m["storages"][storage]:
                made.add(storage)
                if name in kinds:
                    kinds[name]["allocated_bytes"] += m["storages"][storage]["bytes"]
    for r in m["replaced"]:
        original(r["operator"], r)
    return list(kinds.values())


def add_backward(kinds, package, verification):
    """Adds what autograd ran in backward passes: how often is known where it was observed, and how long it took is not."""
    m, backward = package.manifest, verification.get("backward")
    ran = collections.Counter(package.name_of(b) for op in m["operators"] for b in op.get("backward", ()))
    if backward is not None:
        ran.update({kind["operator"]: kind["count"] for kind in backward["only_ran"]})
        ran.subtract({kind["operator"]: kind["count"] for kind in backward["only_recorded"]})
    by_name = {kind["name"]: kind for kind in kinds}
    for name, count in ran.items():
        if name not in by_name and count:
            by_name[name] = {"name": name, "count": 0, "time_ns": 0, "allocated_bytes": 0, "original_count": 0}
            kinds.append(by_name[name])
        if name in by_name and count:
            by_name[name].update(count=by_name[name]["count"] + (count if backward is not None else 0), time_ns=None)


def caveats_of(result):
    """What has to be known beside a time, in the same line."""
    if result["program"]["form"] == "eager":
        yield "operator by operator: Python's own time is in it"
    reference = result.get("reference", {})
    missing = reference["unexplained_ns"] / reference["device_ns"] if reference.get("device_ns") else 0
    if missing >= LEAST_TOLD:
        yield f"without {missing:.1%} of the original's time on the device, which no operator started"


def print_result(result, fallback):
    def line(name, value):
        print(printable(f"{name + ':':32}{value}"))

    times, coverage, verification, memory = (result[k] for k in ("iterations", "coverage", "verification", "memory"))
    line("iteration time, median", f"{times['median_ns'] / 1e6:,.3f} ms" + "".join(f"; {c}" for c in caveats_of(result)))
    if "reference" in result:
        original = result["reference"]["iteration_ns"]
        line("iteration time of the original", f"{original / 1e6:,.3f} ms ({times['median_ns'] / original - 1:+.1%} here)")
    line("level", result["program"]["level"])
    line("5th to 95th percentile", f"{times['p5_ns'] / 1e6:,.3f} to {times['p95_ns'] / 1e6:,.3f} ms")
    line("iterations (excluding warm-up)", f"{times['count']} (+ {result['options']['warmup']})")
    classes = verification.get("classes")
    if classes is None:
        line("operators as recorded", f"not verified; {coverage['planned_operators']:,} of {coverage['selected_operators']:,} planned")
    else:
        line("operators as recorded", f"{classes['exact']:,} of {coverage['selected_operators']:,} ({percent_of(coverage['share'])})")
        if "time_share" in coverage:
            line("of the original's time", f"{percent_of(coverage['time_share'])}")
        for name in ("other_implementation", "targets_own", "targets_more", "variant", "different", "substituted", "stand_in", "missing",
                     "unplanned"):
            if classes.get(name):
                words = {"other_implementation": "other implementation", "targets_own": "the target's own (backward)",
                         "targets_more": "more of its own (backward)"}
                line(words.get(name, name.replace("_", "-")), f"{classes[name]:,}")
    exact, expected = verification["exact_operators"], verification["expected_operators"]
    state = {"exact": f"exact: {exact:,} operators", "different": f"{exact:,} of {expected:,} exact",
             "not_run": verification.get("reason", "not run")}[verification["status"]]
    backward = verification.get("backward")
    same = backward["exact_operators"] if backward else 0
    if backward and (same < backward["recorded_operators"] or backward["ran_operators"] > same):
        state = (f"{exact - same:,} of {expected - backward['recorded_operators']:,} exact; backward passes are the target's own: it ran "
                 f"{backward['ran_operators']:,} operators where {backward['recorded_operators']:,} were recorded, {same:,} of them exact")
    elif backward and verification["status"] == "exact":
        state += f", {backward['ran_operators']:,} of them in backward passes"
    if not verification["strides_compared"] and verification["status"] != "not_run":
        state += " (strides not recorded)"
    if verification["unobserved_kernels"]:
        state += f"; {verification['unobserved_kernels']:,} compiled kernels were launched, which no observer sees"
    line("verification", state)
    if verification.get("unobserved_calls"):
        line("calls that no observer sees", f"{verification['unobserved_calls']:,}")
    if "communication" in result:
        calls = result["communication"]
        where = f" on {calls['backend']} with {calls['present']} ranks" if calls["real"] else ""
        line("communication", f"{calls['calls']:,} calls{where}, {calls['blocked_ns'] / 1e6:,.3f} ms blocked"
             + "".join(f"; {calls[k]:,} {k}" for k in ("local", "emulated") if calls[k]))
        for form in calls["list_forms"]:
            line("other form", f"{form['operator']} ({form['count']:,}) by {form['by']}: {form['reason']}")
    line("CPU time of an iteration", f"{result['cpu_time_ns'] / 1e6:,.3f} ms")
    if "allocated_bytes" in memory:
        line("peak memory of tensors", f"{memory['allocated_bytes'] / 1e6:,.1f} MB")
    line("peak memory of the process", f"{memory['used_bytes'] / 1e6:,.1f} MB")
    if "device" in memory:
        held = memory["device"].get("reserved_bytes")
        line("peak memory of the device", f"{memory['device']['peak_bytes'] / 1e6:,.1f} MB"
             + (f", {held / 1e6:,.1f} MB held by the allocator" if held is not None else ""))
    if "pace" in result:
        pace = result["pace"]
        line("waits in an iteration", f"{pace['waits']}, {pace['waited_ns'] / 1e6:,.3f} ms; {pace['late']} iterations late,"
             f" at worst {pace['worst_late_ns'] / 1e6:,.3f} ms")
    engine = result["engine"]
    versions = ", ".join(f"{name} {version}" for name, version in engine["versions"].items())
    line("engine", f"python ({result['program']['form']}), {versions}, {engine['device']}, {engine['threads']} threads")
    if fallback:
        line("without TorchScript", fallback)
    for note in engine.get("notes", ()):
        line("target", note)
    if "settings" in engine:
        line("settings", ", ".join(f"{name} {value}" for name, value in engine["settings"].items()))
    for note in coverage["notes"]:
        line("note", note)
    for r in coverage["replaced"][:20]:
        remedy = r["remedy"].replace("_", "-") + (" " + r["by"] if r["by"] else "")
        line("not run as recorded", f"{r['operator']} ({r['count']}): {remedy}; {r['reason']}")
    for d in verification["differences"][:10]:
        line("differs", f"{'node ' + str(d['node']) if 'node' in d else 'not planned'}, {d['operator']}: {d['what']}")
    for f in result.get("non_finite", ())[:10]:
        line("values", f"node {f['node']}, {f['operator']}: {f['what']}")


def write_json(path, value):
    """All of it or nothing; - is standard output."""
    text = json.dumps(value, indent=2, ensure_ascii=path == "-") + "\n"  # Standard output may be a terminal.
    if path == "-":
        sys.stdout.write(text)
        return
    with staged(path) as staging, open(staging, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


@contextlib.contextmanager
def staged(path):
    """A name beside an output, which takes its place when it is whole, and is gone where it never is.

    A device or a pipe is written to.
    """
    target = os.path.abspath(path)
    is_file = (not os.path.exists(target) or os.path.isfile(target)) and not target.startswith(("/dev/", "/proc/"))
    folder = tempfile.mkdtemp(prefix="mystique-") if not is_file else None
    staging = f"{target}.{os.getpid()}.tmp" if is_file else os.path.join(folder, "made" + os.path.splitext(path)[1])
    try:
        yield staging
        if not is_file:
            with open(staging, "rb") as source, open(target, "wb") as device:
                shutil.copyfileobj(source, device)
            return
        if os.path.exists(target):
            shutil.copymode(target, staging)
        os.replace(staging, target)
    except OSError as error:
        raise output_problem(error.strerror, path)
    finally:
        if os.path.exists(staging):
            os.remove(staging)
        if folder:
            os.rmdir(folder)
