# What ran, compared with what was recorded.

WINDOW = 64  # How far to look for an operator that is not where it should be.
TRACE_TYPES = {
    "unsigned char": "uint8", "signed char": "int8", "short int": "int16", "int": "int32", "long int": "int64", "c10::Half": "float16",
    "float": "float32", "double": "float64", "c10::complex<c10::Half>": "complex32", "c10::complex<float>": "complex64",
    "c10::complex<double>": "complex128", "c10::BFloat16": "bfloat16", "short unsigned int": "uint16", "unsigned int": "uint32",
    "long unsigned int": "uint64", "c10::Float8_e5m2": "float8_e5m2", "c10::Float8_e4m3fn": "float8_e4m3fn",
    "c10::Float8_e5m2fnuz": "float8_e5m2fnuz", "c10::Float8_e4m3fnuz": "float8_e4m3fnuz", "c10::Float8_e8m0fnu": "float8_e8m0fnu",
    "c10::Float4_e2m1fn_x2": "float4_e2m1fn_x2", "c10::qint8": "qint8",
    "c10::quint8": "quint8", "c10::qint32": "qint32"}
TRACE_TYPES.update({"c10::" + name: name for name in ("quint4x2", "quint2x4", "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16")})
TRACE_TYPES.update({f"c10::dummy_{kind}1_7_t<{bits}{suffix}>": f"{kind}{bits}"
                    for kind in ("int", "uint") for bits in range(1, 8) for suffix in ("", "u")})


UNOBSERVABLE = re.compile("(^|_)(csr|csc|bsr|bsc|compressed|nested|crow|ccol)(_|$)")
COMPRESSED = 2, 4, 5, 6  # SparseCsr, SparseCsc, SparseBsr and SparseBsc (c10/core/Layout.h).


def refuse_unobservable(package):
    """Raises an error where the observer would crash: since PyTorch 2 it asks each tensor for strides, which some do not have."""
    if int(torch.__version__.split(".")[0]) < 2:
        return
    for op in package.manifest["operators"]:
        schema = package.schemas[op["schema"]]
        has_layout = any(a.name == "layout" and value.get("v") in COMPRESSED for a, value in zip(schema.arguments, op["args"]))
        if has_layout or UNOBSERVABLE.search(schema.qualified.split("::")[-1]):
            raise RuntimeError(f"the observer of PyTorch {torch.__version__} crashes with tensors as {schema.name} has them")


class ObservedNode:
    """A node of an execution trace, in the old layout (schema 1.0.1) or the new one."""

    def __init__(self, node):
        attributes = {a["name"]: a["value"] for a in node.get("attrs", ())}
        self.id, self.parent = node["id"], node.get("ctrl_deps", node.get("parent"))
        self.schema, self.thread = node.get("op_schema", attributes.get("op_schema", "")), node.get("tid", attributes.get("tid", 0))
        self.name = self.schema[:self.schema.index("(")] if self.schema else node["name"]
        if "ctrl_deps" in node:
            sides = [(node[k]["shapes"], node[k]["types"], node[k].get("strides"), node[k].get("values")) for k in ("inputs", "outputs")]
        else:
            sides = [(node[k + "_shapes"], node[k + "_types"], None, node.get(k + "s")) for k in ("input", "output")]
        self.inputs, self.outputs = (self.tensors(*side) for side in sides)
        self.is_doubtful = False  # Whether another operator may have called it: see doubts_of.
        self.inside = []  # The names of the operators that it called.

    def tensors(self, shapes, types, strides, values):
        found = []
        for i, kind in enumerate(types):
            stride, value = (part[i] if part and i < len(part) else None for part in (strides, values))
            if kind.startswith("Tensor(") and "nullptr" not in kind:
                found.append((TRACE_TYPES.get(kind[7:-1], kind[7:-1]), shapes[i], stride, observed_device(value)))
            elif kind.startswith("GenericList["):
                inner = split_types(kind[len("GenericList["):-1])
                if any(t.startswith(("Tensor(", "GenericList[")) for t in inner):
                    found += self.tensors(shapes[i], inner, stride, value)
        return found


