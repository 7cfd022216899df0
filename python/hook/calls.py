# Calls between ranks: what PyTorch's traces do not tell of them stands in labels.


class _CallLabels:
    """Labels calls of process groups, and waits for them, in the recorded iteration.

    A trace has the group and the reduction as `<Object>`, seldom whether the caller waits, and never where. PyTorch 1.13 has no
    operator for some calls, and so neither their results nor splits. The labels say it, `name=value` between semicolons:

    mystique:call   n, its number; op, the process group's method; fn, the function of torch.distributed; async, whether the
                    caller goes on; group, size, and ranks where reference.json lacks the group; reduce; root, the root's place in
                    the group; peer and tag of send and recv; batch, the same number for calls that are started together.
                    Where PyTorch has no operator for it, its inputs are the call's: results, what is put in, and for alltoall_base
                    how much of the first dimension comes from and goes to each rank ("equal" where that is not said).
    mystique:wait   n, the call that it waits for. Calls with async=0 are waited for at once, without a label.
    mystique:ddp    group, size: where DDP's forward starts. Its reducer is C++, and its calls have no label.

    Methods of classes are replaced for as long as it is recorded; works and groups are the job's, and stay as they are.
    """

    CALLS = ("broadcast", "allreduce", "allreduce_coalesced", "reduce", "allgather", "_allgather_base", "allgather_coalesced",
             "allgather_into_tensor_coalesced", "gather", "scatter", "reduce_scatter", "_reduce_scatter_base",
             "reduce_scatter_tensor_coalesced", "alltoall_base", "alltoall", "send", "recv", "recv_anysource", "barrier",
             "monitored_barrier")
    REDUCTIONS = ("SUM", "PRODUCT", "MIN", "MAX", "BAND", "BOR", "BXOR", "AVG", "PREMUL_SUM")
    BY_THEIR_NAMES = {"send": False, "recv": False, "isend": True, "irecv": True}  # Whether functions without async_op return a work.

    def __init__(self, torch, aside):
        self.torch, self.aside, self.patches = torch, aside, _Patches()
        self.count, self.batch, self.works = 0, None, {}

    def start(self):
        distributed = self.torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return
        import threading
        import weakref
        from torch.distributed import distributed_c10d as c10d
        self.c10d, self.lock, self.weak = c10d, threading.Lock(), weakref.ref
        self.file, self.known = c10d.__file__, {g["pg_name"] for g in _process_groups(self.torch)}
        for name in self.CALLS:
            self.add(c10d.ProcessGroup, name, self.wrap_call)
        for name, starts in (("_start_coalescing", True), ("_end_coalescing", False)):
            self.add(c10d.ProcessGroup, name, lambda call, patch, starts=starts: self.wrap_before(call, patch, lambda _: self.mark(starts)))
        self.add(c10d.Work, "wait", self.wrap_wait)
        parallel = sys.modules.get("torch.nn.parallel.distributed")
        if parallel is not None and not self.aside.compiles():
            self.add(parallel.DistributedDataParallel, "forward", lambda call, patch: self.wrap_before(call, patch, self.tell_of_ddp))

    def stop(self):
        self.patches.take_away()
        self.works = {}

    def add(self, owner, name, make):
        if name in vars(owner):
            self.patches.add(owner, name, make)

    def attempt(self, function, *args):
        """Labels are not worth the job's trouble: none within code that is being traced, and none after one that failed."""
        try:
            return None if self.aside.what() else function(*args)
        except Exception as error:
            self.stop()
            _pass_on(error)
            return None

    def wrap_call(self, call, patch):
        def wrapper(this, *args, **kwargs):
            label = self.attempt(self.enter, patch.name, this, args, kwargs, sys._getframe(1)) if patch.is_live else None
            if label is None:
                return call(this, *args, **kwargs)
            try:
                work = call(this, *args, **kwargs)
            finally:
                label[0]()
            if label[1] is not None:
                self.attempt(self.remember, work, label[1])
            return work
        self.aside.keep_whole(wrapper)
        return wrapper

    def wrap_wait(self, call, patch):
        def wrapper(this, *args, **kwargs):
            label = self.attempt(self.enter_wait, this) if patch.is_live and self.works else None
            try:
                return call(this, *args, **kwargs)
            finally:
                if label is not None:
                    label()
        self.aside.keep_whole(wrapper)
        return wrapper

    def wrap_before(self, call, patch, before):
        def wrapper(this, *args, **kwargs):
            if patch.is_live:
                self.attempt(before, this)
            return call(this, *args, **kwargs)
        self.aside.keep_whole(wrapper)
        return wrapper

    # The labels.

    def open(self, kind, fields, *inputs):
        """A label that is on, and what ends it. It has no quotes, for PyTorch 1.13 writes names as they are.

        These two functions have no operators of their own: record_function makes four around each label in PyTorch 1.13.
        """
        text = ";".join([f"mystique:{kind}", *(f"{name}={self.plain(value)}" for name, value in fields.items() if value is not None)])
        core = getattr(getattr(self.torch, "_C", None), "_autograd", None)
        if not hasattr(core, "_record_function_with_args_enter"):
            label = self.aside.unseen(self.torch.autograd.profiler.record_function, text)
            self.aside.unseen(label.__enter__)
            return lambda: self.aside.unseen(label.__exit__, None, None, None)
        label = self.aside.unseen(core._record_function_with_args_enter, text, *inputs)
        return lambda: self.aside.unseen(core._record_function_with_args_exit, label)

    @staticmethod
    def plain(value):
        text = ",".join(str(v) for v in value) if isinstance(value, (list, tuple)) else str(int(value) if value in (True, False) else value)
        return "".join(c if c.isascii() and (c.isalnum() or c in "_.,:@-") else f"%{ord(c):02x}" for c in text)

    def enter(self, name, group, args, kwargs, frame):
        caller = self.function(frame)
        args = [*args, *kwargs.values()]
        options = next((a for a in args if type(a).__name__.endswith("Options")), None)
        is_async = self.BY_THEIR_NAMES.get(caller, frame.f_locals.get("async_op") if caller else getattr(options, "asyncOp", None))
        numbers = [a for a in args if type(a) is int]
        with self.lock:
            number, self.count = self.count, self.count + 1
        fields = {"n": number, "op": name, "fn": caller, "async": is_async, **self.group(group),
                  "reduce": self.reduction(getattr(options, "reduceOp", None)), "root": getattr(options, "rootRank", None),
                  "batch": self.batch}
        if name in ("send", "recv") and len(numbers) > 1:
            fields.update(peer=numbers[0], tag=numbers[1])
        inputs = ()
        if not any(hasattr(self.torch.ops.c10d, operator) for operator in (f"{name}_", name)):
            inputs = [(a or "equal") if isinstance(a, list) else a for a in args if isinstance(a, (list, self.torch.Tensor))]
        return self.open("call", fields, *inputs), None if is_async is False else number

    def function(self, frame):
        """The function of torch.distributed that calls; None for a caller of another kind."""
        if frame.f_code.co_filename != self.file:
            return None
        name, above = frame.f_code.co_name, frame.f_back
        while above is not None and above.f_code.co_filename.endswith("c10d_logger.py"):
            above = above.f_back
        is_within = name in ("isend", "irecv") and above is not None and above.f_code.co_filename == self.file
        return name[1:] if is_within and above.f_code.co_name == name[1:] else name

    def enter_wait(self, work):
        found = self.works.get(id(work))
        return self.open("wait", {"n": found[1]}) if found is not None and found[0]() is work else None

    def remember(self, work, number):
        if isinstance(work, self.c10d.Work):
            self.works[id(work)] = self.weak(work), number

    def mark(self, starts):
        self.batch = (self.count if starts else None)

    def tell_of_ddp(self, module):
        self.open("ddp", self.group(module.process_group))()

    def group(self, group):
        """The group's name, its size, and its ranks where the capture does not know it: it was made since."""
        world = getattr(self.c10d, "_world", None)
        names, ranks = (world.pg_names, world.pg_group_ranks) if world is not None else (self.c10d._pg_names, self.c10d._pg_group_ranks)
        name = names.get(group)
        return {"group": name, "size": group.size(), "ranks": None if name in self.known else sorted(ranks.get(group) or ()) or None}

    def reduction(self, operation):
        kinds = self.torch.distributed.ReduceOp
        return None if operation is None else next((n.lower() for n in self.REDUCTIONS if operation == getattr(kinds, n, None)), "other")
