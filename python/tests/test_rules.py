import base64
import itertools
import json
import random
import unittest

import samples
from scripts import FolderTest, run


def places(rule, value, path=()):
    """All places of a value, with the rule of each and whether its field may be absent: (path, rule, is_optional)."""
    if isinstance(rule, str):
        inner = run.RULES["words"].get(rule.replace("|null", ""))
        yield from () if inner is None or isinstance(inner, str) else places(inner, value, path)
    elif isinstance(rule, list):
        for i, item in enumerate(value):
            yield path + (i,), rule[0], True
            yield from places(rule[0], item, path + (i,))
    else:
        for field, inner in rule.items():
            name = field.rstrip("?")
            if name in value:
                yield path + (name,), inner, field.endswith("?")
                yield from places(inner, value[name], path + (name,))


def at(value, path):
    for step in path:
        value = value[step]
    return value


class ManifestTest(unittest.TestCase):
    def setUp(self):
        self.m = samples.manifest()

    def assert_valid(self):
        self.assertEqual(len(self.m["schemas"]), len(run.check_manifest(self.m)))

    def assert_broken(self, place=""):
        with self.assertRaises(run.Broken) as caught:
            run.check_manifest(self.m)
        self.assertIn(place, str(caught.exception))


class FormTests(ManifestTest):
    def test_the_sample_is_valid(self):
        self.assert_valid()

    def test_no_required_field_may_be_absent(self):
        for path, _, is_optional in list(places(run.RULES["manifest"], self.m)):
            if not is_optional:
                with self.subTest(path=path):
                    self.m = samples.manifest()
                    del at(self.m, path[:-1])[path[-1]]
                    self.assert_broken()

    def test_no_object_has_a_field_that_the_format_does_not_have(self):
        paths = [()] + [path for path, rule, _ in places(run.RULES["manifest"], self.m) if isinstance(rule, dict) and "*" not in rule]
        self.assertGreater(len(paths), 20)
        for path in paths:
            with self.subTest(path=path):
                self.m = samples.manifest()
                at(self.m, path)["no_such_field"] = 1
                self.assert_broken("a field that the format does not have")

    def test_no_value_may_be_of_another_type(self):
        for path, rule, _ in list(places(run.RULES["manifest"], self.m)):
            for wrong in ([None, {}] if isinstance(rule, list) else [None, []] if isinstance(rule, dict) else [{"x": 1}, object()]):
                with self.subTest(path=path, wrong=wrong):
                    self.m = samples.manifest()
                    at(self.m, path[:-1])[path[-1]] = wrong
                    self.assert_broken()

    def test_a_number_is_no_text_and_a_boolean_no_number(self):
        for path, rule, _ in list(places(run.RULES["manifest"], self.m)):
            if isinstance(rule, str) and rule != "literal":
                word = run.RULES["words"].get(rule, rule)
                wrong = "1" if isinstance(word, str) and word.split(":")[0] in ("int", "float", "at", "bool") else True
                with self.subTest(path=path, rule=rule):
                    self.m = samples.manifest()
                    at(self.m, path[:-1])[path[-1]] = wrong
                    self.assert_broken()

    def test_numbers_are_within_their_range_and_no_further(self):
        for word, low, high in (("count", 0, (1 << 31) - 1), ("ns", 0, (1 << 63) - 1), ("bytes", 0, 1 << 50), ("size", 0, 1 << 50),
                                ("int", -1 << 63, (1 << 63) - 1)):
            for value, is_valid in ((low, True), (high, True), (low - 1, False), (high + 1, False), (0.0, False), (True, False)):
                with self.subTest(word=word, value=value):
                    if is_valid:
                        run.check(word, value, "x", self.m)
                    else:
                        self.assertRaises(run.Broken, run.check, word, value, "x", self.m)

    def test_texts_are_limited_in_bytes_of_utf_8(self):
        run.check("text:4", "äö", "x", self.m)
        for text in ("äöx", "\ud800"):
            self.assertRaises(run.Broken, run.check, "text:4", text, "x", self.m)

    def test_lists_have_the_lengths_of_the_rules(self):
        run.check(["int", 2, 3], [1, 2], "x", self.m)
        for items in ([1], [1, 2, 3, 4]):
            self.assertRaises(run.Broken, run.check, ["int", 2, 3], items, "x", self.m)
        self.assertRaises(run.Broken, run.check, ["int", 1], [1, 2], "x", self.m)

    def test_null_is_allowed_where_the_rule_says_so(self):
        run.check("int|null", None, "x", self.m)
        self.assertRaises(run.Broken, run.check, "int", None, "x", self.m)

    def test_finite_numbers_only(self):
        for value in (float("inf"), float("nan"), 10 ** 400):
            self.assertRaises(run.Broken, run.check, "float", value, "x", self.m)
        run.check("float", 1.7e308, "x", self.m)

    def test_literals_are_a_few_kinds_and_not_deep(self):
        for value in (1, True, "x", {}, {"double": "1.5E-3"}, {"double": "-Infinity"}, {"double": "NaN"}, {"device": "cuda:0"}, [[1], []]):
            run.check("literal", value, "x", self.m)
        for value in (1.5, None, {"double": 1.5}, {"double": "1,5"}, {"double": "0x1"}, {"double": "1", "device": "cpu"}, {"int": 1},
                      {"device": "x" * 65}, [[[[[1]]]]], 1 << 63):
            with self.subTest(value=value):
                self.assertRaises(run.Broken, run.check, "literal", value, "x", self.m)


