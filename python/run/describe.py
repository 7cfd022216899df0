# What operators give back: each call runs once, on tensors of the meta device, which have no memory; where an operator has no kernel
# for these, on the host. A worker does this for recordings that have inputs alone.

DESCRIBED_BYTES = 1 << 30  # What the inputs of a call may take on the host.


def overloads_of(names):
    """By full name, the schemas of all overloads of these operators."""
    wanted = set(names)
    return {_overload_of(schema): str(schema) for schema in torch._C._jit_get_all_schemas() if schema.name in wanted}


def describe(call):
    """What one call gives back; the reason, where nothing can be said."""
    schema = Schema.parse(call["schema"])
    function = None if schema is None else operator_named(schema.name)
    if function is None:
        return {"error": "this PyTorch does not have the operator"}
    errors = []
    for device in ("cpu", "meta") if call.get("hostFirst") else ("meta", "cpu"):
        try:
            if device == "cpu" and bytes_of(call["arguments"]) > DESCRIBED_BYTES:
                raise RuntimeError("its inputs are too large to try it on the host")
            positional, named = described_arguments(schema, call["arguments"], torch.device(device))
            with torch.enable_grad():  # Some make what their backward passes need, and only then.
                results = function(*positional, **named)
            return {"outputs": [described(r) for r in (results if isinstance(results, tuple) else () if results is None else (results,))]}
        except Exception as error:
            errors.append((str(error).splitlines() or [type(error).__name__])[0][:300])
    return {"error": errors[-1]}


def operator_named(name):
    """A function for an operator with its overload; None where this PyTorch does not have it."""
    space, rest = name.split("::")
    rest, _, overload = rest.partition(".")
    try:
        return getattr(getattr(getattr(torch.ops, space), rest), overload or "default")
    except (AttributeError, RuntimeError):
        return None


def bytes_of(arguments):
    def size(tensor):
        elements = 1 + sum((n - 1) * abs(s) for n, s in zip(tensor["shape"], tensor["strides"]))
        return elements * 8

    return sum(size(t) for a in arguments for t in [a.get("tensor"), *(a.get("tensors") or ())] if t)


def described_arguments(schema, arguments, device):
    """Positional and named arguments, with tensors made on the device, and factories told to use it."""
    def make(tensor):
        if tensor is None:
            return None
        made = torch.empty_strided(tensor["shape"], tensor["strides"], dtype=getattr(torch, tensor["type"]), device=device)
        return made if device.type == "meta" else made.zero_()

    positional, named = [], {}
    for wanted, given in zip(schema.arguments, arguments):
        if wanted.base == "Device":
            value = device
        elif "tensor" in given:
            value = make(given["tensor"])
        elif "tensors" in given:
            value = [make(t) for t in given["tensors"]]
        else:
            value = literal(given.get("literal", {}), (), ())
        if wanted.keyword_only:
            named[wanted.name] = value
        else:
            positional.append(value)
    return positional, named


def described(result):
    if isinstance(result, torch.Tensor):
        if result.layout != torch.strided:
            raise RuntimeError("its result is not strided")
        return {"tensor": {"type": str(result.dtype)[6:], "shape": list(result.shape), "strides": list(result.stride()),
                           "offset": result.storage_offset()}}
    if isinstance(result, (list, tuple)) and all(isinstance(r, torch.Tensor) for r in result):
        return {"tensors": [described(r)["tensor"] for r in result]}
    return {}
