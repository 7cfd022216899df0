"""Jobs in processes of their own, with and without the hook, on the stand-in of a device: what goes wrong in the hook stays there."""
import json
import os
import pathlib
import subprocess
import sys
import textwrap
import unittest

import join
from scripts import FolderTest, PYTHON, needs_torch, run

# With --skip 1 --reference 2: step 0 is skipped, 1 and 2 are measured, 3 is recorded, 4 has its values noted, the rest is measured again.
JOB = """
import resource, sys
sys.path[:0] = {paths!r}
import torch
import standin
device = standin.Device()
installed = standin.installed(device)
installed.__enter__()
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Linear(4, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
words = torch.tensor([1, 2, 3])
{before}
for i in range(12):
    device.is_capturing = i in {capturing!r}
{step}
    optimizer.zero_grad()
    loss = model(words).square().sum()
    loss.backward()
    optimizer.step()
    device.is_capturing = False
    print(i, loss.item())
print("done")
"""
RECORDED, VALUES = 3, 4


@needs_torch
class HarmTests(FolderTest):
    def job(self, before="", step="pass", capturing=()):
        path = self.folder / "job.py"
        path.write_text(JOB.format(paths=[str(PYTHON / "tests"), str(PYTHON)], before=textwrap.dedent(before), capturing=capturing,
                                   step=textwrap.indent(textwrap.dedent(step), "    ")), encoding="utf-8")
        return path

    def started(self, job, **environment):
        clean = {n: v for n, v in os.environ.items() if not n.startswith("MYSTIQUE_")}
        done = subprocess.run([sys.executable, "-B", str(job)], env={**clean, **environment}, cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def captured(self, job, values="values"):
        """Runs a job without the hook and with it; it must do the same. Returns the hook's account and its folder."""
        work = self.folder / "work"
        (work / "hook").mkdir(parents=True)
        (work / "hook" / "sitecustomize.py").write_text(join.join("sitecustomize.py"), encoding="utf-8")
        settings = {"folder": str(work), "skip": 1, "reference": 2, "steps": 1, "values": values, "modules": False, "mode": "record"}
        code, output, error = self.started(job)
        self.assertEqual((0, "done"), (code, output.splitlines()[-1] if output else ""), error)
        found = self.started(job, PYTHONPATH=str(work / "hook"), MYSTIQUE_CAPTURE=json.dumps(settings))
        self.assertEqual((0, output), found[:2], found[2])
        self.assertNotIn("Traceback", found[2])
        statuses = list(work.glob("*/status.json"))
        self.assertEqual(1, len(statuses))
        status = json.loads(statuses[0].read_text(encoding="utf-8"))
        self.assertEqual([], list(work.glob("*/*.tmp")))
        return status, pathlib.Path(statuses[0]).parent

    def values_in(self, folder):
        return json.loads((folder / "values.json").read_text(encoding="utf-8"))

    def test_a_job_on_a_device_is_recorded_and_a_profile_without_the_device_is_told(self):
        status, folder = self.captured(self.job(), values="")
        self.assertEqual(("done", None, 4, "cuda"), (status["phase"], status["error"], status["recorded_iteration"],
                                                     status["job"]["device"]["type"]))
        self.assertEqual(("events", "events"), (status["before"]["clock"], status["after"]["clock"]))
        self.assertEqual(1, len(status["notes"]))
        self.assertRegex(status["notes"][0], "^the profile has no work of the cuda device: .*no CUPTI")
        self.assertTrue((folder / "kineto.json").exists())

    @unittest.skipUnless(hasattr(run.torch, "uint64"), "needs a PyTorch with uint64 tensors: 2.3 or newer")
    def test_values_of_unsigned_tensors_are_noted(self):
        """Those that a signed integer holds; a seed can be larger."""
        before = "seed, small = (torch.tensor([3, n], dtype=torch.uint64) for n in (2**63 + 5, 2**62))"
        status, folder = self.captured(self.job(before, "seed.clone(), small.view(1, 2)"))
        self.assertEqual(("done", None), (status["phase"], status["error"]))
        self.assertEqual(["values of 2**63 and more are left out: arguments of aten::clone (uint64)"],
                         [n for n in status["notes"] if "values" in n])
        found = self.values_in(folder)
        noted = next(n for n in found if n["operator"] == "aten::view" and n["low"] == 3)
        self.assertEqual((3, 2 ** 62), (noted["low"], noted["high"]))
        data = (folder / noted["data"]).read_bytes()
        self.assertEqual([3, 2 ** 62], [int.from_bytes(data[i:i + 8], sys.byteorder) for i in (0, 8)])
        self.assertLess(max(n["high"] for n in found), 2 ** 63)

    def test_a_tensor_whose_values_cannot_be_asked_for_costs_the_values_alone(self):
        status, folder = self.captured(self.job("torch.aminmax = lambda tensor: 1 / 0"))
        self.assertEqual(("done", None, 4), (status["phase"], status["error"], status["recorded_iteration"]))
        self.assertIn("not all values of tensors were noted: ZeroDivisionError: division by zero", status["notes"])
        self.assertEqual([], self.values_in(folder))

    def test_settings_that_cannot_be_read_are_noted_one_by_one(self):
        status, _ = self.captured(self.job("""
            class Matmul:
                fp32_precision = "tf32"
                @property
                def allow_tf32(self):
                    raise RuntimeError("PyTorch is checking whether allow_tf32 is enabled: mix of the legacy and new APIs")
            torch.backends.cuda.matmul = Matmul()
            """), values="")
        self.assertEqual(("done", None, 4), (status["phase"], status["error"], status["recorded_iteration"]))
        told = [n for n in status["notes"] if n.startswith("the setting ")]
        self.assertEqual(1, len(told), told)
        self.assertRegex(told[0], "^the setting matmul_allow_tf32 cannot be read: RuntimeError: PyTorch is checking")
        self.assertEqual("tf32", status["job"]["settings"]["matmul_fp32_precision"])
        self.assertIn("cudnn_benchmark", status["job"]["settings"])

    def test_while_a_graph_is_captured_nothing_waits_for_the_device(self):
        """In a step of each phase. A step under capture is no iteration, so that each of them takes two."""
        job = self.job(step="if device.is_capturing: words.bitwise_not()", capturing=(1, 4, 6))  # Measured, recorded, values.
        status, folder = self.captured(job)
        self.assertEqual(("done", None, 4), (status["phase"], status["error"], status["recorded_iteration"]))
        self.assertEqual(["a CUDA graph"], list(status["seen"]["asides"]))
        noted = [n["operator"] for n in self.values_in(folder)]
        self.assertIn("aten::embedding", noted)
        self.assertNotIn("aten::bitwise_not", noted)
        self.assertEqual(["values of tensors were not noted within a CUDA graph: to look at them would end it"],
                         [n for n in status["notes"] if "values" in n])

    def test_a_job_that_captures_each_step_has_no_iteration_and_the_account_says_why(self):
        status, _ = self.captured(self.job(capturing=tuple(range(12))))
        self.assertEqual((0, None, ["a CUDA graph"]), (status["iterations"], status["error"], list(status["seen"]["asides"])))

    def test_a_disk_that_is_full_before_the_recording_is_the_reason(self):
        """The system refuses to make any file larger than so many bytes, as a full disk does."""
        status, folder = self.captured(self.job(step="if i == 2: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"))
        self.assertEqual(("failed", None), (status["phase"], status.get("recorded_iteration")))
        self.assertRegex(status["error"], "OSError: the hook cannot write into the capture's folder: File too large")
        self.assertEqual(["status.json"], [p.name for p in folder.iterdir()])

    def test_a_disk_that_is_full_after_the_recording_leaves_it(self):
        limit = f"if i == {VALUES}: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))"
        status, folder = self.captured(self.job(step=limit))
        self.assertEqual(4, status["recorded_iteration"])
        self.assertTrue(json.loads((folder / "et.json").read_text(encoding="utf-8"))["nodes"])

    def test_a_disk_that_is_full_while_values_are_noted_is_the_reason(self):
        """Only then: there is room again for the account."""
        step = f"resource.setrlimit(resource.RLIMIT_FSIZE, (10 if i == {VALUES} else -1, -1))"
        status, folder = self.captured(self.job(step=step))
        self.assertEqual(("done", 4), (status["phase"], status["recorded_iteration"]))
        self.assertIn("File too large", status["error"].splitlines()[-1])
        told = [n for n in status["notes"] if "values" in n]
        self.assertRegex(told[0], r"^not all values of tensors were noted: OSError: \[Errno 27\] File too large")
        self.assertEqual([], self.values_in(folder))

    def test_values_that_do_not_fit_on_the_disk_are_told(self):
        step = f"resource.setrlimit(resource.RLIMIT_FSIZE, (100 if i == {VALUES} else -1, -1))"
        status, folder = self.captured(self.job(step=step))
        self.assertIn("no values of tensors were noted: they cannot be written: File too large", status["notes"])
        self.assertFalse((folder / "values.json").exists())


if __name__ == "__main__":
    unittest.main()
