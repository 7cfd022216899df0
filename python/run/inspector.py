# The program is looked through before anything loads it: TorchScript could do more than call operators.

PROLOGUE = r"""@@Prologue@@"""
FIXED_ENTRIES = {"data.pkl": bytes.fromhex("@@PickledState@@"), "constants.pkl": b"\x80\x02).", "version": b"10\n"}
MAX_LINE_BYTES = 1 << 21


def code_of(archive):
    """The text of a program, from a zip file with what the generator puts there and nothing else (TorchScriptArchive.cs)."""
    entries = stored_entries(archive)
    code = entries.pop("benchmark/code/__torch__.py", None)
    if code is None or entries != {"benchmark/" + name: content for name, content in FIXED_ENTRIES.items()}:
        raise ValueError("it has other parts than a program has")
    return code.decode("ascii")


def archive_of(code):
    """A new archive of a program's text, to be loaded: what was looked through, and nothing else."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (*FIXED_ENTRIES.items(), ("code/__torch__.py", code)):
            archive.writestr("benchmark/" + name, content)
    data.seek(0)
    return data


def stored_entries(archive):
    """The entries of a zip file that can be read in one way only (APPNOTE.TXT, 4.3).

    They are stored, one behind the other, with the directory right behind them.
    """
    end = len(archive) - 22
    if end < 0:
        raise ValueError("it does not end as a zip file does")
    signature, disk, of_directory, here, total, size, directory, comment = struct.unpack_from("<IHHHHIIH", archive, end)
    if signature != 0x06054B50 or comment or disk or of_directory or here != total or total > 64 or directory + size != end:
        raise ValueError("its directory is not where it must be")
    entries, at, following = {}, directory, 0
    for _ in range(total):
        if at + 46 > end or archive[at:at + 4] != b"PK\x01\x02":
            raise ValueError("its directory is cut short")
        flags, method = struct.unpack_from("<HH", archive, at + 8)
        packed, unpacked, name_length, extra, note = struct.unpack_from("<IIHHH", archive, at + 20)
        name, offset = archive[at + 46:at + 46 + name_length], struct.unpack_from("<I", archive, at + 42)[0]
        header, at = at, at + 46 + name_length
        if extra or note:  # Room for anything: another reader may find a directory of its own in it (zip64's locator, for one).
            raise ValueError("an entry has an extra field or a comment")
        if at > end or offset != following or following + 30 > directory or archive[following:following + 4] != b"PK\x03\x04":
            raise ValueError("its entries do not lie one behind the other")
        local_name, local_extra = struct.unpack_from("<HH", archive, following + 26)
        start = following + 30 + local_name
        agrees = (archive[following + 6:following + 10] == archive[header + 8:header + 12]
                  and archive[following + 14:following + 26] == archive[header + 16:header + 28]
                  and archive[following + 30:following + 30 + local_name] == name)
        if not agrees or local_extra or flags & ~0x800 or method or packed != unpacked or start + packed > directory:
            raise ValueError("an entry is compressed or cut short, or its two headers differ")
        name = name.decode("ascii")
        if name in entries:
            raise ValueError("it has an entry twice")
        entries[name], following = archive[start:start + packed], start + packed
    if at != end or following != directory:
        raise ValueError("there is something between its entries and its directory")
    return entries


def why_not_program(code, m, schemas):
    """What in a program is not the manifest's operators in the manifest's order; None for nothing (ProgramInspector.cs)."""

    def is_complete():
        return skip_kernels(operators, following, end) >= end

    if not code.startswith(PROLOGUE):
        return "it does not start as a program does"
    start, call, other = (FORMS.patterns[name].fullmatch for name in ("start", "call", "line"))
    names = [schema.qualified for schema in schemas]
    places = {c["call"]: (c["first"], c["first"] + c["count"]) for c in m["schedule"]}
    operators, seen, function, following, end = m["operators"], set(), "", 0, 0
    lines = code[len(PROLOGUE):].split("\n")
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, 1 + PROLOGUE.count("\n")):
        if len(line) > MAX_LINE_BYTES:
            return f"line {number} is longer than any line of a program is"
        head = start(line)
        found = call(line) if function and not head else None
        if head:
            if not is_complete():
                return f"its function {function} does not call what the manifest has there"
            function = head.group(1)
            if function in seen or function != "last" and function not in places:
                return f"line {number}: it has the function {function} twice, or the schedule does not call it"
            seen.add(function)
            following, end = places.get(function, (0, 0))
        elif found:
            following, name = skip_kernels(operators, following, end), f"{found.group(1)}::{found.group(2)}"
            if following >= end or names[operators[following]["schema"]] != name:
                return f"line {number}: it calls {name} where the manifest does not"
            texts = [a["v"] for a in operators[following]["args"] if isinstance(a.get("v"), str)]
            if any(text not in texts for text in re.findall('"([^"]*)"', line)):
                return f"line {number}: it calls {name} with a text that the manifest does not have"
            following += 1
        elif not function or not other(line):
            return f"line {number}: {line.strip()[:80]!r} is nothing that a program does"
    if not is_complete():
        return f"its function {function} does not call what the manifest has there"
    absent = [name for name in [*places, "last"] if name not in seen]
    return f"it has no function {absent[0]}" if absent else None


def skip_kernels(operators, following, end):
    while following < end and is_of_host(operators[following]):
        following += 1  # The host launches it, or makes the call.
    return following


def is_of_host(op):
    """Whether the program leaves an operator to its host: a kernel, or a call between ranks."""
    return "kernel" in op or call_of(op) is not None


def why_not_package(m, schemas):
    """What of a manifest a benchmark may not call, as far as the package alone tells; None for nothing."""
    for op in m["operators"]:
        schema = schemas[op["schema"]]
        reason = None if "kernel" in op else POLICY.why_not_op(op, schema, True)
        if reason:
            return f"{schema.name}: {reason}"
    for name in (call["operator"] for row in m["substitutions"] for call in row["calls"]):
        reason = POLICY.why_not_named(name)
        if reason:
            return f"{name}: {reason}"
    return None
