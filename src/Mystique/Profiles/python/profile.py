# Profiles: what torch.profiler saw, in a file.


def _write_profile(profiler, path):
    """Writes a Kineto profile. A PyTorch that was built without Kineto leaves the allocations out: they are put in as Kineto has them."""
    import json
    profiler.export_chrome_trace(path)
    results = getattr(getattr(profiler, "profiler", None), "kineto_results", None)
    with open(path, encoding="utf-8") as file:
        if file.read(1) != "[" or results is None or not hasattr(results.events()[0] if results.events() else None, "start_us"):
            return
        file.seek(0)
        events = json.load(file)
    start = results.trace_start_us()
    events += [{"name": "[memory]", "ph": "i", "ts": e.start_us() - start, "args": {"Bytes": e.nbytes(), "Device Type": 0 if str(e.device_type()).endswith("CPU") else 1}}
               for e in results.events() if e.name() == "[memory]"]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(events, file)
