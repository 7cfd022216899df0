# How a rank of a job was started: what launchers tell their processes, and where these meet.


HOW = ("start it with torchrun --nproc-per-node N run.py, srun, mpirun, or mystique run; "
       "--rank N alone runs that rank without the others")
FIRST_PORT, PORTS = 15_000, 15_000  # Below those that systems give out themselves.


Launch = collections.namedtuple("Launch", "by rank world_size local_rank local_size")


def launch_of(environ):
    """What the launcher says: which rank this is, and of how many; None where there was none.

    mpirun under Slurm passes on Slurm's variables of the process that it was started from: its own count first.
    """
    def number(*names):
        for name in names:
            if environ.get(name, "").isdigit():
                return int(environ[name])
        return None

    launchers = [("torchrun", ["RANK"], ["WORLD_SIZE"], ["LOCAL_RANK"], ["LOCAL_WORLD_SIZE"])]
    mpi = [("mpirun", ["OMPI_COMM_WORLD_RANK"], ["OMPI_COMM_WORLD_SIZE"], ["OMPI_COMM_WORLD_LOCAL_RANK"], ["OMPI_COMM_WORLD_LOCAL_SIZE"])]
    hydra = [("mpirun", ["PMI_RANK"], ["PMI_SIZE"], ["MPI_LOCALRANKID"], ["MPI_LOCALNRANKS"])]
    slurm = [("srun", ["SLURM_PROCID"], ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"], ["SLURM_LOCALID"], ["SLURM_STEP_TASKS_PER_NODE"])]
    launchers += mpi + (hydra + slurm if "MPI_LOCALRANKID" in environ else slurm + hydra)
    for by, rank, size, local_rank, local_size in launchers:
        if by == "srun" and "SLURM_STEP_ID" not in environ:
            continue  # The script of a batch job: nobody started its commands as ranks.
        found = number(*rank), number(*size)
        if None not in found:
            return Launch(by, *found, number(*local_rank) or 0, number(*local_size))
    return None


def meeting_of(environ, launch):
    """The host and the port where ranks meet, and whether an agent of torchrun already listens there."""
    if environ.get("MASTER_ADDR") and environ.get("MASTER_PORT", "").isdigit():
        return environ["MASTER_ADDR"], int(environ["MASTER_PORT"]), environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if launch.by == "srun":
        hosts = hosts_of(environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST") or "")
        if hosts:
            shared = environ.get("SLURM_JOB_ID", "") + "." + environ.get("SLURM_STEP_ID", "")
            return environ.get("MASTER_ADDR") or hosts[0], port_of(shared), False
    if launch.local_size == launch.world_size or launch.world_size == 1:
        shared = next((environ[name] for name in ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_ID") if environ.get(name)), None)
        return "127.0.0.1", port_of(shared or str(os.getppid())), False
    raise Problem("MYS432", "the rank is not known, or not where ranks meet: MASTER_ADDR and MASTER_PORT are not set",
                  f"started by {launch.by}",
                  "set MASTER_ADDR to the host of rank 0 and MASTER_PORT to a free port there, for all ranks")


def port_of(shared):
    """A port made of a value that all ranks share."""
    return FIRST_PORT + int.from_bytes(hashlib.sha256(shared.encode()).digest()[:4], "big") % PORTS


def hosts_of(text):
    """The hosts of a list of Slurm's: node[1-3,07],other."""
    hosts = []
    for match in re.finditer(r"([^,\[\]]+)(?:\[([0-9,-]+)\])?([^,\[\]]*)", text):
        before, numbers, after = match.groups()
        for part in (numbers or "").split(",") if numbers else [""]:
            low, _, high = part.partition("-")
            last = min(int(high), int(low) + 65536) if high else None
            hosts += [f"{before}{n:0{len(low)}d}{after}" for n in range(int(low), last + 1)] if last is not None else [before + low + after]
    return hosts


def store_of(options, launch, seconds):
    """The store through which ranks meet."""
    import torch.distributed as dist
    timeout = datetime.timedelta(seconds=seconds)
    if options.store:
        store = dist.FileStore(options.store, launch.world_size)
        store.set_timeout(timeout)
        return store
    host, port, is_agents = meeting_of(os.environ, launch)
    settings = {"world_size": launch.world_size, "is_master": launch.rank == 0 and not is_agents, "timeout": timeout}
    if "use_libuv" in (dist.TCPStore.__init__.__doc__ or ""):
        settings["use_libuv"] = False  # Not every build has it.
    if is_agents:
        settings.update(world_size=None, wait_for_workers=False)
    try:
        store = dist.TCPStore(host, port, **settings)
    except Exception as error:  # DistNetworkError, or a time-out, by version.
        raise Problem("MYS434", f"the ranks cannot go on: they did not meet at {host}:{port}: {first_line(error)}",
                      f"rank {launch.rank} of {launch.world_size}",
                      "start all ranks; check that the host is reachable and the port free, or set MASTER_ADDR and MASTER_PORT", 1)
    return dist.PrefixStore(f"mystique/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def use_loopback(launch):
    """Gloo takes the address of the host's name, which need not lead anywhere: where all ranks are on this host, the loopback does."""
    if launch.local_size == launch.world_size and "GLOO_SOCKET_IFNAME" not in os.environ:
        names = [name for _, name in socket.if_nameindex()] if hasattr(socket, "if_nameindex") else []
        if "lo" in names:
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"


def path_of_rank(path, rank):
    """The name of an output of a rank: {rank} is its number; without that, rank-N stands before the extension."""
    if path in (None, "-"):
        return path if path is None or rank == 0 else None
    if "{rank}" in path:
        return path.replace("{rank}", str(rank))
    base, extension = os.path.splitext(path)
    return f"{base}.rank-{rank}{extension}"


def end_with_parent():
    """This process ends when its standard input does: whoever started it is gone then."""
    def watch():
        while os.read(0, 4096):
            pass
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()