class ParseTests(unittest.TestCase):
    def assert_broken(self, data, what):
        with self.assertRaisesRegex(run.Broken, what):
            run.parse_manifest(data)

    def test_a_byte_order_mark_is_skipped(self):
        self.assertEqual({"a": 1}, run.parse_manifest(b"\xef\xbb\xbf{\"a\": 1}"))

    def test_a_name_twice_in_an_object_is_refused_at_any_depth(self):
        self.assert_broken(b'{"a": [{"b": 1, "b": 1}]}', "a name stands twice")

    def test_what_is_no_number_of_json_is_refused(self):
        for text in (b"NaN", b"-Infinity", b"[Infinity]"):
            self.assert_broken(text, "is no JSON")

    def test_bytes_that_are_no_utf_8_are_refused(self):
        self.assert_broken(b'"\xff"', "utf-8")

    def test_deep_nesting_is_refused_and_no_crash(self):
        self.assertRaises(run.Broken, run.parse_manifest, b"[" * 100_000)

    def test_what_is_cut_short_is_refused_wherever_it_is_cut(self):
        data, _ = samples.files()
        for length in random.Random(1).sample(range(len(data)), 200):
            self.assertRaises(run.Broken, run.parse_manifest, data[:length])


class TensorTests(ManifestTest):
    def test_any_view_is_valid_exactly_where_all_its_elements_are_in_the_storage(self):
        source, valid = random.Random(1), 0
        for _ in range(2000):
            shape = [source.randint(0, 3) for _ in range(source.randint(0, 3))]
            view = {"storage": 0, "dtype": source.choice(["float32", "uint8", "complex128"]), "shape": shape,
                    "strides": [source.randint(0, 4) for _ in shape], "offset": source.randint(0, 4)}
            size, storage = run.RULES["element_bytes"][view["dtype"]], source.randint(0, 200)
            elements = [view["offset"] + sum(i * s for i, s in zip(index, view["strides"]))
                        for index in itertools.product(*[range(n) for n in shape])]
            fits = all((element + 1) * size <= storage for element in elements)
            try:
                run.check_tensor({"storages": [{"bytes": storage}]}, view, "x")
            except run.Broken:
                self.assertFalse(fits, (view, storage))
            else:
                self.assertTrue(fits, (view, storage))
                valid += 1
        self.assertTrue(200 < valid < 1900, valid)

    def test_a_view_that_is_larger_than_any_tensor_is_refused(self):
        self.m["tensors"][2].update(shape=[1 << 30, 1 << 30], strides=[0, 0])
        self.assert_broken("larger than a tensor is")

    def test_zero_elements_do_not_hide_a_size_that_is_too_large(self):
        self.m["tensors"][2].update(shape=[0, 1 << 30, 1 << 30], strides=[0, 0, 0])
        self.assert_broken("larger than a tensor is")

    def test_an_external_tensor_needs_contents(self):
        del self.m["storages"][0]["init"]
        self.assert_broken("tensors[0], which nothing fills")

    def test_a_number_is_external_and_has_no_dimensions(self):
        self.m["tensors"][0]["number"] = True
        self.assert_broken("tensors[0]")
        self.m["tensors"][0].update(shape=[], strides=[])
        self.assert_valid()
        self.m["tensors"][2].update(shape=[], strides=[], number=True)
        self.assert_broken("tensors[2]")

    def test_only_the_undefined_tensor_has_no_storage(self):
        for change in ({"storage": -1}, {"dtype": "undefined"}):
            self.m = samples.manifest()
            self.m["tensors"][4].update(change)
            self.assert_broken("tensors[4]")

    def test_as_many_strides_as_sizes(self):
        self.m["tensors"][0]["strides"] = [1]
        self.assert_broken("tensors[0]")


