import collections
import json
import os
import random
import tempfile
import types
import unittest

import samples
from scripts import FolderTest, replaced, run


def observed(id, name, schema, inputs=(), outputs=(), parent=2, thread=1):
    """A node of the newer layout; tensors are (dtype, shape, strides)."""
    def side(tensors):
        return {"values": [], "shapes": [t[1] for t in tensors], "types": [f"Tensor({t[0]})" for t in tensors],
                "strides": [t[2] for t in tensors]}
    return {"id": id, "name": name, "ctrl_deps": parent, "inputs": side(inputs), "outputs": side(outputs),
            "attrs": [{"name": "op_schema", "value": schema}, {"name": "tid", "value": thread}]}


FLOAT = ("float", [2, 3], [3, 1])


def add(id, **more):
    return observed(id, "aten::add", samples.ADD, [FLOAT, FLOAT], [FLOAT], **more)


def sample_run():
    """What the sample's program does under the observer."""
    return [add(10), observed(11, "aten::gelu", samples.GELU, [FLOAT], [FLOAT]), observed(12, "aten::zeros", samples.ZEROS, [], [FLOAT]),
            observed(13, "aten::add_", samples.ADD_, [FLOAT, FLOAT], [FLOAT])]


class AlignmentTests(unittest.TestCase):
    """Operators behind a backend's label may be that label's own, and are passed over; not those that were planned next."""

    def compared(self, planned, ran):
        package = types.SimpleNamespace(manifest={"tensors": [], "storages": [], "source": {"has_strides": False}},
                                        name_of=lambda op: op["name"])
        nodes = [types.SimpleNamespace(name=name.rstrip("?"), is_doubtful=name.endswith("?"), inputs=[], outputs=[], inside=[])
                 for name in ran.split()]
        exact, differences = run.compare_runs(package, [{"name": name, "node": i, "args": [], "outs": []}
                                                        for i, name in enumerate(planned.split())], nodes, collections.Counter(), ())
        return exact, [(d["operator"], d["kind"]) for d in differences]

    def test_one_that_did_not_run_takes_no_others_with_it(self):
        self.assertEqual((2, [("a", "missing")]), self.compared("a b c", "b? c?"))
        self.assertEqual((2, [("b", "missing")]), self.compared("a b c", "a x? c?"))
        self.assertEqual((1, [("b", "missing"), ("c", "missing")]), self.compared("a b c", "a x? y?"))
        self.assertEqual((2, [("b", "missing"), ("x", "unplanned")]), self.compared("a b c", "a c x"))

    def test_memory_that_a_barrier_makes_is_its_own_where_it_makes_some(self):
        for schema, expected in (("c10d::barrier(Tensor tensor, int timeout) -> ()", ["aten::relu", "c10d::barrier"]),
                                 ("c10d::barrier(int timeout) -> ()", ["aten::relu", "aten::empty.memory_format", "c10d::barrier"])):
            nodes = [{"id": 1, "parent": 1, "name": "process"}, {"id": 2, "parent": 1, "name": "thread"}]
            for i, op in enumerate(("aten::relu() -> ()", "aten::empty.memory_format() -> ()", schema)):
                nodes.append({"id": 3 + i, "parent": 2, "name": op.split("(")[0], "op_schema": op, "tid": 1})
            for node in nodes:
                node.update({f"{side}_{what}": [] for side in ("input", "output") for what in ("shapes", "types")}, inputs=[], outputs=[])
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "t.json")
                with open(path, "w", encoding="utf-8") as file:
                    json.dump({"nodes": nodes}, file)
                self.assertEqual(expected, [node.name for node in run.outermost(path, True)[0]])


class VerifyTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.m = samples.manifest()

    def verify(self, nodes, missing=(), substituted=None, devices=()):
        package = type("Package", (), {"manifest": self.m, "name_of": lambda self, op: self.names[op["schema"]]})()
        package.names = [run.Schema.parse(s).name for s in self.m["schemas"]]
        root = {"id": 2, "name": "root", "ctrl_deps": 1, "inputs": observed(0, "", "")["inputs"], "outputs": observed(0, "", "")["outputs"],
                "attrs": []}
        path = self.folder / "t.json"
        path.write_text(json.dumps({"nodes": [root, *nodes]}), encoding="utf-8")
        return run.verify(package, str(path), {i: "why" for i in missing}, substituted or {}, devices)

    def differences(self, nodes, **more):
        return [(d.get("node", 0), d["kind"], d["operator"]) for d in self.verify(nodes, **more)["differences"]]


