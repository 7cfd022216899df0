"""Jobs on the real PyTorch, with and without the hook: they must do the same, wherever the hook happens to be."""
import contextlib
import copy
import inspect
import io
import json
import os
import pickle
import re
import sys
import threading
import unittest
import warnings

from scripts import FolderTest, hook, needs_torch, run

torch = run.torch
ROUNDS = 9  # With --skip 1 --reference 1 the hook is through all of its phases after six.


class Captured:
    """The hook, in this process, for as long as a job runs."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.settings = {"folder": str(folder), "skip": 1, "reference": 1, "steps": 1, "values": "", "modules": False, **settings}

    def __enter__(self):
        self.hook = hook._Hook(torch, self.settings, 0)
        return self

    def __exit__(self, *error):
        self.hook.at_exit()
        self.hook.iterations.stop()
        self.hook.guard.stop()

    @property
    def status(self):
        return json.loads((self.folder / str(os.getpid()) / "status.json").read_text(encoding="utf-8"))


def net(seed=1):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()


def train(rounds, step=lambda i, model, optimizer, batch: None):
    """Trains; `step` can do something else before each step. The losses, bit by bit."""
    model, losses = net().train(), []
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for i in range(rounds):
        batch = torch.rand(3, 4)
        losses.append(step(i, model, optimizer, batch))
        optimizer.zero_grad()
        loss = model(batch).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def infer(what, rounds=ROUNDS):
    """Calls a model, and then does something with it, in each round."""
    model, found = net(), []
    with torch.no_grad():
        for _ in range(rounds):
            batch = torch.rand(3, 4)
            found.append((model(batch).tolist(), str(what(model, batch))))
    return found


def traced(model, batch):
    module = torch.jit.trace(model, batch)
    return module.inlined_graph, module.code, module(batch)


def transformed(model, batch):
    if hasattr(torch, "func"):
        names = dict(model.named_parameters())
        one = lambda p, x: torch.func.functional_call(model, p, (x,)).sum()  # noqa: E731
        return torch.func.vmap(lambda x: torch.func.grad(one)(names, x))(batch)
    return torch.autograd.functional.jacobian(model, batch)


def with_fake_tensors(model, batch):
    from torch._subclasses.fake_tensor import FakeTensorMode
    with FakeTensorMode(allow_non_fake_inputs=True) if "allow_non_fake_inputs" in str(
            inspect.signature(FakeTensorMode)) else contextlib.nullcontext():
        return model(batch).shape


def made_fx(model, batch):
    from torch.fx.experimental.proxy_tensor import make_fx
    return make_fx(model)(batch).code


def compiled(model, batch):
    if not hasattr(torch, "compile"):
        return None
    graphs = []
    torch._dynamo.utils.counters.clear()

    def backend(graph, inputs):
        graphs.append(graph.code)
        return graph.forward
    module = torch.compile(model, backend=backend)
    return module(batch), module(batch), graphs, dict(torch._dynamo.utils.counters["frames"])


def exported(model, batch):
    if not hasattr(torch, "export"):
        return None
    torch._dynamo.reset()  # It compiles one module only a few times.
    return torch.export.export(model, (batch,)).graph, torch.export.export(model, (batch,), strict=False).graph


def frozen(model, batch):
    return torch.jit.freeze(torch.jit.script(model))(batch)


class Deep(torch.nn.Module if torch else object):
    """Modules within modules, up to where Python's recursion ends."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.weight = inner, torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.inner(x) if self.inner is not None else x * self.weight


class Own(Deep if torch else object):
    def __call__(self, x):
        return super().__call__(x + 1) * 2


def deepest(model, batch):
    """How deep modules can be."""
    sys.setrecursionlimit(1000)
    module, depth = None, 0
    try:
        while True:
            for _ in range(10):
                module = Deep(module)
            module(batch)
            depth += 10
    except RecursionError:
        return depth


class Strange(torch.nn.Module if torch else object):
    """Its parameters cannot be asked for."""

    def forward(self, x):
        return x

    def parameters(self, recurse=True):
        raise KeyError("no parameters here")


class Saved(Exception):
    pass


def failing(model, batch):
    class Failing(torch.nn.Module):
        def forward(self, x):
            raise Saved("the job's own")
    try:
        Failing()(batch)
    except Saved as error:
        return error, error.__cause__, error.__context__


