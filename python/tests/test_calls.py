import unittest

import jobs
from scripts import FolderTest, needs_torch, run

needs_gloo = unittest.skipIf(run.torch is None or not run.torch.distributed.is_available() or not run.torch.distributed.is_gloo_available(),
                             "needs torch.distributed with Gloo")
IS_NEW = run.torch is not None and int(run.torch.__version__.split(".")[0]) >= 2


class CallTest(FolderTest):
    """Jobs of ranks that run together, each a process."""

    def run_job(self, plans, *options, groups=None, calls=None):
        folder = jobs.write_job(self.folder / "job", plans, groups, calls)
        self.started = jobs.Started(folder, len(plans), "--iterations", "2", "--warmup", "0", *options, dumps=True).finish()
        self.assertEqual([0] * len(plans), self.started.codes, self.started.errors)
        return [self.started.values(r) for r in range(len(plans))]

    def check_verified(self):
        for rank in range(self.started.size):
            verification = self.started.result(rank)["verification"]
            self.assertEqual(("exact", []), (verification["status"], verification["differences"]))


def every_call(rank, dtype="float32"):
    """A plan with every call that a package can have, on two ranks, and by slot the values that must come of it."""
    p, expected, one = jobs.Plan(rank), {}, rank + 1

    def held(*shape, low=one):
        return p.tensor(*shape, low=low, dtype=dtype)

    def expect(slot, values):
        expected[slot] = values

    def both(count, a, b):
        return [float(a)] * count + [float(b)] * count

    a, b = held(3), held(2)
    p.call("allreduce_", [[a]])
    expect(a, [3.0] * 3)
    c = held(3)
    p.call("allreduce_coalesced_", [[c, b]], reduction="max")
    expect(c, [2.0] * 3)
    expect(b, [2.0] * 2)
    d = held(3)
    p.call("broadcast_", [[d]], root=1)
    expect(d, [2.0] * 3)
    e = held(3)
    p.call("reduce_", [[e]], root=0, reduction="sum")
    if rank == 0:
        expect(e, [3.0] * 3)
    f, g, h = held(2), held(2, low=0), held(2, low=0)
    p.call("allgather_", [[g, h], [f]])
    expect(g, [1.0] * 2)
    expect(h, [2.0] * 2)
    outs, ins = [held(2, low=0), held(3, low=0), held(2, low=0), held(3, low=0)], [held(2), held(3)]
    p.call("allgather_coalesced_", [outs, ins])
    for slot, value, count in zip(outs, (1, 1, 2, 2), (2, 3, 2, 3)):
        expect(slot, [float(value)] * count)
    o, i = held(4, low=0), held(2)
    p.call("_allgather_base_", [o, i])
    expect(o, both(2, 1, 2))
    o, o2 = held(4, low=0), held(2, low=0)
    p.call("allgather_into_tensor_coalesced_", [[o, o2], [held(2), held(1)]])
    expect(o, both(2, 1, 2))
    expect(o2, both(1, 1, 2))
    o = held(2, low=0)
    p.call("reduce_scatter_", [[o], [held(2, low=one), held(2, low=10 * one)]])
    expect(o, [3.0] * 2 if rank == 0 else [30.0] * 2)
    o = held(2, low=0)
    p.call("_reduce_scatter_base_", [o, held(4)], reduction="sum")
    expect(o, [3.0] * 2)
    o, o2 = held(2, low=0), held(1, low=0)
    p.call("reduce_scatter_tensor_coalesced_", [[o, o2], [held(4), held(2)]])
    expect(o, [3.0] * 2)
    expect(o2, [3.0])
    outs = [held(2, low=0), held(1 + rank, low=0)]
    ins = [held(2, low=one), held(1, low=10 * one)] if rank == 0 else [held(1, low=one), held(2, low=10 * one)]
    outs = [held(2, low=0), held(1, low=0)] if rank == 0 else [held(1, low=0), held(2, low=0)]
    p.call("alltoall_", [outs, ins])
    for slot, value, count in zip(outs, (1, 2) if rank == 0 else (10, 20), (2, 1) if rank == 0 else (1, 2)):
        expect(slot, [float(value)] * count)
    o = held(4, low=0)
    p.call("alltoall_base_", [o, held(4)])
    expect(o, both(2, 1, 2))
    o = held(3, 2, low=0)
    given = [2, 1] if rank == 0 else [1, 2]
    p.call("alltoall_base_", [o, held(3, 2)], input_splits=given, output_splits=given)
    expect(o, [[1.0, 1.0]] * given[0] + [[2.0, 2.0]] * given[1])
    outs = [held(2, low=0), held(2, low=0)] if rank == 1 else []
    p.call("gather_", [outs, [held(2)]], root=1)
    for slot, value in zip(outs, (1, 2)):
        expect(slot, [float(value)] * 2)
    o = held(2, low=0)
    p.call("scatter_", [[o], [held(2, low=5), held(2, low=6)] if rank == 0 else []], root=0)
    expect(o, [5.0 + rank] * 2)
    x = held(2)
    p.call("send" if rank == 0 else "recv_", [[x]], root=1 - rank)
    expect(x, [1.0] * 2)
    x = held(2)
    p.call("send", [[x]], root=0) if rank == 1 else p.call("recv_any_source_", [[x]])
    expect(x, [2.0] * 2)
    p.call("barrier", [])
    z = held(2)
    n = p.call("allreduce_", [[z]], **{"async": True})
    p.call("wait", [[z]], waits_for=n)
    expect(z, [3.0] * 2)
    add_functional(p, rank, held, expect, dtype)
    return p, expected


