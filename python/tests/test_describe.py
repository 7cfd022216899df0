import unittest

from scripts import needs_torch, run


def tensor(*shape, kind="float32"):
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * shape[i + 1]
    return {"tensor": {"type": kind, "shape": list(shape), "strides": strides, "offset": 0}}


@needs_torch
class DescribeTests(unittest.TestCase):
    def describe(self, name, *arguments, **more):
        schema = run.overloads_of([name.split(".")[0]])[name]
        return run.describe({"schema": schema, "arguments": list(arguments), **more})

    def test_a_result_has_its_look(self):
        found = self.describe("aten::mm", tensor(2, 3), tensor(3, 5))
        self.assertEqual({"type": "float32", "shape": [2, 5], "strides": [5, 1], "offset": 0}, found["outputs"][0]["tensor"])

    def test_a_view_has_its_offset(self):
        found = self.describe("aten::select.int", tensor(2, 3), {"literal": 0}, {"literal": 1})
        self.assertEqual(3, found["outputs"][0]["tensor"]["offset"])

    def test_a_list_of_results(self):
        found = self.describe("aten::split.Tensor", tensor(4, 3), {"literal": 2}, {"literal": 0})
        self.assertEqual(2, len(found["outputs"][0]["tensors"]))

    def test_what_has_no_kernel_on_meta_runs_on_the_host(self):
        found = self.describe("aten::nonzero", tensor(4))
        self.assertEqual([0, 1], found["outputs"][0]["tensor"]["shape"])

    def test_a_factory_makes_nothing_on_a_device(self):
        found = self.describe("aten::empty.memory_format", {"literal": [1 << 40]}, *[{"literal": {}}] * 5)
        self.assertEqual([1 << 40], found["outputs"][0]["tensor"]["shape"])

    def test_what_cannot_be_says_why(self):
        self.assertIn("error", self.describe("aten::mm", tensor(2, 3), tensor(2, 3)))
        self.assertIn("error", run.describe({"schema": "aten::no_such(Tensor self) -> Tensor", "arguments": [tensor(1)]}))