class ContentTests(unittest.TestCase):
    def check(self, is_valid, size=24, **init):
        storage = {"bytes": size, "init": {"dtype": "float32", "low": 0, "high": 1, **init}}
        with self.subTest(init=init):
            if is_valid:
                run.check_storage(storage, "x")
            else:
                self.assertRaises(run.Broken, run.check_storage, storage, "x")

    def test_low_is_not_above_high(self):
        self.check(True, kind="uniform", low=1, high=1)
        self.check(False, kind="uniform", low=2, high=1)

    def test_fractions_are_of_single_precision(self):
        self.check(True, kind="uniform", high=3e38)
        self.check(False, kind="uniform", high=4e38)
        self.check(True, kind="constant", low=1e300, high=1e300)

    def test_whole_numbers_are_told_apart_by_a_double(self):
        self.check(True, kind="uniform", dtype="int64", high=1 << 53)
        self.check(False, kind="uniform", dtype="int64", high=(1 << 53) + 2)
        self.check(False, kind="ramp", dtype="int64", low=-(1 << 54))

    def test_zipf_has_something_to_draw_and_a_small_exponent(self):
        self.check(True, kind="zipf", dtype="int64", low=3, high=4, parameter=64)
        self.check(False, kind="zipf", dtype="int64", low=3, high=3, parameter=1)
        self.check(False, kind="zipf", dtype="int64", low=3, high=9, parameter=65)

    def test_dominant_is_of_floats(self):
        self.check(True, kind="diagonally_dominant", parameter=2)
        self.check(False, kind="diagonally_dominant", dtype="int64", parameter=2)

    def test_nothing_is_made_of_the_undefined_type(self):
        self.check(False, kind="uniform", dtype="undefined")

    def test_data_is_there_for_recorded_alone_and_as_long_as_the_storage(self):
        data = base64.b64encode(bytes(range(24))).decode()
        self.check(True, kind="recorded", data=data)
        self.check(False, kind="recorded")
        self.check(False, kind="uniform", data=data)
        self.check(False, size=25, kind="recorded", data=data)

    def test_base_64_is_canonical(self):
        self.assertTrue(run.is_base64("AA==", 1))
        self.assertFalse(run.is_base64("AB==", 1))  # Bits that no byte has.

    def test_any_bytes_are_their_own_base_64(self):
        source = random.Random(2)
        for _ in range(200):
            data = bytes(source.randrange(256) for _ in range(source.randrange(20)))
            text = base64.b64encode(data).decode()
            self.assertTrue(run.is_base64(text, len(data)))
            self.assertFalse(run.is_base64(text, len(data) + 1))
            self.assertIsNotNone(run.FORMS.patterns["base64"].fullmatch(text))