class DeviceTests(VerifyTest):
    """What is compared beside names, shapes, types and strides where a replay runs on a device."""

    GPU, HOST = (type("Device", (), {"type": kind}) for kind in ("cuda", "cpu"))

    def on(self, *devices):
        nodes = sample_run()
        for i, device in enumerate(devices):
            nodes[i]["inputs"]["values"] = [[1, 2, 0, 6, 4, device]] * 2
        return nodes

    def test_a_tensor_on_another_device_is_different(self):
        self.assertEqual([], self.differences(self.on("cuda:0"), devices=[self.GPU]))
        self.assertEqual([(11, "different", "aten::add.Tensor")], self.differences(self.on("cpu"), devices=[self.GPU]))
        self.assertEqual("its input 0 is on cpu instead of cuda", self.verify(self.on("cpu"), devices=[self.GPU])["differences"][0]["what"])

    def test_a_device_that_is_not_told_is_not_compared(self):
        for value in ([], [[1, 2, 0, 6, 4, ""]] * 2, [7, 8]):
            nodes = sample_run()
            nodes[0]["inputs"]["values"] = value
            self.assertEqual([], self.differences(nodes, devices=[self.GPU]))

    def test_another_implementation_of_an_operator_is_told_apart(self):
        self.m["operators"][1]["inside"] = "aten::_fast_gelu"
        nodes = sample_run()
        nodes.insert(2, observed(20, "aten::_slow_gelu", samples.GELU.replace("gelu", "_slow_gelu"), [FLOAT], [FLOAT], parent=11))
        self.assertEqual([(12, "other_implementation", "aten::gelu")], self.differences(nodes, devices=[self.GPU]))
        self.assertEqual([], self.differences(nodes, devices=[self.HOST]))  # Processors differ in what they choose.
        self.m["operators"][1]["inside"] = "aten::_slow_gelu"
        self.assertEqual([], self.differences(nodes, devices=[self.GPU]))


class ObserverTests(unittest.TestCase):
    def refusal(self, schema, args=(), version="2.6.0"):
        operators = [{"schema": 0, "args": list(args)}]
        package = type("Package", (), {"manifest": {"operators": operators}, "schemas": [run.Schema.parse(schema)]})
        with replaced(run, torch=type("Torch", (), {"__version__": version})):
            try:
                run.refuse_unobservable(package)
            except RuntimeError as error:
                return str(error)

    def test_tensors_without_strides_are_not_observed(self):
        for name in ("to_sparse_csr", "_to_sparse_bsc", "crow_indices", "_sparse_compressed_tensor_unsafe", "_nested_from_padded"):
            self.assertIn("aten::" + name, self.refusal(f"aten::{name}(Tensor self) -> Tensor"))
            self.assertIsNone(self.refusal(f"aten::{name}(Tensor self) -> Tensor", version="1.13.0a0"))
        for name in ("to_sparse", "describe", "_coalesced"):
            self.assertIsNone(self.refusal(f"aten::{name}(Tensor self) -> Tensor"))

    def test_a_layout_tells_what_is_made(self):
        for layout, is_compressed in ((0, False), (1, False), (2, True), (3, False), (6, True)):
            refusal = self.refusal("aten::to_sparse(Tensor self, *, Layout? layout=None) -> Tensor", [{"t": [0]}, {"v": layout}])
            self.assertEqual(is_compressed, refusal is not None)


