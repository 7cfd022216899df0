# The program, as TorchScript and operator by operator.

def schemas_of(names):
    """By full name, the schemas of those operators that this PyTorch has."""
    wanted, found = set(names), {}
    for schema in torch._C._jit_get_all_schemas():
        name = f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name
        if name in wanted:
            found[name] = schema
    return found


class ScriptProgram:
    """program.pt: a function for each call of the schedule; tensors live in a list inside it."""

    def __init__(self, package, devices):
        torch._C._set_graph_executor_optimize(False)  # It would merge equal operators and fuse others.
        self.module = torch.jit.load(package.program_path)
        self.module.resize(len(package.manifest["tensors"]) + RESERVED_SLOTS)
        for device in devices:
            self.module.use_device(torch.empty(0, device=device))
        self.calls = [getattr(self.module, call["call"]) for call in package.manifest["schedule"]]

    def put(self, slot, tensor):
        self.module.put(slot + RESERVED_SLOTS, tensor)


class EagerProgram:
    """The same operators, each called through torch.ops: for a PyTorch without TorchScript, and to look at each alone."""

    def __init__(self, package, devices):
        self.package, self.devices = package, devices
        m = package.manifest
        self.tensors, self.operators = m["tensors"], m["operators"]
        self.slots = [None] * len(self.tensors)
        self.missing = {}  # By place: why the operator does not run. Its results are there from the start.
        self.stand_ins = {}
        schemas = schemas_of(package.names)
        last = {}
        for i, op in enumerate(self.operators):
            for slot in slots_of(op):
                last[slot] = i
        self.freed = [[] for _ in self.operators]
        for slot, i in last.items():
            if slot >= 0 and not self.tensors[slot].get("external"):
                self.freed[i].append(slot)
        self.steps = [self.step_of(i, op, schemas.get(package.name_of(op))) for i, op in enumerate(self.operators)]
        self.calls = [lambda call=call: self.run(call["first"], call["count"]) for call in m["schedule"]]

    def step_of(self, index, op, schema):
        """The function, and how to make its arguments: recorded ones by their names, for the schema that is here."""
        if schema is None:
            return self.miss(index, f"PyTorch {torch.__version__} does not have this operator")
        recorded = dict(zip(argument_names(self.package.manifest["schemas"][op["schema"]]), op["args"]))
        positional, named = [], {}
        for argument in schema.arguments:
            if argument.name in recorded:
                make = self.maker(recorded.pop(argument.name), argument.name, "List[" in str(argument.type))
            elif argument.has_default_value():
                make = lambda value=argument.default_value: value
            else:
                return self.miss(index, f"PyTorch {torch.__version__} has it with other arguments: it takes '{argument.name}' there")
            if argument.kwarg_only:
                named[argument.name] = make
            else:
                positional.append(make)
        namespace, base = schema.name.split("::", 1)
        packet = getattr(getattr(torch.ops, namespace), base)
        return getattr(packet, schema.overload_name or "default"), positional, named

    def miss(self, index, reason):
        self.missing[index] = reason

    def maker(self, argument, name, is_list):
        slots = argument.get("t")
        if slots is None:
            value = literal(argument["v"], self.package.manifest["devices"], self.devices)
            if name == "pin_memory" and value is True:
                value = False  # Page-locked memory is the business of the device that runs it.
            return lambda: value
        if is_list:
            return lambda: [None if s < 0 else self.slots[s] for s in slots]
        return lambda: self.slots[slots[0]]

    def run(self, first, count):
        for i in range(first, first + count):
            self.run_one(i)

    def run_one(self, i):
        if i in self.missing:
            for slot in self.made_by(i):
                self.slots[slot] = self.stand_in(slot)
        else:
            function, positional, named = self.steps[i]
            results = function(*[make() for make in positional], **{name: make() for name, make in named.items()})
            self.store(self.operators[i]["outs"], results)
        for slot in self.freed[i]:
            self.slots[slot] = None

    def made_by(self, i):
        return [s for out in self.operators[i]["outs"] for s in out if s >= 0 and not self.tensors[s].get("external") and self.tensors[s]["storage"] >= 0]

    def stand_in(self, slot):
        """A tensor of a result's shape, type and strides; made once."""
        if slot not in self.stand_ins:
            t = self.tensors[slot]
            device = self.devices[self.package.manifest["storages"][t["storage"]]["device"]]
            made = torch.empty_strided(t["shape"], t["strides"], dtype=ElementType(t["dtype"]).dtype, device=device)
            self.stand_ins[slot] = made.fill_(0.5) if made.is_floating_point() else made.zero_()
        return self.stand_ins[slot]

    def store(self, outs, results):
        if len(outs) == 1:
            results = (results,)
        for slots, result in zip(outs, results or ()):
            items = result if isinstance(result, (list, tuple)) else [result]
            for slot, item in zip(slots, items):
                if slot >= 0:
                    self.slots[slot] = item

    def put(self, slot, tensor):
        self.slots[slot] = tensor


def slots_of(op):
    for argument in op["args"]:
        yield from argument.get("t", ())
    for out in op["outs"]:
        yield from out


def arguments_of(text):
    """The texts of a schema's arguments, in order."""
    depth, start, items = 0, text.index("(") + 1, []
    for at in range(start - 1, len(text)):
        depth += (text[at] in "([") - (text[at] in ")]")
        if (text[at] == "," and depth == 1) or depth == 0:
            items.append(text[start:at].strip().split("=")[0])
            start = at + 1
        if depth == 0:
            break
    return [item for item in items if item and item != "*"]


def argument_names(text):
    return [item.split()[-1] for item in arguments_of(text)]


def writes(text):
    """For each argument of a schema, whether the operator writes to it."""
    return ["!" in item for item in arguments_of(text)]


def literal(value, recorded_devices, devices):
    if isinstance(value, list):
        return [literal(item, recorded_devices, devices) for item in value]
    if isinstance(value, dict):
        if "double" in value:
            return float(value["double"])
        return devices[recorded_devices.index(value["device"])] if "device" in value else None
    return value
