# Calls between ranks, ready to be made: bound once, so that a call costs little more than what PyTorch does for it.


# How PyTorch and backends say, before anything is sent, that they lack a call, an element type, a layout or a reduction.
REFUSED = re.compile("support|not implemented|[Ii]nvalid scalar type|ReduceOp|[Nn]o such operator|has no attribute|invalid tensor"
                     "|incompatible function arguments|Could not run|could not find|[Uu]nknown (data )?type|data type")
OF_TYPE = re.compile("scalar type|data ?type|Unconvertible|[Uu]nknown type|dtype")
CARRIERS = {"bfloat16": "float32", "float16": "float32", "bool": "uint8", "int16": "int32", "uint16": "int32", "uint32": "int64",
            "complex64": "float32", "complex128": "float64", "complex32": "float32"}  # Of reductions.
KNOWN_TYPES = ("float32", "float64", "int32", "int64", "uint8", "int8")  # To every backend.
REDUCES = ("allreduce", "all_reduce", "reduce", "_reduce_scatter")


def quietly(run, *args):
    """Runs something that no observer sees: it is no operator of the plan's."""
    torch.autograd._enable_record_function(False)
    try:
        return run(*args)
    finally:
        torch.autograd._enable_record_function(True)


def lies_dense(tensor):
    """Whether a tensor's elements fill its memory: backends take it as it lies, whatever its strides."""
    at = 1
    for size, stride in sorted(((n, s) for n, s in zip(tensor.shape, tensor.stride()) if n != 1), key=lambda d: d[1]):
        if stride != at:
            return False
        at *= size
    return True


