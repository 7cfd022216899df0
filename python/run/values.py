# The contents of tensors: see docs/package-format.md. Every host draws the same.


STEP, WORD = 0x9E3779B1, 0xFFFFFFFF
CHUNK, DEVICE_CHUNK = 1 << 16, 1 << 22  # Elements that are drawn from one place on; a device needs some fifteen launches for each.


def hash32(x):
    """The 32-bit hash lowbias32 (C. Wellons, 2018) of a number, or of a tensor of 64-bit numbers."""
    x = (x ^ (x >> 16)) * 0x7FEB352D & WORD
    x = (x ^ (x >> 15)) * 0x846CA68B & WORD
    return x ^ (x >> 16)


def signed(x):
    """An unsigned 64-bit constant as PyTorch's integers have it."""
    return x - (1 << 64) if x >= 1 << 63 else x


def key_of(seed, storage):
    return hash32((seed ^ hash32((storage + 0x9E3779B9) & WORD)) & WORD)


def part(place, high, count):
    """place * high / count, rounded down, without overflow."""
    if count == 0:
        return torch.zeros_like(place)
    whole, rest = divmod(high, count)
    return place * whole + torch.div(place * rest, count, rounding_mode="floor")


def permute(place, count, key):
    """The place of an element after all were shuffled; count and key are numbers or tensors like place."""
    if count < 2:
        return torch.zeros_like(place)
    bits = (count - 1).bit_length()
    mask, shift = (1 << bits) - 1, max(1, bits // 2)
    x, key = place.clone(), torch.as_tensor(key, device=place.device).expand_as(place)

    def round_of(x, key):
        x = (x + key) & mask
        x = x ^ (x >> shift)
        x = (x * signed(0x9E3779B97F4A7C15)) & mask
        x = x ^ (x >> shift)
        x = (x * signed(0xD6E8FEB86659FD93) + (key >> 7)) & mask
        return x ^ (x >> shift)

    x = round_of(x, key)
    outside = x >= count
    while bool(outside.any()):
        x[outside] = round_of(x[outside], key[outside])
        outside = x >= count
    return x


def words_of(place, key):
    """The lower and the upper half of a 64-bit random number for each place."""
    return hash32((key + place * STEP) & WORD), hash32(key ^ ((place * STEP) & WORD))


def draw(place, key, low, high):
    """Integers of [low, high): a 64-bit random number times the range, of which the upper half counts."""
    low_word, high_word = words_of(place, key)
    size = max(1, high - low)
    if size < 1 << 31:
        return low + ((high_word * size + ((low_word * size) >> 32)) >> 32)
    words = zip(low_word.tolist(), high_word.tolist())
    return torch.tensor([low + (((above << 32 | below) * size) >> 64) for below, above in words], dtype=torch.int64)


def zipf(place, key, low, high, exponent):
    count = high - low
    low_word, high_word = words_of(place, key)
    u = ((high_word << 21) | (low_word >> 11)).to(torch.float64) * 2.0 ** -53
    top = count + 1.0
    x = top ** u if abs(exponent - 1) < 1e-9 else (1 + u * (top ** (1 - exponent) - 1)) ** (1 / (1 - exponent))
    return low + permute((x.to(torch.int64) - 1).clamp(0, count - 1), count, key)


def values_of(init, place, key, elements):
    """The elements at some places, of the kinds that are whole numbers (or a constant)."""
    kind, low, high, parameter = init["kind"], int(init["low"]), int(init["high"]), init.get("parameter", 0)
    if kind == "constant":
        return torch.full_like(place, init["low"], dtype=torch.float64)
    if kind == "uniform":
        return draw(place, key, low, high)
    if kind == "ramp":
        return low + part(place, high - low, elements)
    if kind == "offsets":
        return low + (part(place, high - low, elements - 1) if elements > 1 else torch.zeros_like(place))
    if kind == "mask":
        return (permute(place, elements, key) < high).to(torch.int64)
    if kind == "covers_range":
        return high - 1 - part(permute(place, elements, key), high, elements)
    if kind == "partition":
        return part(place + 1, high, elements) - part(place, high, elements)
    if kind == "lengths":
        others, rest = elements - 1, max(0, int(parameter) - high)
        if others < 1:
            return torch.full_like(place, high)
        share = torch.clamp(rest // others + (place - 1 < rest % others).to(torch.int64), max=high)
        return torch.where(place == 0, torch.full_like(place, high), share)
    if kind == "permutation":
        row = max(1, int(parameter))
        return permute(place % row, row, (key + torch.div(place, row, rounding_mode="floor") * STEP) & WORD)
    if kind == "zipf":
        return zipf(place, key, low, high, parameter)
    raise invalid_manifest(f"contents of the unknown kind {kind}", "benchmark.json")


def fractions(init, key, count, element, device):
    """Floats of [low, high), in single precision, then in the type asked for."""
    low = torch.tensor(init["low"], dtype=torch.float32)
    spread = torch.tensor(init["high"] - init["low"], dtype=torch.float32) * 2.0 ** -24
    bits = hash32((key + torch.arange(count, dtype=torch.int64, device=device) * STEP) & WORD)
    if element.name == "float8_e8m0fnu":  # One half and one: the byte is the exponent.
        return (bits & 1 | 0x7E).to(torch.uint8)
    if element.name == "float4_e2m1fn_x2":  # Two numbers of one half or one.
        return ((bits & 0x11) + 0x11).to(torch.uint8)
    if element.itemsize == 1:
        return (bits & 3 | 0x38).to(torch.uint8)
    values = (bits >> 8).to(torch.float32) * spread.item() + low.item()
    if element.dtype == torch.bfloat16:  # Cut, not rounded.
        return (values.view(torch.int32) >> 16).to(torch.int16)
    return values


class ElementType:
    """A dtype of the manifest, and the one with which its memory is written: of complex numbers, their parts."""

    WRITTEN = {"bfloat16": "int16", "complex64": "float32", "complex128": "float64", "complex32": "float16", "bits16": "int16",
               "uint16": "int16", "uint32": "int32", "uint64": "int64", "qint8": "int8", "qint32": "int32"}

    # One, in the types that are written byte by byte.
    ONES = {"float8_e5m2": 0x38, "float8_e4m3fn": 0x38, "float8_e5m2fnuz": 0x38, "float8_e4m3fnuz": 0x38, "float8_e8m0fnu": 0x7F,
            "float4_e2m1fn_x2": 0x22}

    def __init__(self, name):
        self.name = name
        self.dtype = getattr(torch, name, None)
        if not isinstance(self.dtype, torch.dtype):
            raise Problem("MYS410", f"PyTorch {torch.__version__} has no elements of the type {name}", "benchmark.json",
                          "use a newer PyTorch")
        self.itemsize = RULES["element_bytes"][name]
        self.is_floating = is_floating(name)
        self.is_complex = name.startswith("complex")
        is_byte = self.itemsize == 1 and name not in ("bool", "int8", "qint8")
        self.written = torch.uint8 if is_byte else getattr(torch, self.WRITTEN.get(name, name))


def fill(memory, init, storage, seed):
    """Fills a storage's memory (a tensor of bytes) by its rule."""
    if init["kind"] == "recorded":
        memory.copy_(torch.frombuffer(bytearray(base64.b64decode(init["data"])), dtype=torch.uint8))
        return
    kind, element = init["kind"], ElementType(init["dtype"])
    elements = memory.numel() // element.itemsize
    target = memory[:elements * element.itemsize].view(element.written)
    if kind == "constant" and init["low"] == 0:
        memory.zero_()
        return
    key, per = key_of(seed, storage), 2 if element.is_complex else 1
    chunk = CHUNK if memory.device.type == "cpu" else DEVICE_CHUNK
    for first in range(0, elements, chunk):
        count = min(chunk, elements - first)
        piece = target[first * per:(first + count) * per]
        place = torch.arange(first, first + count, dtype=torch.int64, device=memory.device)
        if kind in ("uniform", "diagonally_dominant") and element.is_floating:
            piece.copy_(fractions(init, (key + first * STEP) & WORD, count * per, element, memory.device))
        else:
            put_values(piece, values_of(init, place, key, elements), element)
        if kind == "diagonally_dominant":
            rows = max(1, int(init.get("parameter", 0)))
            on = torch.nonzero(place % (rows * rows) % (rows + 1) == 0).squeeze(1)
            put_values(piece, torch.full((len(on),), 1 + init["high"] * rows, dtype=torch.float64, device=memory.device), element, on * per)


def put_values(piece, values, element, at=None):
    if element.name in element.ONES:
        values = (values != 0).to(torch.uint8) * element.ONES[element.name]
    elif element.name == "bfloat16":
        values = (values.to(torch.float32).view(torch.int32) >> 16).to(torch.int16)
    elif element.name == "bool":
        values = values != 0
    if at is not None:
        piece[at] = values.to(piece.dtype)
    elif element.is_complex:
        piece[0::2], piece[1::2] = values.to(piece.dtype), 0
    else:
        piece.copy_(values)


def draws_here(device):
    """Whether a device can draw the contents: some have no doubles (MPS, small XPUs), or no 64-bit integers."""
    try:
        for kind in ("uniform", "zipf", "permutation", "constant"):
            memory = torch.empty(64, dtype=torch.uint8, device=device)
            fill(memory, {"kind": kind, "dtype": "int64", "low": 1, "high": 8, "parameter": 1}, 0, 1)
        fill(memory, {"kind": "uniform", "dtype": "float32", "low": 0, "high": 1}, 0, 1)
        return True
    except Exception:  # TypeError on MPS, RuntimeError on XPU.
        return False


class Externals:
    """The storages that exist before the iteration, and the views on them."""

    def __init__(self, package, devices, seed, progress, pins=False):
        m = package.manifest
        self.storages, self.seed, self.memory = m["storages"], seed, {}
        self.mutated = []  # What the iteration writes to, and whether it is floats.
        self.makes_graph, self.written, self.stood_in = m["source"]["has_backward"], [], []
        self.leaves = []  # Of all programs: leaves of autograd's graph, with the gradients that they start with.
        self.copies = {}  # On a device, of integers that it writes to: to draw them again can take waits.
        self.drawn_on_host = {d for d in set(devices) if d.type not in ("cpu", "meta") and not draws_here(d)}
        for i, storage in enumerate(self.storages):
            if "init" in storage:
                device = devices[storage["device"]]
                is_pinned = pins and storage.get("pinned", False) and device.type == "cpu"
                self.memory[i] = torch.empty(storage["bytes"], dtype=torch.uint8, device=device, pin_memory=is_pinned)
                if self.memory[i].is_meta:
                    continue  # It holds nothing.
                self.fill(i)
                if storage.get("mutated"):
                    self.mutated.append((i, ElementType(storage["init"]["dtype"]).is_floating))
                    if device.type != "cpu" and not self.mutated[-1][1]:
                        self.copies[i] = self.memory[i].clone()
                progress(i + 1, len(self.storages))

    def fill(self, i):
        """Fills a storage by its rule, where it lies or on the host."""
        memory = self.memory[i]
        if memory.device not in self.drawn_on_host:
            return fill(memory, self.storages[i]["init"], i, self.seed)
        on_host = torch.empty(memory.shape, dtype=torch.uint8)
        fill(on_host, self.storages[i]["init"], i, self.seed)
        return memory.copy_(on_host)

    def bytes_on(self, device):
        return sum(m.numel() for m in self.memory.values() if m.device.type == device.type)

    def restore(self, all_of_it):
        """Brings back what the iteration writes to; else only integers, which may lead out of bounds."""
        torch.set_grad_enabled(self.makes_graph)  # An iteration that failed may have left it otherwise.
        for leaf, gradient in self.leaves:
            leaf.grad = gradient
        for program in self.stood_in:
            program.release_graph()
        for i, (program, slot, tensor, view) in enumerate(self.written):
            if view.requires_grad:  # What was written in place has the graph of the iteration before.
                self.written[i] = program, slot, tensor, self.view(tensor)
                program.put(slot, self.written[i][-1])
        for i, is_floating in self.mutated:
            if i in self.copies:
                self.memory[i].copy_(self.copies[i])
            elif all_of_it or not is_floating:
                self.fill(i)

    def view(self, tensor):
        """A tensor of the manifest; None for the undefined one."""
        if tensor["storage"] < 0:
            return None
        memory, element = self.memory[tensor["storage"]], ElementType(tensor["dtype"])
        whole = memory[:memory.numel() // element.itemsize * element.itemsize].view(element.dtype)
        # To autograd it is no view: it accumulates into a leaf, and what writes to a view is another function.
        result = whole.as_strided(tensor["shape"], tensor["strides"], tensor.get("offset", 0)).detach()
        if tensor.get("leaf"):
            return result.requires_grad_()
        return as_number(result) if tensor.get("number") else result


def as_number(value):
    """A tensor that PyTorch takes for a Python number: it does not decide a result's type (TensorImpl::is_wrapped_number).

    PyTorch makes such a one of the number in `x * 0.9`, and autograd keeps it for the backward pass.
    """
    with torch.enable_grad():
        product = torch.ones((), requires_grad=True) * value.item()
    return product.grad_fn._saved_other
