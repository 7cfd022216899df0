# Values: which operators make what is no number.


ALLOCATIONS = {"aten::" + n for n in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_",
                                      "_empty_affine_quantized")}


OVERFLOW = "gradients overflow with the replay's values (found_inf is set): optimizers leave out what the original's did"


def overflows(schema, op, slots):
    """Whether an operator of torch.amp.GradScaler found infinities in gradients: optimizers then leave their step out."""
    if not schema.qualified.startswith("aten::_amp_") or "non_finite_check" not in schema.qualified:
        return False
    found = [slots[s] for a, argument in zip(op["args"], schema.arguments) if argument.name == "found_inf" for s in a.get("t", ())]
    return any(value is not None and bool(value.any()) for value in found)


def check_values(engine):
    """The operators that made a NaN, or an infinity out of finite inputs and literals. Fresh memory may hold anything."""
    program, failures = engine.single(), []
    engine.externals.restore(True)
    not_numbers, infinite = set(), set()
    for i, op in enumerate(program.operators):
        inputs = {s for a in op["args"] for s in a.get("t", ())}
        schema = engine.package.schemas[op["schema"]]
        written = {s for a, w in zip(op["args"], schema.arguments) if w.is_written for s in a.get("t", ())}
        freed, program.freed[i] = program.freed[i], []
        program.run_one(i)
        asked = "inf" in json.dumps([a.get("v") for a in op["args"]]).lower() or engine.package.name_of(op).startswith("aten::_ctc_loss")
        had_nan, had_inf = bool(inputs & not_numbers), asked or bool(inputs & infinite)
        is_view = "(a" in schema.returns_text and not written
        nan = inf = False
        for slot in set() if is_view else {s for out in op["outs"] for s in out} | written:
            value = program.slots[slot] if slot >= 0 else None
            if value is None or value.layout != torch.strided or value.numel() == 0 \
                    or not (value.is_floating_point() or value.is_complex()) or value.dtype == getattr(torch, "float4_e2m1fn_x2", 0):
                continue
            value = value.to(torch.float32) if value.element_size() < 4 else value
            for seen, kind in ((not_numbers, torch.isnan), (infinite, torch.isinf)):
                found = bool(kind(value).any())
                (seen.add if found else seen.discard)(slot)
                nan, inf = nan or found and kind is torch.isnan, inf or found and kind is torch.isinf
        is_blamed = schema.qualified not in ALLOCATIONS and call_of(op) is None  # What other ranks give is not this one's.
        if overflows(schema, op, program.slots):
            failures.append((i, OVERFLOW))
        elif is_blamed and nan and not had_nan:
            failures.append((i, "it makes NaN of numbers"))
        elif is_blamed and inf and not had_inf and not had_nan:
            failures.append((i, "it makes infinities of finite numbers"))
        for slot in freed:
            program.slots[slot] = None
    engine.ranks.end()
    return failures
