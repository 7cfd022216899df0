"""What operators started on a device, in the replay's profile and in the original's."""
import unittest

import samples
from scripts import run
from test_result import package


def calls(add=(7.5,), gelu=(2, 3), zeros=(1,), add_=(4,)):
    """The operators of the sample in a profile, with the microseconds of what they started: within a function of the program; the
    second one's second kernel is an inner operator's."""
    starts = iter(range(10_000))
    events = []

    def operator(name, number, start, duration, started=()):
        events.append({"cat": "cpu_op", "name": name, "ts": start, "dur": duration, "pid": 1, "tid": 1, "args": {"External id": number}})
        events.extend({"cat": kind, "name": "add<float>", "ts": next(starts), "dur": d, "pid": 0, "tid": 7, "args": {"External id": number}}
                      for kind, d in zip(("kernel", "gpu_memcpy"), started))

    operator("f1", 1, 30, 20)
    operator("aten::zeros", 2, 31, 5)
    operator("aten::zero_", 3, 32, 2, zeros)
    operator("aten::add_", 4, 40, 5, add_)
    operator("f0", 5, 0, 20)
    operator("aten::add", 6, 1, 5, add)
    operator("aten::gelu", 7, 10, 5, gelu[:1])
    operator("aten::mul", 8, 11, 2, gelu[1:])
    # What no operator started, and what waits for the device, are nobody's work.
    events.append({"cat": "kernel", "name": "restores", "ts": 0, "dur": 9, "pid": 0, "tid": 7, "args": {"External id": 99}})
    events.append({"cat": "cuda_sync", "name": "Context Sync", "ts": 0, "dur": 9, "pid": 0, "tid": 7, "args": {"External id": 6}})
    events.append({"ph": "M", "name": "process_name"})
    return events


def timed(**kernels):
    """The sample, whose original started so many kernels, of 1 us each, by node."""
    m = samples.manifest()
    for entry in m["times"]["operators"]:
        count = kernels.get(f"n{entry['node']}", 0)
        if count:
            entry.update(kernels=count, device_ns=1000 * count)
    made = package(m)
    made.times = {run.id_of(t): t for t in m["times"]["operators"]}
    return made


class WorkTests(unittest.TestCase):
    def test_an_operator_s_work_is_that_of_all_within_it(self):
        self.assertEqual({0: (1, 7500), 1: (2, 5000), 2: (1, 1000), 3: (1, 4000)}, run.device_work(package(), calls()))

    def test_what_the_profiler_did_not_see_is_not_there(self):
        seen = [e for e in calls() if e["name"] not in ("aten::gelu", "aten::mul", "aten::add_")]
        self.assertEqual({0: (1, 7500), 2: (1, 1000)}, run.device_work(package(), seen))

    def test_operators_of_several_threads_do_not_lie_within_each_other(self):
        other = [{**e, "tid": 2} if e["name"] == "aten::zeros" else e for e in calls()]
        self.assertEqual(["aten::add", "aten::gelu", "aten::zeros", "aten::zero_", "aten::add_"],
                         [name for name, *_ in run.outermost_events(other)])

    def test_a_host_has_no_work_on_a_device(self):
        self.assertIsNone(run.device_work(package(), calls((), (), (), ())))


class KindTests(unittest.TestCase):
    @staticmethod
    def kinds(made, work):
        kinds = run.kinds_of(made, [1, 1, 1, 1])
        run.add_device_work(kinds, made, work)
        return {k["name"]: {n: k[n] for n in k if "device_ns" in n or "kernels" in n} for k in kinds}

    def test_both_sides_are_told(self):
        made = timed(n11=1, n12=3)
        kinds = self.kinds(made, run.device_work(made, calls()))
        self.assertEqual({"device_ns": 7500, "kernels": 1, "original_device_ns": 1000, "original_kernels": 1}, kinds["aten::add.Tensor"])
        self.assertEqual({"device_ns": 5000, "kernels": 2, "original_device_ns": 3000, "original_kernels": 3}, kinds["aten::gelu"])
        self.assertEqual({"device_ns": 1000, "kernels": 1, "original_device_ns": 0, "original_kernels": 0}, kinds["aten::zeros"])

    def test_a_side_without_a_device_has_none(self):
        self.assertEqual({}, self.kinds(timed(), None)["aten::gelu"])
        self.assertEqual({"original_device_ns": 2000, "original_kernels": 2}, self.kinds(timed(n12=2), None)["aten::gelu"])
        self.assertEqual({"device_ns": 5000, "kernels": 2}, self.kinds(timed(), {1: (2, 5000)})["aten::gelu"])


class CountTests(unittest.TestCase):
    @staticmethod
    def verified(made, work, differences=(), missing=()):
        result = {"status": "different" if differences else "exact", "exact_operators": 4 - len(differences),
                  "differences": list(differences), "classes": run.classes_of(made.manifest, {}, {}, differences)}
        run.add_kernel_counts(result, made, work, {i: "why" for i in missing}, {})
        return result

    def test_another_number_of_kernels_is_another_implementation(self):
        made = timed(n11=1, n12=3, n13=1, n14=1)
        result = self.verified(made, run.device_work(made, calls()))
        self.assertEqual([{"node": 12, "operator": "aten::gelu", "kind": "other_implementation",
                           "what": "it starts 2 kernels, copies and fillings instead of 3"}], result["differences"])
        self.assertEqual(("different", 3, 3, 1), (result["status"], result["exact_operators"], result["classes"]["exact"],
                                                  result["classes"]["other_implementation"]))

    def test_the_same_numbers_change_nothing(self):
        made = timed(n11=1, n12=2, n13=1, n14=1)
        self.assertEqual(("exact", []), tuple(self.verified(made, run.device_work(made, calls()))[k] for k in ("status", "differences")))

    def test_what_differs_already_or_does_not_run_is_not_told_again(self):
        made = timed(n11=1, n12=3, n13=1, n14=9)
        known = {"node": 12, "operator": "aten::gelu", "kind": "variant", "what": "strides"}
        self.assertEqual([known], self.verified(made, run.device_work(made, calls()), [known], [3])["differences"])

    def test_without_a_profile_of_both_nothing_is_compared(self):
        self.assertEqual([], self.verified(timed(n12=3), None)["differences"])
        made = timed()
        self.assertEqual([], self.verified(made, run.device_work(made, calls()))["differences"])


if __name__ == "__main__":
    unittest.main()
