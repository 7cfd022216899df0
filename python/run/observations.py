# Iterations that are looked at: by the observer of execution traces, by the profiler, or by both.


def observe_for_verification(engine, path):
    """An iteration under the observer, as far as this PyTorch can; all ranks of a job run it."""
    try:
        refuse_unobservable(engine.package)
        if _observer_type(torch) is None:
            raise RuntimeError(f"PyTorch {torch.__version__} has no observer of execution traces")
    except RuntimeError:
        if engine.ranks.is_joined:
            engine.externals.restore(True)
            engine.ranks.barrier()
            engine.run_unpaced()
        raise
    engine.observe(path, hides=True)


def write_observations(engine, options):
    """The profile of an iteration, and its execution trace: of the same iteration, where both are wanted."""
    with contextlib.ExitStack() as stack:
        profile, trace = (stack.enter_context(staged(path)) if path else None for path in (options.profile, options.observe))
        if profile:
            engine.kineto(profile, trace)
        elif trace:
            engine.observe(trace)
