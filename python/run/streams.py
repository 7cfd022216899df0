# Streams: the calls of an iteration on a device, in the recorded order and overlap.


def steps_of(engine, program):
    """The calls of an iteration; on a device, with the streams that they run on and what they and the host wait for."""
    return program.calls if engine.backend is None else DeviceSteps(engine, program).steps()


class DeviceSteps:
    """Side streams are tied to the iteration: they begin after what the main stream has done before it, and it ends after them."""

    def __init__(self, engine, program):
        self.engine, self.program, self.backend = engine, program, engine.backend
        self.schedule = engine.package.manifest["schedule"]
        self.main, self.side = None, {}
        numbers = sorted({c["stream"] for c in self.schedule if "stream" in c})
        if numbers and all(hasattr(self.backend, name) for name in ("Stream", "Event", "set_stream", "current_stream")):
            self.main, self.side = self.backend.current_stream(), {n: self.backend.Stream() for n in numbers}
        elif numbers:
            engine.notes.append(f"PyTorch has no streams for {engine.device.type}: what ran on {len(numbers) + 1} runs on one")
        awaited = {w for c in self.schedule for w in (*(c.get("wait", ()) if self.side else ()), c.get("sync_on", -1))} - {-1}
        self.events = {w: self.backend.Event() for w in awaited} if hasattr(self.backend, "Event") else {}
        self.shared = self.tensors_of_other_streams() if self.side else {}

    def stream_of(self, call):
        return self.side.get(call.get("stream"), self.main)

    def steps(self):
        steps, before = [], self.main
        for i, (call, function) in enumerate(zip(self.schedule, self.program.calls)):
            stream = self.stream_of(call)
            function = self.on_stream(function, stream, stream is not before, i, call)
            before, sync = stream, call.get("sync_on")
            if call.get("sync"):
                function = self.then_wait(function, self.events.get(sync))
            steps.append(function)
        if self.side:
            steps[0], steps[-1] = self.after(self.fork, steps[0]), self.after(steps[-1], self.join)
        return steps

    def on_stream(self, function, stream, is_other, index, call):
        """A call on its stream. The stream is set where it changes alone: `with stream(…)` takes longer than many operators."""
        backend, program = self.backend, self.program
        waits = [self.events[w] for w in call.get("wait", ()) if w in self.events] if self.side else []
        event, shared = self.events.get(index), self.shared.get(index, ())
        if not (is_other or waits or shared or event is not None):
            return function

        def run():
            if is_other:
                backend.set_stream(stream)
            for wait in waits:
                stream.wait_event(wait)
            for slot in shared:
                tensor = program.get(slot)
                if tensor is not None:
                    tensor.record_stream(stream)  # Its memory is given out again after what this stream does with it.
            function()
            if event is not None:
                event.record()
        return run

    def then_wait(self, function, event):
        """A call after which the host waits: for the device, or for the work up to one call."""
        wait, engine, clock = event.synchronize if event is not None else self.backend.synchronize, self.engine, time.perf_counter_ns

        def run():
            function()
            start = clock()
            wait()
            engine.host_waits_ns += clock() - start
        return run

    @staticmethod
    def after(first, then):
        def run():
            first()
            then()
        return run

    def fork(self):
        begin = self.backend.Event()
        begin.record(self.main)
        for stream in self.side.values():
            stream.wait_event(begin)

    def join(self):
        for stream in self.side.values():
            end = self.backend.Event()
            end.record(stream)
            self.main.wait_event(end)
        self.backend.set_stream(self.main)

    def tensors_of_other_streams(self):
        """By call, a slot of each storage that the call is the first of its stream to use, where another stream's made it."""
        m, made, told, shared = self.engine.package.manifest, {}, set(), {}
        devices = self.engine.devices
        for i, call in enumerate(self.schedule):
            stream = call.get("stream")
            for op in m["operators"][call["first"]:call["first"] + call["count"]]:
                for slot in slots_of(op):
                    storage = m["tensors"][slot]["storage"] if slot >= 0 else -1
                    if storage < 0 or "init" in m["storages"][storage] or devices[m["storages"][storage]["device"]] != self.engine.device:
                        continue
                    if made.setdefault(storage, stream) != stream and (storage, stream) not in told:
                        told.add((storage, stream))
                        shared.setdefault(i, []).append(slot)
        return shared
