import hashlib
import json
import unittest

import samples
from scripts import FolderTest, replaced, run
from test_verify import observed

try:
    import torch
except ImportError:
    torch = None

SMALL, SQUARE, NARROW = ("float", [], []), ("float", [2, 2], [2, 1]), ("float", [3, 2], [2, 1])
EXPANDED, TURNED, WIDE = ("float", [2, 2], [0, 0]), ("float", [3, 2], [1, 3]), ("float", [2, 3], [3, 1])


class LevelTest(FolderTest):
    def options(self, level="auto", device=""):
        return type("Options", (), {"package": str(self.folder / "p"), "level": level, "device": device})()

    def package(self, both=True):
        """A package; of both levels, the first knows what the second's manifest is."""
        m = samples.manifest()
        (self.folder / "p").mkdir(exist_ok=True)
        if both:
            samples.write(self.folder / "p" / "framework", samples.step(), samples.STEP_CODE)
            m["framework"] = hashlib.sha256(self.other.read_bytes()).hexdigest()
        samples.write(self.folder / "p", m)

    @property
    def other(self):
        return self.folder / "p" / "framework" / "benchmark.json"


class ChoiceTests(LevelTest):
    """Which level runs, by what was recorded and what is here."""

    def test_the_level_that_was_asked_for(self):
        self.package()
        self.assertFalse(run.is_of_framework(run.package_of(self.options("operator")).manifest))
        self.assertTrue(run.is_of_framework(run.package_of(self.options("framework")).manifest))

    def test_a_level_that_is_not_there_is_refused(self):
        self.package(both=False)
        with self.assertRaises(run.Problem) as caught:
            run.package_of(self.options("framework"))
        self.assertEqual(("MYS211", 2), (caught.exception.parts[0], caught.exception.exit_code))

    def test_a_level_of_another_package_is_refused_and_one_that_nobody_lists_is_none(self):
        self.package()
        text = self.other.read_text(encoding="utf-8")
        self.other.write_text(text.replace("a.et.json", "b.et.json"), encoding="utf-8")
        for level in ("operator", "framework", "auto"):
            with self.assertRaises(run.Problem) as caught:
                run.package_of(self.options(level))
            self.assertEqual("MYS303", caught.exception.parts[0])
        samples.write(self.folder / "p")  # It lists none.
        self.assertFalse(run.is_of_framework(run.package_of(self.options("auto")).manifest))

    def elsewhere(self, recorded, here="2.6.0+cu124", device="", devices=("cpu",), there=()):
        m = {"devices": list(devices), "baseline": {"versions": recorded}} if recorded is not None else {"devices": list(devices)}
        fake = type("Torch", (), {"__version__": here})
        with replaced(run, torch=fake, _is_there=lambda _, kind: kind in there, _accelerator=lambda _: there[0] if there else ""):
            return run.is_elsewhere(m, device)

    def test_another_version_is_elsewhere_and_another_build_is_not(self):
        self.assertFalse(self.elsewhere({"torch": "2.6.0+rocm6"}))
        self.assertTrue(self.elsewhere({"torch": "1.13.0a0"}))
        self.assertTrue(self.elsewhere({"libtorch": "2.10.0"}))

    def test_what_is_not_known_is_not_elsewhere(self):
        self.assertFalse(self.elsewhere(None))
        self.assertFalse(self.elsewhere({}))

    def test_another_kind_of_device_is_elsewhere(self):
        self.assertFalse(self.elsewhere(None, devices=("cpu", "cuda:3"), there=("cuda",)))
        self.assertTrue(self.elsewhere(None, devices=("cpu", "cuda:3"), there=("xpu",)))
        self.assertTrue(self.elsewhere(None, devices=("cuda:0",)))
        self.assertTrue(self.elsewhere(None, device="cuda:1"))


class StepVerificationTests(LevelTest):
    """What a replay at the framework's level ran, as the observer saw it."""

    def verify(self, backward, accumulated=1):
        m = samples.step()
        package = type("Package", (), {"manifest": m, "name_of": lambda self, op: run.Schema.parse(m["schemas"][op["schema"]]).name})()
        none = observed(0, "", "")
        nodes = [{"id": 2, "name": "root", "ctrl_deps": 1, "inputs": none["inputs"], "outputs": none["outputs"], "attrs": []},
                 observed(10, "aten::mm", samples.MM, [WIDE, NARROW], [SQUARE]),
                 observed(11, "aten::sum", samples.SUM, [SQUARE], [SMALL]),
                 observed(12, "aten::ones_like", samples.ONES, [SMALL], [SMALL]),
                 nodes_of_label(13), *backward,
                 *[nodes_of_label(40 + i, "torch::autograd::AccumulateGrad") for i in range(accumulated)],
                 observed(30, "aten::add_", samples.ADD_, [NARROW, NARROW], [NARROW])]
        path = self.folder / "t.json"
        path.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
        return run.verify(package, str(path), {}, {})

    def recorded(self):
        return [observed(14, "aten::expand", samples.EXPAND, [SMALL], [EXPANDED], parent=13),
                observed(15, "aten::t", samples.T, [WIDE], [TURNED], parent=13),
                observed(16, "aten::mm", samples.MM, [TURNED, EXPANDED], [NARROW], parent=13),
                observed(17, "aten::detach", samples.DETACH, [NARROW], [NARROW], parent=13)]

    def test_the_recorded_pass_is_exact(self):
        result = self.verify(self.recorded())
        self.assertEqual(("exact", 8, 8), (result["status"], result["expected_operators"], result["exact_operators"]), result)
        self.assertEqual({"recorded_operators": 4, "ran_operators": 4, "exact_operators": 4, "only_recorded": [], "only_ran": []},
                         result["backward"])

    def test_another_pass_is_the_targets_own(self):
        result = self.verify([observed(14, "aten::fused", "aten::fused(Tensor self) -> Tensor", [SMALL], [NARROW], parent=13)])
        self.assertEqual(("different", 4, 4, 0), (result["status"], result["classes"]["exact"], result["classes"]["targets_own"],
                                                  result["classes"]["missing"]))
        self.assertEqual([{"operator": "aten::fused", "count": 1}], result["backward"]["only_ran"])
        self.assertEqual({"targets_own"}, {d["kind"] for d in result["differences"]})

    def test_a_pass_that_left_no_gradient_did_not_do_the_work(self):
        result = self.verify(self.recorded()[:1], accumulated=0)
        self.assertEqual((0, 3), (result["classes"]["targets_own"], result["classes"]["missing"]))

    def test_a_pass_that_ran_more_is_not_exact(self):
        more = observed(18, "aten::t", samples.T, [WIDE], [TURNED], parent=13)
        result = self.verify(self.recorded() + [more])
        self.assertEqual(("different", [], 1), (result["status"], result["differences"], result["classes"]["targets_more"]))
        self.assertLess(run.verified(result["classes"], 8)["share"], 1)

    def test_what_a_pass_ran_does_not_stand_for_a_call(self):
        result = self.verify(self.recorded()[:3])
        self.assertEqual(1, result["classes"]["targets_own"])
        self.assertEqual(0, result["classes"]["unplanned"])


