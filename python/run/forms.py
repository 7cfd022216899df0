# Operators of process groups: how each is called, and what does its work where this PyTorch or its backend lacks it.


CALL_FORMS = {}  # By operator: (what does the work, what makes a function of a call); the operator itself first.


def call_form(operator, by=""):
    def register(build):
        CALL_FORMS.setdefault(operator, []).append((by, build))
        return build
    return register


def options_of(kind, call, **values):
    """Options of a call, with what the original's had."""
    made = getattr(torch._C._distributed_c10d, kind)()
    if hasattr(made, "asyncOp"):
        made.asyncOp = call.is_async
    for name, value in values.items():
        setattr(made, name, value)
    return made


def reduce_op_of(name):
    """PyTorch's reduction of a name; where the original's is not known, or needs a factor that nobody recorded, it is a sum."""
    import torch.distributed as dist
    return getattr(dist.ReduceOp, {None: "SUM", "premul_sum": "SUM"}.get(name) or name.upper())


class Then:
    """Work with something to do after it."""

    def __init__(self, work, then):
        self.work, self.then = work, then

    def wait(self):
        self.work.wait()
        self.then()


class Several:
    """Work of several calls."""

    def __init__(self, works):
        self.works = works

    def wait(self):
        for work in self.works:
            work.wait()


def parts_of(tensors, count):
    """A flat list of tensors as so many lists."""
    size = len(tensors) // max(1, count)
    return [tensors[i * size:(i + 1) * size] for i in range(count)]


def own_form(operator, method, kind, **values):
    """Registers the process group's own method, which takes the operator's tensors as they are: what its options say of a call."""
    @call_form(operator)
    def build(call):
        run = getattr(call.pg, method)
        options = options_of(kind, call, **{name: value_of(call) for name, value_of in values.items()})
        return lambda *tensors: run(*tensors, options)


def pairs_form(operator, by):
    """Registers a call for each pair of tensors, where there is none for all of them."""
    @call_form(operator, by)
    def build(call):
        one = call.inner(by)
        return lambda outputs, inputs: Several([one.start(*pair) for pair in zip(outputs, inputs)])


REDUCED = {"reduceOp": lambda call: reduce_op_of(call.reduction)}
ROOTED_OPTIONS = {"rootRank": lambda call: call.root, "rootTensor": lambda _: 0}
own_form("c10d::allreduce_", "allreduce", "AllreduceOptions", **REDUCED)
own_form("c10d::allreduce_coalesced_", "allreduce_coalesced", "AllreduceCoalescedOptions", **REDUCED)
own_form("c10d::broadcast_", "broadcast", "BroadcastOptions", **ROOTED_OPTIONS)
own_form("c10d::reduce_", "reduce", "ReduceOptions", **REDUCED, **ROOTED_OPTIONS)
own_form("c10d::_allgather_base_", "_allgather_base", "AllgatherOptions")
own_form("c10d::allgather_into_tensor_coalesced_", "allgather_into_tensor_coalesced", "AllgatherOptions")
own_form("c10d::_reduce_scatter_base_", "_reduce_scatter_base", "ReduceScatterOptions", **REDUCED)
own_form("c10d::reduce_scatter_tensor_coalesced_", "reduce_scatter_tensor_coalesced", "ReduceScatterOptions", **REDUCED)
own_form("c10d::alltoall_", "alltoall", "AllToAllOptions")
pairs_form("c10d::allgather_into_tensor_coalesced_", "c10d::_allgather_base_")
pairs_form("c10d::reduce_scatter_tensor_coalesced_", "c10d::_reduce_scatter_base_")


@call_form("c10d::allreduce_coalesced_", "c10d::allreduce_")
def all_reduces(call):
    one = call.inner("c10d::allreduce_")
    return lambda tensors: Several([one.start([tensor]) for tensor in tensors])


@call_form("c10d::allgather_")
def all_gather(call):
    run, options = call.pg.allgather, options_of("AllgatherOptions", call)
    return lambda outputs, inputs: run(parts_of(outputs, len(inputs)), inputs, options)


@call_form("c10d::allgather_coalesced_")
def all_gather_coalesced(call):
    run, size, options = call.pg.allgather_coalesced, call.group.size, options_of("AllgatherOptions", call)
    return lambda outputs, inputs: run(parts_of(outputs, size), inputs, options)