class OperatorTests(ManifestTest):
    def test_as_many_arguments_and_results_as_the_schema(self):
        self.m["operators"][0]["args"].pop()
        self.assert_broken("operators[0]")
        self.m = samples.manifest()
        self.m["operators"][0]["outs"].append([])
        self.assert_broken("operators[0]")

    def test_an_argument_is_tensors_or_a_literal_and_not_both(self):
        for argument in ({}, {"t": [0], "v": 1}):
            self.m["operators"][0]["args"][0] = argument
            self.assert_broken("operators[0].args[0]")

    def test_a_literal_in_the_place_of_a_tensor_is_refused(self):
        self.m["operators"][0]["args"][0] = {"v": 1}
        self.assert_broken("operators[0].args[0]")

    def test_a_tensor_in_the_place_of_a_literal_is_refused(self):
        self.m["operators"][0]["args"][2] = {"t": [0]}
        self.assert_broken("operators[0].args[2]")

    def test_one_tensor_where_there_is_no_list(self):
        for slots in ([], [0, 1], [-1]):
            self.m["operators"][0]["args"][0] = {"t": slots}
            self.assert_broken("operators[0].args[0]")

    def test_an_argument_was_made_before(self):
        self.m["operators"][0]["args"][0] = {"t": [3]}
        self.assert_broken("operators[0].args[0], which nothing has made")

    def test_any_order_of_operators_is_valid_exactly_where_each_argument_was_made(self):
        needs, makes = {1: {0}, 3: {1}}, range(4)  # By operator, those that must have run.
        for order in itertools.permutations(makes):
            self.m = samples.manifest()
            self.m["operators"] = [self.m["operators"][i] for i in order]
            ran, is_valid = set(), True
            for i in order:
                is_valid &= needs.get(i, set()) <= ran
                ran.add(i)
            with self.subTest(order=order):
                if is_valid:
                    self.assert_valid()
                else:
                    self.assert_broken("which nothing has made")

    def test_a_device_of_a_literal_is_in_the_list(self):
        self.m["operators"][2]["args"][3] = {"v": {"device": "cuda:0"}}
        self.assert_broken("operators[2].args[3]")
        self.m["devices"].append("cuda:0")
        self.assert_valid()

    def test_results_have_storages(self):
        self.m["tensors"].append({"storage": -1, "dtype": "undefined", "shape": [], "strides": []})
        self.m["operators"][0]["outs"] = [[5]]
        self.assert_broken("operators[0].outs[0]")

    def test_kernels_are_listed_and_only_triton_has_them(self):
        self.m["operators"][0]["kernel"] = "k.py"
        self.assert_broken("operators[0]")
        self.m = samples.manifest()
        self.m["schemas"][0] = "triton::k(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
        self.assert_broken("operators[0]")
        self.m["operators"][0]["kernel"] = "k.py"
        self.assert_broken("operators[0]")
        self.m["kernels"] = [{"file": "k.py", "sha256": "0" * 64}]
        self.assert_valid()

    def test_what_a_literal_fits(self):
        values = {"int": 1, "bool": True, "double": {"double": "1"}, "text": "x", "device": {"device": "cpu"}, "list": [1], "none": {}}
        fitting = {"int": "int bool", "bool": "int bool", "ScalarType": "int bool", "MemoryFormat": "int bool", "float": "int double",
                   "Scalar": "int bool double", "str": "text", "Device": "device", "Tensor": "", "Generator": ""}
        for base, kinds in fitting.items():
            for kind, value in values.items():
                with self.subTest(base=base, kind=kind):
                    self.assertEqual(kind in kinds.split(), run.fits(base, [], value))
                    self.assertEqual(kind in kinds.split() + ["none"], run.fits(base, ["?"], value))

    def test_lists_fit_by_their_elements_and_one_element_stands_for_a_list(self):
        self.assertTrue(run.fits("int", ["["], [1, 2]))
        self.assertTrue(run.fits("int", ["["], 5))
        self.assertTrue(run.fits("float", ["["], [1, 2]))
        self.assertTrue(run.fits("str", ["["], ["a", "b"]))
        self.assertTrue(run.fits("int", ["["], []))
        self.assertFalse(run.fits("str", ["["], [1]))
        self.assertFalse(run.fits("bool", ["["], [1]))
        self.assertFalse(run.fits("int", ["["], ["a"]))


