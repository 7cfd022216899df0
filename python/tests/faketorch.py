"""The parts of PyTorch that the hook uses, without PyTorch: what a job does with it, and a record of what the hook did."""
import enum
import json
import types

namespace = types.SimpleNamespace


def make():
    """A new one, with classes of its own: the hook wraps their methods."""
    calls = []  # What was done, in order.
    state = namespace(grad=True, compiling=False, profiling=False, observing=False, fail=None)

    def note(what):
        calls.append(what)
        if state.fail == what:
            raise RuntimeError(f"{what} failed")

    class Optimizer:
        def __init__(self):
            pass

    class SGD(Optimizer):
        def step(self, closure=None):
            calls.append("step")
            return closure() if closure else None

    class Adam(Optimizer):
        def step(self, closure=None):
            return None

    class AdamW(Adam):
        """Its step is another class's."""

    class Module:
        def __init__(self, *children, has_parameters=True):
            self.children, self.has_parameters = children, has_parameters

        def __call__(self, *args):
            for child in self.children:
                child(*args)
            return args

        def parameters(self):
            return iter(["weight"] if self.has_parameters else [])

        def modules(self):
            return iter([self, *self.children])

        def named_modules(self):
            yield "", self
            for i, child in enumerate(self.children):
                for name, module in child.named_modules():
                    yield f"{i}.{name}".rstrip("."), module

    class ProfilerAction(enum.Enum):
        NONE = 0
        WARMUP = 1
        RECORD = 2

    class InnerProfile:
        """torch.autograd.profiler.profile: what every profiler starts."""

        def __init__(self, owner="job"):
            self.owner = owner

        def _prepare_trace(self):
            pass

        def _start_trace(self):
            note("profiler on")
            state.profiling = self.owner == "job"

        def __enter__(self):
            self._start_trace()

    class profile:
        def __init__(self, schedule=None, profile_memory=False, record_shapes=False):
            state.record_shapes = record_shapes
            self.schedule, self.step_num = schedule or (lambda step: ProfilerAction.RECORD), 0
            self.current_action = self.schedule(0)

        def start(self):
            self.inner = InnerProfile("ours")
            self.inner._start_trace()

        def stop(self):
            note("profiler off")

        def step(self):
            self.step_num += 1
            self.current_action = self.schedule(self.step_num)

        def export_chrome_trace(self, path):
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"traceEvents": []}, file)

    class ExecutionTraceObserver:
        def register_callback(self, path):
            self.path = path
            with open(path, "w", encoding="utf-8") as file:
                file.write("{}")

        def start(self):
            note("observer on")
            state.observing = True

        def stop(self):
            note("observer off")
            state.observing = False

        def unregister_callback(self):
            calls.append("observer gone")

    class record_function:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            calls.append(f"+ {self.name}")

        def __exit__(self, *error):
            calls.append(f"- {self.name}")

    hooks = namespace(before=[], after=[])

    def register(kind):
        def add(function):
            getattr(hooks, kind).append(function)
            return namespace(remove=lambda: getattr(hooks, kind).remove(function))
        return add

    torch = namespace(
        __version__="2.99", calls=calls, state=state, hooks=hooks, Tensor=type("Tensor", (), {}),
        optim=namespace(Optimizer=Optimizer, SGD=SGD, Adam=Adam, AdamW=AdamW),
        nn=namespace(Module=Module, modules=namespace(module=namespace(
            register_module_forward_pre_hook=register("before"), register_module_forward_hook=register("after")))),
        compiler=namespace(is_compiling=lambda: state.compiling),
        profiler=namespace(profile=profile, ExecutionTraceObserver=ExecutionTraceObserver, ProfilerAction=ProfilerAction),
        autograd=namespace(profiler=namespace(record_function=record_function, profile=InnerProfile),
                           _profiler_enabled=lambda: state.profiling),
        cuda=namespace(is_initialized=lambda: False),
        distributed=namespace(is_available=lambda: False),
        version=namespace(cuda=None, hip=None),
        backends=namespace(cudnn=namespace(benchmark=False, allow_tf32=True), cuda=namespace(matmul=namespace(allow_tf32=False))),
        is_grad_enabled=lambda: state.grad, get_num_threads=lambda: 2, get_num_interop_threads=lambda: 1,
        are_deterministic_algorithms_enabled=lambda: False, get_default_dtype=lambda: "torch.float32")
    return torch
