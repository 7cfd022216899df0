# A rank of a job: how its process starts, joins the others, and ends.


class RankFailed(Exception):
    """A rank of a job failed: the others are told, and its process ends without waiting for anything."""

    def __init__(self, rank, problem, must_end):
        super().__init__(str(problem))
        self.rank, self.problem, self.must_end = rank, problem, must_end


def run_job(options):
    """Runs one rank of a job: with the others where a launcher started them all, else alone."""
    job = Job(options.package)
    ranks = ranks_of(job, options, launch_of(os.environ))
    rank, is_with_others = ranks.rank, not ranks.is_alone
    try:
        if is_with_others:
            open_store(ranks, options)
            watch_signals(ranks)
        for name in ("json", "profile", "observe"):
            setattr(options, name, path_of_rank(getattr(options, name), rank))
        options.package = job.package_of(rank)
        run(options, ranks)
        if is_with_others:  # Threads of a process group that something still holds would abort the process at its end.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    except Exception as error:
        problem = error if isinstance(error, Problem) else Problem(
            "MYS407", f"the replay failed: {first_line(error)}", options.package, "report it with this message and the trace", 1)
        if ranks.store is not None and not ranks.is_done:
            ranks.tell_failure(" ".join(problem.parts[:2]))
            if ranks.keeps_store and not ranks.is_joined:
                time.sleep(1)  # Others may still ask what became of this rank.
        raise RankFailed(rank, problem, is_with_others)


def end_rank(failed):
    """Says why a rank failed, and ends its process: threads of a backend may never end."""
    print(f"rank {failed.rank}: {failed.problem}", file=sys.stderr)
    if failed.must_end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(failed.problem.exit_code)
    return failed.problem.exit_code


def ranks_of(job, options, launch):
    """Which rank this is: as the launcher says, as the user says, or the only one."""
    if launch is not None and launch.world_size == 1 and options.rank is not None:
        launch = None
    if launch is None:
        rank = options.rank if options.rank is not None else 0 if job.world_size == 1 else None
        if rank is None:
            raise Problem("MYS432",
                          "the rank is not known, or not where ranks meet: no launcher says which of the job's this is", job.path, HOW)
        job.package_of(rank)
        return Ranks(job, rank, None, options)
    present = list(range(job.world_size))
    if options.emulation:
        present = sorted(read_emulation(options.emulation, job).get("present", present))
    if launch.world_size != len(present):
        raise Problem("MYS433",
                      f"the ranks do not fit the job: {launch.by} started {launch.world_size} ranks, and it has {len(present)}", job.path,
                      f"start {len(present)} of them")
    if not 0 <= launch.rank < launch.world_size:
        raise Problem("MYS433", f"the ranks do not fit the job: {launch.by} says that this is rank {launch.rank} of {launch.world_size}",
                      job.path, HOW)
    rank = present[launch.rank]
    if options.rank not in (None, rank):
        raise Problem("MYS433",
                      f"the ranks do not fit the job: {launch.by} says {rank}, and --rank {options.rank}", job.path, "omit --rank")
    for each in present:
        job.package_of(each)
    return Ranks(job, rank, launch, options)


def open_store(ranks, options):
    if options.store is None:
        meeting_of(os.environ, ranks.launch)
    use_loopback(ranks.launch)
    backend_of(options.backend.replace("nccl", "gloo"), torch.device("cpu"))  # Whether torch.distributed is there at all.
    ranks.store = store_of(options, ranks.launch, max(MEETING_SECONDS, options.timeout))
    ranks.keeps_store = options.store is None and ranks.launch.rank == 0


def watch_signals(ranks):
    """A rank that is in a call hears no signal in its main thread: another one says where it was, and ends the process."""
    numbers = {getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)}
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def wait():
        number = signal.sigwait(numbers)
        ranks.write_status()
        _thread.interrupt_main(number)
        time.sleep(1)
        os._exit(128 + number)
    threading.Thread(target=wait, daemon=True).start()


def device_of_rank(name, recorded, launch):
    """The device of a rank: of several that a host has, the one of its number there, unless the user named one."""
    if launch is None or ":" in name:
        return name
    kinds = [name] if name else [d.split(":")[0] for d in recorded if not d.startswith(("cpu", "meta"))]
    kind = next((k for k in kinds if _is_there(torch, k)), (_accelerator(torch) if kinds and not name else "") or "cpu")
    backend = _module_of(torch, kind) if kind not in ("cpu", "meta") else None
    if name in ("cpu", "meta") or backend is None:
        return name
    count = getattr(backend, "device_count", lambda: 1)()
    return f"{kind}:{launch.local_rank % count}" if count else name


def key_of_device(engine):
    """What tells a device from the others of the job."""
    uuid = _uuid_of(engine.backend, engine.device.index) or f"{engine.device} of {os.environ.get('CUDA_VISIBLE_DEVICES', 'all')}"
    return f"{platform.node()}: {uuid}"


def join_others(engine, backend):
    """Meets the other ranks, when this one has run an iteration alone; then all run one together, which shows what backends lack."""
    ranks = engine.ranks
    if not ranks.is_alone:
        ranks.meet(ranks.store, backend, engine.device, key_of_device(engine))
    ranks.form_groups(engine.device)
    if ranks.is_joined:
        engine.iterate(1)
