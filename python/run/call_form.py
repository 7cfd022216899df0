# The forms of a call between ranks: the first that this PyTorch and its backend take, found when the call is first made.


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
        self.carries, self.divides, self.reason = False, False, ""
        self.inners, self.is_settled, self.changes = {}, False, 0
        self.take_from(0, "")

    def inner(self, name):
        """Another call with the same data, which does a part of this one's work."""
        self.inners[name] = CallForm(name, self, WRITTEN[name])
        return self.inners[name]

    def take_from(self, first, reason):
        """Takes the first form that this PyTorch has, from a place on."""
        self.changes += 1
        self.reason = self.reason or reason
        for self.at in range(first, len(CALL_FORMS.get(self.name, ()))):
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
            self.take_from(0, text)
        elif "ReduceOp" in text and self.reduction not in (None, "sum") and not self.name.startswith("_c10d"):
            self.divides, self.reduction = self.reduction == "avg", "sum"
            self.take_from(0, text)
        else:
            self.take_from(self.at + 1, text)

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
            self.work, error.__traceback__ = None, None
            time.sleep(0.03)  # Gloo's barrier waits for what its threads still hold, and would fail with it, too.
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


WRITTEN = {"c10d::allreduce_": [True], "c10d::allgather_": [True, False], "c10d::_allgather_base_": [True, False],
           "c10d::_reduce_scatter_base_": [True, False], "c10d::alltoall_base_": [True, False, False, False], "c10d::broadcast_": [True]}
