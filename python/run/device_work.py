# What operators start on a device, as PyTorch's own profiler sees it.


def device_work(package, profiler):
    """By the place of an operator in the manifest, how many kernels, copies and fillings it started, and their time in nanoseconds.

    None where the profiler saw no work on a device.
    """
    ran, found, at = outermost_events(profiler), {}, 0
    for i, op in enumerate(package.manifest["operators"]):
        name = package.name_of(op).split(".")[0]  # Events have no overload.
        place = next((j for j in range(at, min(len(ran), at + WINDOW)) if ran[j].name == name), None)
        if place is not None:
            found[i], at = work_of(ran[place]), place + 1
    return found if any(count for count, _ in found.values()) else None


def outermost_events(profiler):
    """The operators that no other called, in the order in which they began."""
    def is_operator(event):
        return "::" in event.name and str(event.device_type).endswith("CPU")  # Names of kernels have it, too.

    def is_outermost(event):
        above = event.cpu_parent
        while above is not None and not is_operator(above):
            above = above.cpu_parent
        return above is None

    return sorted((e for e in profiler.events() if is_operator(e) and is_outermost(e)), key=lambda e: e.time_range.start)


def work_of(event):
    """What an operator and those within it started: a number, and nanoseconds (the profiler counts in microseconds)."""
    parts = [(len(event.kernels), sum(round(k.duration * 1000) for k in event.kernels)), *map(work_of, event.cpu_children)]
    return sum(count for count, _ in parts), sum(spent for _, spent in parts)


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
