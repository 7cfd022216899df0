import random
import unittest

import samples
from scripts import run

TABLE = """
namespace aten prims   # a comment
closed prim image
allow image::resize
never aten::save aten::load
words mode = sum mean
pattern equation = [a-z,>-]+
"""


def schema(text):
    return run.Schema.parse(text)


class PolicyTests(unittest.TestCase):
    def setUp(self):
        self.policy = run.Policy(TABLE)

    def why_not(self, text, has_libraries=False):
        return self.policy.why_not(schema(text), has_libraries)

    def test_operators_of_an_open_namespace_run(self):
        self.assertIsNone(self.why_not("aten::relu(Tensor self) -> Tensor"))

    def test_closed_namespaces_never_run_even_with_libraries(self):
        for has_libraries in (False, True):
            self.assertIn("namespace prim do more than compute", self.why_not("prim::Print(Tensor self) -> Tensor", has_libraries))

    def test_what_is_allowed_of_a_closed_namespace_runs(self):
        self.assertIsNone(self.why_not("image::resize(Tensor self) -> Tensor"))
        self.assertIsNotNone(self.why_not("image::write(Tensor self) -> Tensor"))

    def test_what_never_runs_is_refused_with_every_overload(self):
        self.assertIn("never run", self.why_not("aten::save(Tensor self) -> Tensor"))
        self.assertIn("never run", self.why_not("aten::save.other(Tensor self) -> Tensor", True))

    def test_other_namespaces_run_where_the_user_loaded_a_library(self):
        self.assertIn("--load-library", self.why_not("mine::op(Tensor self) -> Tensor"))
        self.assertIsNone(self.why_not("mine::op(Tensor self) -> Tensor", True))

    def test_an_unknown_schema_is_refused(self):
        self.assertIn("none that generated programs can call", self.policy.why_not(None, True))

    def test_what_returns_nothing_must_write_to_something(self):
        self.assertIn("returns nothing", self.why_not("aten::f(Tensor self) -> ()"))
        self.assertIsNone(self.why_not("aten::f_(Tensor(a!) self) -> ()"))
        self.assertIn("returns nothing", self.why_not("aten::f(Tensor(a) self) -> ()"))

    def test_texts_are_words_of_the_table_or_left_at_their_default(self):
        reduce = schema("aten::reduce(Tensor self, str mode) -> Tensor")
        self.assertIsNone(self.policy.why_not_with(reduce, [None, "sum"], False))
        for text in ("max", "", "SUM", "sum\n"):
            self.assertIn("free text", self.policy.why_not_with(reduce, [None, text], False))
        self.assertIn("free text", self.why_not("aten::f(Tensor self, str path) -> Tensor"))
        self.assertIsNone(self.why_not("aten::f(Tensor self, str path='') -> Tensor"))

    def test_texts_that_cannot_be_listed_match_their_pattern_as_a_whole(self):
        einsum = schema("aten::einsum(str equation, Tensor[] tensors) -> Tensor")
        self.assertIsNone(self.policy.why_not_with(einsum, ["ij,jk->ik", None], False))
        for text in ("ij\nrm", "ij;", "/etc"):
            self.assertIn("free text", self.policy.why_not_with(einsum, [text, None], False))

    def test_a_text_for_an_argument_of_another_type_is_refused_at_any_depth(self):
        add = schema("aten::add(Tensor self, int[] sizes) -> Tensor")
        self.assertIn("free text", self.policy.why_not_with(add, [None, [1, [2, "sum"]]], False))

    def test_a_schema_longer_than_any_is_refused(self):
        arguments = ", ".join(f"int argument{i}" for i in range(400))
        self.assertIn("longer than any", self.why_not(f"aten::f({arguments}) -> Tensor"))

    def test_the_table_that_is_built_in_refuses_what_does_more_than_compute(self):
        for name in ("aten::save", "aten::from_file", "prim::Print", "c10d::send", "image::read_file", "aten::manual_seed"):
            self.assertIsNotNone(run.POLICY.why_not_named(name), name)
        for name in ("aten::add.Tensor", "prims::sum", "quantized::linear", "_c10d_functional::wait_tensor"):
            self.assertIsNone(run.POLICY.why_not_named(name), name)


class SchemaTests(unittest.TestCase):
    def test_arguments_have_names_types_and_aliases(self):
        parsed = schema("aten::f.over(Tensor(a!) self, Tensor(b)[]? rest, SymInt[2] sizes, *, float x=1.5, str mode=\"a, b)\")"
                        " -> (Tensor(a!), int n)")
        self.assertEqual(("aten::f.over", "aten::f", "aten"), (parsed.name, parsed.qualified, parsed.namespace))
        self.assertEqual(["self", "rest", "sizes", "x", "mode"], [a.name for a in parsed.arguments])
        self.assertEqual(["Tensor", "Tensor", "int", "float", "str"], [a.base for a in parsed.arguments])
        self.assertEqual([[], ["?", "["], ["["], [], []], [a.layers for a in parsed.arguments])
        self.assertEqual([True, False, False, False, False], [a.is_written for a in parsed.arguments])
        self.assertEqual([False, False, False, True, True], [a.keyword_only for a in parsed.arguments])
        self.assertEqual([False, False, False, True, True], [a.has_default for a in parsed.arguments])
        self.assertEqual(["Tensor(a!)", "int"], parsed.returns)

    def test_the_schemas_of_the_sample_say_what_is_written(self):
        self.assertEqual([[False] * 3, [False] * 2, [False] * 5, [True, False, False]],
                         [[a.is_written for a in schema(text).arguments] for text in samples.MANIFEST["schemas"]])

    def test_no_results_and_no_arguments(self):
        parsed = schema("aten::f() -> ()")
        self.assertEqual(([], []), (parsed.arguments, parsed.returns))

    def test_what_is_no_schema_is_none(self):
        for text in ("", "aten::f", "aten::f()", "f() -> Tensor", "aten::f(Tensor) -> Tensor", "aten::f(Tensor x) -> Tensor\n",
                     "aten::f(Tensor x,Tensor y) -> Tensor", "aten::f(Dict(int, int) x) -> Tensor", "aten::f(Tensor x) -> Tensor; rm"):
            self.assertIsNone(schema(text), text)

    def test_any_schema_made_of_arguments_is_read_with_all_of_them(self):
        source = random.Random(3)
        for _ in range(300):
            count, at = source.randint(0, 6), source.randint(0, 6)
            types = [source.choice(["Tensor", "Tensor(a!)", "int[]", "SymInt", "float?", "str", "Tensor?[]"]) for _ in range(count)]
            items = [f"{kind} x{i}{source.choice(['', '=None', '=[0, 1]'])}" for i, kind in enumerate(types)]
            if at < count:
                items.insert(at, "*")
            parsed = schema(f"aten::f({', '.join(items)}) -> Tensor")
            self.assertEqual([f"x{i}" for i in range(count)], [a.name for a in parsed.arguments], items)
            self.assertEqual([i >= at for i in range(count)], [a.keyword_only for a in parsed.arguments])
            self.assertEqual(["!" in kind for kind in types], [a.is_written for a in parsed.arguments])
            self.assertEqual(["[" in kind for kind in types], [a.is_list for a in parsed.arguments])

    def test_a_long_text_is_read_in_a_time_that_grows_with_its_length(self):
        run.FORMS.schema.fullmatch("aten::f(" + "Tensor x, " * 5000)  # Would not end if it tried all ways to read it.
