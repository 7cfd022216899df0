# The program, operator by operator.

RELATIONS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class EagerProgram:
    """The same operators, each called through torch.ops: for a PyTorch that does not take the program, and to look at each alone."""

    def __init__(self, package, devices, kernels, has_libraries, pins=False, rank_calls=None):
        self.rank_calls = rank_calls or {}
        self.package, self.devices, self.kernels, self.has_libraries = package, devices, kernels, has_libraries
        self.pins = pins
        m = package.manifest
        self.tensors, self.operators, self.recorded_devices = m["tensors"], m["operators"], m["devices"]
        self.slots = [None] * len(self.tensors)
        self.missing = {}  # By place: why the operator does not run. Its results are there from the start.
        self.substituted = {}  # By place: what runs instead, and why.
        self.tried = {}  # By place, the rows of the table of substitutions that were tried.
        self.stand_ins = {}
        self.rows = m["substitutions"]
        self.schemas = schemas_of(package.names + [call["operator"] for row in self.rows for call in row["calls"]])
        self.freed = [[] for _ in self.operators]
        for slot, i in {**last_uses(self.operators), **held_slots(m)}.items():
            if slot >= 0 and i is not None and not self.tensors[slot].get("external"):
                self.freed[i].append(slot)
        self.steps = [self.steps_for(i, op) for i, op in enumerate(self.operators)]
        self.calls = [lambda call=call: self.run(call["first"], call["count"]) for call in m["schedule"]]

    def steps_for(self, index, op):
        """The calls of an operator: its own; else, by the first row of the table that fits, those that do its work."""
        recorded = self.recorded_arguments(op)
        if "kernel" in op:
            kernel, makers = self.kernels.get(index), [self.maker(value, None) for value in op["args"]]
            why = "a Triton kernel: not allowed (--allow-trace-code), or not to be compiled here"
            return [(kernel, makers, {}, [])] if kernel else self.replace(index, why)
        if index in self.rank_calls:
            made, arguments = self.rank_calls[index], self.package.schemas[op["schema"]].arguments
            return [(lambda *given: made.make(*given), [self.taker(*pair) for pair in zip(op["args"], arguments)], {}, op["outs"])]
        step = self.own_step(op, self.package.name_of(op), recorded)
        if isinstance(step, str):
            return self.replace(index, step)
        always = [row for row in self.rows if row.get("always") and "role" not in op]
        return (always and self.row_for(index, always, "the table of substitutions wants it")) or [step]

    def replace(self, index, reason):
        """The calls that do an operator's work, where it does not run; none where no row fits."""
        calls = self.row_for(index, self.rows, reason)
        if calls is None:
            self.missing[index] = reason
            self.substituted.pop(index, None)
        return calls or []

    def row_for(self, index, rows, reason):
        op = self.operators[index]
        name, recorded, tried = self.package.name_of(op), self.recorded_arguments(op), self.tried.setdefault(index, set())
        for row in sorted(rows, key=lambda r: r["operator"] != name):  # A row of the overload comes before one of all.
            if row["operator"] in (name, name.split(".")[0]) and id(row) not in tried and self.guard_holds(row, recorded):
                tried.add(id(row))
                calls = self.row_steps(row, op, recorded)
                if calls is not None:
                    self.substituted[index] = ", ".join(c["operator"] for c in row["calls"]) or "nothing", reason
                    return calls
        return None

    def fail(self, index, reason):
        """Takes note of an operator that failed: its work is done by the next row of the table, or not."""
        if index in self.rank_calls:  # The other ranks would wait for it.
            raise Problem("MYS434",
                          f"the ranks cannot go on: the call {self.package.name_of(self.operators[index])} does not run here: {reason}",
                          f"{self.package.path}, node {self.operators[index]['node']}", "report it with this message and the trace", 1)
        self.steps[index] = self.replace(index, reason)

    def recorded_arguments(self, op):
        return dict(zip([a.name for a in self.package.schemas[op["schema"]].arguments], op["args"]))

    def own_step(self, op, name, recorded):
        """The function, how to make its arguments, and where its results go; or why it cannot be called."""
        schema = self.schemas.get(name)
        reason = why_not_on_target(schema, op, self.has_libraries)
        if reason:
            return reason

        def make(argument):
            if argument.name in recorded:
                return self.maker(recorded[argument.name], argument)
            return (lambda: argument.default_value) if argument.has_default_value() else None

        makers = [(argument, make(argument)) for argument in schema.arguments]
        for argument, maker in makers:
            if maker is None:
                return f"PyTorch {torch.__version__} has it with other arguments: it takes '{argument.name}' there"
        return self.call_of(schema, makers, op["outs"])

    @staticmethod
    def call_of(schema, makers, outs):
        namespace, base = schema.name.split("::", 1)
        packet = getattr(getattr(torch.ops, namespace), base)
        function = getattr(packet, schema.overload_name or "default")
        return function, [m for a, m in makers if not a.kwarg_only], {a.name: m for a, m in makers if a.kwarg_only}, outs

    def guard_holds(self, row, recorded):
        conditions = [dict(argument=row["argument"], of="value", relation="=", number=row["is"])] if "argument" in row \
            else row.get("conditions", ())
        return all(self.condition_holds(c, recorded.get(c["argument"], {})) for c in conditions)

    def condition_holds(self, condition, argument):
        """A condition of a row; of what an argument has not, nothing holds."""
        of, relation = condition["of"], RELATIONS[condition["relation"]]
        if of == "value":
            value = argument.get("v")
            return type(value) is int and relation(value, condition["number"])
        slots = argument.get("t", ())
        if len(slots) != 1 or slots[0] < 0:
            return False
        tensor = self.tensors[slots[0]]
        shape, dimension = tensor["shape"], condition.get("dimension", 0)
        if of == "dtype":
            return relation(tensor["dtype"], condition["dtype"])
        if of == "size":
            return -len(shape) <= dimension < len(shape) and relation(shape[dimension], condition["number"])
        return relation(len(shape) if of == "dim" else math.prod(shape), condition["number"])

    def row_steps(self, row, op, recorded):
        """The calls of a row of the table of substitutions; None where this PyTorch lacks one of them."""
        values, steps = {}, []  # What calls of the row make for each other, by name.
        for call in row["calls"]:
            schema = self.schemas.get(call["operator"])
            if schema is None or POLICY.why_not(Schema.parse(str(schema)), self.has_libraries):
                return None
            given = [text for name, text in call["args"] if not name]
            named = {name: text for name, text in call["args"] if name}
            makers = []
            for i, argument in enumerate(schema.arguments):
                text = given[i] if i < len(given) else named.get(argument.name)
                if text is None and not argument.has_default_value():
                    return None
                if text is None:
                    makers.append((argument, lambda value=argument.default_value: value))
                else:
                    makers.append((argument, self.text_maker(text, argument, recorded, op, values)))
            outs = [self.place_of(name, op) for name in call["results"]]
            steps.append(self.call_of(schema, makers, outs + [None] * (len(schema.returns) - len(outs))))
            for at, name in enumerate(call["results"]):
                if outs[at] is None and name != "_":
                    outs[at] = (values, name)
            steps[-1][3][:len(outs)] = outs
        return steps

    @staticmethod
    def place_of(name, op):
        if name.startswith("out") and name[3:].isdigit():
            return op["outs"][int(name[3:])] if int(name[3:]) < len(op["outs"]) else None
        return None

    def text_maker(self, text, argument, recorded, op, values):
        """How to make an argument of a row: a value of the row, a recorded argument or result, a list of these, or a literal."""
        if text in recorded:
            if argument is None and texts_of(recorded[text].get("v")):
                return refuse_text
            return self.maker(recorded[text], argument)
        place = self.place_of(text, op)
        if place is not None:
            return lambda: self.slots[place[0]]
        if text.startswith("[") and text[1:2].isalpha() and not text.startswith(("[True", "[False", "[None")):
            makers = [self.text_maker(item.strip(), None, recorded, op, values) for item in text[1:-1].split(",") if item.strip()]
            return lambda: [value for value in (make() for make in makers) if value is not None]
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return lambda: values[text]
        if any(argument is None or not POLICY.is_word(argument.name, word) for word in texts_of(value)):
            return refuse_text
        return lambda: value

    def maker(self, value, argument):
        slots = value.get("t")
        if slots is None:
            made = literal(value["v"], self.recorded_devices, self.devices)
            if argument is not None and any(not POLICY.is_word(argument.name, text) for text in texts_of(made)):
                return refuse_text
            if argument is not None and argument.name == "pin_memory" and made is True:
                made = self.pins  # Page-locked memory is the business of the device that runs it.
            return lambda: made
        if argument is not None and "List[" in str(argument.type):
            return lambda: [None if s < 0 else self.slots[s] for s in slots]
        return lambda: self.slots[slots[0]]

    def taker(self, value, argument):
        """How to make an argument of a call between ranks: a tensor, or a list of them."""
        slots = [slot for slot in value.get("t", ()) if slot >= 0]
        return (lambda: [self.slots[slot] for slot in slots]) if argument.is_list else (lambda: self.slots[slots[0]])

    def run(self, first, count):
        for i in range(first, first + count):
            self.run_one(i)

    def run_one(self, i):
        if i in self.missing or i in self.substituted:
            for slot in self.made_by(i):
                self.slots[slot] = self.stand_in(slot)
        if i not in self.missing:
            for function, positional, named, outs in self.steps[i]:
                self.store(outs, function(*[make() for make in positional], **{name: make() for name, make in named.items()}))
        if i in self.substituted:
            for slot in self.made_by(i):
                self.slots[slot] = self.as_recorded(slot)
        for slot in self.freed[i]:
            self.slots[slot] = None

    def as_recorded(self, slot):
        """A substitute's result with the recorded strides: later operators (view) may need them."""
        value, tensor = self.slots[slot], self.tensors[slot]
        if tensor.get("opaque"):
            return value
        same = all(size < 2 or a == b for size, a, b in zip(tensor["shape"], value.stride(), tensor["strides"]))
        return value if same or list(value.shape) != tensor["shape"] else self.stand_in(slot).copy_(value)

    def made_by(self, i):
        made = [s for out in self.operators[i]["outs"] for s in out if s >= 0]
        return [s for s in made if not self.tensors[s].get("external") and self.tensors[s]["storage"] >= 0]

    def stand_in(self, slot):
        """A tensor of a result's shape, type and strides; made once."""
        if slot not in self.stand_ins:
            t = self.tensors[slot]
            made = empty_as_recorded(self.package.manifest, t, self.devices)
            if t["dtype"] in ElementType.ONES or made.element_size() == 1:
                made.view(torch.uint8).fill_(ElementType.ONES.get(t["dtype"], 0))  # PyTorch may have no fill_ of them.
            else:
                made.fill_(0.5) if made.is_floating_point() else made.zero_()
            self.stand_ins[slot] = made
        return self.stand_ins[slot]

    def release_graph(self):
        """Lets go of the graph that an iteration made of stand-ins."""
        self.stand_ins = {slot: tensor.detach() for slot, tensor in self.stand_ins.items()}

    def store(self, outs, results):
        """Puts results where they go: into slots, or, as a value for later calls of a row, under its name."""
        if len(outs) == 1:
            results = (results,)
        for out, result in zip(outs, results or ()):
            if isinstance(out, tuple):
                out[0][out[1]] = result
                continue
            items = result if isinstance(result, (list, tuple)) else [result]
            for slot, item in zip(out or (), items):
                if slot >= 0:
                    self.slots[slot] = item

    def put(self, slot, tensor):
        self.slots[slot] = tensor

    def get(self, slot):
        return self.slots[slot]


