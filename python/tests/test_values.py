import hashlib
import random
import struct
import unittest

import samples
import standin
from scripts import needs_torch, replaced, run

WORD = 0xFFFFFFFF


def lowbias32(x):
    """As docs/package-format.md has it, in numbers of Python."""
    x ^= x >> 16
    x = x * 0x7FEB352D & WORD
    x ^= x >> 15
    x = x * 0x846CA68B & WORD
    return x ^ x >> 16


def key_of(seed, storage):
    return lowbias32(seed ^ lowbias32((storage + 0x9E3779B9) & WORD))


def random_word(key, i):
    """Element i's 64-bit random number."""
    step = i * 0x9E3779B1 & WORD
    return lowbias32((key + step) & WORD) | lowbias32(key ^ step) << 32


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


@needs_torch
class OverflowTests(unittest.TestCase):
    """Gradients that overflow with the replay's values: what the original's optimizer did is left out."""

    def found(self, name, value):
        schema = run.Schema(f"{name}(Tensor(a!)[] self, Tensor(b!) found_inf, Tensor inv_scale) -> ()")
        return run.overflows(schema, {"args": [{"t": [0]}, {"t": [1]}, {"t": [2]}]}, [None, value, None])

    @needs_torch
    def test_it_is_what_the_scaler_found(self):
        name = "aten::_amp_foreach_non_finite_check_and_unscale_"
        self.assertTrue(self.found(name, run.torch.ones(1)))
        self.assertFalse(self.found(name, run.torch.zeros(1)))
        self.assertFalse(self.found(name, None))
        self.assertFalse(self.found("aten::_other_", run.torch.ones(1)))


