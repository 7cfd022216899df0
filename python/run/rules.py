# The rules of a package: those of ManifestRules.json and ManifestChecks.cs, which the command holds to as well.

RULES = json.loads(r"""@@ManifestRules.json@@""")
MAX_FILE_BYTES = 1 << 29
MAX_WHOLE = 1 << 53  # Whole numbers of contents: a double tells them apart.
MAX_FLOAT = 3.4028234663852886e38  # Of single precision, in which fractions are drawn.
MAX_TENSOR_BYTES = 1 << 50
MAX_TEXT_BYTES = 4096
MAX_INT64 = (1 << 63) - 1


class Forms:
    """The regular expressions of the rules."""

    def __init__(self, forms):
        self.sources = forms
        self.patterns = {name: re.compile(self.expand(name)) for name in forms if name[0].islower()}
        kind, name = self.expand("TYPE"), self.expand("NAME")
        self.schema, self.alias = self.patterns["schema"], re.compile(self.expand("ALIAS"))
        self.argument = re.compile(rf"(?:\*|({kind}) ({name})(?:={self.expand('DEFAULT')})?)(?=, |\))")
        self.result = re.compile(rf"({kind})(?: {name})?(?:, |$)")

    def expand(self, name):
        def inner(match):
            expanded = self.expand(match.group(1))
            return expanded if match.group(1) == "CALL" else f"(?:{expanded})"  # Its groups are asked for.
        return re.sub("<([A-Za-z0-9]+)>", inner, self.sources[name])


FORMS = Forms(RULES["forms"])


class Broken(Exception):
    """A rule that a manifest breaks."""


def parse_manifest(data):
    """The manifest of a text: valid UTF-8, no name twice in an object, no NaN."""
    def unique(pairs):
        if len({name for name, _ in pairs}) != len(pairs):
            raise Broken("a name stands twice in an object")
        return dict(pairs)

    def refuse(name):
        raise Broken(f"{name} is no JSON")

    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Broken(first_line(error))


def check_manifest(m):
    check(RULES["manifest"], m, "", m)
    schemas = [Schema.parse(text) for text in m["schemas"]]
    for i, storage in enumerate(m["storages"]):
        check_storage(storage, f"storages[{i}]")
    for i, tensor in enumerate(m["tensors"]):
        check_tensor(m, tensor, f"tensors[{i}]")
    kernels = {k["file"] for k in m.get("kernels", ())}
    made = {slot for slot, tensor in enumerate(m["tensors"]) if tensor.get("external") or tensor["storage"] < 0}
    for i, op in enumerate(m["operators"]):
        check_operator(m, op, schemas, kernels, made, f"operators[{i}]")
    for i, row in enumerate(m["substitutions"]):
        hold(("argument" in row) == ("is" in row) and ("is" not in row or "conditions" not in row), f"substitutions[{i}]")
        for c in row.get("conditions", ()):
            is_type = c["of"] == "dtype"
            hold(is_type == ("dtype" in c) == ("number" not in c) and (c["of"] == "size") == ("dimension" in c)
                 and (not is_type or c["relation"] in ("=", "!=")), f"substitutions[{i}]")
    check_schedule(m)
    check_counts(m)
    if "times" in m:
        ids = [id_of(t) for t in m["times"]["operators"]]
        hold(len(set(ids)) == len(ids), "times.operators, which has a node twice,")
    return schemas


def hold(is_right, place):
    if not is_right:
        raise Broken(f"{place} is invalid")


def check(rule, value, place, m):
    if isinstance(rule, dict):
        hold(isinstance(value, dict), place)
        if "*" in rule:
            for name, member in value.items():
                check("text:256", name, place, m)
                check(rule["*"], member, f"{place}.{name}", m)
            return
        found = 0
        for field, inner in rule.items():
            name = field.rstrip("?")
            if name in value:
                found += 1
                check(inner, value[name], f"{place}.{name}" if place else name, m)
            else:
                hold(field.endswith("?"), f"{place}.{name}" if place else name)
        hold(found == len(value), f"{place or 'the manifest'}, which has a field that the format does not have,")
    elif isinstance(rule, list):
        hold(isinstance(value, list) and (rule[1] if len(rule) > 2 else 0) <= len(value) <= rule[-1], place)
        for i, item in enumerate(value):
            check(rule[0], item, f"{place}[{i}]", m)
    else:
        check_word(rule, value, place, m)


