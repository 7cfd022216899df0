"""Jobs of a few ranks, made by hand: packages with calls between ranks, and their processes."""
import copy
import hashlib
import json
import os
import subprocess
import sys
import time

import join
import samples
from scripts import run

ELEMENT_BYTES = run.RULES["element_bytes"]
MUL = "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor"
CALLS = {schema.split("(")[0]: schema for schema in run.POLICY.calls}
KINDS = {"allreduce_": "all_reduce", "allreduce_coalesced_": "all_reduce", "broadcast_": "broadcast", "reduce_": "reduce",
         "allgather_": "all_gather", "allgather_coalesced_": "all_gather", "_allgather_base_": "all_gather",
         "allgather_into_tensor_coalesced_": "all_gather", "reduce_scatter_": "reduce_scatter", "_reduce_scatter_base_": "reduce_scatter",
         "reduce_scatter_tensor_coalesced_": "reduce_scatter", "alltoall_": "all_to_all", "alltoall_base_": "all_to_all",
         "gather_": "gather", "scatter_": "scatter", "send": "send", "recv_": "recv", "recv_any_source_": "recv", "barrier": "barrier",
         "wait": "wait", "all_reduce": "all_reduce", "all_reduce_": "all_reduce", "all_reduce_coalesced": "all_reduce",
         "all_gather_into_tensor": "all_gather", "all_gather_into_tensor_coalesced": "all_gather",
         "reduce_scatter_tensor": "reduce_scatter", "reduce_scatter_tensor_coalesced": "reduce_scatter",
         "all_to_all_single": "all_to_all", "broadcast": "broadcast", "wait_tensor": "wait"}


class Plan:
    """A package that is made operator by operator; each tensor has a storage of its own."""

    def __init__(self, rank=0):
        self.rank, self.storages, self.tensors, self.schemas, self.operators = rank, [], [], [], []

    def tensor(self, *shape, dtype="float32", low=None, storage=None, strides=None):
        """A tensor that is there from the start, with the values `low`, or one that an operator makes."""
        strides = strides or [int(run.math.prod(shape[i + 1:])) for i in range(len(shape))]
        if storage is None:
            init = {} if low is None else {"init": {"kind": "constant", "dtype": dtype, "low": low, "high": low}, "mutated": True}
            reach = 1 + sum((n - 1) * s for n, s in zip(shape, strides)) if 0 not in shape else 0
            self.storages.append({"bytes": reach * ELEMENT_BYTES[dtype], "device": 0, **init})
        self.tensors.append({"storage": len(self.storages) - 1 if storage is None else storage, "dtype": dtype, "shape": list(shape),
                             "strides": strides, **({} if low is None else {"external": True})})
        return len(self.tensors) - 1

    def add(self, schema, args, outs=(), **more):
        """An operator: of its arguments, numbers of tensors, or lists of them, or literals as {"v": …}."""
        if schema not in self.schemas:
            self.schemas.append(schema)
        given = [a if isinstance(a, dict) else {"t": list(a) if isinstance(a, (list, tuple)) else [a]} for a in args]
        self.operators.append({"node": 10 + len(self.operators), "schema": self.schemas.index(schema), "args": given,
                               "outs": [list(o) if isinstance(o, (list, tuple)) else [o] for o in outs], **more})
        return self.operators[-1]["node"]

    def call(self, name, args, outs=(), group=0, **more):
        """A call between ranks."""
        name = name if "::" in name else "c10d::" + name
        data = {"kind": KINDS[name.split("::")[1]], "group": group, **more}
        return self.add(CALLS[name], args, outs, collective={"name": name, "call": data})

    def manifest(self):
        m = samples.manifest()
        del m["times"]
        schedule, at = [], 0
        for i, op in enumerate(self.operators):
            last = i + 1 == len(self.operators)
            if "collective" in op or last or "collective" in self.operators[i + 1]:
                schedule.append({"call": f"f{len(schedule)}", "first": at, "count": i + 1 - at})
                at = i + 1
        external = sum(s["bytes"] for s in self.storages if "init" in s)
        m.update(schemas=self.schemas, schedule=schedule, substitutions=[], storages=self.storages, tensors=self.tensors,
                 operators=self.operators, ranks=[{"rank": self.rank}], memory={"external_bytes": external, "peak_bytes": external + 4096})
        m["coverage"].update(selected_operators=len(self.operators), replayed_operators=len(self.operators))
        return m

    def code(self, m):
        """The program's text, as the generator writes it."""
        last, lines = run.last_uses(self.operators), [run.PROLOGUE]
        for call in m["schedule"]:
            lines.append(samples.FUNCTION.format(call["call"]) + "    s = self.slots\n    d = self.devices\n")
            for i in range(call["first"], call["first"] + call["count"]):
                op, schema = self.operators[i], run.Schema(self.schemas[self.operators[i]["schema"]])
                used = [slot for slot in dict.fromkeys(run.slots_of(op)) if slot >= 0]
                freed = [s for s in used if last[s] == i and not self.tensors[s].get("external")]
                if "collective" not in op:
                    inputs = [slot for a in op["args"] for slot in a.get("t", ())]
                    lines += [f"    t{i}_{s} = s[{s + 2}]\n".replace("_", "0000") for s in dict.fromkeys(inputs)]
                    texts = [self.text_of(i, a) for a in op["args"]]
                    out = op["outs"][0][0]
                    lines.append(f"    t{i}0000{out} = ops.{schema.qualified.replace('::', '.')}({', '.join(texts)})\n")
                    lines.append(f"    s[{out + 2}] = t{i}0000{out}\n")
                lines += [f"    s[{s + 2}] = s[0]\n" for s in freed]
            lines.append("    return None\n")
        return "".join(lines) + samples.FUNCTION.format("last") + "    return None\n"

    @staticmethod
    def text_of(i, given):
        if "t" in given:
            return f"t{i}0000{given['t'][0]}"
        return given["v"]["double"] if isinstance(given["v"], dict) else str(given["v"])

    def write(self, folder):
        m = self.manifest()
        return samples.write(folder, m, self.code(m))


