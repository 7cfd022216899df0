# Calls between ranks, ready to be made: bound once, so that a call costs little more than what PyTorch does for it.


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
        self.alone, self.alone_by = passes_of(self.name, 0, makers)
        self.makers = makers
        self.make = self.make_wait if self.kind == "wait" else self.make_alone

    def join(self, group, ns):
        """From now on the call is made, where all members of its group are there; it takes at least so long in an emulation."""
        self.group, self.ns, self.pg = group, ns, group.pg
        self.alone, self.alone_by = passes_of(self.name, group.place, self.makers)
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
    return lambda: empty_as_recorded(m, tensor, devices)
