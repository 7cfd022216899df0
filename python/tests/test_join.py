import os
import pathlib
import subprocess
import sys
import unittest

import join
import lint
from scripts import PYTHON, FolderTest, hook, run


class JoinTests(unittest.TestCase):
    def test_each_file_is_a_part_of_a_script(self):
        files = {f"{folder}/{path.name}" for folder in ("hook", "run", "shared") for path in (PYTHON / folder).glob("*.py")}
        self.assertEqual(files, {part for parts in join.scripts().values() for part in parts})

    def test_shared_parts_are_in_both_scripts_and_others_in_one(self):
        scripts = join.scripts()
        for part in {part for parts in scripts.values() for part in parts}:
            self.assertEqual(2 if part.startswith("shared/") else 1, sum(parts.count(part) for parts in scripts.values()), part)

    def test_nothing_is_left_to_fill_in(self):
        for script in join.scripts():
            self.assertNotIn("@@", join.join(script))

    def test_placeholders_do_not_end_the_strings_that_they_are_in(self):
        self.assertIn("namespace aten", run.POLICY_TEXT)
        self.assertTrue(run.PROLOGUE.startswith("class Benchmark(Module):\n") and run.PROLOGUE.endswith("return s[i]\n"))
        self.assertEqual(2, run.RULES["manifest"]["format_version"].count("3"))

    def test_unknown_placeholder_is_an_error(self):
        with self.assertRaises(SystemExit):
            join.fill_in("@@NoSuchFile.txt@@")

    def test_pickled_state_is_a_pickle_of_four_attributes(self):
        import pickletools
        texts = [argument for code, argument, _ in pickletools.genops(join.pickled_state()) if code.name == "BINUNICODE"]
        self.assertEqual(["slots", "devices", "holds", "kept"], texts)

    def test_loaded_hook_has_not_started(self):
        self.assertNotIn(True, [type(finder).__name__ == "_TorchFinder" for finder in sys.meta_path])
        self.assertNotIn("_mystique_capture", sys.modules)
        self.assertEqual(0, hook._START_UP_NS)


class LintTests(unittest.TestCase):
    def test_a_line_of_a_joined_script_is_found_in_its_part(self):
        for script, parts in join.scripts().items():
            lines = join.join(script).split("\n")
            for part in parts:
                text = (PYTHON / part).read_text(encoding="utf-8")
                at = lines.index(text.split("\n")[0]) + 1
                self.assertEqual(f"{part}:1:2: F821 undefined name 'x'", lint.in_parts(script, f"stdin:{at}:2: F821 undefined name 'x'"))

    def test_an_undefined_name_is_found(self):
        if lint.importlib.util.find_spec("flake8") is None:
            self.skipTest(f"needs flake8 in {sys.executable}")
        found = lint.flake8("--select=F", "--stdin-display-name=stdin", "-", text=join.join("run.py") + "\nnobody_has_this_name\n")
        self.assertEqual(1, len(found))
        self.assertIn("F821 undefined name 'nobody_has_this_name'", found[0])


class StartTests(FolderTest):
    """The hook where Python starts with it."""

    def python(self, code, **environment):
        hook_folder = self.folder / "hook"
        hook_folder.mkdir(exist_ok=True)
        (hook_folder / "sitecustomize.py").write_text(join.join("sitecustomize.py"), encoding="utf-8")
        path = os.pathsep.join(str(self.folder / name) for name in ("hook", "job"))
        done = subprocess.run([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, "PYTHONPATH": path, **environment})
        return done.returncode, done.stdout

    def job_file(self, name, text):
        path = self.folder / "job" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def test_without_settings_it_only_goes_on_to_the_job_s_own_file(self):
        self.job_file("sitecustomize.py", "mark = 'the job'\n")
        code = "import sys, sitecustomize as s; print(s.mark, [f for f in sys.meta_path if 'Torch' in type(f).__name__], sys.path)"
        exit_code, output = self.python(code, MYSTIQUE_CAPTURE="")
        self.assertEqual(0, exit_code, output)
        self.assertIn("the job []", output)
        self.assertNotIn(str(self.folder / "hook"), output)
        self.assertFalse((self.folder / "started").exists())

    def test_with_settings_it_waits_for_torch_and_leaves_a_mark(self):
        self.job_file("torch.py", "print('torch itself')\n")
        exit_code, output = self.python("import torch; print('job')", MYSTIQUE_CAPTURE='{"mode":"clock"}')
        self.assertEqual(0, exit_code)
        self.assertEqual(["torch itself", "mystique: the job cannot be recorded: 'skip'", "job"], output.splitlines())
        self.assertTrue((self.folder / "started").exists())

    def test_a_torch_that_cannot_be_imported_fails_as_without_the_hook(self):
        self.job_file("torch.py", "raise ImportError('broken')\n")
        code = "try:\n    import torch\nexcept ImportError as error:\n    print('job:', error)"
        self.assertEqual((0, "job: broken\n"), self.python(code, MYSTIQUE_CAPTURE='{"mode":"record"}'))

    def test_a_job_without_torch_runs(self):
        self.assertEqual((3, "done\n"), self.python("print('done'); raise SystemExit(3)", MYSTIQUE_CAPTURE='{"mode":"record"}'))

    def test_a_job_whose_measurer_is_gone_ends_at_once(self):
        settings = '{"mode":"stepped","socket":"%s"}' % pathlib.Path(self.folder, "nobody")
        self.assertEqual((0, ""), self.python("print('never')", MYSTIQUE_CAPTURE=settings))