def nodes_of_label(id, name="SumBackward0"):
    label = observed(id, run.BACKWARD + name, "")
    label["attrs"] = []
    return label


@unittest.skipUnless(torch, "needs torch")
class RunTests(LevelTest):
    """The step on the PyTorch that is here."""

    def engine(self, eager=False):
        samples.write(self.folder / "step", samples.step(), samples.STEP_CODE)
        engine = run.Engine(run.Package(str(self.folder / "step")), threads=1, eager=eager)
        engine.start()
        return engine

    def test_autograd_makes_the_pass_and_the_optimizer_gets_its_gradient(self):
        for eager in (False, True):
            engine = self.engine(eager)
            x, w = (engine.externals.memory[i].clone().view(torch.float32) for i in (0, 1))
            engine.iterate(0)
            engine.externals.restore(True)
            engine.run_all()
            gradient = x.reshape(2, 3).t() @ torch.ones(2, 2)
            self.assertTrue(torch.allclose(engine.externals.memory[1].view(torch.float32), w + 0.5 * gradient.flatten()), eager)

    def test_each_iteration_starts_without_gradients(self):
        engine = self.engine()
        engine.iterate(3)
        (leaf, start), = engine.externals.leaves
        once = leaf.grad.clone()
        self.assertIsNone(start)
        engine.externals.restore(True)
        self.assertIsNone(leaf.grad)
        engine.run_all()
        self.assertTrue(torch.equal(once, leaf.grad))
        self.assertTrue(torch.is_grad_enabled())

    def test_the_pass_is_as_recorded(self):
        engine = self.engine()
        path = self.folder / "observed.json"
        engine.iterate(1)
        engine.observe(str(path))
        result = run.verify(engine.package, str(path), {}, {}, engine.devices)
        self.assertEqual("exact", result["status"], result)

    def test_a_pass_that_fails_is_told(self):
        m = samples.step()
        del m["tensors"][1]["leaf"]  # Then nothing requires a gradient.
        samples.write(self.folder / "step", m, samples.STEP_CODE)
        engine = run.Engine(run.Package(str(self.folder / "step")), threads=1)
        engine.start()
        with self.assertRaises(RuntimeError):
            engine.iterate(1)
        with self.assertRaises(run.Problem) as caught:
            run.refuse_lost_autograd(engine.package, engine.probe(lambda i: None))
        self.assertEqual(("MYS426", 1), (caught.exception.parts[0], caught.exception.exit_code))


class RuleTests(unittest.TestCase):
    """Autograd's calls are in packages only as the policy has them."""

    def refused(self, change):
        m = samples.step()
        change(m)
        with self.assertRaises(run.Problem) as caught:
            run.read_package(*samples.files(m, samples.STEP_CODE), "benchmark.json", "program.pt")
        return caught.exception.parts[0], caught.exception.parts[1]

    def test_the_sample_is_valid(self):
        run.read_package(*samples.files(samples.step(), samples.STEP_CODE), "benchmark.json", "program.pt")

    def test_a_call_without_its_role_is_refused(self):
        def change(m):
            del m["operators"][5]["role"]
            m["coverage"].update(selected_operators=9, replayed_operators=9)
        self.assertEqual(("MYS309", True), (lambda r: (r[0], "never run" in r[1]))(self.refused(change)))

    def test_the_role_without_its_call_is_refused(self):
        def change(m):
            m["operators"][0]["role"] = "autograd"
            m["coverage"].update(selected_operators=7, replayed_operators=7)
        self.assertEqual(("MYS309", True), (lambda r: (r[0], "no call of autograd" in r[1]))(self.refused(change)))

    def test_leaves_and_their_gradients_are_checked(self):
        for change in (lambda m: m["tensors"][2].update(leaf=True), lambda m: m["tensors"][1].update(gradient=0),
                       lambda m: m["tensors"][0].update(gradient=1), lambda m: m["tensors"][1].update(gradient=1),
                       lambda m: m["storages"][1]["init"].update(dtype="float64"), lambda m: m["operators"][0].update(accumulates=1),
                       lambda m: m["operators"][0].update(backward=[])):
            self.assertEqual("MYS301", self.refused(change)[0])


if __name__ == "__main__":
    unittest.main()