class AlignerTests(VerifyTest):
    def test_the_sample_is_exact(self):
        result = self.verify(sample_run())
        fields = "status", "expected_operators", "exact_operators", "strides_compared"
        self.assertEqual(("exact", 4, 4, True), tuple(result[field] for field in fields))
        self.assertEqual({"exact": 4, "other_implementation": 0, "targets_own": 0, "variant": 0, "different": 0, "substituted": 0,
                          "stand_in": 0, "missing": 0, "unplanned": 0, "targets_more": 0, "time_share": 1}, result["classes"])

    def test_kernels_are_counted_not_expected(self):
        self.m["operators"][1]["kernel"] = 0
        nodes = sample_run()
        del nodes[1]
        result = self.verify(nodes)
        self.assertEqual([], result["differences"])
        self.assertEqual((3, 3, 1), tuple(result[k] for k in ("expected_operators", "exact_operators", "unobserved_kernels")))

    def test_an_operator_that_nobody_planned(self):
        nodes = sample_run()
        nodes.insert(1, observed(10.5, "aten::relu", "aten::relu(Tensor self) -> Tensor"))
        self.assertEqual([(0, "unplanned", "aten::relu")], self.differences(nodes))

    def test_what_keeps_a_tensor_for_another_stream_is_the_replay_s_own(self):
        nodes = sample_run()
        nodes.insert(1, observed(10.5, "aten::record_stream", "aten::record_stream(Tensor(a!) self, Stream s) -> ()"))
        self.assertEqual([], self.differences(nodes))

    def test_an_operator_that_did_not_run(self):
        for at, (node, name) in enumerate(((11, "aten::add.Tensor"), (12, "aten::gelu"), (13, "aten::zeros"), (14, "aten::add_.Tensor"))):
            nodes = sample_run()
            del nodes[at]
            self.assertEqual([(node, "missing", name)], self.differences(nodes))

    def test_another_overload_ran_instead(self):
        nodes = sample_run()
        nodes[0] = observed(10, "aten::add", "aten::add.Scalar(Tensor self, Scalar other) -> Tensor")
        self.assertEqual([(11, "variant", "aten::add.Tensor")], self.differences(nodes))

    def test_another_operator_ran_instead(self):
        nodes = sample_run()
        nodes[1] = observed(11, "aten::relu", "aten::relu(Tensor self) -> Tensor")
        self.assertEqual([(12, "missing", "aten::gelu")], self.differences(nodes))
        self.assertEqual(1, self.verify(nodes)["classes"]["missing"])

    def test_any_difference_costs_coverage(self):
        source = random.Random(3)
        found = 0
        for _ in range(300):
            nodes = sample_run()
            for _ in range(source.randint(0, 3)):
                at = source.randrange(len(nodes) + 1)
                other = observed(source.random() * 20, "aten::relu", "aten::relu(Tensor self) -> Tensor")
                nodes[at:at + source.randint(0, 1)] = [other] if source.random() < 0.5 else []
            result = self.verify(nodes)
            share = run.verified(result["classes"], 4)["share"]
            self.assertEqual(bool(result["differences"]), share < 1, result)
            found += share < 1
        self.assertGreater(found, 50)

    def test_nothing_ran(self):
        result = self.verify([])
        self.assertEqual((0, 4), (result["exact_operators"], len(result["differences"])))
        self.assertFalse(result["strides_compared"])

    def test_stand_ins_are_not_waited_for(self):
        nodes = sample_run()
        del nodes[2]
        result = self.verify(nodes, missing=[2])
        self.assertEqual(("exact", 3, 1), (result["status"], result["expected_operators"], result["classes"]["stand_in"]))

    def test_substitutes_and_the_copies_of_their_results_are_not_unplanned(self):
        nodes = sample_run()
        nodes[1:2] = [observed(11, "aten::relu", "aten::relu(Tensor self) -> Tensor"),
                      observed(11.5, "aten::copy_", "aten::copy_(Tensor(a!) self, Tensor src) -> Tensor(a!)")]
        result = self.verify(nodes, substituted={1: ("aten::relu", "why")})
        self.assertEqual(("exact", 1), (result["status"], result["classes"]["substituted"]))
        nodes.append(observed(14, "aten::relu", "aten::relu(Tensor self) -> Tensor"))
        self.assertEqual([(0, "unplanned", "aten::relu")], self.differences(nodes, substituted={1: ("aten::relu", "why")}))

    def test_any_operators_in_between_are_unplanned_and_the_rest_is_exact(self):
        source = random.Random(8)
        for _ in range(100):
            nodes, extra = sample_run(), source.randint(0, run.WINDOW - 5)
            for i in range(extra):
                nodes.insert(source.randint(0, len(nodes)), observed(0, f"my::op{i}", f"my::op{i}(Tensor x) -> Tensor"))
            nodes = [dict(node, id=10 + i) for i, node in enumerate(nodes)]
            result = self.verify(nodes)
            self.assertEqual((4, extra), (result["exact_operators"], len(result["differences"])))

    def test_any_operators_that_are_left_out_are_missing_and_the_rest_is_exact(self):
        """No two in a row: then it is taken for granted that another operator did their work."""
        for left_out in ([], [0], [1], [2], [3], [0, 2], [0, 3], [1, 3]):
            result = self.verify([node for i, node in enumerate(sample_run()) if i not in left_out])
            self.assertEqual((4 - len(left_out), len(left_out)), (result["exact_operators"], result["classes"]["missing"]), left_out)


