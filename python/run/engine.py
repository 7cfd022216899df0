# The engine: what a package runs on.


class Engine:
    """A package, ready to run on a device."""

    LESS_MEMORY = "generate the package from a smaller part of the trace (--iteration) or with --scale-memory"

    def __init__(self, package, device="", threads=0, seed=1, libraries=(), eager=False, allow_trace_code=False,
                 flags="recorded", tf32=None, pins=None, ranks=None):
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
        self.notes = []  # What the result says of the target.
        recorded = package.manifest["devices"]
        self.device = find_device(device, recorded, package.path, self.notes)
        self.devices = [target_of(d, recorded, self.device) for d in recorded]
        self.backend = _module_of(torch, self.device.type)
        here = ranks.launch.local_size if ranks is not None and ranks.launch is not None else None
        self.threads = threads or self.recorded_threads() or max(1, processors() // (here or 1))
        torch.set_num_threads(self.threads)
        if ranks is not None and not ranks.is_alone:
            hold_products_to(self.threads)
        torch.set_grad_enabled(package.manifest["source"]["has_backward"])
        self.settings = self.apply_settings(flags, tf32, pins or {})
        self.externals = self.program = self.live_bytes = None
        self.kernels, self.libraries = compile_kernels(package, self.device, allow_trace_code), libraries
        self.learned = self.pacer = None
        self.ranks = ranks or Ranks()
        self.rank_calls = calls_of(package, self.ranks, self.devices)
        self.ranks.take_calls(package, self.rank_calls)
        self.host_waits_ns = 0  # How long the host has waited for the device, as the original did.
        self.pins = can_pin(self.device)

    def recorded_threads(self):
        """Threads within operators, as the captured original had them, and no more than there are logical CPUs; None for not known."""
        recorded = self.package.manifest.get("baseline", {}).get("threads", {}).get("intra_op")
        return min(recorded, processors()) if recorded and recorded > 0 else None

    def apply_settings(self, flags, tf32=None, pins=()):
        """Sets what decides kernels as the original had it, or as it was asked for, before anything runs; returns what was set."""
        unknown = [name for name in pins if name not in _SWITCHES]
        if unknown:
            raise Problem("MYS427", f"there is no setting {unknown[0]} to pin", "--pin",
                          "docs/hosts.md lists the settings; attention=flash is one of them")
        recorded = dict((self.package.manifest.get("settings") or {}).get("values", {})) if flags == "recorded" else {}
        if tf32:
            recorded = {name: value for name, value in recorded.items() if name not in _OLD_PRECISION + _NEW_PRECISION}
            recorded.update(matmul_allow_tf32=str(tf32 == "on").lower(), cudnn_allow_tf32=str(tf32 == "on").lower())
        recorded.update(pins)
        if flags == "recorded" and self.device.type != "cpu":
            self.notes += _differences_of_environment(self.package.manifest.get("baseline", {}).get("environment", {}))
        changed, notes = _apply_settings(torch, recorded, self.device.type)
        self.notes += notes
        return changed

    def info(self):
        name = _name_of(self.backend, self.device.index) if self.backend is not None else ""
        free, uuid = _free_bytes(self.backend, self.device), _uuid_of(self.backend, self.device.index)
        return {"name": "python", "versions": _versions(torch, self.device.type == "cuda"),
                **({} if free is None else {"freeBytes": free}), **({"deviceUuid": uuid} if uuid else {}),
                "device": f"{self.device} ({name})" if name else str(self.device), "threads": self.threads,
                "settings": self.settings, "notes": self.notes}

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
                    self.program = ScriptProgram(self.package, self.devices, self.kernels, self.has_libraries, self.pins, self.rank_calls)
                except RuntimeError as error:
                    if not fall_back:
                        raise
                    self.fallback = first_line(error)
            if self.program is None:
                self.program = self.new_eager()
            self.check_memory()
            if self.backend is not None:
                check_bounds(self.package)
            baseline = _anonymous_bytes()
            self.externals = Externals(self.package, self.devices, self.seed, progress, self.pins)
            self.put_into(self.program)
            hold_second_workspace(self.package, self.device)
            self.synchronize()  # Side streams do not wait for the stream that filled them.
            self.steps = steps_of(self, self.program)
            return baseline
        except RuntimeError as error:
            raise self.memory_problem(error) or error

    def new_eager(self):
        return EagerProgram(self.package, self.devices, self.kernels, self.has_libraries, self.pins, self.rank_calls)

    def substituted_calls(self):
        """By place, calls between ranks that other work stands for."""
        found = {i: call.substitution() for i, call in self.rank_calls.items()}
        return {i: substitution for i, substitution in found.items() if substitution}

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
        m, is_framework = self.package.manifest, is_of_framework(self.package.manifest)
        if is_framework and isinstance(program, EagerProgram):
            self.externals.stood_in.append(program)
        for slot, tensor in enumerate(m["tensors"]):
            if tensor.get("external") or tensor["storage"] < 0:
                view = self.externals.view(tensor)
                program.put(slot, view)
                if is_framework and tensor["storage"] >= 0 and not tensor.get("leaf") and m["storages"][tensor["storage"]].get("mutated"):
                    self.externals.written.append((program, slot, tensor, view))
                if tensor.get("leaf"):
                    start = tensor.get("gradient")
                    self.externals.leaves.append((view, None if start is None else self.externals.view(m["tensors"][start])))

    def keep_pace(self, share=0):
        """From now on, iterations keep the original's pace: take the time that the package says, or so much more than unpaced.

        On a device waits of the host can cost nothing: what an iteration takes with them tells no share, and the time holds.
        """
        self.learned = self.learned or pacer_of(self)
        self.pacer = self.learned.with_share(share) if share and self.backend is None else self.learned

    def synchronize(self):
        if self.backend is not None:
            self.backend.synchronize()

    def run_all(self):
        if self.pacer is not None:
            self.ranks.begin()
            self.pacer.run(self.steps, self)
            self.ranks.end()
        else:
            self.run_unpaced()

    def run_unpaced(self):
        self.ranks.begin()
        for step in self.steps:
            step()
        self.ranks.end()

    def warm_up(self, count=None, progress=lambda done, total: None):
        """Iterations that are not measured: so many; unless told, a few on the host, on a device until its times are steady.

        A device's clocks rise for a while, and the first iterations load kernels. Returns how many there were.
        """
        if count is not None or self.backend is None:
            count = WARM_UP if count is None else count
            if count:
                self.iterate(count, progress)
            return count
        samples, start = [], time.perf_counter_ns()
        while True:
            samples += self.iterate(max(1, len(samples) // 2), progress)["samplesNs"]
            spent = time.perf_counter_ns() - start
            is_done, is_late = self.ranks.share([spent >= LEAST_WARM_UP_NS and is_steady(samples), spent >= MOST_WARM_UP_NS])
            if is_done:
                return len(samples)
            if is_late:
                self.notes.append(f"times were not steady after {spent / 1e9:.0f} s of warm-up")
                return len(samples)

    def iterations_for(self, count=None):
        """How many iterations to measure: so many; unless told, on a device at least a second's worth."""
        if count is not None or self.backend is None:
            return ITERATIONS if count is None else count
        took = self.ranks.share(sorted(self.iterate(5)["samplesNs"])[2])
        return max(ITERATIONS, min(10_000, math.ceil(LEAST_MEASURED_NS / max(1, took))))

    def release_cache(self):
        """Leaves to other processes what the iterations to come would take from the cache."""
        self.synchronize()
        _release_cache(self.backend)

    def iterate(self, count, progress=lambda done, total: None):
        """Runs iterations, measured, from the same state each: see docs/design.md, 12. Times in nanoseconds."""
        samples, pairs, counters, blocked = [], [], _Counters(), []
        self.ranks.barrier()
        _reset_peak()
        _reset_allocator(self.backend)
        if self.pacer is not None:
            self.pacer.reset()
        try:
            for i in range(count):
                if i % RESTORE_EVERY == 0:
                    self.externals.restore(True)
                    self.run_all()
                self.externals.restore(False)
                counters.start()
                waited = self.ranks.blocked_ns
                start, pair = time.perf_counter_ns(), self.events()
                if pair:
                    pair[0].record()
                self.run_all()
                if pair:
                    pair[1].record()
                    pairs.append(pair)
                else:
                    self.synchronize()  # Without events the host's clock has to do, and the iteration ends when the device is done.
                samples.append(time.perf_counter_ns() - start)
                counters.stop()
                blocked.append(self.ranks.blocked_ns - waited)
                progress(i + 1, count)
            self.synchronize()
            counters.close()
        except RuntimeError as error:
            raise self.memory_problem(error) or error
        if len(pairs) == len(samples) > 0:
            samples = _nanoseconds_between(*zip(*pairs))
        return {"samplesNs": samples, "clock": "events" if pairs else "host", "peakBytes": _anonymous_peak(),
                "cpuTimeNs": counters.sums[0], "device": _allocator_use(self.backend), "system": counters.describe(),
                **({"blockedNs": blocked} if self.rank_calls else {})}

    def events(self):
        """Two events of the device that tell the time between them; None where it has none."""
        if self.backend is None or not hasattr(self.backend, "Event"):
            return None
        try:
            return [self.backend.Event(enable_timing=True) for _ in range(2)]
        except Exception:  # Some older ones have no times.
            return None

    def observe(self, path, hides=False):
        """Runs an iteration under PyTorch's own observer of execution traces; it may hide what stands for calls between ranks."""
        observer_type = _observer_type(torch)
        if observer_type is None:
            raise RuntimeError(f"PyTorch {torch.__version__} has no observer of execution traces")
        self.externals.restore(True)
        observer = observer_type()
        observer.register_callback(path)
        self.ranks.barrier()
        observer.start()
        self.ranks.hides = hides
        try:
            self.run_unpaced()
        finally:
            self.ranks.hides = False
            observer.stop()
            observer.unregister_callback()
        self.synchronize()

    def profiled(self, run):
        """The profiler, after an iteration ran under it."""
        self.externals.restore(True)
        self.synchronize()  # What restores is no part of the iteration.
        live = getattr(self.backend, "memory_allocated", lambda: self.externals.bytes_on(self.device))
        self.live_bytes = live()  # On a device with what libraries hold, as in the original.
        self.ranks.barrier()
        with torch.profiler.profile(profile_memory=True, **_stream_waits(torch, self.device.type)) as profiler:
            run()
            self.synchronize()
        return profiler

    def kineto(self, path, trace=None):
        """Writes the profile of an iteration; where a trace is asked for, it runs under the observer too, as an original does."""
        profiler = self.profiled(lambda: self.observe(trace) if trace else self.run_unpaced())
        _write_profile(profiler, path)
        if self.backend is not None and _has_work_of_device(profiler) is False:
            self.notes.append(f"the replay's profile has no work of the {self.device.type} device: {_NOTHING_SEEN}")
        return {"deviceLiveBytes": self.live_bytes} if self.backend is not None else None

    def allocated_bytes(self, profiler):
        """The most bytes of tensors at one time in an iteration, as the profiler saw them allocated; None where it does not tell."""
        changes = [size for _, size, is_on_device in _allocations(profiler) if is_on_device == (self.device.type != "cpu")]
        live = peak = self.live_bytes
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
                    problem = self.memory_problem(error) or (error if _is_device_error(error) else None)
                    if problem:  # After an error of the device each operator would fail.
                        raise problem
                    program.fail(i, "it failed: " + first_line(error).split(". ")[0])
            else:
                program.run_one(i)
        self.ranks.end()
        return program

    def single(self):
        """The program whose operators can be called one by one."""
        if isinstance(self.program, EagerProgram):
            return self.program
        program = self.new_eager()
        self.put_into(program)
        return program

    def time_operators(self, iterations):
        """For each operator its time in nanoseconds, with what it takes to call it from Python; on a device between events around it."""
        program, times = self.single(), [0] * len(self.package.manifest["operators"])
        for iteration in range(iterations + 1):
            self.externals.restore(iteration == 0)
            self.synchronize()
            self.ranks.barrier()
            self.ranks.begin()
            pairs = []
            for i in range(len(times)):
                start, pair = time.perf_counter_ns(), self.events()
                if pair:  # The device goes on without a wait.
                    pair[0].record()
                program.run_one(i)
                if pair:
                    pair[1].record()
                    pairs.append(pair)
                else:
                    self.synchronize()
                if iteration > 0 and not pair:
                    times[i] += time.perf_counter_ns() - start
            self.ranks.end()
            self.synchronize()
            if iteration > 0 and pairs:
                times = [t + spent for t, spent in zip(times, _nanoseconds_between(*zip(*pairs)))]
        return [t / max(1, iterations) for t in times]


def is_steady(samples):
    """Whether the medians of the last two tenths of samples agree within 1 %."""
    tenth = max(3, len(samples) // 10)
    if len(samples) < 2 * tenth:
        return False
    last, before = (sorted(part)[tenth // 2] for part in (samples[-tenth:], samples[-2 * tenth:-tenth]))
    return abs(last - before) <= before / 100