def observed_device(value):
    """The kind of device of a tensor: the last of [tensor, storage, offset, elements, bytes of one, device]; None where it is not told."""
    name = value[5] if isinstance(value, list) and len(value) > 5 else None
    return name.split(":")[0] if isinstance(name, str) and name else None


def split_types(text):
    depth, start, items = 0, 0, []
    for at, c in enumerate(text):
        depth += (c in "([<") - (c in ")]>")
        if c == "," and depth == 0:
            items.append(text[start:at])
            start = at + 1
    return items + [text[start:]] if text else []


BACKWARD = "autograd::engine::evaluate_function: "  # What the engine puts around a function (torch/csrc/autograd/engine.cpp).
ACCUMULATION = BACKWARD + "torch::autograd::AccumulateGrad"


def outermost(trace_path, has_calls=False):
    """The outermost operators of a trace, in order: those that were called, and those that autograd ran in backward passes.

    Scratch memory that OpenMP's threads allocate is no operator of its own, nor what a replay tells the allocator of its streams.
    """
    with open(trace_path, encoding="utf-8") as file:
        nodes = {n["id"]: ObservedNode(n) for n in json.load(file)["nodes"]}
    called, backward, accumulated = [], [], 0
    doubts = doubts_of(nodes) if has_calls else {}
    for node in sorted(nodes.values(), key=lambda n: n.id):
        below, above, in_backward = node, nodes.get(node.parent), False
        accumulated += node.name == ACCUMULATION
        while above is not None and above.parent != above.id:
            is_doubtful = below.id > doubts.get(above.id, below.id)
            node.is_doubtful = node.is_doubtful or is_doubtful
            if above.schema and not is_doubtful:
                break
            in_backward = in_backward or above.name.startswith(BACKWARD)
            below, above = below if is_doubtful else above, nodes.get(above.parent)
        if node.schema and (above is None or not above.schema) and node.name != "aten::record_stream":
            (backward if in_backward else called).append(node)
        while node.schema and above is not None and above.schema:
            above.inside.append(node.name)
            above = nodes.get(above.parent)
    main = called[0].thread if called else 0
    if has_calls:  # Backends work in threads of their own, which begin after the first call; and newer versions' barriers make a tensor.
        main = min((n.thread for n in called), default=0)
        called = [n for n in called if n.thread == main]
        called = [n for n, after in zip(called, [*called[1:], None])
                  if n.name != "aten::empty.memory_format" or after is None or not after.schema.startswith("c10d::barrier(Tensor ")]
    called = [n for n in called if n.thread == main or n.name not in ("aten::empty.memory_format", "aten::empty_strided")]
    return called, backward, accumulated


ASYNCHRONOUS_LABELS = "gloo:", "mpi:"


def doubts_of(nodes):
    """By node, from which id on what has it for a parent may come after it.

    The label of a backend's work begins and ends in the backend's thread, whenever that gets to it, but on the stack of the thread that
    made the call: what then ends takes the label off, and stays there itself, the parent of what follows until the label ends.
    """
    doubts = {}
    for node in sorted(nodes.values(), key=lambda n: n.id):
        if not node.schema and node.name.startswith(ASYNCHRONOUS_LABELS):
            doubts[node.id] = node.id
            above = nodes.get(node.parent)
            while above is not None and above.parent != above.id:
                doubts.setdefault(above.id, node.id)
                above = nodes.get(above.parent)
    return doubts


