# Calls between ranks where the other ranks are not there: passes over the same tensors.


NOTHING = "nothing"


def touch(tensor):
    """A pass over a tensor that leaves it as it is."""
    with torch.no_grad():
        try:
            tensor.mul_(True)
        except RuntimeError:  # Some types have no products.
            tensor.copy_(tensor.clone())
    return tensor


def fill_with(target, source):
    """Copies a tensor into another as often as it fits, and as much of it as fits."""
    with torch.no_grad():
        if target.shape == source.shape:
            target.copy_(source)
            return
        count, whole = source.numel(), target.numel()
        if not count or not whole:
            return
        flat = target if target.is_contiguous() else torch.empty(target.shape, dtype=target.dtype, device=target.device)
        flat, source = flat.view(-1), source.reshape(-1)
        times = whole // count
        if times:
            flat[:times * count].view(times, count).copy_(source.view(1, count))
        flat[times * count:].copy_(source[:whole - times * count])
        if not target.is_contiguous():
            target.copy_(flat.view(target.shape))


def fill_part(target, source, place):
    """Copies the part of a tensor that is a rank's own into another."""
    count = target.numel()
    source = source.reshape(-1)
    at = place * count if (place + 1) * count <= source.numel() else 0
    fill_with(target, source[at:at + count].view(target.shape) if source.numel() - at >= count else source)


def passes_of(name, place, makers):
    """What stands for a call of a rank that is alone: a function of its arguments, and the operators that it is made of.

    Results are new, as recorded; `makers` make them.
    """
    space, name = name.split("::")
    all_of = (lambda tensors: [touch(t) for t in tensors])
    if space == "_c10d_functional":
        return functional_pass(name, place, makers)
    if name in ("allreduce_", "allreduce_coalesced_", "broadcast_", "reduce_", "recv_", "recv_any_source_"):
        return lambda tensors: all_of(tensors) and None, "aten::mul_"
    if name == "send":
        return lambda tensors: [t.clone() for t in tensors] and None, "aten::clone"
    if name in ("allgather_", "allgather_coalesced_", "gather_"):
        return lambda outputs, inputs: copy_pairs([(o, inputs[i % len(inputs)]) for i, o in enumerate(outputs) if inputs]), "aten::copy_"
    if name in ("_allgather_base_", "alltoall_base_"):
        return fill_with, "aten::copy_"
    if name in ("allgather_into_tensor_coalesced_", "alltoall_"):
        return lambda outputs, inputs: copy_pairs(zip(outputs, inputs)), "aten::copy_"
    if name == "_reduce_scatter_base_":
        return lambda output, source: fill_part(output, source, place), "aten::copy_"
    if name == "reduce_scatter_tensor_coalesced_":
        return lambda outputs, inputs: [fill_part(o, i, place) for o, i in zip(outputs, inputs)] and None, "aten::copy_"
    if name in ("reduce_scatter_", "scatter_"):
        def own(outputs, inputs):
            for k, output in enumerate(outputs):
                mine = inputs[k * (len(inputs) // len(outputs)) + place:][:1] if inputs else ()
                fill_with(output, mine[0]) if mine else touch(output)
        return own, "aten::copy_"
    return lambda *_: None, NOTHING  # A barrier, or a wait.


def copy_pairs(pairs):
    for target, source in pairs:
        fill_with(target, source)


def functional_pass(name, place, makers):
    """The same for operators that return their results."""
    if name == "wait_tensor":
        return lambda tensor: tensor, NOTHING
    if name in ("all_reduce_", "broadcast_"):
        return touch, "aten::mul_"

    def one(make, source):
        result = make()
        if result.numel() < source.numel():
            fill_part(result, source, place)
        else:
            fill_with(result, source)
        return result

    if name.endswith("_coalesced"):
        return lambda inputs: [one(make, source) for make, source in zip(makers, inputs)], "aten::copy_"
    return lambda source: one(makers[0], source), "aten::copy_"