def write_job(folder, plans, groups=None, calls=None, **more):
    """A job's folder with a package for each rank, and the script beside; returns it."""
    folder.mkdir(exist_ok=True)
    (folder / "programs").mkdir(exist_ok=True)
    for i, plan in enumerate(plans):
        plan.write(folder / "programs" / str(i))
    job = document(len(plans), groups, calls)
    job.update(more)
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    (folder / "run.py").write_text(script(), encoding="utf-8")
    return folder


def document(size, groups=None, calls=None):
    """A job.json, to be changed."""
    groups = groups or [list(range(size))]
    return copy.deepcopy({
        "format": "mystique-job", "format_version": 1, "world_size": size,
        "groups": [{"name": str(i), "ranks": ranks} for i, ranks in enumerate(groups)],
        "ranks": [{"rank": r, "package": f"programs/{r}", "calls": (calls or {}).get(r, [])} for r in range(size)], "notes": []})


_SCRIPT = []


def script():
    if not _SCRIPT:
        _SCRIPT.append(join.join("run.py"))
    return _SCRIPT[0]


DUMP = """
import json, os, runpy, sys, torch
import importlib.util
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("replayed", loader=None))
module.__file__ = sys.argv[1]
sys.modules["replayed"] = module
exec(compile(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1], "exec"), module.__dict__)
sys.argv = sys.argv[1:]
before = module.Ranks.leave
def leave(ranks):
    if ranks.is_joined:
        engine.externals.restore(True)
        ranks.barrier()
        seen = {}
        program = engine.single()
        engine.ranks.begin()
        for i, op in enumerate(program.operators):
            freed, program.freed[i] = program.freed[i], []
            program.run_one(i)
        engine.ranks.end()
        for slot in range(len(program.slots)):
            value = program.slots[slot]
            seen[slot] = None if value is None else (torch.view_as_real(value) if value.is_complex() else value).tolist()
        json.dump(seen, open(os.environ["DUMP"] + os.environ["RANK"], "w"))
    before(ranks)
module.Ranks.leave = leave
made = module.Engine.__init__
def init(self, *args, **named):
    global engine
    engine = self
    made(self, *args, **named)
module.Engine.__init__ = init
sys.exit(module.main())
"""


class Started:
    """The processes of a job's ranks."""

    def __init__(self, folder, size, *options, environment=None, dumps=False):
        self.store, self.folder, self.size = folder / f"store.{os.urandom(4).hex()}", folder, size
        base = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "OMPI", "PMI", "MASTER", "RANK", "WORLD", "LOCAL"))}
        base.update(OMP_NUM_THREADS="1", DUMP=str(folder / "dump."), **(environment or {}))
        command = [sys.executable, "-c", DUMP, str(folder / "run.py")] if dumps else [sys.executable, str(folder / "run.py")]
        self.processes = [
            subprocess.Popen([*command, str(folder), "--store", str(self.store), "--threads", "1", "--device", "cpu",
                              "--json", str(folder / "r.json"), *options],
                             env={**base, "RANK": str(r), "WORLD_SIZE": str(size), "LOCAL_RANK": str(r), "LOCAL_WORLD_SIZE": str(size)},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for r in range(size)]

    def finish(self, seconds=60):
        """Waits for all; their exit codes, and what they printed."""
        end, texts = time.monotonic() + seconds, []
        for process in self.processes:
            try:
                texts.append(process.communicate(timeout=max(0.1, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                process.kill()
                texts.append(process.communicate())
        self.codes = [process.returncode for process in self.processes]
        self.outputs, self.errors = [t[0] for t in texts], [t[1] for t in texts]
        return self

    def result(self, rank):
        return json.loads((self.folder / f"r.rank-{rank}.json").read_text(encoding="utf-8"))

    def values(self, rank):
        """By slot, what an iteration left there."""
        found = json.loads((self.folder / f"dump.{rank}").read_text(encoding="utf-8"))
        return {int(slot): value for slot, value in found.items()}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