def add_functional(p, rank, held, expect, dtype):
    def made(*shape):
        return p.tensor(*shape, dtype=dtype)

    def call(name, given, outs, values, **more):
        is_list = isinstance(given, list)
        node = p.call("_c10d_functional::" + name, [given], [outs] if is_list else [[outs]], **{"async": True}, **more)
        for out, value in zip(outs if is_list else [outs], values if is_list else [values]):
            p.call("_c10d_functional::wait_tensor", [out], [[out]], waits_for=node)
            kept = made(*p.tensors[out]["shape"])  # A later operator uses it.
            p.add(jobs.MUL, [out, out], [[kept]])
            expect(kept, [v * v for v in value])

    call("all_reduce", held(3), made(3), [3.0] * 3, reduction="sum")
    x = held(3)
    node = p.call("_c10d_functional::all_reduce_", [x], [[x]], reduction="sum", **{"async": True})
    p.call("_c10d_functional::wait_tensor", [x], [[x]], waits_for=node)
    expect(x, [3.0] * 3)
    call("all_reduce_coalesced", [held(3), held(2)], [made(3), made(2)], [[2.0] * 3, [2.0] * 2], reduction="max")
    call("all_gather_into_tensor", held(2), made(4), [1.0, 1.0, 2.0, 2.0])
    call("all_gather_into_tensor_coalesced", [held(2), held(1)], [made(4), made(2)], [[1.0, 1.0, 2.0, 2.0], [1.0, 2.0]])
    call("reduce_scatter_tensor", held(4), made(2), [3.0] * 2, reduction="sum")
    call("reduce_scatter_tensor_coalesced", [held(4), held(2)], [made(2), made(1)], [[3.0] * 2, [3.0]])
    call("all_to_all_single", held(4), made(4), [1.0, 1.0, 2.0, 2.0])
    splits = {"input_splits": [2, 1] if rank == 0 else [1, 2]}
    call("all_to_all_single", held(3), made(3), [1.0] * splits["input_splits"][0] + [2.0] * splits["input_splits"][1],
         output_splits=splits["input_splits"], **splits)
    call("broadcast", held(2), made(2), [2.0] * 2, root=1)
    x = held(2)
    node = p.call("_c10d_functional::broadcast_", [x], [[x]], root=1, **{"async": True})
    p.call("_c10d_functional::wait_tensor", [x], [[x]], waits_for=node)
    expect(x, [2.0] * 2)


@needs_torch
@needs_gloo
class EveryCallTests(CallTest):
    def check_values(self, found, expected):
        for rank, values in enumerate(expected):
            for slot, value in values.items():
                self.assertEqual(value, found[rank][slot], f"rank {rank}, slot {slot}")

    def every(self, *options, dtype="float32"):
        made = [every_call(rank, dtype) for rank in range(2)]
        names = {jobs.run.Schema(s).qualified for s in made[0][0].schemas + made[1][0].schemas} - {"aten::mul"}
        self.assertEqual(set(jobs.CALLS), names)  # Each of the table's calls.
        self.check_values(self.run_job([plan for plan, _ in made], *options), [values for _, values in made])
        return made

    def test_every_call_does_what_torch_distributed_does(self):
        self.every()
        self.check_verified()
        result = self.started.result(0)
        self.assertEqual("torchscript", result["program"]["form"])
        calls = result["communication"]
        self.assertEqual((0, 2, "gloo", 0, 0, 1), tuple(calls[k] for k in ("rank", "world_size", "backend", "local", "emulated", "groups")))
        self.assertEqual(calls["calls"], calls["real"])
        self.assertGreater(calls["blocked_ns"], 0)
        lacking = {form["operator"] for form in calls["list_forms"]}
        self.assertLessEqual({"c10d::alltoall_", "c10d::reduce_scatter_"}, lacking)
        self.assertEqual(not IS_NEW, "c10d::_allgather_base_" in lacking)
        self.assertIn("communication:", self.started.outputs[0])
        self.assertEqual("", self.started.outputs[1])

    def test_operator_by_operator_as_well(self):
        self.every("--eager", "--check-values")
        self.check_verified()

    def test_types_that_the_backend_lacks_go_as_others(self):
        for dtype in ("bfloat16", "int16"):
            with self.subTest(dtype=dtype):
                self.every("--no-operators", dtype=dtype)
                self.check_verified()