def replaced_call(model, batch):
    calls, before = [], torch.nn.Module.__call__
    torch.nn.Module.__call__ = lambda self, *a, **k: (calls.append(type(self).__name__), before(self, *a, **k))[1]
    try:
        return Deep(torch.nn.Linear(4, 4))(batch).shape, calls
    finally:
        torch.nn.Module.__call__ = before


def logging_functions(model, batch):
    called = []

    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            called.append(getattr(function, "__name__", "?"))
            return super().__torch_function__(function, types, args, kwargs or {})
    kept = batch.as_subclass(Logged)
    return model(kept).shape, called


def threads(model, batch):
    found = [None] * 3

    def work(i):
        found[i] = model(batch + i).tolist()
    started = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return found


def packed(model, batch):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    keep = {} if "weights_only" not in str(inspect.signature(torch.load)) else {"weights_only": False}
    return torch.load(file, **keep)(batch), copy.deepcopy(model)(batch), pickle.loads(pickle.dumps(model.forward))(batch)


MODES = []


def modes_of_the_job(model, batch):
    """A mode that the job enters in one round and leaves in the next."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += 1
            return func(*args, **(kwargs or {}))
    if MODES:
        mode = MODES.pop()
        mode.__exit__(None, None, None)
        return mode.count
    MODES.append(Mode())
    MODES[0].__enter__()
    return None


INFERENCE = {
    "modes": modes_of_the_job,
    "jit.trace": traced,
    "jit.trace of a function": lambda model, batch: torch.jit.trace(lambda x: model.requires_grad_(False)(x) * 2, batch).graph,
    "jit.script": lambda model, batch: torch.jit.script(model).inlined_graph,
    "jit.freeze": frozen,
    "fx": lambda model, batch: torch.fx.symbolic_trace(torch.nn.Sequential(model, torch.nn.Linear(2, 2))).code,
    "fx of a module of the class that leads": lambda model, batch: torch.fx.symbolic_trace(Deep(model)).graph,
    "make_fx": made_fx,
    "fake tensors": with_fake_tensors,
    "torch.func": transformed,
    "compile": compiled,
    "export": exported,
    "pickle": packed,
    "recursion": deepest,
    "own __call__": lambda model, batch: Own(None)(batch),
    "a module without parameters that cannot be asked": lambda model, batch: Strange()(batch),
    "exceptions": failing,
    "__call__ replaced": replaced_call,
    "__torch_function__": logging_functions,
    "threads": threads,
    "signature": lambda model, batch: (inspect.signature(model.__call__), inspect.getsource(torch.nn.Module.__call__),
                                       inspect.unwrap(torch.nn.Module.__call__).__qualname__),
}


def scheduled(rounds=ROUNDS):
    model, found = net().train(), []
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(rounds):
            model(torch.rand(3, 4)).sum().backward()
            optimizer.step()
            schedule.step()
            found.append(schedule.get_last_lr())
    return found, [str(w.message) for w in told if "lr_scheduler" in str(w.message)], model[0].weight.tolist()


def optimizer_as_it_is(i, model, optimizer, batch):
    kept = pickle.loads(pickle.dumps(optimizer))
    twin = copy.deepcopy(optimizer)
    return (str(inspect.signature(optimizer.step)), optimizer.step.__func__.__name__, kept.state_dict(), len(twin.state),
            type(optimizer).step.__qualname__, getattr(type(optimizer).step, "hooked", None),
            isinstance(optimizer, torch.optim.Optimizer))


def closures(rounds=ROUNDS):
    model, found = net().train(), []
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=3)
    batch = torch.rand(8, 4)

    def closure():
        optimizer.zero_grad()
        loss = model(batch).square().sum()
        loss.backward()
        found.append(loss.item())
        return loss
    for _ in range(rounds):
        optimizer.step(closure)
    return found


def scaled(rounds=ROUNDS):
    model, found = net().train(), []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.cuda.amp.GradScaler(enabled=False)
    for _ in range(rounds):
        loss = model(torch.rand(3, 4)).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        found.append(loss.item())
    return found


def compiled_step(rounds=ROUNDS):
    if not hasattr(torch, "compile"):
        return None
    model, found = net().train(), []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    step = torch.compile(optimizer.step, backend="eager")
    for _ in range(rounds):
        loss = model(torch.rand(3, 4)).sum()
        loss.backward()
        step()
        found.append(loss.item())
    return found


TRAINING = {
    "plain": lambda: train(ROUNDS),
    "traced": lambda: train(ROUNDS, lambda i, model, optimizer, batch: str(torch.jit.trace(model, batch).inlined_graph)),
    "an optimizer as it is": lambda: train(ROUNDS, optimizer_as_it_is),
    "schedule": scheduled,
    "closures": closures,
    "scaler": scaled,
    "compiled step": compiled_step,
}


def named_alike(result):
    """Its text, without the numbers that PyTorch gives to types, and addresses."""
    return re.sub(r"___torch_mangle_\d+\.|0x[0-9a-f]+|@[^ ]*:\d+", "", str(result))


@needs_torch
class JobTests(FolderTest):
    def same(self, job, **settings):
        """The job does the same, and nothing of the hook's failed; its status."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            limit = sys.getrecursionlimit()
            self.addCleanup(sys.setrecursionlimit, limit)
            torch.manual_seed(0)
            plain = job()
            if hasattr(torch, "_dynamo"):
                torch._dynamo.reset()
            sys.setrecursionlimit(limit)
            while MODES:
                MODES.pop().__exit__(None, None, None)
            torch.manual_seed(0)
            with Captured(self.folder, **settings) as captured:
                with_hook = job()
            sys.setrecursionlimit(limit)
        self.assertEqual(named_alike(plain), named_alike(with_hook))
        while MODES:
            MODES.pop().__exit__(None, None, None)
        status = captured.status
        self.assertIsNone(status["error"])
        self.assertEqual([], [n for n in status["notes"] if "torch.compile" not in n and "values of tensors were noted until" not in n])
        for owner, name in ((torch.nn.Module, "__call__"), (torch.optim.Optimizer, "__init__"), (torch.nn.Sequential, "__call__")):
            self.assertNotIn("sitecustomize", getattr(owner, name).__code__.co_filename)
        return status

    def test_inference_jobs_do_the_same_in_each_phase(self):
        for name, what in INFERENCE.items():
            with self.subTest(name):
                status = self.same(lambda: infer(what))
                self.assertEqual("done", status["phase"])

    def test_training_jobs_do_the_same(self):
        for name, job in TRAINING.items():
            with self.subTest(name):
                status = self.same(job)
                self.assertEqual("done" if job() is not None else "waiting", status["phase"])

    def test_inference_jobs_do_the_same_with_labels_and_values(self):
        for name, what in INFERENCE.items():
            with self.subTest(name):
                self.same(lambda: infer(what), values="values", modules=True)

    def test_jobs_that_the_observer_would_crash_are_left_alone(self):
        def step_with(make):
            return lambda: train(ROUNDS, lambda i, model, optimizer, batch: [float(make(batch).sum()) for _ in range(2)])

        for found, make in (("sparse_csr", lambda batch: torch.sparse.mm(torch.eye(3).to_sparse_csr(), batch)),
                            ("nested", lambda batch: torch.nested.nested_tensor([batch, batch]).to_padded_tensor(0.0))):
            with self.subTest(found):
                status = self.same(step_with(make), skip=3)
                if hook._Look.is_needed(torch):
                    self.assertEqual("refused", status["phase"])
                    self.assertIn(f"the job has {found} tensors", status["refused"])
                else:
                    self.assertEqual(("done", None), (status["phase"], status["refused"]))

    def test_what_the_observer_survives_is_recorded(self):
        def layers(i, model, optimizer, batch):
            lstm = torch.nn.LSTM(4, 4)
            lstm(batch[None])[0].sum().backward()
            attention = torch.nn.TransformerEncoderLayer(4, 2, 8).train()(batch[None]).sum()
            return torch.sparse.mm(torch.eye(3).to_sparse(), batch).sum().item() + float(attention) * 0

        status = self.same(lambda: train(ROUNDS, layers), skip=3)
        self.assertEqual(("done", None), (status["phase"], status["refused"]))

    def test_the_job_s_own_profiler_gets_its_way_while_the_hook_looks(self):
        def profiled(i, model, optimizer, batch):
            if i == 2:
                with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
                    model(batch)
                return len([e for e in profile.events() if e.name == "aten::linear"])
            return None

        status = self.same(lambda: train(ROUNDS, profiled), skip=3)
        self.assertEqual(("done", None), (status["phase"], status["refused"]))


if __name__ == "__main__":
    unittest.main()
