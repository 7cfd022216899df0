# A look before the recording: what would PyTorch's observer not survive?


class _Look:
    """Finds tensors without strides or sizes among what operators are given, in an iteration under the profiler.

    Since PyTorch 2 the observer asks each tensor for its strides (torch/csrc/profiler/standalone/execution_trace_observer.cpp).
    Compressed sparse and nested tensors raise an error then, the observer loses count of the operators that are open, and
    the process crashes or the trace is wrong. The profiler asks only for what is there.
    """

    LAYOUTS = ("sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")

    def __init__(self, torch):
        self.torch, self.profile, self.schemas = torch, None, {}

    @classmethod
    def is_needed(cls, torch):
        return hasattr(torch, cls.LAYOUTS[0]) and int(torch.__version__.split(".")[0]) >= 2

    def start(self):
        profiler = self.torch.profiler
        self.profile = profiler.profile(activities=[profiler.ProfilerActivity.CPU], record_shapes=True)
        self.profile.start()

    def stop(self):
        """What was found, in words; None for nothing."""
        profile, self.profile = self.profile, None
        _await_threads(self.torch)
        profile.stop()
        layouts = {getattr(self.torch, name): name for name in self.LAYOUTS if hasattr(self.torch, name)}
        found, events = set(), list(profile.profiler.kineto_results.experimental_event_tree())
        while events:
            event = events.pop()
            events += event.children
            inputs = list(getattr(event.extra_fields, "inputs", ()))
            if inputs and inputs[0] is None and self.needs_self(event.name):
                found.add("nested")
            while inputs:
                value = inputs.pop()
                if isinstance(value, (list, tuple)):
                    inputs += value
                elif getattr(value, "layout", None) in layouts:
                    found.add(layouts[value.layout])
        return f"the job has {' and '.join(sorted(found))} tensors, with which the observer of PyTorch {self.torch.__version__} " \
            "can crash it" if found else None

    def needs_self(self, name):
        """Whether an operator cannot do without its first tensor. The profiler does not tell sizes of a nested one, and so nothing."""
        if name not in self.schemas:
            schemas = self.torch._C._jit_get_schemas_for_operator(name) if name.startswith("aten::") else ()
            firsts = [s.arguments[0] if s.arguments else None for s in schemas]
            self.schemas[name] = bool(firsts) and all(f is not None and f.name == "self" and str(f.type) == "Tensor" for f in firsts)
        return self.schemas[name]
