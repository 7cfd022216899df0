# Pinned memory: what the host holds for a device to copy without the processor, where the device is one that can.


def can_pin(device):
    if device.type in ("cpu", "meta"):
        return False
    try:
        return torch.empty(1, dtype=torch.uint8, pin_memory=True).is_pinned()
    except Exception:  # There is no such memory for this device.
        return False


def pinned_program(package):
    """The program's text with pinned memory where the original had it: a package says False there, so that it runs on any device."""
    m = package.manifest
    pinned = {i for i, op in enumerate(m["operators"]) for a, given in zip(package.schemas[op["schema"]].arguments, op["args"])
              if a.name == "pin_memory" and given.get("v") is True}
    if not pinned:
        return package.program
    start, call = (FORMS.patterns[name].fullmatch for name in ("start", "call"))
    firsts, lines, following = {c["call"]: c["first"] for c in m["schedule"]}, package.program.split("\n"), 0
    for number in range(PROLOGUE.count("\n"), len(lines)):
        head = start(lines[number])
        if head:
            following = firsts.get(head.group(1), 0)
        elif call(lines[number]):  # They are the manifest's operators in their order: it was looked through.
            following = skip_kernels(m["operators"], following, len(m["operators"]))
            if following in pinned:
                lines[number] = lines[number].replace("pin_memory=False", "pin_memory=True")
            following += 1
    return "\n".join(lines)