def check_word(word, value, place, m):
    if word.endswith("|null"):
        if value is None:
            return
        word = word[:-5]
    if word in RULES["words"]:
        return check(RULES["words"][word], value, place, m)
    kind, *parts = word.split(":")
    if kind == "bool":
        hold(isinstance(value, bool), place)
    elif kind == "int":
        check_int(value, int(parts[0]), int(parts[1]), place)
    elif kind == "float":
        hold(is_number(value) and is_finite(value), place)
    elif kind == "at":
        items = m.get(parts[0])
        check_int(value, int(parts[1]) if len(parts) > 1 else 0, len(items) - 1 if isinstance(items, list) else -1, place)
    elif kind == "literal":
        check_literal(value, place, 0, [0])
    elif kind == "text":
        check_text(value, int(parts[0]), place)
    else:
        text = check_text(value, None if kind == "base64" else MAX_TEXT_BYTES, place)
        if kind == "one":
            hold(text in parts, place)
        elif kind == "dtype":
            hold(text in RULES["element_bytes"], place)
        elif word[0] == "=":
            hold(text == word[1:], place)
        else:
            hold(FORMS.patterns[word].fullmatch(text) is not None, place)


def check_literal(value, place, depth, elements):
    elements[0] += 1
    hold(elements[0] <= 1 << 20 and depth <= 4, place)
    if isinstance(value, bool):
        return
    if is_number(value):
        check_int(value, -MAX_INT64 - 1, MAX_INT64, place)
    elif isinstance(value, str):
        check_text(value, MAX_TEXT_BYTES, place)
    elif isinstance(value, list):
        for item in value:
            check_literal(item, place, depth + 1, elements)
    else:
        hold(isinstance(value, dict) and (not value or list(value) in (["double"], ["device"])), place)
        if "double" in value:
            hold(FORMS.patterns["double"].fullmatch(check_text(value["double"], MAX_TEXT_BYTES, place)) is not None, place)
        elif value:
            check_text(value["device"], 64, place)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value):
    try:
        return float(value) - float(value) == 0
    except OverflowError:
        return False


def check_int(value, low, high, place):
    hold(isinstance(value, int) and not isinstance(value, bool) and low <= value <= high, place)


def check_text(value, longest, place):
    try:
        hold(isinstance(value, str) and (longest is None or len(value.encode("utf-8")) <= longest), place)
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Broken(f"{place} has half a character")
    return value


def check_storage(storage, place):
    init = storage.get("init")
    if init is None:
        return
    kind, low, high, parameter = init["kind"], float(init["low"]), float(init["high"]), float(init.get("parameter", 0))
    is_float = is_floating(init["dtype"])
    is_drawn = is_float and kind in ("uniform", "diagonally_dominant")
    hold(RULES["element_bytes"][init["dtype"]] > 0 and low <= high and 0 <= parameter <= (64 if kind == "zipf" else MAX_WHOLE), place)
    hold(is_float and kind == "constant" or max(abs(low), abs(high)) <= (MAX_FLOAT if is_drawn else MAX_WHOLE), place)
    hold((is_float or kind != "diagonally_dominant") and (kind != "zipf" or high - low >= 1), place)
    data = init.get("data")
    hold(is_base64(data, storage["bytes"]) if kind == "recorded" and data is not None else kind != "recorded" and data is None, place)


def is_floating(dtype):
    return dtype.startswith(("float", "bfloat", "complex"))


def is_base64(text, count):
    """Whether a text is so many bytes in base 64, as an encoder writes them."""
    data = base64.b64decode(text)
    return len(data) == count and base64.b64encode(data).decode() == text


def check_tensor(m, tensor, place):
    hold((tensor["storage"] < 0) == (tensor["dtype"] == "undefined") and len(tensor["shape"]) == len(tensor["strides"]), place)
    if tensor["storage"] < 0:
        return
    element = size = RULES["element_bytes"][tensor["dtype"]]
    for n in tensor["shape"]:
        size *= max(1, n)
        hold(size <= MAX_TENSOR_BYTES, f"{place}, which is larger than a tensor is,")
    storage, last = m["storages"][tensor["storage"]], sum((n - 1) * s for n, s in zip(tensor["shape"], tensor["strides"]))
    reach = 0 if 0 in tensor["shape"] else (tensor.get("offset", 0) + last + 1) * element
    hold(reach <= storage["bytes"] or tensor.get("opaque"), f"{place}, which reaches beyond its storage,")
    hold(not tensor.get("opaque") or not tensor.get("external") and "init" not in storage, f"{place}.opaque")
    hold(not tensor.get("external") or "init" in storage, f"{place}, which nothing fills,")
    hold(not tensor.get("number") or tensor.get("external") and not tensor["shape"], place)
    hold(not tensor.get("leaf") or is_plain_float(m, tensor), f"{place}.leaf")
    if "gradient" in tensor:
        before = m["tensors"][tensor["gradient"]]
        hold(tensor.get("leaf") and not before.get("leaf") and before["storage"] >= 0 and is_plain_float(m, before)
             and (before["dtype"], before["shape"]) == (tensor["dtype"], tensor["shape"])
             and m["storages"][before["storage"]]["device"] == storage["device"]
             and all(size < 2 or stride > 0 for size, stride in zip(before["shape"], before["strides"])), f"{place}.gradient")