class CompareTests(VerifyTest):
    def what(self, at, **changes):
        """How the operator at a place differs where one of its tensors is another."""
        nodes = sample_run()
        side = changes.pop("side", "inputs")
        for field, value in changes.items():
            nodes[at][side][field][0] = value
        differences = self.verify(nodes)["differences"]
        self.assertEqual(1, len(differences))
        return differences[0]["kind"], differences[0]["what"]

    def test_types(self):
        self.assertEqual(("different", "its input 0 is int64 instead of float32"), self.what(0, types="Tensor(long int)"))

    def test_shapes(self):
        self.assertEqual(("different", "its output 0 has the shape [6] instead of [2, 3]"),
                         self.what(1, side="outputs", shapes=[6], strides=[1]))

    def test_strides(self):
        self.assertEqual(("variant", "its input 0 has the strides [1, 2] instead of [3, 1]"), self.what(0, strides=[1, 2]))

    def test_strides_of_sizes_below_two_do_not_count(self):
        self.m["tensors"][0].update(shape=[1, 3], strides=[3, 1])
        nodes = sample_run()
        nodes[0]["inputs"]["shapes"][0], nodes[0]["inputs"]["strides"][0] = [1, 3], [99, 1]
        self.assertEqual("exact", self.verify(nodes)["status"])

    def test_strides_that_were_not_recorded_are_not_compared(self):
        self.m["source"]["has_strides"] = False
        nodes = sample_run()
        nodes[0]["inputs"]["strides"][0] = [1, 2]
        result = self.verify(nodes)
        self.assertEqual(("exact", False), (result["status"], result["strides_compared"]))

    def test_how_many_tensors(self):
        nodes = sample_run()
        for field in ("shapes", "types", "strides"):
            nodes[0]["inputs"][field].pop()
        self.assertEqual("it has 1 input tensors instead of 2", self.verify(nodes)["differences"][0]["what"])

    def test_the_worst_difference_of_an_operator_is_its_class(self):
        nodes = sample_run()
        nodes[0]["inputs"]["types"][0] = "Tensor(double)"
        nodes[0]["outputs"]["strides"][0] = [1, 2]
        self.assertEqual((3, 1, 0), tuple(self.verify(nodes)["classes"][k] for k in ("exact", "different", "variant")))