def last_uses(operators):
    """By slot, the place of the last operator that uses it."""
    return {slot: i for i, op in enumerate(operators) for slot in slots_of(op)}


def held_slots(m):
    """By slot, the operator after which its memory goes, where the original held that beyond its last use: of a storage's tensors the
    one that is made last. None where memory that is made again takes the older one's place.
    """
    tensors, storages, ends, first, last, made = m["tensors"], m["storages"], {}, {}, {}, {}
    if not any("until" in storage for storage in storages):
        return ends
    for i, op in enumerate(m["operators"]):
        for slot in slots_of(op):
            if slot >= 0 and tensors[slot]["storage"] >= 0:
                first.setdefault(tensors[slot]["storage"], i)
                last[tensors[slot]["storage"]] = i
        made.update({tensors[slot]["storage"]: slot for out in op["outs"] for slot in out
                     if slot >= 0 and not tensors[slot].get("external")})
    for storage, slot in made.items():
        until = storages[storage].get("until") if storage >= 0 and "init" not in storages[storage] else None
        if until is not None and (until > last[storage] or until <= first[storage]):
            ends[slot] = until if until != first[storage] else None
    return ends


def functions_with_lines(code):
    """The names of the functions of a program's text that do anything."""
    found, name, start = set(), "", FORMS.patterns["start"].fullmatch
    for line in code[len(PROLOGUE):].split("\n"):
        head = start(line)
        if head:
            name = head.group(1)
        elif line.strip() not in ("", "return None", "s = self.slots", "d = self.devices", "hs = self.holds"):
            found.add(name)
    return found


