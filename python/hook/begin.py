# The start: what is done when the job has imported torch.


def _begin(torch):
    """Called when the job has imported torch."""
    started = time.perf_counter_ns()
    try:
        import atexit
        import json
        settings = json.loads(_SETTINGS)
        mode = settings["mode"]
        if mode == "clock":
            hook = _Clock(torch, settings)
        elif mode == "stepped":
            hook = _SteppedJob(torch, settings)
        else:
            hook = _Hook(torch, settings, started)
        atexit.register(hook.at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=hook.in_child)
    except Exception as error:
        for patches in _Patches.made:
            patches.take_away()
        sys.stderr.write(f"mystique: the job cannot be recorded: {str(error).encode('unicode_escape').decode()}\n")


if __name__ == "sitecustomize":  # Not where it is only looked at: under the name that Python gives to a start-up file.
    _start()