class SumTests(ManifestTest):
    def test_each_count_of_coverage_is_checked(self):
        for field in self.m["coverage"]:
            self.m = samples.manifest()
            self.m["coverage"][field] += 1
            self.assert_broken("coverage, which is not what the lists come to")

    def test_replaced_operators_count_by_their_remedy(self):
        for remedy, field in (("substitute", "substituted_operators"), ("stand_in", "stand_ins"), ("missing", "missing_operators")):
            self.m = samples.manifest()
            self.m["replaced"] = [{"node": 20, "operator": "x::y", "remedy": remedy, "reason": "why"}]
            self.assert_broken("coverage")
            self.m["coverage"]["selected_operators"] += 1
            self.m["coverage"][field] += 1
            self.assert_valid()

    def test_operators_with_a_role_are_added_ones(self):
        self.m["operators"][2]["role"] = "added"
        self.assert_broken("coverage")
        self.m["coverage"].update(selected_operators=3, replayed_operators=3, added_operators=1)
        self.assert_valid()

    def test_memory_is_what_external_storages_come_to(self):
        self.m["memory"]["external_bytes"] = 47
        self.assert_broken("memory")
        self.m["memory"].update(external_bytes=48, peak_bytes=47)
        self.assert_broken("memory")

    def test_calls_go_on_where_the_one_before_ended(self):
        for change in ({"first": 1}, {"count": 1}, {"count": 3}):
            self.m = samples.manifest()
            self.m["schedule"][0].update(change)
            self.assert_broken("schedule")

    def test_no_call_is_made_twice(self):
        self.m["schedule"][1]["call"] = "f0"
        self.assert_broken("makes a call twice")

    def test_calls_wait_for_calls_before_them(self):
        self.m["schedule"][1]["wait"] = [1]
        self.assert_broken("schedule[1]")

    def test_no_operator_is_left_out_of_the_schedule(self):
        self.m["schedule"].pop()
        self.assert_broken("has not all of the operators")

    def test_times_name_a_node_once(self):
        self.m["times"]["operators"][1]["node"] = 11
        self.assert_broken("times.operators")

    def test_a_condition_of_a_substitution_says_one_thing(self):
        good = {"argument": "x", "of": "size", "dimension": 0, "relation": ">", "number": 1}
        self.m["substitutions"][0]["conditions"] = [good]
        run.check_manifest(self.m)
        for change in ({"of": "dim"}, {"of": "dtype"}, {"dtype": "int64"}, {"relation": "~"}, {"number": "one"}, {"of": "stride"}):
            self.m = samples.manifest()
            self.m["substitutions"][0]["conditions"] = [dict(good, **change)]
            self.assert_broken("substitutions[0]")

    def test_a_guard_of_a_substitution_has_both_halves(self):
        for half in ({"argument": "x"}, {"is": 1}):
            self.m = samples.manifest()
            self.m["substitutions"][0].update(half)
            self.assert_broken("substitutions[0]")


class UpgradeTests(ManifestTest):
    """Manifests of format version 2 are read with the names of version 3."""

    def as_version_2(self):
        m = samples.manifest()
        del m["ranks"]
        m["format_version"] = 2
        m["source"]["opened_operators"] = m["source"].pop("decomposed_operators")
        return m

    def read(self, m):
        return run.read_package(*samples.files(m), "benchmark.json", "program.pt")[0]

    def test_the_sample_of_version_2_is_read_as_that_of_version_3(self):
        upgraded, current = self.read(self.as_version_2()), self.read(samples.manifest())
        upgraded.pop("program"), current.pop("program")
        self.assertEqual(current, upgraded)

    def test_names_of_version_2_are_refused_in_version_3_and_the_other_way_round(self):
        mixed = self.as_version_2()
        mixed["source"]["decomposed_operators"] = 0
        for m in (mixed, dict(self.as_version_2(), format_version=3)):
            with self.assertRaisesRegex(run.Problem, "MYS301"):
                self.read(m)

    def test_contents_have_their_newer_names(self):
        for old, name in run.RULES["version_2"]["kinds"].items():
            m = self.as_version_2()
            m["storages"][0]["init"]["kind"] = old
            self.assertEqual(name, self.read(m)["storages"][0]["init"]["kind"])
            m = samples.manifest()
            m["storages"][0]["init"]["kind"] = old
            with self.assertRaisesRegex(run.Problem, "MYS301"):
                self.read(m)

    def test_substitutes_no_longer_count_as_added(self):
        m = self.as_version_2()
        m["operators"][2]["role"], m["operators"][3]["role"] = "added", "substitute"
        m["replaced"] = [{"node": 20, "operator": "x::y", "remedy": "substitute", "reason": "why"}]
        m["coverage"].update(selected_operators=3, replayed_operators=2, substituted_operators=1, added_operators=2)
        self.assertEqual(1, self.read(m)["coverage"]["added_operators"])

    def test_the_rank_is_the_original_s(self):
        m = {"original": {"rank": 3, "world_size": 8}}
        run.upgrade_manifest(m)
        self.assertEqual([{"rank": 3, "world_size": 8}], m["ranks"])

    def test_what_is_no_manifest_is_left_to_the_rules(self):
        for m in ({}, {"source": 1, "storages": 2, "coverage": 3, "operators": 4, "original": 5},
                  {"storages": [1, {"init": 2}, {"init": {}}]}, {"coverage": {"added_operators": "2"}, "operators": [1, {}]}):
            run.upgrade_manifest(m)
            self.assertEqual(run.FORMAT_VERSION, m["format_version"])


