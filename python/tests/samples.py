"""A small package, valid, with something of everything: views, a literal of each kind, a write, a substitution."""
import copy
import hashlib
import json

from scripts import run

ADD = "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
GELU = "aten::gelu(Tensor self, *, str approximate=\"none\") -> Tensor"
ZEROS = ("aten::zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None)"
         " -> Tensor")
ADD_ = "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)"

FUNCTION = "  def {}(self: __torch__.Benchmark) -> NoneType:\n"
CODE = run.PROLOGUE + FUNCTION.format("f0") + """\
    s = self.slots
    d = self.devices
    t0 = s[2]
    t1 = s[3]
    t2 = ops.aten.add(t0, t1, alpha=1)
    t3 = ops.aten.gelu(t2, approximate="tanh")
    s[5] = t3
    return None
""" + FUNCTION.format("f1") + """\
    s = self.slots
    d = self.devices
    t4 = ops.aten.zeros([2, 3], dtype=6, layout=None, device=d[0], pin_memory=False)
    t1 = s[3]
    t3 = s[5]
    t5 = ops.aten.add_(t1, t3, alpha=0.5)
    s[1] = t4
    s[5] = s[0]
    return None
""" + FUNCTION.format("last") + """\
    return None
"""


def tensor(storage, **more):
    return {"storage": storage, "dtype": "float32", "shape": [2, 3], "strides": [3, 1], **more}


def uniform(low=0, high=1):
    return {"kind": "uniform", "dtype": "float32", "low": low, "high": high}


MANIFEST = {
    "format": "mystique-benchmark", "format_version": 3, "ranks": [{"rank": 0}],
    "source": {"trace": "a.et.json", "sha256": "", "schema": "1.1.1", "iteration": None, "outermost_operators": 4,
               "decomposed_operators": 0, "has_strides": True, "has_backward": False, "notes": ["a note"]},
    "coverage": {"selected_operators": 4, "replayed_operators": 4, "substituted_operators": 0, "stand_ins": 0,
                 "missing_operators": 0, "added_operators": 0},
    "memory": {"external_bytes": 48, "peak_bytes": 96},
    "program": {"file": "program.pt", "sha256": "0" * 64},
    "devices": ["cpu"],
    "schemas": [ADD, GELU, ZEROS, ADD_],
    "schedule": [{"call": "f0", "first": 0, "count": 2}, {"call": "f1", "first": 2, "count": 2, "wait": [0]}],
    "times": {"source": "a.kineto.json", "iteration_ns": 4000, "recorded_ns": 5000, "unlinked": 0, "device_ns": 0, "unexplained_ns": 0,
              "operators": [{"node": 11, "start_ns": 0, "duration_ns": 500}, {"node": 12, "start_ns": 700, "duration_ns": 300},
                            {"node": 13, "start_ns": 2000, "duration_ns": 100}, {"node": 14, "start_ns": 2100, "duration_ns": 900}],
              "kernels": []},
    "substitutions": [{"operator": "aten::gelu", "calls": [{"operator": "aten::relu", "results": ["out0"], "args": [["", "self"]]}]}],
    "replaced": [],
    "storages": [{"bytes": 24, "device": 0, "init": uniform()}, {"bytes": 24, "device": 0, "mutated": True, "init": uniform(-1)},
                 {"bytes": 24, "device": 0}, {"bytes": 24, "device": 0}, {"bytes": 24, "device": 0}],
    "tensors": [tensor(0, external=True), tensor(1, external=True), tensor(2), tensor(3), tensor(4)],
    "operators": [
        {"node": 11, "schema": 0, "args": [{"t": [0]}, {"t": [1]}, {"v": 1}], "outs": [[2]]},
        {"node": 12, "schema": 1, "args": [{"t": [2]}, {"v": "tanh"}], "outs": [[3]]},
        {"node": 13, "schema": 2, "args": [{"v": [2, 3]}, {"v": 6}, {"v": {}}, {"v": {"device": "cpu"}}, {"v": False}], "outs": [[4]]},
        {"node": 14, "schema": 3, "args": [{"t": [1]}, {"t": [3]}, {"v": {"double": "0.5"}}], "outs": [[1]]}],
}


def manifest():
    """A copy, to be changed."""
    return copy.deepcopy(MANIFEST)


def files(m=None, code=CODE):
    """The bytes of the manifest and of the program; the digest is put right."""
    m = m or manifest()
    program = run.archive_of(code).getvalue()
    m["program"]["sha256"] = hashlib.sha256(program).hexdigest()
    return json.dumps(m).encode(), program


def write(folder, m=None, code=CODE):
    """Writes the package; returns its folder as a text."""
    folder.mkdir(exist_ok=True)
    for name, content in zip(("benchmark.json", "program.pt"), files(m, code)):
        (folder / name).write_bytes(content)
    return str(folder)


