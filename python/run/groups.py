# The ranks of a job: their groups, where they meet, and what becomes of all of them where one fails.


MEETING_SECONDS = 600  # The longest that a rank waits for others that load, compile or compare; calls have a limit of their own.
CALL_GRACE_SECONDS = 10  # After a call's time: some backends never return from it.
SPIN_NS = 200_000


class Until:
    """Work that is not done before a time."""

    def __init__(self, end, work):
        self.end, self.work = end, work

    def wait(self):
        if self.work is not None:
            self.work.wait()
        left = self.end - time.perf_counter_ns()
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)
        while time.perf_counter_ns() < self.end:
            pass


# What ranks do between iterations, where something has to be named.
BARRIER = collections.namedtuple("Meeting", "node kind group")("none", "barrier of the replay's own", None)


class RankGroup:
    """A process group of the job; without one of PyTorch's where not all of its members are here."""

    def __init__(self, name, members, rank, device, pg=None):
        self.label, self.size, self.device, self.pg = name, len(members), device, pg
        self.place = sorted(members).index(rank) if rank in members else 0
        self.order = [members.index(r) for r in sorted(members)]  # PyTorch's places are in the order of the ranks.
        self.end, self.queues = 0, True  # When the last call of it in an emulation is done, and whether others wait for that.
        self.name = getattr(pg, "group_name", "")

    def take(self, start, ns, work):
        """Work of so long; behind the group's other work, unless what it waited for is in its time."""
        end = (max(start, self.end) if self.queues else start) + ns
        self.end = max(self.end, end)
        return Until(end, work)


