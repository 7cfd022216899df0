# The meeting: ranks of one capture start to record together.


def _meet(folder, own, patience_s=2.0):
    """Waits until the other ranks that this capture has on this machine are about to record, too; true where all are.

    To start takes some 10 to 500 ms, on each rank another time. A rank whose iteration starts later keeps the others waiting in
    their first call, and profiles would show that as the job's own. Who does not come is not waited for long: a rank can need
    what this one does after its iteration. `folder` has a folder for each process, `own` is the name of this one's.
    """
    with open(os.path.join(folder, own, "ready"), "w", encoding="utf-8"):
        pass
    others = [os.path.join(folder, name, "ready") for name in os.listdir(folder) if name != own and _will_record(folder, name)]
    deadline = time.perf_counter() + patience_s
    while others and time.perf_counter() < deadline:
        time.sleep(0.0005)
        others = [path for path in others if not os.path.exists(path)]
    return not others


def _will_record(folder, name):
    """Whether a process is a rank that has measured, and not recorded yet."""
    import json
    try:
        with open(os.path.join(folder, name, "status.json"), encoding="utf-8") as file:
            status = json.load(file)
        return status.get("phase") in ("measuring", "recording") and (status.get("world_size") or 1) > 1
    except (OSError, ValueError):
        return False  # No process's folder, or its status is being written.