class TraceTests(VerifyTest):
    def outermost(self, nodes):
        path = self.folder / "t.json"
        path.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
        self.ids = [node.id for node in run.outermost(str(path))[0]]
        return [node.name for node in run.outermost(str(path))[0]]

    def test_operators_within_operators_are_not_outermost(self):
        nodes = [observed(2, "root", ""), add(3), add(4, parent=3), add(5, parent=4)]
        self.assertEqual(["aten::add.Tensor"], self.outermost(nodes))

    def test_operators_within_labels_are_outermost(self):
        nodes = [observed(2, "root", ""), observed(3, "ProfilerStep#1", ""), add(4, parent=3), observed(5, "label", "", parent=3),
                 add(6, parent=5)]
        self.assertEqual(2, len(self.outermost(nodes)))

    def test_nodes_are_in_the_order_of_their_ids(self):
        nodes = [observed(2, "root", ""), add(9), observed(5, "aten::gelu", samples.GELU)]
        self.assertEqual(["aten::gelu", "aten::add.Tensor"], self.outermost(nodes))

    def test_scratch_memory_of_other_threads_is_no_operator(self):
        scratch = "aten::empty.memory_format(SymInt[] size) -> Tensor"
        nodes = [observed(2, "root", ""), add(3), observed(4, "aten::empty", scratch, thread=2), observed(5, "aten::empty", scratch),
                 add(6, thread=2)]
        self.assertEqual(["aten::add.Tensor", "aten::empty.memory_format", "aten::add.Tensor"], self.outermost(nodes))
        self.assertEqual([3, 5, 6], self.ids)

    def test_the_older_layout_is_read(self):
        node = run.ObservedNode({"id": 3, "parent": 2, "name": "aten::add", "op_schema": samples.ADD, "tid": 5,
                                 "input_shapes": [[2], [], []], "input_types": ["Tensor(float)", "Tensor(nullptr (uninitialized))", "Int"],
                                 "inputs": [[1, 1, 0, 2, 4, "cuda:0"], [], 5],
                                 "output_shapes": [[2]], "output_types": ["Tensor(c10::Half)"]})
        self.assertEqual(("aten::add.Tensor", 2, 5), (node.name, node.parent, node.thread))
        self.assertEqual(([("float32", [2], None, "cuda")], [("float16", [2], None, None)]), (node.inputs, node.outputs))

    def test_types_have_pytorch_s_names_and_unknown_ones_their_own(self):
        node = run.ObservedNode(observed(3, "x", "x::y() -> ()", [("c10::BFloat16", [1], [1]), ("c10::Float3", [1], [1])]))
        self.assertEqual(["bfloat16", "c10::Float3"], [dtype for dtype, *_ in node.inputs])

    def test_types_of_block_scaled_products_have_pytorch_s_names(self):
        node = run.ObservedNode(observed(3, "x", "x::y() -> ()", [("c10::Float8_e8m0fnu", [1], [1]), ("c10::Float4_e2m1fn_x2", [1], [1])]))
        self.assertEqual(["float8_e8m0fnu", "float4_e2m1fn_x2"], [dtype for dtype, *_ in node.inputs])

    def test_lists_of_tensors_are_flattened(self):
        raw = observed(3, "aten::cat", "aten::cat(Tensor[] tensors) -> Tensor")
        raw["inputs"] = {"values": [], "types": ["GenericList[Tensor(float),GenericList[Tensor(long int)],Int]", "GenericList[Int,Int]"],
                         "shapes": [[[2], [[3]], []], [[], []]], "strides": [[[1], [[1]], []], [[], []]]}
        self.assertEqual([("float32", [2], [1], None), ("int64", [3], [1], None)], run.ObservedNode(raw).inputs)

    def test_types_are_split_at_the_outer_commas(self):
        self.assertEqual(["A", "B[C,D[E,F]]", "G<H,I>"], run.split_types("A,B[C,D[E,F]],G<H,I>"))
        self.assertEqual([], run.split_types(""))

    def test_any_list_of_types_is_split_where_it_was_joined(self):
        source = random.Random(9)

        def kind(depth):
            if depth == 0 or source.random() < 0.4:
                return source.choice(["Int", "Tensor(float)", "Tensor(c10::complex<float>)"])
            return "GenericList[" + ",".join(kind(depth - 1) for _ in range(source.randint(1, 3))) + "]"
        for _ in range(300):
            items = [kind(3) for _ in range(source.randint(1, 5))]
            self.assertEqual(items, run.split_types(",".join(items)))


class WindowTests(VerifyTest):
    def test_an_operator_further_away_than_the_window_is_not_waited_for(self):
        extra = [observed(10 + i, f"my::op{i}", f"my::op{i}(Tensor x) -> Tensor") for i in range(run.WINDOW)]
        nodes = extra + [dict(node, id=1000 + i) for i, node in enumerate(sample_run())]
        self.assertNotEqual("exact", self.verify(nodes)["status"])
        self.assertLess(self.verify(nodes)["exact_operators"], 4)
