# Failures of the device: which operator they are of. An error on a device shows up later, and each later call fails with it.

# By operator, which argument holds places, what it indexes, and along which dimension: a number, or the argument that says it.
INDEXED = {"aten::embedding": ("indices", "weight", 0), "aten::_embedding_bag": ("indices", "weight", 0),
           "aten::_embedding_bag_forward_only": ("indices", "weight", 0), "aten::embedding_renorm_": ("indices", "self", 0),
           "aten::index_select": ("index", "self", "dim"), "aten::gather": ("index", "self", "dim"),
           "aten::take": ("index", "self", None), "aten::scatter": ("index", "self", "dim"), "aten::scatter_": ("index", "self", "dim"),
           "aten::scatter_add": ("index", "self", "dim"), "aten::scatter_add_": ("index", "self", "dim"),
           "aten::index_add_": ("index", "self", "dim"), "aten::nll_loss_forward": ("target", "self", -1),
           "aten::nll_loss2d_forward": ("target", "self", 1)}


def check_bounds(package):
    """Looks at what integral tensors will hold, before a device does: there, a place out of bounds ends the process's use of it."""
    for op in package.manifest["operators"]:
        found = INDEXED.get(package.name_of(op).split(".")[0])
        if found is None:
            continue
        arguments = dict(zip([a.name for a in package.schemas[op["schema"]].arguments], op["args"]))
        index, indexed = (tensor_of(package, arguments.get(name)) for name in found[:2])
        ignored, dim = arguments.get("ignore_index", {}).get("v"), found[2]
        dim = arguments.get(dim, {}).get("v") if isinstance(dim, str) else dim
        ends = index and indexed and ends_of(package.manifest["storages"][index["storage"]], index, ignored)
        if not ends or dim is not None and (not isinstance(dim, int) or not -len(indexed["shape"]) <= dim < len(indexed["shape"])):
            continue
        size = math.prod(indexed["shape"]) if dim is None else indexed["shape"][dim]
        if ends[0] < 0 or ends[1] >= size:
            raise Problem("MYS424", f"{package.name_of(op)} would read at {ends[0] if ends[0] < 0 else ends[1]} of {size}",
                          f"{package.path}, node {op['node']}",
                          "capture the job with --tensor-values, so that its own values are used, and generate the package again", 1)


def tensor_of(package, given):
    slots = (given or {}).get("t", ())
    return package.manifest["tensors"][slots[0]] if len(slots) == 1 and slots[0] >= 0 else None


def ends_of(storage, tensor, ignored):
    """The least and the greatest integer of a tensor that is all of its storage; None where that is not known before it runs."""
    init = storage.get("init")
    if init is None or storage.get("mutated") or not tensor["dtype"].startswith(("int", "uint")) or init["dtype"] != tensor["dtype"]:
        return None
    size, low, high = RULES["element_bytes"][init["dtype"]], int(init["low"]), int(init["high"])
    if math.prod(tensor["shape"]) * size != storage["bytes"]:
        return None
    if init["kind"] == "recorded":
        data = base64.b64decode(init["data"])
        values = [int.from_bytes(data[i:i + size], sys.byteorder, signed=init["dtype"][0] == "i") for i in range(0, len(data), size)]
    elif init["kind"] in ("uniform", "zipf", "permutation") and high > low:
        values = [low, high - 1]
    else:
        values = [low] if init["kind"] == "constant" else []
    values = [v for v in values if v != ignored]
    return (min(values), max(values)) if values else None


def device_problem(engine, error):
    """The problem behind an error of the device: the operator, found by a new process in which each launch is waited for."""
    command = [sys.executable, os.path.abspath(sys.argv[0] if __name__ == "__main__" else __file__), engine.package.path,
               "--device", str(engine.device), "--seed", str(engine.seed), "--find-failure"]
    command += ["--allow-trace-code"] if engine.kernels else []
    command += [part for library in engine.libraries for part in ("--load-library", library)]
    environment = dict(os.environ, CUDA_LAUNCH_BLOCKING="1", AMD_SERIALIZE_KERNEL="3", HIP_LAUNCH_BLOCKING="1")
    what, fix = first_line(error), "report it with this message and the trace; --device cpu shows whether the operator itself is at fault"
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600, check=False)
        found = json.loads(done.stdout.decode().splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        found = None
    if found is None:
        return Problem("MYS423", f"the device failed: {what}; each operator on its own, with its launch waited for, does not show which",
                       engine.package.path, fix, 1)
    return Problem("MYS423", f"the device failed in {found['operator']}: {found['error']}{found['inputs']}",
                   f"{engine.package.path}, node {found['node']}", fix, 1)


def find_failure(engine):
    """Runs each operator on its own and waits for it; tells the first that fails, and what its integral inputs held, as JSON."""
    program = engine.single()
    engine.externals.restore(True)
    for i, op in enumerate(program.operators):
        held = integers_of(program, op)
        try:
            program.run_one(i)
            engine.synchronize()
        except Exception as error:
            if _is_device_error(error):
                return {"node": op["node"], "operator": engine.package.name_of(op), "error": first_line(error), "inputs": held}
            program.fail(i, first_line(error))
            program.run_one(i)
    return None


def integers_of(program, op):
    told = []
    for slot in (s for a in op["args"] for s in a.get("t", ()) if s >= 0):
        value = program.get(slot)
        if value is not None and not value.is_floating_point() and not value.is_complex() and value.numel() and value.dtype != torch.bool:
            told.append(f"{list(value.shape)} from {int(value.min())} to {int(value.max())}")
    return f"; its integral inputs hold {', '.join(told)}" if told else ""
