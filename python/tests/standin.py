"""A stand-in for an accelerator on a PyTorch that has none: its tensors lie on the host; streams, events and memory are logged.

PyTorch's own checks of arguments are kept. A device here works at once, so that only the order of what is asked of it can be
looked at: `unordered` finds work of two streams on the same memory that nothing orders.
"""
import contextlib
import types

from scripts import replaced, run


class Stream:
    def __init__(self, device, name=None):
        self.device, self.name = device, name or f"stream {next(device.numbers)}"

    def wait_event(self, event):
        self.device.note("wait", self.name, event.name)

    def __repr__(self):
        return self.name


class Event:
    def __init__(self, device, enable_timing=False):
        if enable_timing and device.has_no_times:
            raise RuntimeError("events of this device have no times")
        self.device, self.name, self.at = device, f"event {next(device.numbers)}", None

    def record(self, stream=None):
        self.at = run.time.perf_counter_ns()
        self.device.note("record", (stream or self.device.current).name, self.name)

    def synchronize(self):
        self.device.note("host waits for", self.name)

    def elapsed_time(self, end):
        return (end.at - self.at) / 1e6


class Device:
    """One kind of device, and its module below torch."""

    def __init__(self, kind="cuda", count=1, has_no_times=False, has_streams=True, has_doubles=True, fails_at=None, free_bytes=8 << 30,
                 refuses=""):
        self.kind, self.count, self.has_no_times, self.has_doubles = kind, count, has_no_times, has_doubles
        self.log, self.numbers = [], iter(range(10 ** 9))
        self.index, self.main = 0, Stream(self, "main")
        self.current, self.is_capturing, self.fails_at = self.main, False, fails_at
        self.peak_is_reset, self.refuses = False, refuses
        own = {} if run.torch is None else vars(getattr(run.torch, kind, types.SimpleNamespace()))
        own = {name: value for name, value in own.items() if name not in ("Stream", "Event", "set_stream", "current_stream")}
        self.module = types.SimpleNamespace()
        vars(self.module).update(own)  # PyTorch's own module of that name, as far as nothing takes its place.
        vars(self.module).update(
            is_available=lambda: True, is_initialized=lambda: True, device_count=lambda: count, current_device=lambda: self.index,
            set_device=self.set_device, synchronize=lambda device=None: self.synchronize(), get_device_name=lambda index=None: "stand-in",
            memory_allocated=lambda *_: 1000, max_memory_allocated=lambda *_: 1500, max_memory_reserved=lambda *_: 2048,
            Event=lambda **given: Event(self, **given),
            reset_peak_memory_stats=lambda *_: setattr(self, "peak_is_reset", True),
            empty_cache=lambda: self.note("empty cache"), mem_get_info=lambda *_: (free_bytes, 16 << 30),
            is_current_stream_capturing=lambda: self.is_capturing)
        if has_streams:
            self.module.Stream, self.module.set_stream = lambda **given: Stream(self), self.set_stream
            self.module.current_stream = lambda *_: self.current

    def note(self, *what):
        self.log.append(what)

    def set_device(self, device):
        from torch.cuda._utils import _get_device_index  # PyTorch's own, which wants an index; it needs no device.
        self.index = _get_device_index(device) if self.kind == "cuda" else run.torch.device(device).index
        self.note("device", self.index)

    def set_stream(self, stream):
        self.current = stream

    def synchronize(self):
        self.note("synchronize")
        if self.is_capturing:  # It invalidates what is being captured.
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        if self.fails_at is not None and sum(entry[0] == "synchronize" for entry in self.log) >= self.fails_at:
            raise RuntimeError("CUDA error: device-side assert triggered")

    def device(self, name):
        """Makes a device of a name, as this PyTorch does; one that is not there is told as PyTorch tells it."""
        if name.type == self.kind and (name.index or 0) >= self.count:
            raise RuntimeError("CUDA error: invalid device ordinal")
        if name.type == self.kind and self.refuses:
            raise RuntimeError(self.refuses)
        return name.type == self.kind