@call_form("c10d::allgather_coalesced_", "c10d::allgather_")
def all_gathers(call):
    one, size = call.inner("c10d::allgather_"), call.group.size

    def run(outputs, inputs):
        by_rank = parts_of(outputs, size)
        return Several([one.start([part[i] for part in by_rank], [tensor]) for i, tensor in enumerate(inputs)])
    return run


@call_form("c10d::_allgather_base_", "c10d::allgather_")
def all_gather_base_as_list(call):
    one, size = call.inner("c10d::allgather_"), call.group.size
    return lambda output, source: one.start(list(output.view(size, -1)) if output.numel() else [output.view(-1)] * size,
                                            [source.reshape(-1)])


@call_form("c10d::reduce_scatter_")
def reduce_scatter(call):
    run, options = call.pg.reduce_scatter, options_of("ReduceScatterOptions", call, reduceOp=reduce_op_of(call.reduction))
    return lambda outputs, inputs: run(outputs, parts_of(inputs, len(outputs)), options)


@call_form("c10d::reduce_scatter_", "c10d::allreduce_, aten::cat, aten::copy_")
def reduce_scatter_by_all_reduce(call):
    one, place = call.inner("c10d::allreduce_"), call.group.place

    def run(outputs, inputs):
        works = []
        for output, part in zip(outputs, parts_of(inputs, len(outputs))):
            flat, before = torch.cat([tensor.reshape(-1) for tensor in part]), sum(tensor.numel() for tensor in part[:place])
            works.append(Then(one.start([flat]), lambda o=output, f=flat, b=before: o.copy_(f[b:b + o.numel()].view(o.shape))))
        return Several(works)
    return run


@call_form("c10d::_reduce_scatter_base_", "c10d::allreduce_, aten::clone, aten::copy_")
def reduce_scatter_base_by_all_reduce(call):
    one, place = call.inner("c10d::allreduce_"), call.group.place

    def run(output, source):
        flat = source.clone(memory_format=torch.contiguous_format).view(-1)
        at = place * output.numel()
        return Then(one.start([flat]), lambda: output.copy_(flat[at:at + output.numel()].view(output.shape)))
    return run


@call_form("c10d::alltoall_", "c10d::alltoall_base_, aten::cat, aten::copy_")
def all_to_all_packed(call):
    one = call.inner("c10d::alltoall_base_")

    def run(outputs, inputs):
        sizes = [tensor.numel() for tensor in outputs]
        source = torch.cat([tensor.reshape(-1) for tensor in inputs])
        packed = torch.empty(sum(sizes), dtype=source.dtype, device=source.device)
        work = one.start(packed, source, sizes, [tensor.numel() for tensor in inputs])

        def unpack():
            for output, part in zip(outputs, packed.split(sizes)):
                output.copy_(part.view(output.shape))
        return Then(work, unpack)
    return run


@call_form("c10d::alltoall_base_")
def all_to_all_base(call):
    run, options = call.pg.alltoall_base, options_of("AllToAllOptions", call)
    given, taken = list(call.input_splits or ()), list(call.output_splits or ())
    return lambda output, source, outs=taken, ins=given: run(output, source, outs, ins, options)


@call_form("c10d::gather_")
def gather(call):
    run, options = call.pg.gather, options_of("GatherOptions", call, rootRank=call.root)
    return lambda outputs, inputs: run([outputs] if call.root == call.group.place else [], inputs, options)


@call_form("c10d::scatter_")
def scatter(call):
    run, options = call.pg.scatter, options_of("ScatterOptions", call, rootRank=call.root)
    return lambda outputs, inputs: run(outputs, [inputs] if call.root == call.group.place else [], options)


@call_form("c10d::send")
def send(call):
    run, root = call.pg.send, call.root
    return lambda tensors: run(tensors, root, 0)


@call_form("c10d::recv_")
def receive(call):
    if call.root is None:
        return receive_any(call)
    run, root = call.pg.recv, call.root
    return lambda tensors: run(tensors, root, 0)


@call_form("c10d::recv_any_source_")
def receive_any(call):
    run = call.pg.recv_anysource
    return lambda tensors: run(tensors, 0)


@call_form("c10d::barrier")
def barrier(call):
    run, options = call.pg.barrier, options_of("BarrierOptions", call)
    if call.group.device.type != "cpu" and call.group.device.index is not None:
        options.device_ids = [call.group.device.index]
    return lambda: run(options)
