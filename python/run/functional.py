# Calls between ranks that return their results: PyTorch's own operators for them (from 2.2 on), or calls on new tensors.


def functional_of(name):
    """An operator of _c10d_functional; an AttributeError where this PyTorch has none, as for other forms."""
    return getattr(getattr(torch.ops, "_c10d_functional"), name).default


class Registered:
    """Results whose work PyTorch keeps itself, until they are waited for."""

    def __init__(self, results):
        self.results = results

    def wait(self):
        """Waits for all of them, also where one has failed: PyTorch would keep the others' work."""
        failure = None
        for result in self.results if isinstance(self.results, (list, tuple)) else [self.results]:
            try:
                functional_of("wait_tensor")(result)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure


def functional_form(name, arguments):
    """Registers the operator itself: what it is given behind its tensors."""
    @call_form("_c10d_functional::" + name)
    def build(call):
        run = functional_of(name)
        return lambda given: (run(given, *arguments(call, given)), None)


def new_form(name, by, run):
    """Registers the call on new tensors, where there is no such operator: `run` makes (results, work)."""
    @call_form("_c10d_functional::" + name, by)
    def build(call):
        one = call.inner(by.split(", ")[0])
        return lambda given: run(call, one, given)


def reduction_of(call):
    return {None: "sum", "premul_sum": "sum"}.get(call.reduction) or call.reduction


def splits_of(call, tensor):
    """Of an all-to-all, what comes from and goes to each rank along the first dimension."""
    even = [tensor.shape[0] // call.group.size] * call.group.size
    return list(call.output_splits or even), list(call.input_splits or even)


functional_form("all_reduce", lambda call, _: (reduction_of(call), call.group.name))
functional_form("all_reduce_", lambda call, _: (reduction_of(call), call.group.name))
functional_form("all_reduce_coalesced", lambda call, _: (reduction_of(call), call.group.name))
functional_form("all_gather_into_tensor", lambda call, _: (call.group.size, call.group.name))
functional_form("all_gather_into_tensor_coalesced", lambda call, _: (call.group.size, call.group.name))
functional_form("reduce_scatter_tensor", lambda call, _: (reduction_of(call), call.group.size, call.group.name))
functional_form("reduce_scatter_tensor_coalesced", lambda call, _: (reduction_of(call), call.group.size, call.group.name))
functional_form("all_to_all_single", lambda call, given: (*splits_of(call, given), call.group.name))
functional_form("broadcast", lambda call, _: (call.root, call.group.name))
functional_form("broadcast_", lambda call, _: (call.root, call.group.name))


def copied(tensor):
    return tensor.clone(memory_format=torch.contiguous_format)


def on_copy(call, one, given):
    result = copied(given)
    return result, one.start([result])


def on_copies(call, one, given):
    results = [copied(tensor) for tensor in given]
    return results, Several([one.start([result]) for result in results])


def in_place(call, one, given):
    return given, one.start([given])


def to_new(factor):
    """Into a new tensor that has so many times the first dimension."""
    def run(call, one, given):
        times, parts = factor(call)
        shape = [given.shape[0] * times // parts, *given.shape[1:]] if given.dim() else [times]
        result = torch.empty(shape, dtype=given.dtype, device=given.device)
        return result, one.start(result, given)
    return run


def to_several_new(run):
    def each(call, one, given):
        made = [run(call, one, tensor) for tensor in given]
        return [result for result, _ in made], Several([work for _, work in made])
    return each


def exchanged(call, one, given):
    outs, ins = splits_of(call, given)
    result = torch.empty([sum(outs), *given.shape[1:]], dtype=given.dtype, device=given.device)
    return result, one.start(result, given.contiguous(), outs, ins)


GATHERED, SCATTERED = to_new(lambda call: (call.group.size, 1)), to_new(lambda call: (1, call.group.size))
new_form("all_reduce", "c10d::allreduce_, aten::clone", on_copy)
new_form("all_reduce_", "c10d::allreduce_", in_place)
new_form("all_reduce_coalesced", "c10d::allreduce_, aten::clone", on_copies)
new_form("all_gather_into_tensor", "c10d::_allgather_base_, aten::empty", GATHERED)
new_form("all_gather_into_tensor_coalesced", "c10d::_allgather_base_, aten::empty", to_several_new(GATHERED))
new_form("reduce_scatter_tensor", "c10d::_reduce_scatter_base_, aten::empty", SCATTERED)
new_form("reduce_scatter_tensor_coalesced", "c10d::_reduce_scatter_base_, aten::empty", to_several_new(SCATTERED))
new_form("all_to_all_single", "c10d::alltoall_base_, aten::empty", exchanged)
new_form("broadcast", "c10d::broadcast_, aten::clone", on_copy)
new_form("broadcast_", "c10d::broadcast_", in_place)