class ValueTests(unittest.TestCase):
    SEED, STORAGE = 7, 3

    def fill(self, kind, count, dtype="int64", low=0, high=0, parameter=0, **more):
        element = run.ElementType(dtype)
        memory = run.torch.full((count * element.itemsize,), 255, dtype=run.torch.uint8)
        init = {"kind": kind, "dtype": dtype, "low": low, "high": high, "parameter": parameter, **more}
        run.fill(memory, init, self.STORAGE, self.SEED)
        return memory

    def values(self, kind, count, dtype="int64", **more):
        return self.fill(kind, count, dtype, **more).view(getattr(run.torch, dtype)).tolist()

    def test_the_hash_of_numbers_and_of_tensors_is_lowbias32(self):
        source = random.Random(6)
        numbers = [0, 1, WORD] + [source.randrange(1 << 32) for _ in range(500)]
        expected = [lowbias32(n) for n in numbers]
        self.assertEqual(expected, [run.hash32(n) for n in numbers])
        self.assertEqual(expected, run.hash32(run.torch.tensor(numbers)).tolist())

    def test_whole_numbers_are_the_upper_half_of_the_range_times_a_random_number(self):
        key = key_of(self.SEED, self.STORAGE)
        for low, high in ((0, 2), (-3, 1_000_003), (0, 1 << 31), (-(1 << 50), 1 << 50)):
            expected = [low + ((high - low) * random_word(key, i) >> 64) for i in range(300)]
            self.assertEqual(expected, self.values("uniform", 300, low=low, high=high), (low, high))

    def test_fractions_are_24_bits_in_single_precision(self):
        key, low, spread = key_of(self.SEED, self.STORAGE), single(0.3), single(1.7 - 0.3)
        drawn = [lowbias32((key + i * 0x9E3779B1) & WORD) >> 8 for i in range(300)]
        expected = [single(single(bits * single(spread * 2.0 ** -24)) + low) for bits in drawn]
        self.assertEqual(expected, self.values("uniform", 300, "float32", low=0.3, high=1.7))

    def test_an_element_does_not_depend_on_how_many_there_are(self):
        count = run.CHUNK + 100
        for kind, dtype in (("uniform", "float32"), ("uniform", "int64"), ("zipf", "int64")):
            more = {"high": 1000, "parameter": 1.2}
            many = self.values(kind, count, dtype, **more)
            self.assertEqual(many[:50], self.values(kind, 50, dtype, **more))
            self.assertNotEqual(many[:100], many[run.CHUNK:])

    def test_other_seeds_and_storages_have_other_data(self):
        first = self.values("uniform", 50, low=0, high=1 << 40)
        self.STORAGE = 4
        second = self.values("uniform", 50, low=0, high=1 << 40)
        self.SEED = 8
        self.assertEqual(3, len({tuple(first), tuple(second), tuple(self.values("uniform", 50, low=0, high=1 << 40))}))

    def test_ramps_and_fences_are_even(self):
        for n in (1, 2, 7, 100):
            self.assertEqual([i * 1000 // n for i in range(n)], self.values("ramp", n, high=1000))
            self.assertEqual([5 + (i * 500 // (n - 1) if n > 1 else 0) for i in range(n)], self.values("offsets", n, low=5, high=505))

    def test_a_ramp_of_large_numbers_does_not_overflow(self):
        high = 1 << 52
        self.assertEqual([i * high // 5000 for i in range(5000)], self.values("ramp", 5000, high=high))

    def test_parts_have_the_sum_and_are_even(self):
        for n, total in ((7, 100), (100, 7), (1, 5), (13, 13)):
            parts = self.values("partition", n, high=total)
            self.assertEqual(total, sum(parts))
            self.assertLessEqual(max(parts) - min(parts), 1)

    def test_lengths_fall_from_the_first_to_the_sum(self):
        for n, longest, total in ((5, 20, 50), (10, 9, 90), (3, 4, 4)):
            lengths = self.values("lengths", n, high=longest, parameter=total)
            self.assertEqual((longest, total), (lengths[0], sum(lengths)))
            self.assertEqual(sorted(lengths, reverse=True), lengths)

    def test_a_permutation_has_each_number_once_in_each_row(self):
        for row in (1, 2, 3, 11, 64, 100):
            values = self.values("permutation", row * 4, parameter=row)
            rows = [values[i:i + row] for i in range(0, row * 4, row)]
            self.assertTrue(all(sorted(r) == list(range(row)) for r in rows), row)
            if row > 10:
                self.assertEqual(4, len({tuple(r) for r in rows}))

    def test_a_mask_has_as_many_ones_as_asked_for(self):
        for n, ones in ((10, 3), (1000, 0), (1000, 1000), (999, 500)):
            values = self.values("mask", n, "bool", high=ones)
            self.assertEqual(ones, sum(values))
        self.assertNotEqual(sorted(values, reverse=True), values)

    def test_distinct_has_each_number_as_evenly_as_can_be(self):
        for n, high in ((100, 100), (250, 100), (50, 100)):
            values = self.values("covers_range", n, high=high)
            counts = [values.count(i) for i in range(high)]
            self.assertLessEqual(max(counts) - min(counts), 1)

    def test_zipf_is_in_range_and_its_most_frequent_numbers_are_frequent(self):
        for exponent in (0.8, 1, 1.5):
            values = self.values("zipf", 20_000, low=100, high=1100, parameter=exponent)
            self.assertTrue(all(100 <= v < 1100 for v in values))
            counts = sorted((values.count(v) for v in set(values)), reverse=True)
            self.assertGreater(counts[0], 20 * counts[len(counts) // 2])

    def test_dominant_matrices_have_a_large_diagonal(self):
        rows = 5
        values = self.values("diagonally_dominant", 3 * rows * rows, "float32", low=0.1, high=0.4, parameter=rows)
        for i, value in enumerate(values):
            if i % (rows * rows) % (rows + 1) == 0:
                self.assertEqual(3, value)
            else:
                self.assertTrue(single(0.1) <= value < single(0.4))

    def test_recorded_contents_are_the_bytes_that_were_recorded(self):
        self.assertEqual([1, 0x0102], self.values("recorded", 2, "int32", data="AQAAAAIBAAA="))

    def test_zero_is_zero_in_every_type(self):
        for dtype in ("float16", "bfloat16", "complex64", "int8", "bool", "float64"):
            self.assertEqual(0, int(self.fill("constant", 9, dtype).sum()), dtype)

    def test_bfloat16_is_single_precision_cut_short(self):
        singles = self.fill("uniform", 100, "float32", low=0.3, high=1.7).numpy().tobytes()
        halves = self.fill("uniform", 100, "bfloat16", low=0.3, high=1.7).numpy().tobytes()
        self.assertEqual([singles[i + 2:i + 4] for i in range(0, 400, 4)], [halves[i:i + 2] for i in range(0, 200, 2)])

    def test_the_parts_of_complex_numbers_are_drawn_like_floats(self):
        self.assertEqual(self.fill("uniform", 100, "float32", high=1).tolist(), self.fill("uniform", 50, "complex64", high=1).tolist())

    def test_the_same_numbers_as_in_the_library(self):
        """PythonValuesTests holds these to the engine in C#."""
        expected = {
            ("uniform", "float32", 0.3, 1.7, 0): "36ad39e6610c8384",
            ("uniform", "float16", 0.3, 1.7, 0): "c5030f87db6cc736",
            ("uniform", "int64", -3, 1_000_003, 0): "5a7e332712a712ab",
            ("mask", "bool", 0, 23_333, 0): "53f6dc70add2f8e5",
            ("covers_range", "int64", 0, 900, 0): "3d00ca116a6f0d29",
            ("permutation", "int64", 0, 0, 11): "4716b86602ed8d6a",
            ("zipf", "int64", 0, 50_000, 1.1): "7194486a739cf947",
            ("diagonally_dominant", "float64", 0.1, 0.4, 7): "e8b7adb49fa2b61b",
        }
        for (kind, dtype, low, high, parameter), digest in expected.items():
            memory = self.fill(kind, 70_001, dtype, low=low, high=high, parameter=parameter)
            with self.subTest(kind=kind, dtype=dtype):
                self.assertEqual(digest, hashlib.sha256(memory.numpy().tobytes()).hexdigest()[:16])

    def test_an_unknown_kind_and_an_unknown_type_are_named(self):
        with self.assertRaisesRegex(run.Problem, "MYS301.*unknown kind odd"):
            self.fill("odd", 4)
        with self.assertRaisesRegex(run.Problem, "MYS410.*no elements of the type float3"):
            run.ElementType("float3")


@needs_torch
class ChunkTests(unittest.TestCase):
    """A device draws more from one place on: it needs some launches for each. What is drawn does not depend on it."""

    def drawn(self, kind):
        memory, pieces = run.torch.zeros(100_000 * 8, dtype=run.torch.uint8), []
        if kind != "cpu":
            memory = memory.as_subclass(type("OnDevice", (run.torch.Tensor,), {"device": run.torch.device(kind)}))

        def arange(*args, before=run.torch.arange, **given):
            pieces.append(args)
            return before(*args, **{**given, "device": "cpu"})
        with replaced(run.torch, arange=arange):
            run.fill(memory, {"kind": "uniform", "dtype": "int64", "low": 0, "high": 1000}, 3, 7)
        return len(pieces), memory.as_subclass(run.torch.Tensor).tolist()

    def test_a_device_draws_them_at_once_and_the_same(self):
        (on_host, expected), (on_device, values) = self.drawn("cpu"), self.drawn("cuda:0")
        self.assertEqual((2, 1), (on_host, on_device))
        self.assertEqual(expected, values)


@needs_torch
class BlockScaledTests(unittest.TestCase):
    """Types of block-scaled products, which few versions of PyTorch have."""

    def test_their_bytes_are_numbers_of_one_half_and_one(self):
        with replaced(run.torch, float8_e8m0fnu=run.torch.uint8, float4_e2m1fn_x2=run.torch.uint8):
            for name, expected in (("float8_e8m0fnu", {0x7E, 0x7F}), ("float4_e2m1fn_x2", {0x11, 0x12, 0x21, 0x22})):
                memory = run.torch.zeros(1000, dtype=run.torch.uint8)
                run.fill(memory, {"kind": "uniform", "dtype": name, "low": 0, "high": 1}, 3, 7)
                self.assertEqual(expected, set(memory.tolist()))

    def test_a_scale_of_one_is_one(self):
        with replaced(run.torch, float8_e8m0fnu=run.torch.uint8):
            memory = run.torch.zeros(4, dtype=run.torch.uint8)
            run.fill(memory, {"kind": "constant", "dtype": "float8_e8m0fnu", "low": 1, "high": 1}, 3, 7)
            self.assertEqual([0x7F] * 4, memory.tolist())


@needs_torch
class ExternalTests(unittest.TestCase):
    def externals(self, m, seed=1):
        package = type("Package", (), {"manifest": m})
        return run.Externals(package, [run.torch.device("cpu")], seed, lambda done, total: None)

    def test_what_the_iteration_writes_to_is_brought_back(self):
        externals = self.externals(samples.manifest())
        before = [m.clone() for m in externals.memory.values()]
        for memory in externals.memory.values():
            memory.fill_(1)
        externals.restore(True)
        self.assertNotEqual(before[0].tolist(), externals.memory[0].tolist())  # It is only read: nothing brings it back.
        self.assertEqual(before[1].tolist(), externals.memory[1].tolist())

    def test_between_iterations_integers_alone_are_brought_back(self):
        m = samples.manifest()
        m["storages"][0].update(mutated=True, init={"kind": "uniform", "dtype": "int64", "low": 0, "high": 99})
        externals = self.externals(m)
        before = [m.clone() for m in externals.memory.values()]
        for memory in externals.memory.values():
            memory.fill_(1)
        externals.restore(False)
        self.assertEqual(before[0].tolist(), externals.memory[0].tolist())
        self.assertEqual([1] * 24, externals.memory[1].tolist())

    def test_what_a_device_cannot_draw_is_drawn_on_the_host_and_copied(self):
        """A device without doubles, say: its tensors lie on the host here, but say that they do not."""
        device, package = run.torch.device("xpu:0"), type("Package", (), {"manifest": samples.manifest()})
        there, empty, fill = type("There", (run.torch.Tensor,), {"device": device}), run.torch.empty, run.fill

        def empty_there(*size, device=None, **given):
            made = empty(*size, **given)
            return made.as_subclass(there) if device is not None and device.type == "xpu" else made

        def fill_here(memory, *rest):
            if memory.device == device:
                raise TypeError("this device has no doubles")
            fill(memory, *rest)
        with replaced(run.torch, empty=empty_there), replaced(run, fill=fill_here):
            externals = run.Externals(package, [device], 1, lambda done, total: None)
        expected = self.externals(samples.manifest())
        self.assertEqual([m.tolist() for m in expected.memory.values()],
                         [m.as_subclass(run.torch.Tensor).tolist() for m in externals.memory.values()])

    def test_on_a_device_integers_are_copied_back_and_not_drawn_again(self):
        m = samples.manifest()
        m["devices"] = ["cuda:0"]
        m["storages"][0].update(mutated=True, init={"kind": "uniform", "dtype": "int64", "low": 0, "high": 99})
        package = type("Package", (), {"manifest": m})
        with standin.installed(standin.Device()):
            externals = run.Externals(package, [run.torch.device("cuda:0")], 1, lambda done, total: None)
            before = externals.memory[0].tolist()
            externals.memory[0].fill_(1)
            with replaced(run, fill=lambda *_: self.fail("it was drawn again")):
                externals.restore(False)
        self.assertEqual(before, externals.memory[0].tolist())

    def test_views_share_their_storage(self):
        m = samples.manifest()
        externals = self.externals(m)
        whole = externals.view(m["tensors"][0])
        part = externals.view(dict(m["tensors"][0], shape=[2], strides=[3], offset=1))
        self.assertEqual(whole[:, 1].tolist(), part.tolist())
        part.zero_()
        self.assertEqual([0, 0], whole[:, 1].tolist())

    def test_the_undefined_tensor_is_none(self):
        self.assertIsNone(self.externals(samples.manifest()).view({"storage": -1}))

    def test_a_number_does_not_decide_the_type_of_a_result(self):
        m = samples.manifest()
        m["storages"][0]["init"] = {"kind": "constant", "dtype": "float64", "low": 2.5, "high": 2.5}
        number = self.externals(m).view({"storage": 0, "dtype": "float64", "shape": [], "strides": [], "number": True})
        self.assertEqual(2.5, number.item())
        self.assertEqual(run.torch.float32, (run.torch.ones(2) * number).dtype)