@contextlib.contextmanager
def installed(device):
    """The stand-in in the place of its kind of device, for a while."""
    torch = run.torch

    def on_host(make):
        def made(*args, **named):
            named.pop("pin_memory", None)
            where = named.get("device")
            if where is not None and device.device(torch.device(where)):
                if not device.has_doubles and torch.float64 in (named.get("dtype"), *args):
                    raise TypeError("this device has no doubles")
                named["device"] = "cpu"
            return make(*args, **named)
        return made

    def literal(value, recorded_devices, devices, before=run.literal):
        made = before(value, recorded_devices, devices)
        return torch.device("cpu") if isinstance(made, torch.device) and device.device(made) else made

    makers = {name: on_host(getattr(torch, name)) for name in
              ("empty", "empty_strided", "arange", "zeros", "ones", "full", "tensor", "as_tensor")}
    generic = types.SimpleNamespace(is_available=lambda: True, current_accelerator=lambda: torch.device(device.kind, 0))
    with contextlib.ExitStack() as stack:
        stack.enter_context(replaced(torch, **{device.kind: device.module}, **makers))
        if hasattr(torch, "get_device_module"):
            stack.enter_context(replaced(torch, get_device_module=lambda kind: getattr(torch, str(kind).split(":")[0])))
        if hasattr(torch, "accelerator"):
            stack.enter_context(replaced(torch, accelerator=generic))
        stack.enter_context(replaced(torch.Tensor, record_stream=lambda tensor, stream: device.note("keep", stream.name)))
        stack.enter_context(replaced(run, literal=literal, observed_device=lambda value: None))  # All is on the host.
        yield device


def logged(device, program):
    """Has the calls of a program noted in the log, with the stream that they ran on."""
    def noting(number, call):
        def run_it():
            device.note("call", number, device.current.name)
            call()
        return run_it
    program.calls = [noting(i, call) for i, call in enumerate(program.calls)]


def uses_of(package, call):
    """The storages that a call reads and those that it writes. What only looks at sizes uses nothing."""
    m, reads, writes = package.manifest, set(), set()
    for op in m["operators"][call["first"]:call["first"] + call["count"]]:
        schema = package.schemas[op["schema"]]
        given = [({m["tensors"][s]["storage"] for s in value.get("t", ()) if s >= 0}, argument.is_written)
                 for value, argument in zip(op["args"], schema.arguments)]
        written = {storage for storages, is_written in given if is_written for storage in storages}
        if "(a" in schema.returns_text and not written:
            continue  # A view.
        made = {m["tensors"][s]["storage"] for out in op["outs"] for s in out if s >= 0}
        reads |= {storage for storages, is_written in given if not is_written for storage in storages} - {-1}
        writes |= (written | made) - {-1}
    return reads, writes


def unordered(package, before):
    """Pairs of calls of two streams that use the same memory, one of them writing, where nothing has the one wait for the other."""
    uses, found = [uses_of(package, call) for call in package.manifest["schedule"]], []
    for later, (reads, writes) in enumerate(uses):
        for earlier, (read, written) in enumerate(uses[:later]):
            if (reads & written or writes & (read | written)) and earlier not in before[later]:
                found.append((earlier, later))
    return found


def happens_before(log):
    """By call, the calls that are done before it begins, as streams and events order them; the last entry is of the main stream's end."""
    done, events, before = {}, {}, {}  # What is done before what comes next on each stream; before each event; before each call.
    for entry in log:
        if entry[0] == "call":
            before[entry[1]] = set(done.setdefault(entry[2], set()))
            done[entry[2]].add(entry[1])
        elif entry[0] == "record":
            events[entry[2]] = set(done.setdefault(entry[1], set()))
        elif entry[0] == "wait":
            done.setdefault(entry[1], set()).update(events[entry[2]])
    before["end"] = set(done.get("main", ()))
    return before