MM, SUM = "aten::mm(Tensor self, Tensor mat2) -> Tensor", "aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor"
ONES = ("aten::ones_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None,"
        " MemoryFormat? memory_format=None) -> Tensor")
EXPAND, T = "aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)", "aten::t(Tensor(a) self) -> Tensor(a)"
BACKWARD = "aten::backward(Tensor self, Tensor? gradient=None, bool? retain_graph=None, bool create_graph=False) -> ()"
GRADIENT, GRAD_MODE = "prim::grad(Tensor a) -> Tensor(*)", "aten::set_grad_enabled(bool val) -> ()"
DETACH = "aten::detach(Tensor(a) self) -> Tensor(a)"

STEP_CODE = run.PROLOGUE + FUNCTION.format("f0") + """\
    s = self.slots
    t0 = s[2]
    t1 = s[3]
    t2 = ops.aten.mm(t0, t1)
    t3 = ops.aten.sum(t2, dtype=None)
    t4 = ops.aten.ones_like(t3, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None)
    ops.aten.backward(t3, t4, False, False)
    t5 = ops.prim.grad(t1)
    ops.aten.set_grad_enabled(False)
    t1 = ops.aten.add_(t1, t5, alpha=0.5)
    ops.aten.set_grad_enabled(True)
    return None
""" + FUNCTION.format("last") + """\
    return None
"""


def step():
    """A training step at the framework's level: x · w, its sum, autograd's pass, and w changed by its gradient."""
    m, small = manifest(), {"dtype": "float32", "shape": [], "strides": []}
    square = {"dtype": "float32", "shape": [2, 2], "strides": [2, 1]}
    wide, narrow = {"dtype": "float32", "shape": [2, 3], "strides": [3, 1]}, {"dtype": "float32", "shape": [3, 2], "strides": [2, 1]}
    turned, same = {"dtype": "float32", "shape": [3, 2], "strides": [1, 3]}, {"dtype": "float32", "shape": [2, 2], "strides": [0, 0]}
    none = [{"v": {}}] * 4
    m.update(
        schemas=[MM, SUM, ONES, BACKWARD, GRADIENT, GRAD_MODE, ADD_, EXPAND, T, DETACH],
        schedule=[{"call": "f0", "first": 0, "count": 8}], substitutions=[],
        storages=[{"bytes": 24, "device": 0, "init": uniform()}, {"bytes": 24, "device": 0, "mutated": True, "init": uniform(-1)},
                  {"bytes": 16, "device": 0}, {"bytes": 4, "device": 0}, {"bytes": 4, "device": 0}, {"bytes": 24, "device": 0}]
        + [{"bytes": b, "device": 0} for b in (4, 16, 24, 24)],
        tensors=[{"storage": 0, **wide, "external": True}, {"storage": 1, **narrow, "external": True, "leaf": True},
                 {"storage": 2, **square}, {"storage": 3, **small}, {"storage": 4, **small}, {"storage": 5, **narrow},
                 {"storage": 6, **small}, {"storage": 7, **same}, {"storage": 8, **turned}, {"storage": 9, **narrow},
                 {"storage": 8, **wide}],
        operators=[
            {"node": 11, "schema": 0, "args": [{"t": [0]}, {"t": [1]}], "outs": [[2]]},
            {"node": 12, "schema": 1, "args": [{"t": [2]}, {"v": {}}], "outs": [[3]]},
            {"node": 13, "schema": 2, "args": [{"t": [3]}, *none, {"v": {}}], "outs": [[4]]},
            {"node": 20, "schema": 3, "args": [{"t": [3]}, {"t": [4]}, {"v": False}, {"v": False}], "outs": [], "role": "autograd",
             "accumulates": 1, "backward": [
                 {"node": 21, "schema": 7, "args": [{"t": [6]}, {"v": [2, 2]}, {"v": False}], "outs": [[7]]},
                 {"node": 22, "schema": 8, "args": [{"t": [10]}], "outs": [[8]]},
                 {"node": 23, "schema": 0, "args": [{"t": [8]}, {"t": [7]}], "outs": [[9]]},
                 {"node": 24, "schema": 9, "args": [{"t": [9]}], "outs": [[9]]}]},
            {"node": 25, "schema": 4, "args": [{"t": [1]}], "outs": [[5]], "role": "autograd"},
            {"node": 30, "schema": 5, "args": [{"v": False}], "outs": [], "role": "autograd"},
            {"node": 30, "schema": 6, "args": [{"t": [1]}, {"t": [5]}, {"v": {"double": "0.5"}}], "outs": [[1]]},
            {"node": 30, "schema": 5, "args": [{"v": True}], "outs": [], "role": "autograd"}])
    m["source"]["has_backward"] = True
    m["coverage"].update(selected_operators=8, replayed_operators=8)
    m["memory"].update(external_bytes=48, peak_bytes=200)
    del m["times"]
    return m
