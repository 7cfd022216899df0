# Counters: what this process does to its machine, told by the system itself. Nothing is sampled, so nothing is held up.


class _Counters:
    """Adds up what happens between `start` and `stop`, as often as they are called (SystemMetrics.cs)."""

    def __init__(self):
        self.clock = time.perf_counter_ns
        try:
            import resource
            self.read = lambda: resource.getrusage(resource.RUSAGE_SELF)
        except ImportError:
            self.read = None
        self.sums, self.ns = [0, 0, 0, 0, 0], 0
        self.hardware = _HardwareCounters()
        self.opened, self.machine = self.clock(), _machine()
        self.closed = None

    def start(self):
        self.began, self.before = self.clock(), self.usage()

    def stop(self):
        self.sums = [s + b - a for s, a, b in zip(self.sums, self.before, self.usage())]
        self.ns += self.clock() - self.began

    def usage(self):
        if self.read is None:
            return [time.process_time_ns(), 0, 0, 0, 0]
        u = self.read()
        return [round((u.ru_utime + u.ru_stime) * 1e9), u.ru_minflt, u.ru_majflt, u.ru_nvcsw, u.ru_nivcsw]

    def close(self):
        self.closed, self.after = self.clock(), _machine()
        self.hardware.close()

    def describe(self):
        """As SystemMetrics has it; None where nothing was counted."""
        if self.closed is None or self.ns <= 0:
            return None
        unavailable, share = {}, self.ns / max(1, self.closed - self.opened)
        cores = [round((b - a) / (bb - aa), 4) if bb > aa else 0 for (a, aa), (b, bb) in zip(self.machine[0], self.after[0])]
        described = dict(zip(("cpu_time_ns", "minor_faults", "major_faults", "voluntary_switches", "involuntary_switches"), self.sums),
                         duration_ns=self.ns, core_utilisation=cores, gpus=[])
        if self.hardware.why:
            unavailable["hardware counters"] = self.hardware.why
        else:
            described.update({name: round(value * share) for name, value in self.hardware.counts.items()})
        if self.machine[1] is None or self.after[1] is None:
            unavailable["package energy"] = "there is no readable /sys/class/powercap"
        elif self.after[1] >= self.machine[1]:  # It starts anew at times.
            described["package_energy_microjoules"] = round((self.after[1] - self.machine[1]) * share)
        return dict(described, unavailable=unavailable)


def _machine():
    """By logical CPU, ticks that it was busy, and all ticks (proc(5)); and the energy of its packages in microjoules, or None."""
    cores, energy = [], None
    try:
        with open("/proc/stat", encoding="ascii") as file:
            for line in file:
                if line.startswith("cpu") and line[3].isdigit():
                    ticks = [int(t) for t in line.split()[1:9]]
                    cores.append((sum(ticks) - sum(ticks[3:5]), sum(ticks)))  # without idle and iowait
        folder = "/sys/class/powercap"
        packages = [d for d in os.listdir(folder) if d.count(":") == 1] if os.path.isdir(folder) else []
        for package in packages:
            with open(os.path.join(folder, package, "energy_uj"), encoding="ascii") as file:
                energy = (energy or 0) + int(file.read())
    except (OSError, ValueError):
        energy = None
    return cores, energy


class _HardwareCounters:
    """Instructions, cycles and misses of the last cache, in user mode, by perf_event_open(2).

    Of all threads that there are, and of their children.
    """

    EVENTS = {"instructions": 1, "cycles": 0, "cache_misses": 3}

    def __init__(self):
        import ctypes
        import platform
        self.files, self.counts, self.why = {}, {}, ""
        number = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
        if not sys.platform.startswith("linux") or number is None:
            self.why = "this system has no perf_event_open"
            return
        system = ctypes.CDLL(None, use_errno=True)
        for name, event in self.EVENTS.items():
            attribute = bytearray(112)  # PERF_ATTR_SIZE_VER5; type 0 is PERF_TYPE_HARDWARE
            attribute[4], attribute[8], attribute[40] = 112, event, 1 << 1 | 1 << 5 | 1 << 6  # inherit, exclude_kernel, exclude_hv
            buffer = (ctypes.c_char * 112).from_buffer(attribute)
            for task in os.listdir("/proc/self/task"):
                file = system.syscall(number, buffer, int(task), -1, -1, 8)  # PERF_FLAG_FD_CLOEXEC
                if file >= 0:
                    self.files.setdefault(name, []).append(file)
                elif not self.why:
                    self.why = {2: "this machine has none", 19: "this machine has none", 95: "this machine has none"}.get(
                        ctypes.get_errno(), "not permitted: /proc/sys/kernel/perf_event_paranoid, or the container, forbids them")
        if self.files:
            self.why = ""

    def close(self):
        for name, files in self.files.items():
            self.counts[name] = sum(int.from_bytes(os.read(f, 8), sys.byteorder) for f in files)
            for file in files:
                os.close(file)
        self.files = {}