class SegmentTests(ManifestTest):
    def test_a_node_of_another_segment_is_another_operator(self):
        self.m["times"]["operators"][1].update(segment=1, node=11)
        self.assert_valid()
        self.m["times"]["operators"][1]["segment"] = 0
        self.assert_broken("times.operators")


class PackageTests(FolderTest):
    def read(self, m=None, code=samples.CODE):
        return run.read_package(*samples.files(m, code), "benchmark.json", "program.pt")

    def assert_refused(self, id, what, call, *arguments):
        with self.assertRaises(run.Problem) as caught:
            call(*arguments)
        self.assertEqual((id, 2), (caught.exception.parts[0], caught.exception.exit_code))
        self.assertIn(what, caught.exception.parts[1])

    def test_the_sample_is_read(self):
        m, schemas, code = self.read()
        self.assertEqual((4, samples.CODE), (len(m["operators"]), code))
        self.assertEqual("aten::add.Tensor", schemas[0].name)

    def test_another_format_version_is_named(self):
        self.assert_refused("MYS302", "format version 9 is not supported", self.read, dict(samples.manifest(), format_version=9))
        self.assert_refused("MYS301", "format_version", self.read, dict(samples.manifest(), format_version="2"))

    def test_another_format_is_no_package(self):
        self.assert_refused("MYS301", "its format", self.read, dict(samples.manifest(), format="other"))
        self.assert_refused("MYS301", "its format", run.read_package, b"[]", b"", "m", "p")

    def test_another_program_than_the_manifest_s_is_refused(self):
        manifest, program = samples.files()
        self.assert_refused("MYS303", "SHA-256", run.read_package, manifest, program + b"x", "m", "p")

    def test_an_archive_of_something_else_is_refused(self):
        import hashlib
        manifest = samples.manifest()
        manifest["program"]["sha256"] = hashlib.sha256(b"x").hexdigest()
        self.assert_refused("MYS303", "no TorchScript archive", run.read_package, json.dumps(manifest).encode(), b"x", "m", "p")

    def test_an_operator_that_may_not_run_is_refused(self):
        m = samples.manifest()
        m["schemas"][1] = "aten::save(Tensor self, *, str approximate=\"none\") -> Tensor"
        self.assert_refused("MYS309", "aten::save: it does more than compute", self.read, m)

    def test_a_text_that_is_no_word_is_refused(self):
        m = samples.manifest()
        m["operators"][1]["args"][1] = {"v": "/etc/passwd"}
        self.assert_refused("MYS309", "'approximate' is free text", self.read, m)

    def test_a_substitute_that_may_not_run_is_refused(self):
        m = samples.manifest()
        m["substitutions"][0]["calls"][0]["operator"] = "prim::Print"
        self.assert_refused("MYS309", "prim::Print", self.read, m)

    def test_a_package_on_disk(self):
        package = run.Package(samples.write(self.folder / "p"))
        self.assertEqual(["aten::add.Tensor", "aten::gelu", "aten::zeros", "aten::add_.Tensor"], package.names)
        self.assertEqual(500, package.times[0, 11]["duration_ns"])

    def test_a_file_that_is_not_there_is_named(self):
        self.assert_refused("MYS306", "cannot be read", run.Package, str(self.folder))

    def test_a_pipe_is_not_waited_for(self):
        import os
        os.mkfifo(self.folder / "benchmark.json")
        self.assert_refused("MYS124", "it is a pipe", run.Package, str(self.folder))

    def test_a_kernel_is_a_plain_file_as_it_was(self):
        import hashlib
        import os
        kernel = {"file": "k.py", "sha256": hashlib.sha256(b"source").hexdigest()}
        (self.folder / "kernels").mkdir()
        (self.folder / "kernels" / "k.py").write_bytes(b"source")
        self.assertEqual(b"source", run.read_kernel(str(self.folder), kernel))
        (self.folder / "kernels" / "k.py").write_bytes(b"other")
        self.assert_refused("MYS303", "k.py", run.read_kernel, str(self.folder), kernel)
        (self.folder / "elsewhere").write_bytes(b"source")
        (self.folder / "kernels" / "k.py").unlink()
        os.symlink(self.folder / "elsewhere", self.folder / "kernels" / "k.py")
        self.assert_refused("MYS303", "k.py", run.read_kernel, str(self.folder), kernel)