def verify(package, trace_path, missing, substituted, devices=()):
    """Compares operator by operator: names, overloads, shapes, types, strides; and on a device where it ran, and by which of its kernels.

    Devices are those that stand for the recorded ones.
    """
    m = package.manifest
    rank_calls = {i for i, op in enumerate(m["operators"]) if call_of(op) is not None}
    called, ran_backward, accumulated = outermost(trace_path, bool(rank_calls))
    running = [op for i, op in enumerate(m["operators"]) if i not in missing and i not in substituted]
    unseen = unobserved_calls(package, running) if rank_calls else []
    left_out = {id(op) for op in unseen}
    planned = [op for op in running if "kernel" not in op and op.get("role") != "autograd" and id(op) not in left_out]
    seen = {i: by for i, (by, _) in substituted.items() if i not in rank_calls}  # What stands for a call was hidden.
    substitutes = collections.Counter(name for by in seen.values() for name in by.split(", "))
    # Results are copied into the recorded strides.
    substitutes["aten::copy_"] += sum(len(out) for i in seen for out in m["operators"][i]["outs"])
    is_framework, result = is_of_framework(m), {"unobserved_calls": len(unseen)} if unseen else {}
    if not is_framework:
        called = sorted(called + ran_backward, key=lambda n: n.id)
    exact, differences = compare_runs(package, planned, called, substitutes, devices)
    recorded = [b for op in m["operators"] for b in op.get("backward", ())]
    if is_framework:
        same, own = compare_runs(package, recorded, ran_backward, collections.Counter(), devices)
        names = collections.Counter(map(package.name_of, recorded)), collections.Counter(n.name for n in ran_backward)
        result["backward"] = {"recorded_operators": len(recorded), "ran_operators": len(ran_backward), "exact_operators": same,
                              "only_recorded": kinds_more(*names), "only_ran": kinds_more(*reversed(names))}
        # Work is done another way only where its outcome is there: all gradients that were recorded.
        is_done = accumulated >= sum(op.get("accumulates", 0) for op in m["operators"])
        differences += [{**d, "kind": "targets_own" if is_done else "missing"} for d in own if "node" in d]
        exact += same
    classes = classes_of(m, missing, substituted, differences)
    classes["targets_more"] = max(0, len(ran_backward) - len(recorded)) if is_framework else 0
    has_strides = bool(m["source"]["has_strides"]) and any(t[2] is not None for n in called for t in n.inputs)
    is_same = not differences and ("backward" not in result or len(ran_backward) == result["backward"]["exact_operators"])
    return {"status": "exact" if is_same else "different", "expected_operators": len(planned) + len(recorded), "exact_operators": exact,
            "unobserved_kernels": sum("kernel" in op for op in running), "classes": classes, "strides_compared": has_strides,
            "differences": differences, **result}


def unobserved_calls(package, running):
    """Calls between ranks that no observer sees: waits, and what this PyTorch does without an operator of its dispatcher's."""
    known = schemas_of({package.name_of(op) for op in running if call_of(op) is not None})
    return [op for op in running if call_of(op) is not None and package.name_of(op) not in known]


def kinds_more(names, others):
    """By name, how many more there are of one than of the other, the most first."""
    more = names - others
    return [{"operator": name, "count": count} for name, count in sorted(more.items(), key=lambda kind: (-kind[1], kind[0]))]


def compare_runs(package, planned, ran, substitutes, devices):
    """How many operators that should have run did so exactly, and the differences, in order."""
    m, at, exact, differences = package.manifest, 0, 0, []

    def differ(op, kind, what):
        differences.append({**({k: op[k] for k in ("segment", "node") if k in op} if op else {}),
                            "operator": package.name_of(op) if op else ran[at].name, "kind": kind, "what": what})

    def unplanned():
        nonlocal at
        if substitutes[ran[at].name] > 0:
            substitutes[ran[at].name] -= 1
        elif not ran[at].is_doubtful:
            differ(None, "unplanned", "it ran without being planned")
        at += 1

    def find(op):
        name, doubtful = package.name_of(op), -1
        for i in range(at, min(len(ran), at + WINDOW)):
            if ran[i].name == name:
                if not ran[i].is_doubtful or compare(m, op, ran[i], devices) is None:
                    return i
                doubtful = i if doubtful < 0 else doubtful
        return doubtful

    for i, op in enumerate(planned):
        found = find(op)
        if found < 0:
            following = find(planned[i + 1]) if i + 1 < len(planned) else -1
            while at < len(ran) and ran[at].is_doubtful and at != following:
                at += 1
            instead = at < len(ran) and at != following
            same = instead and ran[at].name.split(".")[0] == package.name_of(op).split(".")[0]
            differ(op, "variant" if same else "missing", f"{ran[at].name} ran instead" if instead else "it did not run")
            at += instead
            continue
        while at < found:
            unplanned()
        difference = None if op.get("role") == "substitute" else compare(m, op, ran[at], devices)
        if difference:
            differ(op, *difference)
        else:
            exact += 1
        at += 1
    while at < len(ran):
        unplanned()
    return exact, differences


