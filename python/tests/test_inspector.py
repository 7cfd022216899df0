import io
import random
import struct
import unittest
import zipfile

import samples
from scripts import run


class ProgramTests(unittest.TestCase):
    """What a program's text may be, by changes of the sample's."""

    def why_not(self, old=None, new="", m=None):
        self.assertTrue(old is None or samples.CODE.count(old) == 1, old)
        return self.why_not_code(samples.CODE.replace(old, new) if old else samples.CODE, m)

    @staticmethod
    def why_not_code(code, m=None):
        m = m or samples.MANIFEST
        return run.why_not_program(code, m, [run.Schema.parse(s) for s in m["schemas"]])

    def test_the_sample_is_a_program(self):
        self.assertIsNone(self.why_not())

    def test_the_start_is_fixed(self):
        self.assertIn("does not start", self.why_not("class Benchmark(Module):", "class Benchmark(Module): "))

    def test_another_operator_than_the_manifest_s(self):
        self.assertIn("calls aten::sub where the manifest does not", self.why_not("ops.aten.add(", "ops.aten.sub("))

    def test_an_operator_more(self):
        call = "    t3 = ops.aten.gelu(t2, approximate=\"tanh\")\n"
        self.assertIn("calls aten::gelu where", self.why_not(call, call + call))

    def test_an_operator_less(self):
        self.assertIn("f0 does not call what the manifest has there", self.why_not("    t3 = ops.aten.gelu(t2, approximate=\"tanh\")\n"))
        self.assertIn("f1 does not call what the manifest has there", self.why_not("    t5 = ops.aten.add_(t1, t3, alpha=0.5)\n"))

    def test_operators_in_another_order(self):
        lines = samples.CODE.split("\n")
        at = lines.index("    t2 = ops.aten.add(t0, t1, alpha=1)")
        lines[at:at + 2] = lines[at + 1], lines[at]
        self.assertIn("calls aten::gelu where", self.why_not_code("\n".join(lines)))

    def test_a_text_that_the_manifest_does_not_have(self):
        self.assertIn("with a text that the manifest does not have", self.why_not("\"tanh\"", "\"/etc/passwd\""))

    def test_a_function_twice(self):
        self.assertIn("the function f0 twice", self.why_not("  def f1(", "  def f0("))

    def test_a_function_that_the_schedule_does_not_call(self):
        self.assertIn("the function f7 twice, or the schedule does not call it", self.why_not("  def f1(", "  def f7("))

    def test_a_function_that_is_not_there(self):
        m = samples.manifest()
        m["schedule"].append({"call": "f2", "first": 4, "count": 1})
        self.assertEqual("it has no function f2", self.why_not(m=m))
        self.assertEqual("it has no function last", self.why_not(samples.FUNCTION.format("last") + "    return None\n"))

    def test_lines_that_no_program_has(self):
        for line in (
                "import os", "    import os", "    x = 1", "    t0 = s[2]; t1 = s[3]", "    for i in range(9): pass", "    while True:",
                "    t0 = self.slots[2]", "    print(t0)", "  def other(self): pass", "    t0 = ops.prim.Print(t1)", "\t", " ",
                "    t0 = s[-1]", "    t0 = s[2]  # comment", "    t0 = ops.aten.add(t0, t1, (1, 2))", "    return t0"):
            with self.subTest(line=line):
                self.assertIsNotNone(self.why_not("    s[1] = t4\n", "    s[1] = t4\n" + line + "\n"))

    def test_lines_before_the_first_function(self):
        code = samples.CODE.replace(run.PROLOGUE, run.PROLOGUE + "    t0 = s[2]\n")
        self.assertIn("nothing that a program does", self.why_not_code(code))

    def test_a_very_long_line(self):
        self.assertIn("longer than any line", self.why_not("alpha=0.5", "alpha=0." + "5" * run.MAX_LINE_BYTES))

    def test_the_number_of_the_line_is_that_of_the_text(self):
        number = samples.CODE.split("\n").index("    s[1] = t4") + 1
        self.assertIn(f"line {number}: ", self.why_not("    s[1] = t4\n", "    boo\n"))

    def test_kernels_are_launched_by_the_host_and_not_called_by_the_program(self):
        m = samples.manifest()
        m["operators"][1]["kernel"] = "k.py"
        self.assertIsNone(self.why_not("    t3 = ops.aten.gelu(t2, approximate=\"tanh\")\n", m=m))
        self.assertIn("calls aten::gelu where", self.why_not(m=m))

    def test_any_line_taken_away_or_twice_keeps_to_the_operators_or_is_refused(self):
        source, lines = random.Random(4), samples.CODE.split("\n")
        first = run.PROLOGUE.count("\n")
        calls = [i for i in range(first, len(lines)) if "ops.aten" in lines[i] or "def " in lines[i]]
        for _ in range(300):
            at = source.randrange(first, len(lines) - 1)
            changed = lines[:at] + lines[at:at + 1] * source.choice([0, 2]) + lines[at + 1:]
            self.assertEqual(at in calls, self.why_not_code("\n".join(changed)) is not None, lines[at])