class Ranks:
    """This process's rank, and its way to the others; alone, until it joins them."""

    def __init__(self, job=None, rank=0, launch=None, options=None):
        self.job, self.rank, self.launch = job, rank, launch
        self.timeout = options.timeout if options else 60
        self.status_path = options.status if options else None
        self.emulation = read_emulation(options.emulation, job) if options and options.emulation else {}
        self.present = sorted(self.emulation.get("present", [])) or (list(range(job.world_size)) if launch else [rank])
        self.differences = job.differences_of(rank) if job else {}
        self.backend, self.groups, self.calls, self.store = "", [], {}, None
        self.is_joined = self.hides = self.has_functional = False
        self.current, self.since, self.blocked_ns, self.iteration, self.works = None, 0, 0, 0, {}
        self.shares = self.meetings = 0
        self.keeps_store = self.is_done = False

    @property
    def is_alone(self):
        """Whether no other rank is there."""
        return self.launch is None or self.launch.world_size == 1

    @property
    def is_main(self):
        return self.rank == self.present[0]

    # Meeting the others.

    def meet(self, store, backend, device, devices_key):
        """Waits until all ranks are ready to run together; one that failed before ends all of them."""
        self.store, self.backend = store, backend
        place = self.present.index(self.rank)
        store.set(f"device/{place}", devices_key)
        self.wait_for_all("ready")
        if backend.startswith("nccl"):
            keys = [store.get(f"device/{i}").decode() for i in range(len(self.present))]
            shared = {key for key in keys if keys.count(key) > 1}
            if devices_key in shared:
                others = [str(self.present[i]) for i, key in enumerate(keys) if key == devices_key]
                raise Problem("MYS436", f"ranks share a device, which NCCL does not let them: the ranks {', '.join(others)} have {device}",
                              f"rank {self.rank}", "start as many ranks on a host as it has devices, or use --backend gloo")

    def wait_for_all(self, name):
        """Waits for all ranks, however long they are at work, unless one of them failed."""
        store, limit, pause = self.store, time.monotonic() + max(MEETING_SECONDS, 5 * self.timeout), 0.0005
        try:
            store.add(name, 1)
            while store.add(name, 0) < len(self.present):
                if store.add("failed", 0):
                    raise self.failed_elsewhere()
                if time.monotonic() > limit:
                    raise Problem("MYS434",
                                  f"the ranks cannot go on: others did not come: {store.add(name, 0)} of {len(self.present)} are there",
                                  f"rank {self.rank}", "look at what the other ranks say", 1)
                time.sleep(pause)
                pause = min(0.02, pause * 1.5)
        except RuntimeError as error:
            raise Problem("MYS434", f"the ranks cannot go on: they lost each other: {first_line(error)}", f"rank {self.rank}",
                          "look at what the other ranks say", 1)

    def failed_elsewhere(self):
        text = self.store.get("failure").decode("utf-8", "replace")
        return Problem("MYS434", f"the ranks cannot go on: another rank failed: {text}", f"rank {self.rank}", "see there", 1)

    def tell_failure(self, text):
        """Tells the others, where they can still be told."""
        if self.store is not None:
            try:
                self.store.set("failure", f"rank {self.rank}: {text}")
                self.store.add("failed", 1)
            except Exception:  # Whoever keeps the store may be gone.
                pass

    def form_groups(self, device):
        """Makes PyTorch's process groups, in the same order on all ranks."""
        import torch.distributed as dist
        self.has_functional = hasattr(getattr(torch.ops, "_c10d_functional", None), "wait_tensor")
        timeout = datetime.timedelta(seconds=self.timeout)
        whole, default = list(range(self.job.world_size)), None
        members = [entry["ranks"] for entry in self.job.groups]
        try:
            if not self.is_alone:
                settings = {} if self.backend == "mpi" else {"store": dist.PrefixStore("groups", self.store), "timeout": timeout,
                                                             "rank": self.present.index(self.rank), "world_size": len(self.present)}
                dist.init_process_group(self.backend, **settings)
                default = dist.distributed_c10d._get_default_group()
            for entry, ranks in zip(self.job.groups, members):
                pg = None
                if not self.is_alone and set(ranks) <= set(self.present):
                    if default is not None and ranks == whole and self.present == whole:
                        pg, default = default, None
                    else:
                        made = dist.new_group([self.present.index(r) for r in ranks], timeout=timeout, backend=self.backend)
                        pg = made if self.rank in ranks else None
                self.groups.append(RankGroup(entry["name"], ranks, self.rank, device, pg))
                self.groups[-1].queues = self.emulation.get("queues", True)
        except Exception as error:
            raise Problem("MYS434", f"the ranks cannot go on: no process groups: {first_line(error)}", f"rank {self.rank}, {self.backend}",
                          "look at what the other ranks say; --backend names another backend", 1)
        self.is_joined = not self.is_alone
        emulated = self.emulation.get("calls", {})
        for call in self.calls.values():
            data = call_of(self.package.manifest["operators"][call.place])
            group = self.groups[self.differences.get(call.key, {}).get("group", data["group"])]
            call.join(group, emulated.get(str(call.node), {}).get("ns", 0))
        if self.is_joined:
            threading.Thread(target=self.watch, daemon=True).start()

    def barrier(self):
        """All begin what is measured at one time."""
        if not self.is_joined:
            return
        import torch.distributed as dist
        self.meetings += 1
        self.wait_for_all(f"meeting/{self.meetings}")
        with self.making(BARRIER):
            quietly(dist.barrier)

    def share(self, value):
        """Rank 0's value, on all ranks: how often something is done must be the same everywhere."""
        if not self.is_joined:
            return value
        self.shares += 1
        key = f"share/{self.shares}"
        if self.is_main:
            self.store.set(key, json.dumps(value))
            return value
        return json.loads(self.store.get(key))

    def leave(self):
        """Ends the process groups, when all are done."""
        if self.is_joined:
            import torch.distributed as dist
            self.barrier()
            self.is_joined, self.is_done = False, True
            dist.destroy_process_group()

    # An iteration.

    def begin(self):
        self.iteration += 1

    def end(self):
        """What nobody waited for ends with the iteration."""
        if self.works:
            for key, work in list(self.works.items()):
                with self.making(self.by_key[key]):
                    quietly(work.wait) if self.hides else work.wait()
            self.works.clear()

    def take_calls(self, package, calls):
        self.package, self.calls, self.by_key = package, calls, {call.key: call for call in calls.values()}

    @contextlib.contextmanager
    def making(self, call):
        """The time in a call, and its failure."""
        start = self.since = time.perf_counter_ns()
        self.current = call
        try:
            yield
        except Exception as error:
            self.fail(call, error)
        self.current = None
        self.blocked_ns += time.perf_counter_ns() - start

    # Failures.

    def fail(self, call, error):
        if isinstance(error, Problem) or not self.is_joined:
            raise error
        text = first_line(error)
        late = re.search("[Tt]imed ?out|[Tt]imeout", text)
        raise self.problem(f"a call between ranks did not end in {self.timeout:g} s: {text}" if late
                           else f"a call between ranks failed: {text}", call)

    def problem(self, what, call=None):
        place = f", node {call.node} ({call.kind} in the group {call.group.label if call.group else 'of all ranks'})" if call else ""
        self.write_status(call)
        return Problem("MYS434", f"the ranks cannot go on: {what}", f"rank {self.rank}{place}, iteration {self.iteration}, {self.backend}",
                       "look at what the other ranks say; --timeout gives a call more time", 1)

    def write_status(self, call=None):
        """Where this rank is, for who started it."""
        call = call or self.current
        if self.status_path:
            status = {"rank": self.rank, "iteration": self.iteration}
            if call is not None:
                status.update(node=call.node if call is not BARRIER else None, kind=call.kind, group=call.group.label if call.group else "")
            try:
                with open(self.status_path, "w", encoding="utf-8") as file:
                    json.dump(status, file)
            except OSError:
                pass

    def watch(self):
        """Ends the process where a call does not end: some backends never return from it, even when the others are gone."""
        limit = (self.timeout + CALL_GRACE_SECONDS) * 1e9
        while True:
            time.sleep(1)
            call, since = self.current, self.since
            if call is not None and self.is_joined and time.perf_counter_ns() - since > limit and self.current is call:
                problem = self.problem(f"a call between ranks did not end in {self.timeout:g} s, and {self.backend} does not end it", call)
                end_at_once(self, problem)

    def report(self, samples):
        """What the result says of the calls."""
        calls = [call for call in self.calls.values() if call.kind != "wait"]
        forms = collections.Counter((call.name, *call.substitution()) for call in calls if call.is_real and call.substitution())
        made = sum(call.is_real for call in calls)
        return {"rank": self.rank, "world_size": self.job.world_size if self.job else 1, "backend": self.backend or "none",
                "present": len(self.present), "calls": len(calls), "real": made, "local": len(calls) - made,
                "emulated": sum(call.ns > 0 for call in calls), "blocked_ns": round(percentile(samples, 50)) if samples else 0,
                "groups": len(self.groups),
                "list_forms": [{"operator": name, "by": by, "count": count, "reason": why} for (name, by, why), count in forms.items()]}


def end_at_once(ranks, problem):
    """Says why, and ends the process, whatever its threads are in."""
    sys.stdout.flush()
    print(f"rank {ranks.rank}: {problem}", file=sys.stderr, flush=True)
    os._exit(problem.exit_code)