def is_plain_float(m, tensor):
    """Whether a tensor is there from the start, of floats, in memory that is filled as such."""
    init = m["storages"][tensor["storage"]].get("init")
    return tensor.get("external") and not tensor.get("number") and is_floating(tensor["dtype"]) \
        and init is not None and init["dtype"] == tensor["dtype"]


def check_operator(m, op, schemas, kernels, made, place, described=False):
    """An operator; one that is described ran in the original, and its tensors are made by nobody."""
    schema = schemas[op["schema"]]
    hold("backward" not in op and not op.get("accumulates") or op.get("role") == "autograd", f"{place}.backward")
    for i, recorded in enumerate(op.get("backward", ())):
        check_operator(m, recorded, schemas, kernels, made, f"{place}.backward[{i}]", described=True)
    hold(len(op["args"]) == len(schema.arguments) and len(op["outs"]) == len(schema.returns), place)
    hold(("kernel" in op) == (schema.namespace == "triton") and ("kernel" not in op or op["kernel"] in kernels), place)
    hold("kernel" not in op or call_of(op) is None, f"{place}.collective")
    for i, (given, argument) in enumerate(zip(op["args"], schema.arguments)):
        here = f"{place}.args[{i}]"
        hold(("t" in given) != ("v" in given), here)
        if "v" in given:
            hold(fits(argument.base, argument.layers, given["v"]) and all(d in m["devices"] for d in devices_of(given["v"])), here)
        else:
            hold(argument.base == "Tensor" and (argument.is_list or len(given["t"]) == 1 and given["t"][0] >= 0 or described), here)
            hold(described or all(slot < 0 or slot in made for slot in given["t"]), f"{here}, which nothing has made,")
    for i, (slots, kind) in enumerate(zip(op["outs"], schema.returns)):
        here, result = f"{place}.outs[{i}]", SchemaArgument(kind, "", kind, False)
        if result.base != "Tensor":
            hold(all(slot < 0 for slot in slots), here)
        elif not result.is_list:
            hold(len(slots) == 1, here)
        hold(all(slot < 0 or m["tensors"][slot]["storage"] >= 0 for slot in slots), here)
        if not described:
            made.update(slots)


def fits(base, layers, value):
    """Whether a literal is of a type; a list's place may be taken by its only element."""
    if layers[:1] == ["?"]:
        return value == {} or fits(base, layers[1:], value)
    if layers[:1] == ["["]:
        if isinstance(value, list) and value and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return base in ("int", "Scalar", "number", "float")
        return all(fits(base, layers[1:], v) for v in value) if isinstance(value, list) else fits(base, layers[1:], value)
    is_bool, is_double = isinstance(value, bool), isinstance(value, dict) and "double" in value
    is_int = isinstance(value, int) and not is_bool
    if base in ("int", "bool", "ScalarType", "Layout", "MemoryFormat"):
        return is_int or is_bool
    if base == "float":
        return is_int or is_double
    if base in ("Scalar", "number"):
        return is_int or is_double or is_bool
    if base == "Device":
        return isinstance(value, dict) and "device" in value
    return base == "str" and isinstance(value, str)


def devices_of(value):
    if isinstance(value, list):
        return [device for item in value for device in devices_of(item)]
    return [value["device"]] if isinstance(value, dict) and "device" in value else []


def check_schedule(m):
    following = 0
    for i, call in enumerate(m["schedule"]):
        hold(call["first"] == following and all(w < i for w in call.get("wait", ())) and call.get("sync_on", i) <= i, f"schedule[{i}]")
        following += call["count"]
    hold(following == len(m["operators"]), "the schedule, which has not all of the operators,")
    hold(len({c["call"] for c in m["schedule"]}) == len(m["schedule"]), "the schedule, which makes a call twice,")


def check_counts(m):
    replayed = sum(("role" not in op) + len(op.get("backward", ())) for op in m["operators"])
    remedies = collections.Counter(r["remedy"] for r in m["replaced"])
    counts = {"replayed_operators": replayed, "selected_operators": replayed + len(m["replaced"]),
              "added_operators": sum(op.get("role") == "added" for op in m["operators"]), "substituted_operators": remedies["substitute"],
              "stand_ins": remedies["stand_in"], "missing_operators": remedies["missing"]}
    hold(m["coverage"] == counts, "coverage, which is not what the lists come to,")
    external = min(MAX_INT64, sum(s["bytes"] for s in m["storages"] if "init" in s and m["devices"][s["device"]] != "meta"))
    hold(m["memory"]["external_bytes"] == external and m["memory"]["peak_bytes"] >= external,
         "memory, which is not what the storages come to,")
