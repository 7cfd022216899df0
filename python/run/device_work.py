# What operators start on a device, as PyTorch's own profiler sees it.


def device_work(package, events):
    """By the place of an operator in the manifest, how many kernels, copies and fillings it started, and their time in nanoseconds.

    None where the profile has no work of a device. Kineto's own file is read: what PyTorch makes of it in Python gives the first
    operator of an iteration work that is not its own.
    """
    ran, found, at = outermost_events(events), {}, 0
    for i, op in enumerate(package.manifest["operators"]):
        name = package.name_of(op).split(".")[0]  # Events have no overload.
        place = next((j for j in range(at, min(len(ran), at + WINDOW)) if ran[j][0] == name), None)
        if place is not None:
            found[i], at = tuple(ran[place][1:]), place + 1
    return found if any(count for count, _ in found.values()) else None


def outermost_events(events):
    """The operators that no other called, in the order in which they began, each with the number and the nanoseconds of what it started.

    What ran on a device has the `External id` of the innermost operator that started it.
    """
    started = collections.defaultdict(lambda: [0, 0])
    for event in events:
        if str(event.get("cat")).startswith(("kernel", "gpu_memcpy", "gpu_memset")):
            work = started[event.get("args", {}).get("External id")]
            work[0], work[1] = work[0] + 1, work[1] + round(event.get("dur", 0) * 1000)
    operators = [e for e in events if e.get("cat") == "cpu_op" and "::" in e["name"]]
    found, ends = [], {}
    for event in sorted(operators, key=lambda e: (e["ts"], -e["dur"])):
        thread, end = (event.get("pid"), event.get("tid")), event["ts"] + event["dur"]
        if thread not in ends or event["ts"] >= ends[thread][0]:
            ends[thread] = end, [event["name"], 0, 0]
            found.append(ends[thread][1])
        count, spent = started.get(event.get("args", {}).get("External id"), (0, 0))
        ends[thread][1][1] += count
        ends[thread][1][2] += spent
    return found


def events_of(profiler):
    """The events of Kineto's file, which is written for that alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "kineto.json")
        profiler.export_chrome_trace(path)
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
    return profile["traceEvents"] if isinstance(profile, dict) else profile


def add_device_work(kinds, package, work):
    """Kernels and time on the device to the kinds of operators: of the replay, and of the original, where their profiles have any."""
    m, by_name = package.manifest, {kind["name"]: kind for kind in kinds}

    def add(name, prefix, count, spent):
        kind = by_name.get(name)
        if kind is not None:
            kind[prefix + "device_ns"] = kind.get(prefix + "device_ns", 0) + spent
            kind[prefix + "kernels"] = kind.get(prefix + "kernels", 0) + count

    for i, op in enumerate(m["operators"] if work else ()):
        add(package.name_of(op), "", *work.get(i, (0, 0)))
    if any(t.get("kernels") for t in package.times.values()):
        recorded = [(package.name_of(op), op) for op in m["operators"] if "role" not in op]
        for name, entry in recorded + [(r["operator"], r) for r in m["replaced"]]:
            known = package.times.get(id_of(entry))
            if known:
                add(name, "original_", known.get("kernels", 0), known.get("device_ns", 0))


def add_kernel_counts(verification, package, work, missing, substituted):
    """Operators that started another number of kernels than the original's: libraries chose another implementation."""
    m, differences = package.manifest, verification["differences"]
    if not work or "classes" not in verification or not any(t.get("kernels") for t in package.times.values()):
        return
    differing, found = {id_of(d) for d in differences if "node" in d}, []
    for i, (count, _) in work.items():
        op = m["operators"][i]
        known = package.times.get(id_of(op))
        if "role" in op or i in missing or i in substituted or known is None or id_of(op) in differing:
            continue
        if count != known.get("kernels", 0):
            found.append({**{k: op[k] for k in ("segment", "node") if k in op},
                          "operator": package.name_of(op), "kind": "other_implementation",
                          "what": f"it starts {count} kernels, copies and fillings instead of {known.get('kernels', 0)}"})
    if found:
        verification["differences"] = differences + found
        verification["exact_operators"] -= len(found)
        verification["status"] = "different"
        verification["classes"].update(classes_of(m, missing, substituted, verification["differences"]))