def classes_of(m, missing, substituted, differences):
    """What became of the trace's operators, each in one class: its worst difference."""
    worst, order = {}, ["unplanned", "other_implementation", "targets_own", "variant", "different", "missing"]
    for d in differences:
        if "node" in d:
            worst[id_of(d)] = max(worst.get(id_of(d), "unplanned"), d["kind"], key=order.index)
    unplanned = sum("node" not in d for d in differences)
    recorded = {id_of(op): worst.get(id_of(op), "exact") for i, op in enumerate(m["operators"])
                if "role" not in op and i not in missing and i not in substituted}
    recorded.update((id_of(b), worst.get(id_of(b), "exact")) for op in m["operators"] for b in op.get("backward", ()))
    replaced = [id_of(r) for r in m["replaced"] if r["remedy"] == "substitute"]
    replaced += [id_of(m["operators"][i]) for i in substituted if "role" not in m["operators"][i]]
    lost = sum(i in worst for i in replaced)  # Work that takes the place of an operator does not do so where it differs.
    found = list(recorded.values())
    classes = {k: found.count(k) for k in ("exact", "other_implementation", "targets_own", "variant", "different")}
    classes.update(substituted=len(replaced) - lost,
                   stand_in=m["coverage"]["stand_ins"] + sum("role" not in m["operators"][i] for i in missing),
                   missing=m["coverage"]["missing_operators"] + found.count("missing") + lost,
                   unplanned=unplanned + sum(i not in recorded and i not in replaced for i in worst))
    share = time_share_of(m, {i for i, kind in recorded.items() if kind == "exact"})
    return classes if share is None else {**classes, "time_share": share}


def time_share_of(m, exact):
    """Of the original's time in selected operators, the share of the exact ones: on the device where there is any, else on the host."""
    times = (m.get("times") or {}).get("operators", [])
    field = "device_ns" if any(t.get("device_ns", 0) > 0 for t in times) else "duration_ns"
    total = sum(t.get(field, 0) for t in times)
    return sum(t.get(field, 0) for t in times if id_of(t) in exact) / total if total > 0 else None


def compare(m, op, node, devices=()):
    if call_of(op) is not None and not op["args"]:
        return None  # A barrier: what a backend makes a tensor of is its own affair.
    sides = [("input", [s for a in op["args"] for s in a.get("t", ())], node.inputs)]
    if op["outs"]:
        sides.append(("output", [s for out in op["outs"] for s in out], node.outputs))
    for what, slots, actual in sides:
        expected = [m["tensors"][s] for s in slots if s >= 0 and m["tensors"][s]["storage"] >= 0]
        if len(expected) != len(actual):
            return "different", f"it has {len(actual)} {what} tensors instead of {len(expected)}"
        for i, (want, (dtype, shape, strides, device)) in enumerate(zip(expected, actual)):
            on = devices[m["storages"][want["storage"]]["device"]].type if devices else None
            if on and device and on != device:
                return "different", f"its {what} {i} is on {device} instead of {on}"
            if want["dtype"] != dtype:
                return "different", f"its {what} {i} is {dtype} instead of {want['dtype']}"
            if want["shape"] != shape:
                return "different", f"its {what} {i} has the shape {shape} instead of {want['shape']}"
            if m["source"]["has_strides"] and not want.get("opaque") and strides is not None and 0 not in shape \
                    and any(n > 1 and a != b for n, a, b in zip(shape, want["strides"], strides)):
                return "variant", f"its {what} {i} has the strides {strides} instead of {want['strides']}"
    if "inside" in op and any(d.type != "cpu" for d in devices) and node.inside and op["inside"] not in node.inside:
        return "other_implementation", f"it is done by {node.inside[0]} instead of {op['inside']}"
    return None