class ArchiveTests(unittest.TestCase):
    def setUp(self):
        self.archive = run.archive_of(samples.CODE).getvalue()

    def made(self, entries, **options):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", options.pop("compression", zipfile.ZIP_STORED)) as archive:
            for name, content in entries:
                info = zipfile.ZipInfo("benchmark/" + name)
                info.compress_type = archive.compression
                info.extra, info.comment = options.get("extra", b""), options.get("comment", b"")
                archive.writestr(info, content)
            archive.comment = options.get("end", b"")
        return data.getvalue()

    def entries(self):
        return [*run.FIXED_ENTRIES.items(), ("code/__torch__.py", samples.CODE)]

    def assert_refused(self, archive, what=""):
        with self.assertRaisesRegex(ValueError, what):
            run.code_of(archive)

    def test_an_archive_gives_the_text_that_it_was_made_of(self):
        self.assertEqual(samples.CODE, run.code_of(self.archive))
        self.assertEqual(samples.CODE, run.code_of(self.made(self.entries())))
        self.assertEqual(samples.CODE, run.code_of(self.made(self.entries()[::-1])))

    def test_compressed_entries(self):
        self.assert_refused(self.made(self.entries(), compression=zipfile.ZIP_DEFLATED), "compressed")

    def test_another_entry_and_one_that_is_not_there(self):
        self.assert_refused(self.made(self.entries() + [("data/0", b"x")]), "other parts")
        self.assert_refused(self.made(self.entries()[1:]), "other parts")
        self.assert_refused(self.made(self.entries()[:-1]), "other parts")

    def test_an_entry_twice(self):
        with self.assertWarns(UserWarning):
            archive = self.made(self.entries() + self.entries()[:1])
        self.assert_refused(archive, "an entry twice")

    def test_other_contents_of_a_fixed_entry(self):
        for at in range(3):
            entries = self.entries()
            entries[at] = entries[at][0], entries[at][1] + b"x"
            self.assert_refused(self.made(entries), "other parts")

    def test_comments_and_extra_fields(self):
        self.assert_refused(self.made(self.entries(), extra=b"\x01\x00\x00\x00"), "extra field")
        self.assert_refused(self.made(self.entries(), comment=b"x"), "extra field or a comment")
        self.assert_refused(self.made(self.entries(), end=b"x"), "directory")

    def test_bytes_before_between_and_behind(self):
        size, directory = struct.unpack_from("<II", self.archive, len(self.archive) - 10)
        between = bytearray(self.archive[:directory] + b"xx" + self.archive[directory:])
        struct.pack_into("<I", between, len(between) - 6, directory + 2)
        self.assert_refused(bytes(between), "between its entries and its directory")
        self.assert_refused(b"x" + self.archive)
        self.assert_refused(self.archive + b"x")

    def test_what_is_no_zip_file(self):
        for data in (b"", b"x" * 21, b"x" * 22, b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18):
            self.assert_refused(data)

    def test_text_that_is_not_ascii(self):
        self.assert_refused(self.made(self.entries()[:-1] + [("code/__torch__.py", "ä".encode())]), "ascii")

    def test_any_length_is_refused_and_no_crash(self):
        for length in range(0, len(self.archive), 7):
            self.assert_refused(self.archive[:length])

    def test_any_byte_that_differs_is_refused_or_changes_nothing_but_the_text(self):
        source, read = random.Random(5), 0
        for _ in range(3000):
            changed = bytearray(self.archive)
            changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
            try:
                code = run.code_of(bytes(changed))
            except ValueError:
                continue
            read += 1
            self.assertLessEqual(sum(a != b for a, b in zip(code, samples.CODE)), 1)
            self.assertEqual(len(samples.CODE), len(code))
        self.assertTrue(0 < read < 3000, read)

    def test_a_directory_that_points_elsewhere(self):
        changed = bytearray(self.archive)
        size, directory = struct.unpack_from("<II", self.archive, len(self.archive) - 10)
        struct.pack_into("<I", changed, directory + 42, 1)
        self.assert_refused(bytes(changed), "one behind the other")
