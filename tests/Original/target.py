"""The device of an original, by PyTorch's generic functions: the same ones as run.py and the hook use (python/shared)."""
import importlib.util
import os

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python", "shared")


def shared(name):
    spec = importlib.util.spec_from_file_location(f"mystique_{name}", os.path.join(SHARED, f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


devices, memory = shared("devices"), shared("memory")


class Target:
    """A device, and what can be asked of its kind: not all have events with times, or tell their memory."""

    def __init__(self, torch, name):
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise SystemExit(f"{name} names no device: {error}\nfix: name one with --device, for example cuda:0")
        self.module = devices._module_of(torch, device.type)
        if device.type != "cpu" and not devices._is_there(torch, device.type):
            raise SystemExit(f"PyTorch {torch.__version__} has no device {name} here\nfix: name another one with --device")
        if hasattr(self.module, "set_device"):
            index = self.module.current_device() if device.index is None and hasattr(self.module, "current_device") else device.index or 0
            device = torch.device(device.type, index)
            self.module.set_device(device)
        self.device, self.name = device, devices._name_of(self.module, device.index) if self.module is not None else ""

    def synchronize(self):
        if self.module is not None:
            self.module.synchronize()

    def events(self):
        """Two events that tell the time between them; None where there are none."""
        try:
            return [self.module.Event(enable_timing=True) for _ in range(2)]
        except Exception:  # The host has none; some backends have none, or none with times.
            return None

    def reset_peak(self):
        memory._reset_allocator(self.module)

    def allocator_use(self):
        """The most that the allocator gave out and held since, in a worker's words; None where PyTorch does not tell."""
        return memory._allocator_use(self.module)

    def give_back(self):
        """Returns to the device what the allocator keeps for later."""
        memory._release_cache(self.module)

    def free_bytes(self):
        """What the device has left for others; None where PyTorch does not tell."""
        return memory._free_bytes(self.module, self.device)

    def describe(self):
        return f"{self.device} ({self.name})" if self.name else str(self.device)