def empty_as_recorded(m, tensor, devices):
    """Memory of a recorded tensor's shape, type and strides, on the device that stands for its own."""
    device = devices[m["storages"][tensor["storage"]]["device"]]
    return torch.empty_strided(tensor["shape"], tensor["strides"], dtype=ElementType(tensor["dtype"]).dtype, device=device)


def slots_of(op):
    for argument in op["args"]:
        yield from argument.get("t", ())
    for out in op["outs"]:
        yield from out


def why_not_on_target(schema, op, has_libraries):
    """Why the target's operator of a schema does not run with an operator's literal arguments; None where it does."""
    if schema is None:
        return f"PyTorch {torch.__version__} does not have this operator"
    if op.get("role") == "autograd":
        return None  # The package's policy has looked at it.
    return POLICY.why_not_with(Schema.parse(str(schema)), [a.get("v") for a in op["args"]], has_libraries)


def refuse_text():
    """What makes an argument whose text is no word of the policy's."""
    raise RuntimeError("it would get a text that no operator may have")


def literal(value, recorded_devices, devices):
    if isinstance(value, list):
        return [literal(item, recorded_devices, devices) for item in value]
    if isinstance(value, dict):
        if "double" in value:
            return float(value["double"])
        return devices[recorded_devices.index(value["device"])] if "device" in value else None
    return value
