import json
import os
import unittest
import unittest.mock
import weakref

import faketorch
from scripts import FolderTest, hook, run

torch = run.torch


has_gloo = torch is not None and torch.distributed.is_available() and hasattr(torch.distributed, "ProcessGroupGloo")


class NoRanksTests(unittest.TestCase):
    def test_a_job_of_one_rank_has_no_labels(self):
        fake = faketorch.make()
        labels = hook._CallLabels(fake, hook._Aside(fake))
        labels.start()
        self.assertEqual([], labels.patches.undo)
        labels.stop()

    def test_what_a_label_says_has_no_quotes(self):
        plain = hook._CallLabels.plain
        self.assertEqual(["1", "0", "3", "0,2", "a%22b%5c%3b%3d", "default_pg"],
                         [plain(value) for value in (True, False, 3, [0, 2], 'a"b\\;=', "default_pg")])


@unittest.skipUnless(has_gloo, "needs a PyTorch with Gloo")
class CallLabelTests(FolderTest):
    """One rank alone: what it calls is labelled as if there were more."""

    def setUp(self):
        super().setUp()
        self.dist = torch.distributed
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        store = self.dist.FileStore(str(self.folder / "store"), 1)
        self.dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        self.addCleanup(self.dist.destroy_process_group)

    def recorded(self, job, before=lambda: None):
        """The labels of what a job does, by kind, and the trace's nodes."""
        recorder = hook._Recorder(torch, str(self.folder))
        recorder.start()
        recorder.mark(1)
        before()
        job()
        recorder.stop()
        recorder.write()
        nodes = json.loads((self.folder / "et.json").read_text(encoding="utf-8"))["nodes"]
        nodes.sort(key=lambda node: node["id"])
        labels = [node["name"].split(";") for node in nodes if node["name"].startswith("mystique:")]
        return [(kind, dict(field.split("=") for field in fields)) for kind, *fields in labels], nodes

    def test_calls_have_their_group_their_reduction_and_whether_the_caller_waits(self):
        group = self.dist.new_group([0])

        def job():
            self.dist.all_reduce(torch.ones(2), self.dist.ReduceOp.MAX)
            work = self.dist.all_reduce(torch.ones(2), group=group, async_op=True)
            self.dist.broadcast(torch.ones(2), 0)
            work.wait()
        labels, nodes = self.recorded(job)
        common = {"op": "allreduce", "fn": "all_reduce", "size": "1"}
        self.assertEqual([
            ("mystique:call", {"n": "0", "async": "0", "group": "0", "reduce": "max", **common}),
            ("mystique:call", {"n": "1", "async": "1", "group": labels[1][1]["group"], "reduce": "sum", **common}),
            ("mystique:call", {"n": "2", "op": "broadcast", "fn": "broadcast", "async": "0", "group": "0", "size": "1", "root": "0"}),
            ("mystique:wait", {"n": "1"})], labels)
        self.assertNotEqual(labels[0][1]["group"], labels[1][1]["group"])
        # An operator begins within its label. Its parent does not tell: it is what lay on top of the observer's stack, and what Gloo
        # ends on a thread of its own takes off whatever lies there.
        begun = [node["name"].split(";")[0].split("::")[0] for node in nodes if node["name"].startswith(("mystique:call", "c10d::"))]
        self.assertEqual(["mystique:call", "c10d"] * 3, begun)

    def test_labels_have_no_operators_of_their_own(self):
        def names(nodes):
            return [node["name"] for node in nodes if not node["name"].startswith(("mystique:", "gloo:"))]

        class Unlabelled(hook._CallLabels):
            def start(self):
                pass

        def job():
            self.dist.all_reduce(torch.ones(2))
        labelled = names(self.recorded(job)[1])
        with unittest.mock.patch.object(hook, "_CallLabels", Unlabelled):
            labels, nodes = self.recorded(job)
        self.assertEqual(([], labelled), (labels, names(nodes)))

    def test_a_call_without_an_operator_has_its_tensors_and_splits(self):
        def job():
            self.dist.all_to_all_single(torch.empty(3, 2), torch.ones(3, 2), [3], [3])
        labels, nodes = self.recorded(job)
        self.assertEqual([("alltoall_base", "all_to_all_single")], [(label[1]["op"], label[1]["fn"]) for label in labels])
        node = next(node for node in nodes if node["name"].startswith("mystique:call"))
        values = node["inputs"]["values"] if isinstance(node["inputs"], dict) else node["inputs"]
        if any(other["name"].startswith("c10d::") for other in nodes):
            self.assertEqual([], values)
        else:
            self.assertEqual(([6, 6], [[3], [3]]), ([value[3] for value in values[:2]], values[2:]))

    def test_a_group_that_is_made_while_recording_tells_its_ranks(self):
        labels, _ = self.recorded(lambda: self.dist.all_reduce(torch.ones(1), group=self.dist.new_group([0])))
        self.assertEqual(["0"], [label["ranks"] for _, label in labels if "ranks" in label][-1:])

    def test_ddp_tells_its_group(self):
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
        labels, _ = self.recorded(lambda: model(torch.ones(1, 2)).sum().backward())
        self.assertEqual([("mystique:ddp", {"group": "0", "size": "1"})], labels)

    def test_when_it_is_recorded_all_classes_are_as_they_were(self):
        from torch.distributed import distributed_c10d as c10d
        classes = c10d.ProcessGroup, c10d.Work, torch.nn.parallel.DistributedDataParallel
        before = [dict(vars(owner)) for owner in classes]
        self.recorded(lambda: self.dist.all_reduce(torch.ones(1)))
        self.assertEqual(before, [dict(vars(owner)) for owner in classes])

    def test_a_label_that_fails_is_the_last_and_the_call_is_made(self):
        def fail(*args):
            raise RuntimeError("no label")
        tensor = torch.zeros(2)
        with unittest.mock.patch.object(hook._CallLabels, "group", fail):
            labels, nodes = self.recorded(lambda: (self.dist.all_reduce(tensor.add_(1)), self.dist.all_reduce(tensor)))
        self.assertEqual(([], [1, 1], 2), (labels, tensor.tolist(), sum(n["name"] == "c10d::allreduce_" for n in nodes)))

    def test_works_live_as_long_as_without_the_hook(self):
        found = []

        def job():
            work = self.dist.all_reduce(torch.ones(2), async_op=True)
            work.wait()
            found.append(weakref.ref(work))
            del work
            found.append(found[0]())
        self.recorded(job)
        self.assertIsNone(found[1])
