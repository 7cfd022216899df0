# Clocks of a GPU: what it runs at, and why not faster, before and after what is measured.


def clocks_of(engine):
    """The clock of the processors in MHz and the reasons for a lower one, as nvidia-smi tells them; None where it does not."""
    uuid = _uuid_of(engine.backend, engine.device.index)  # The tool's index is another one than PyTorch's.
    if uuid is None or engine.device.type != "cuda" or getattr(torch.version, "hip", None):
        return None
    try:
        done = subprocess.run(["nvidia-smi", f"--id=GPU-{uuid.replace('GPU-', '')}", "--format=csv,noheader,nounits",
                               "--query-gpu=clocks.sm,clocks_event_reasons.active"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=10, check=True)
        clock, reasons = (part.strip() for part in done.stdout.decode().strip().split(","))
        return {"sm_megahertz": float(clock), "reasons": reasons}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
