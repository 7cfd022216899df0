# The engine: what a package runs on.


class Engine:
    """A package, ready to run on a device."""

    LESS_MEMORY = "generate the package from a smaller part of the trace (--iteration) or with --scale-memory"

    def __init__(self, package, device="", threads=0, seed=1, libraries=(), eager=False, allow_trace_code=False):
        need_torch()
        for library in libraries:
            try:
                if not os.path.isfile(library):  # To open a pipe waits for somebody to write.
                    raise OSError("it is not a regular file")
                torch.ops.load_library(library)
            except OSError as error:
                raise Problem("MYS408", f"the library of operators cannot be loaded: {first_line(error)}", library,
                              "check the path, and that it was built for this PyTorch")
        self.package, self.seed, self.has_libraries = package, seed, bool(libraries)
        self.eager = eager or not hasattr(torch.jit, "load")
        self.recorded = package.manifest["devices"]
        self.device = self.find_device(device)
        self.devices = [self.target_of(d) for d in self.recorded]
        self.backend = getattr(torch, self.device.type, None) if self.device.type != "cpu" else None
        self.threads = threads or processors()
        torch.set_num_threads(self.threads)
        torch.set_grad_enabled(package.manifest["source"]["has_backward"])
        self.externals = self.program = None
        self.kernels = compile_kernels(package, self.device, allow_trace_code)
        self.learned = self.pacer = None

    def find_device(self, name):
        """The device that stands for the recorded ones: the one asked for, else an accelerator for what ran on one."""
        used_accelerator = any(not d.startswith("cpu") for d in self.recorded)
        name = name or ("cuda" if used_accelerator and torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(name)
            torch.empty(1, device=device)
            if device.type == "cuda":
                torch.cuda.set_device(device)
            return device
        except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:
            there = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
            raise Problem("MYS411", f"there is no device {name} for PyTorch {torch.__version__}: {first_line(error)}",
                          self.package.path, f"use one of {', '.join(['cpu'] + there)}")

    def target_of(self, recorded):
        """Accelerators become the device, and the host stays the host; where only the host was used, it becomes the device.

        Meta tensors have no memory and no kernels anywhere: they stay meta.
        """
        if recorded == "meta":
            return torch.device("meta")
        if recorded.startswith("cpu") and any(not d.startswith(("cpu", "meta")) for d in self.recorded):
            return torch.device("cpu")
        return self.device

    def info(self):
        is_cuda = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if is_cuda else ""
        return {"name": "python", "versions": _versions(torch, is_cuda), "device": f"{self.device} ({name})" if name else str(self.device),
                "threads": self.threads}

    def start(self, progress=lambda done, total: None, fall_back=True):
        """Loads the program and makes the tensors; returns the memory before the first of them.

        The program runs as TorchScript where that takes it, else operator by operator.
        """
        self.fallback = "asked for" if self.eager else ""
        try:
            if any(row.get("always") for row in self.package.manifest["substitutions"]) and fall_back:
                self.eager, self.fallback = True, "the table of substitutions wants other operators"
            if not self.eager:
                try:
                    self.program = ScriptProgram(self.package, self.devices, self.kernels, self.has_libraries)
                except RuntimeError as error:
                    if not fall_back:
                        raise
                    self.fallback = first_line(error)
            if self.program is None:
                self.program = EagerProgram(self.package, self.devices, self.kernels, self.has_libraries)
            self.check_memory()
            baseline = baseline_bytes(self.backend)
            self.externals = Externals(self.package, self.devices, self.seed, progress)
            self.put_into(self.program)
            self.steps = self.steps_of(self.program)
            return baseline
        except RuntimeError as error:
            raise self.memory_problem(error) or error

    def check_memory(self):
        """The host's memory is known before anything is allocated; a device says so itself when its own does not suffice."""
        available = _available_bytes() if self.device.type == "cpu" else None
        needed = self.package.manifest["memory"]["peak_bytes"]
        if available is not None and needed > available:
            raise Problem("MYS403", f"the replay needs {needed / 1e9:,.1f} GB of memory, and {available / 1e9:,.1f} GB are available",
                          self.package.path, "use a machine with more memory, or " + self.LESS_MEMORY)

    def memory_problem(self, error):
        """The problem behind an error that says that the device has too little memory; None for other errors."""
        if "out of memory" not in str(error) and "allocate memory" not in str(error):
            return None
        memory = self.package.manifest["memory"]
        return Problem("MYS412", f"the device has too little memory: {first_line(error)}",
                       f"{self.package.path}: the plan needs {memory['peak_bytes'] / 1e9:,.1f} GB on {self.device}",
                       "use a device with more memory, or " + self.LESS_MEMORY, 1)

    def put_into(self, program):
        for slot, tensor in enumerate(self.package.manifest["tensors"]):
            if tensor.get("external") or tensor["storage"] < 0:
                program.put(slot, self.externals.view(tensor))

    def steps_of(self, program):
        """The calls of an iteration, with the streams that they run on, and the waits of the host that were recorded."""
        schedule = self.package.manifest["schedule"]
        if self.backend is None:
            return program.calls
        streams, events = {}, {}
        if hasattr(self.backend, "Stream"):
            streams = {s: self.backend.Stream() for s in {c.get("stream") for c in schedule} - {None}}
        if streams:
            events = {w: self.backend.Event() for c in schedule for w in c.get("wait", ())}
        steps = []
        for i, (call, function) in enumerate(zip(schedule, program.calls)):
            stream, waits = streams.get(call.get("stream")), [events[w] for w in call.get("wait", ()) if w in events]
            if stream is not None or waits or i in events:
                function = self.on_stream(function, stream, waits, events.get(i))
            steps.append(self.then_wait(function) if call.get("sync") else function)
        return steps

    def on_stream(self, function, stream, waits, event):
        backend = self.backend

        def run():
            with backend.stream(stream) if stream is not None else contextlib.nullcontext():
                for wait in waits:
                    backend.current_stream().wait_event(wait)
                function()
                if event is not None:
                    event.record()
        return run

    def then_wait(self, function):
        def run():
            function()
            self.backend.synchronize()
        return run

    def keep_pace(self, share=0):
        """From now on, iterations keep the original's pace: take the time that the package says, or so much more than unpaced."""
        self.learned = self.learned or pacer_of(self)
        self.pacer = self.learned.with_share(share) if share else self.learned

    def synchronize(self):
        if self.backend is not None:
            self.backend.synchronize()

    def run_all(self):
        if self.pacer is not None:
            self.pacer.run(self.steps)
        else:
            self.run_unpaced()

    def run_unpaced(self):
        for step in self.steps:
            step()

    def iterate(self, count, progress=lambda done, total: None):
        """Runs iterations, measured, from the same state each: see docs/design.md, 12. Times in nanoseconds."""
        samples, events, counters = [], [], _Counters()
        reset_peak(self.backend)
        if self.pacer is not None:
            self.pacer.reset()
        try:
            for i in range(count):
                if i % RESTORE_EVERY == 0:
                    self.externals.restore(True)
                    self.run_all()
                self.externals.restore(False)
                counters.start()
                if self.backend is not None and hasattr(self.backend, "Event"):
                    pair = [self.backend.Event(enable_timing=True) for _ in range(2)]
                    pair[0].record()
                    self.run_all()
                    pair[1].record()
                    events.append(pair)
                else:
                    start = time.perf_counter_ns()
                    self.run_all()
                    samples.append(time.perf_counter_ns() - start)
                counters.stop()
                progress(i + 1, count)
            self.synchronize()
            counters.close()
        except RuntimeError as error:
            raise self.memory_problem(error) or error
        samples = samples or _nanoseconds_between([start for start, _ in events], [end for _, end in events])
        return {"samplesNs": samples, "peakBytes": peak_bytes(self.backend), "cpuTimeNs": counters.sums[0], "system": counters.describe()}

    def observe(self, path):
        """Runs an iteration under PyTorch's own observer of execution traces."""
        observer_type = _observer_type(torch)
        if observer_type is None:
            raise RuntimeError(f"PyTorch {torch.__version__} has no observer of execution traces")
        self.externals.restore(True)
        observer = observer_type()
        observer.register_callback(path)
        observer.start()
        try:
            self.run_unpaced()
        finally:
            observer.stop()
            observer.unregister_callback()
        self.synchronize()

    def profiled(self, run):
        """The profiler, after an iteration ran under it."""
        self.externals.restore(True)
        with torch.profiler.profile(profile_memory=True) as profiler:
            run()
            self.synchronize()
        return profiler

    def kineto(self, path, trace=None):
        """Writes the profile of an iteration; where a trace is asked for, it runs under the observer too, as an original does."""
        _write_profile(self.profiled(lambda: self.observe(trace) if trace else self.run_unpaced()), path)

    def allocated_bytes(self):
        """The most bytes of tensors at one time in an iteration, as the profiler saw them allocated; None where it does not tell."""
        found = _allocations(self.profiled(self.run_unpaced))
        changes = [size for _, size, is_on_device in found if is_on_device == (self.device.type != "cpu")]
        live = peak = sum(m.numel() for m in self.externals.memory.values() if m.device.type == self.device.type)
        for size in changes:
            live += size
            peak = max(peak, live)
        return peak if changes else None

    def probe(self, before):
        """Runs each operator on its own, and goes on after one that fails. Returns those that failed, with the reasons."""
        program = self.single()
        self.externals.restore(True)
        for i in range(len(program.operators)):
            before(i)
            while i not in program.missing:
                try:
                    program.run_one(i)
                    self.synchronize()
                    break
                except Exception as error:
                    problem = self.memory_problem(error)
                    if problem:
                        raise problem
                    program.fail(i, "it failed: " + first_line(error).split(". ")[0])
            else:
                program.run_one(i)
        return program

    def single(self):
        """The program whose operators can be called one by one."""
        if isinstance(self.program, EagerProgram):
            return self.program
        program = EagerProgram(self.package, self.devices, self.kernels, self.has_libraries)
        self.put_into(program)
        return program

    def time_operators(self, iterations):
        """For each operator its time in nanoseconds, with what it takes to call it from Python."""
        program, times = self.single(), [0] * len(self.package.manifest["operators"])
        for iteration in range(iterations + 1):
            self.externals.restore(iteration == 0)
            for i in range(len(times)):
                start = time.perf_counter_ns()
                program.run_one(i)
                self.synchronize()
                if iteration > 0:
                    times[i] += time.perf_counter_ns() - start
        return [t / max(1, iterations) for t in times]

    def check_values(self):
        """The operators that made a NaN, or an infinity out of finite inputs and literals."""
        program, failures = self.single(), []
        self.externals.restore(True)
        not_numbers, infinite = set(), set()
        for i, op in enumerate(program.operators):
            inputs = {s for a in op["args"] for s in a.get("t", ())}
            schema = self.package.schemas[op["schema"]]
            written = {s for a, w in zip(op["args"], schema.arguments) if w.is_written for s in a.get("t", ())}
            freed, program.freed[i] = program.freed[i], []
            program.run_one(i)
            asked = "inf" in json.dumps([a.get("v") for a in op["args"]]).lower() or self.package.name_of(op).startswith("aten::_ctc_loss")
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
            if nan and not had_nan:
                failures.append((i, "it makes NaN of numbers"))
            elif inf and not had_inf and not had_nan:
                failures.append((i, "it makes infinities of finite numbers"))
            for slot in freed:
                program.slots[slot] = None
        return failures


# Memory, as `mystique run` measures it: the process's, or what the device's allocator gave out.

def reset_peak(backend):
    if hasattr(backend, "reset_peak_memory_stats"):
        backend.reset_peak_memory_stats()
    _reset_peak()


def peak_bytes(backend):
    return backend.max_memory_allocated() if hasattr(backend, "max_memory_allocated") else _anonymous_peak()


def baseline_bytes(backend):
    return backend.memory_allocated() if hasattr(backend, "memory_allocated") else _anonymous_bytes()