@needs_torch
@needs_gloo
class SeveralCallTests(CallTest):
    def test_an_average_is_a_sum_that_is_divided(self):
        plans = [jobs.Plan(rank) for rank in range(2)]
        for rank, p in enumerate(plans):
            x, y = p.tensor(2, low=rank + 1), p.tensor(2, low=2 * rank)
            p.call("allreduce_", [[x]], reduction="avg")
            z = p.tensor(2)
            n = p.call("_c10d_functional::all_reduce", [y], [[z]], reduction="avg", **{"async": True})
            p.call("_c10d_functional::wait_tensor", [z], [[z]], waits_for=n)
            p.add(jobs.MUL, [z, z], [[p.tensor(2)]])
        for values in self.run_job(plans):
            self.assertEqual(([1.5, 1.5], [1.0, 1.0]), (values[0], values[2]))
        self.check_verified()
        self.assertEqual({"c10d::allreduce_", "_c10d_functional::all_reduce"},
                         {f["operator"] for f in self.started.result(1)["communication"]["list_forms"]} - {"_c10d_functional::wait_tensor"})

    def test_strides_that_do_not_fill_memory_are_copied(self):
        plans = [jobs.Plan(rank) for rank in range(2)]
        for rank, p in enumerate(plans):
            whole = p.tensor(2, 4, low=rank + 1)
            part = p.tensor(2, 2, low=0, storage=whole, strides=[4, 1])
            dense = p.tensor(2, 3, low=rank + 1, strides=[1, 2])
            p.call("allreduce_", [[part]])
            p.call("allreduce_", [[dense]])
        for rank, values in enumerate(self.run_job(plans)):
            left = float(rank + 1)
            self.assertEqual([[3.0, 3.0, left, left]] * 2, values[0])
            self.assertEqual([[3.0] * 3] * 2, values[2])

    def test_groups_of_some_ranks_and_what_differs_between_ranks(self):
        plans, groups = [], [[0, 1, 2, 3], [0, 1], [2, 3], [1, 3]]
        for rank in range(4):
            p = jobs.Plan(rank)
            x, y, z = (p.tensor(2, low=rank + 1) for _ in range(3))
            p.call("allreduce_", [[x]])
            p.call("allreduce_", [[y]], group=1)  # As rank 0 has it.
            p.call("broadcast_", [[z]], group=3, root=1) if rank in (1, 3) else p.call("barrier", [], group=1)
            p.call("barrier", [])
            plans.append(p)
        calls = {rank: [{"node": 11, "group": 2}] for rank in (2, 3)}
        calls[2].append({"node": 12, "group": 2})
        groups[2:2] = []
        plans[0].operators[2]["collective"]["call"]["group"] = 4
        groups += [[0], [2]]
        calls[2][1]["group"] = 5
        found = self.run_job(plans, groups=groups, calls=calls)
        self.assertEqual([[10.0] * 2] * 4, [values[0] for values in found])
        self.assertEqual([[3.0] * 2, [3.0] * 2, [7.0] * 2, [7.0] * 2], [values[1] for values in found])
        self.assertEqual([[1.0] * 2, [4.0] * 2, [3.0] * 2, [4.0] * 2], [values[2] for values in found])

    def test_what_nobody_waits_for_ends_with_the_iteration(self):
        plans = [jobs.Plan(rank) for rank in range(2)]
        for rank, p in enumerate(plans):
            x, y = p.tensor(2, low=rank + 1), p.tensor(2, low=rank + 1)
            p.call("wait", [[x]], waits_for=4711)  # Of an earlier iteration.
            p.call("allreduce_", [[x]], **{"async": True})
            p.call("_c10d_functional::all_reduce", [y], [[p.tensor(2)]], **{"async": True})
        for values in self.run_job(plans):
            self.assertEqual([3.0, 3.0], values[0])
        self.check_verified()
