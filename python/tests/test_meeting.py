import json
import threading
import time

from scripts import FolderTest, hook


class MeetingTests(FolderTest):
    def process(self, name, **status):
        (self.folder / name).mkdir()
        (self.folder / name / "status.json").write_text(json.dumps({"world_size": 2, **status}), encoding="utf-8")

    def test_ranks_go_on_together(self):
        left = {}
        for name in ("10", "11"):
            self.process(name, phase="recording")

        def go(name, after):
            time.sleep(after)
            met = hook._meet(str(self.folder), name, 20)
            left[name] = met, time.perf_counter()
        threads = [threading.Thread(target=go, args=arguments) for arguments in (("10", 0), ("11", 0.3))]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((True, True), (left["10"][0], left["11"][0]))
        self.assertGreaterEqual(left["10"][1] - started, 0.3)

    def test_who_does_not_come_is_not_waited_for_long(self):
        self.process("10", phase="recording")
        self.process("11", phase="measuring")
        self.assertFalse(hook._meet(str(self.folder), "10", 0.05))

    def test_who_has_recorded_or_will_not_is_not_waited_for(self):
        self.process("10", phase="recording")
        for name, status in (("11", {"phase": "waiting"}), ("12", {"phase": "failed"}), ("13", {"phase": "settling"}),
                             ("14", {"phase": "measuring", "world_size": 1}), ("15", {"phase": "measuring", "world_size": None})):
            self.process(name, **status)
        (self.folder / "16").mkdir()
        (self.folder / "17").mkdir()
        (self.folder / "17" / "status.json").write_text("{", encoding="utf-8")
        (self.folder / "started").write_text("", encoding="utf-8")
        self.assertTrue(hook._meet(str(self.folder), "10", 20))