class CallForm:
    """A call in the first form that the backend takes; the same one on all ranks, for the same PyTorch refuses the same."""

    def __init__(self, name, call, written):
        self.name, self.written = name, written
        self.pg, self.group, self.is_async, self.root = call.pg, call.group, call.is_async, call.root
        self.reduction, self.input_splits, self.output_splits = call.reduction, call.input_splits, call.output_splits
        self.at, self.carries, self.divides, self.reason = -1, False, False, ""
        self.inners, self.is_settled, self.changes = {}, False, 0
        self.to_next("")

    def inner(self, name):
        """Another call with the same data, which does a part of this one's work."""
        self.inners[name] = CallForm(name, self, WRITTEN[name])
        return self.inners[name]

    def to_next(self, reason, restart=False):
        """Goes on to the next form that this PyTorch has."""
        self.at = -1 if restart else self.at
        self.changes += 1
        self.reason = self.reason or reason
        while self.at + 1 < len(CALL_FORMS.get(self.name, ())):
            self.at += 1
            self.inners.clear()
            try:
                self.issue = CALL_FORMS[self.name][self.at][1](self)
                return
            except Exception as error:
                self.reason = self.reason or first_line(error)
        raise RuntimeError(self.reason or f"there is no call {self.name}")

    def start(self, *args):
        while True:
            try:
                work = self.issue(*args) if not self.carries and not self.divides and is_plain(args) else self.start_special(args)
            except Exception as error:
                self.adapt(error)
                continue
            return work if self.is_settled else self.unsettled(work, args)

    def unsettled(self, work, args):
        """Work of a form that nothing has come of yet: backends refuse some calls when they are waited for."""
        if self.name.startswith("_c10d_functional"):
            results, work = work
            return results, Unsettled(self, Registered(results) if work is None else work, args, results)
        return Unsettled(self, work, args)

    def adapt(self, error):
        """Takes another form after a refusal; other errors are failures."""
        text = first_line(error)
        is_refusal = isinstance(error, (AttributeError, NotImplementedError, TypeError)) or REFUSED.search(text) is not None
        if not is_refusal or is_of_lost_rank(text):
            raise error
        if OF_TYPE.search(text) and not self.carries and not self.name.startswith("_c10d"):
            self.carries = True
            self.to_next(text, restart=True)
        elif "ReduceOp" in text and self.reduction not in (None, "sum") and not self.name.startswith("_c10d"):
            self.divides, self.reduction = self.reduction == "avg", "sum"
            self.to_next(text, restart=True)
        else:
            self.to_next(text)

    def start_special(self, args):
        """The call on other tensors than its own: of another type, or contiguous; then what it wrote is copied back."""
        given, back = [], []
        for value, is_written in zip(args, self.written):
            is_list = isinstance(value, (list, tuple))
            made = [self.carrier_of(tensor) for tensor in (value if is_list else [value])] if not is_plain_number(value) else value
            if is_written:
                back += [(t, m) for t, m in zip(value if is_list else [value], made)]
            given.append(made if is_list or is_plain_number(value) else made[0])
        work = self.issue(*given, *args[len(given):])

        def finish():
            for tensor, made in back:
                if self.divides:
                    made.div_(self.group.size) if made.is_floating_point() else made.floor_divide_(self.group.size)
                if made is not tensor:
                    give_back(tensor, made)
        return Then(work, finish)

    def carrier_of(self, tensor):
        """A tensor that the backend takes in place of another: contiguous, and of a type that it knows."""
        made = tensor if tensor.is_contiguous() or lies_dense(tensor) and not self.carries else copied(tensor)
        if not self.carries or str(made.dtype).split(".")[1] in KNOWN_TYPES:
            return made
        if self.name.split("::")[1].startswith(REDUCES):
            made = torch.view_as_real(made) if made.is_complex() else made
            name = CARRIERS.get(str(tensor.dtype).split(".")[1], "float32")
            return made.to(getattr(torch, name))
        rows = made.shape[0] if made.dim() else 1
        return made.view(rows, made.numel() // max(1, rows)).view(torch.uint8)

    def by(self):
        """What does the work in place of the operator; empty where it does so itself."""
        by = CALL_FORMS[self.name][self.at][0]
        inner = [form.by() for form in self.inners.values()]
        own = ([name for text in inner for name in text.split(", ") if text] or [self.name]) if not by else by.split(", ")
        if by and inner and inner[0]:
            own = inner[0].split(", ") + own[1:]
        extra = ["aten::copy_"] * self.carries + ["aten::div_"] * self.divides
        return ", ".join(own + extra) if by or extra or any(inner) else ""

    def why(self):
        return self.reason or next((form.why() for form in self.inners.values()), "")


class Unsettled:
    """Work of a call's first time: where it is refused, the next form does it."""

    def __init__(self, form, work, args, results=None):
        self.form, self.work, self.args, self.results = form, work, args, results
        self.changes = form.changes

    def wait(self):
        try:
            self.work.wait()
            self.form.is_settled = True
        except Exception as error:
            if self.changes == self.form.changes:  # Else another call of the form was refused before.
                self.form.adapt(error)
            again = self.form.start(*self.args)
            if self.results is None:
                return again.wait()
            made, work = again
            (work or Registered(made)).wait()
            is_list = isinstance(made, (list, tuple))
            for old, new in zip(self.results if is_list else [self.results], made if is_list else [made]):
                old.copy_(new)


def is_plain_number(value):
    return isinstance(value, (list, tuple)) and bool(value) and not isinstance(value[0], torch.Tensor)


def is_plain(args):
    """Whether all tensors are such that backends take their memory as it is."""
    for value in args:
        for tensor in value if isinstance(value, list) else (value,):
            if isinstance(tensor, torch.Tensor) and not tensor.is_contiguous() and not lies_dense(tensor):
                return False
    return True


def give_back(tensor, made):
    """What a call wrote to a tensor's carrier, into the tensor."""
    if made.dtype == torch.uint8 and tensor.dtype != torch.uint8 and tensor.dtype != torch.bool:
        if made.data_ptr() == tensor.data_ptr():
            return
        made = made.view(tensor.dtype).view(tensor.shape)
    elif tensor.is_complex() and not made.is_complex():
        made = torch.view_as_complex(made.contiguous())
    elif made.dtype == torch.uint8 and made.data_ptr() == tensor.data_ptr():
        return
    with torch.no_grad():
        tensor.copy_(made.view(tensor.shape) if made.is_contiguous() else made)


def is_of_lost_rank(text):
    return re.search("[Cc]onnection|[Tt]imed ?out|[Tt]imeout|[Rr]ead error|[Ww]rite error|reset by peer", text) is not None


class RankCall:
    """An operator that is a call between ranks, or waits for one. `make` takes its arguments and returns its results."""

    def __init__(self, place, op, schema, data, ranks, makers):
        self.place, self.node, self.key, self.name = place, op["node"], id_of(op), schema.qualified
        self.kind, self.is_async = data["kind"], data.get("async", False)
        self.reduction, self.root = data.get("reduction"), data.get("root")
        self.input_splits, self.output_splits = data.get("input_splits"), data.get("output_splits")
        self.waits_for = (op.get("segment", 0), data.get("waits_for"))
        self.is_functional = schema.namespace == "_c10d_functional"
        self.written = [a.is_written for a in schema.arguments]
        self.ranks, self.group, self.form, self.pg, self.ns = ranks, None, None, None, 0
        self.alone, self.alone_by = passes_of(self.name, 0, True, makers)
        self.makers = makers
        self.make = self.make_wait if self.kind == "wait" else self.make_alone

    def join(self, group, ns):
        """From now on the call is made, where all members of its group are there; it takes at least so long in an emulation."""
        self.group, self.ns, self.pg = group, ns, group.pg
        self.alone, self.alone_by = passes_of(self.name, group.place, True, self.makers)
        if group.pg is None or self.kind == "wait":
            return
        self.root = group.order.index(self.root) if self.root is not None else None
        self.input_splits, self.output_splits = (splits and [splits[i] for i in group.order]
                                                 for splits in (self.input_splits, self.output_splits))
        self.form = CallForm(self.name, self, self.written)
        self.make = self.make_functional if self.is_functional else self.binding()

    @property
    def is_real(self):
        return self.form is not None

    def substitution(self):
        """What runs in place of the operator, and why; None where it runs itself."""
        if self.kind == "wait":
            if not self.ranks.is_joined:
                return NOTHING, "there are no other ranks"
            if self.name == "c10d::wait" or self.ranks.has_functional:
                return None
            return "c10d::wait", f"PyTorch {torch.__version__} does not have this operator"
        if not self.is_real:
            return self.alone_by, "the other ranks of its group are not here: a pass over its tensors"
        by = self.form.by()
        return (by, self.form.why()) if by else None

    def binding(self):
        """The call itself, with as little of Python's around it as can be."""
        call, ranks, clock, works, form, is_async = self, self.ranks, time.perf_counter_ns, self.ranks.works, self.form, self.is_async
        if self.ns:
            return self.make_slow

        def make(*args):
            start = ranks.since = clock()
            ranks.current = call
            try:
                work = form.start(*args) if not ranks.hides else call.start_hidden(args)
                if ranks.hides:  # The label of its work must not end within other operators: the observer would lose its place.
                    quietly(work.wait)
                elif is_async:
                    works[call.key] = work
                else:
                    work.wait()
            except Exception as error:
                ranks.fail(call, error)
            ranks.current = None
            ranks.blocked_ns += clock() - start
        return make

    def start_hidden(self, args):
        """The call, of which an observer sees what it sees of the original's."""
        return quietly(self.form.start, *args) if self.form.by() else self.form.start(*args)

    def make_slow(self, *args):
        """The call in an emulation: its work is done not before its time."""
        start = time.perf_counter_ns()
        with self.ranks.making(self):
            self.keep(self.until(start, self.start_hidden(args) if self.ranks.hides else self.form.start(*args)))

    def make_functional(self, given):
        ranks, start = self.ranks, time.perf_counter_ns()
        with ranks.making(self):
            results, work = self.start_hidden([given]) if ranks.hides else self.form.start(given)
            self.keep(self.until(start, work or Registered(results)))
        return results

    def make_alone(self, *args):
        ranks, start = self.ranks, time.perf_counter_ns()
        with ranks.making(self):
            results = quietly(self.alone, *args) if ranks.hides else self.alone(*args)
            if self.ns:
                self.keep(self.until(start, None))
        return results if self.is_functional else None

    def make_wait(self, *args):
        """Waits for an earlier call; one of another iteration has been waited for."""
        ranks = self.ranks
        work = ranks.works.pop(self.waits_for, None)
        if work is not None or self.name != "c10d::wait":
            with ranks.making(self):
                if isinstance(work, Registered):
                    work = None  # The operator itself waits.
                if work is not None:
                    quietly(work.wait) if ranks.hides else work.wait()
                if self.is_functional and ranks.has_functional and ranks.is_joined:
                    functional_of("wait_tensor")(args[0])
        return args[0] if self.is_functional else None

    def until(self, start, work):
        return self.group.take(start, self.ns, work) if self.ns else work

    def keep(self, work):
        if self.is_async and (not self.ranks.hides or isinstance(work, Registered)):
            self.ranks.works[self.key] = work
        else:
            quietly(work.wait) if self.ranks.hides else work.wait()


def calls_of(package, ranks, devices):
    """By place, the calls between ranks of a package."""
    m, calls = package.manifest, {}
    for i, op in enumerate(m["operators"]):
        data = call_of(op)
        if data is not None:
            makers = [result_maker(m, slot, devices) for out in op["outs"] for slot in out]
            calls[i] = RankCall(i, op, package.schemas[op["schema"]], {**data, **ranks.differences.get(id_of(op), {})}, ranks, makers)
    return calls


def result_maker(m, slot, devices):
    """What makes a result of a call that is not made: a tensor as recorded."""
    tensor = m["tensors"][slot] if slot >= 0 else {"storage": -1}
    if tensor["storage"] < 0:
        return lambda: None
    dtype, device = ElementType(tensor["dtype"]).dtype, devices[m["storages"][tensor["storage"]]["device"]]
    return lambda: torch.empty_strided(tensor["shape"], tensor["strides"], dtype=dtype, device=device)


WRITTEN = {"c10d::allreduce_": [True], "c10d::allgather_": [True, False], "c10d::_allgather_base_": [True, False],
           "c10d::_reduce_scatter_base_": [True, False], "c10d::alltoall_base_": [True, False, False, False], "c10d::broadcast_": [True]}
