# The hook: what is done at the end of which iteration, and the account of it.


class _Hook:
    """Skips, measures, records, measures again, and goes quiet. `status.json` tells how far it came, at any time."""

    def __init__(self, torch, settings, started_ns):
        self.torch, self.settings, self.clock = torch, settings, time.perf_counter_ns
        self.folder = os.path.join(settings["folder"], f"{os.getpid()}")
        self.pid = os.getpid()
        self.recorder = self.next = self.iterations = self.look = None
        self.phase = "waiting"
        self.count = self.kept = self.kept_in_status = self.passed_over = 0
        self.before, self.after = _Window(torch), _Window(torch)
        self.recorded, self.notes = [], []
        self.first = self.error = self.job = None
        self.harm = None  # Why the job is better not recorded.
        self.rank = _rank(torch)
        self.baseline = _anonymous_bytes()
        self.live = None  # Bytes of tensors when the recording starts.
        self.own_ns = []  # What the hook takes at the end of an uninstrumented iteration.
        self.record_ns = 0  # What starting and ending the recording took, beside the iteration.
        self.guard = _Guard(torch, self.yield_to_job, self.fail)
        self.iterations = _Iterations(torch, self.on_end, self.on_begin, self.is_ours, self.fail)
        self.start_up_ns = _START_UP_NS + self.clock() - started_ns
        os.makedirs(self.folder, exist_ok=True)
        self.write_status()

    def is_ours(self, profile):
        return self.recorder is not None and self.recorder.is_ours(profile) or self.look is not None and self.look.profile is profile

    def on_end(self, source, by, is_new):
        entered = self.clock()
        try:
            getattr(self, self.phase)(source, by, is_new, entered)
        except Exception as error:
            self.fail()
            _pass_on(error)
        if self.phase in ("measuring", "measuring_again"):
            self.own_ns.append(self.clock() - entered)

    def on_begin(self):
        try:
            if self.next is not None:
                begin, self.next = self.next, None
                begin()
        except Exception as error:
            self.fail()
            _pass_on(error)
        if self.phase in ("measuring", "measuring_again"):
            (self.before if self.phase == "measuring" else self.after).mark()
        self.iteration_start = self.clock()

    # A method a phase: each is called at the end of an iteration, and can leave `next` to be called where the next one begins.

    def waiting(self, source, by, is_new, now):
        if is_new:
            self.first = {"source": source, "name": type(by).__name__}
            self.count = 0
        self.count += 1
        if self.count == 1:
            self.write_status()
        self.end_look()
        if self.count == self.settings["skip"] - 1 and _Look.is_needed(self.torch) and self.guard.is_free(source, by):
            self.next = self.begin_look
        if self.count >= max(1, self.settings["skip"]):
            if source == "module":
                self.iterations.narrow(type(by))
            self.phase = "measuring"
            self.write_status()
            self.before.open()
            self.record_if_due(source, by)

    def begin_look(self):
        look = _Look(self.torch)
        with self.guard:
            self.iterations.aside.unseen(look.start)
        self.look, self.guard.is_ours_on = look, True

    def end_look(self):
        look, self.look = self.look, None
        if look is not None:
            self.guard.is_ours_on = False
            with self.guard:
                self.harm = self.iterations.aside.unseen(look.stop)

    def measuring(self, source, by, is_new, now):
        if is_new:
            self.phase, self.before = "waiting", _Window(self.torch)
            return self.waiting(source, by, True, now)
        self.count += 1
        if self.guard.is_free(source, by):
            self.before.add(now)
        else:
            self.passed_over += 1  # The job profiles itself: not an uninstrumented iteration, and no place for another profiler.
        self.record_if_due(source, by)
        return None

    def record_if_due(self, source, by):
        if len(self.before.samples) >= self.settings["reference"] and self.guard.is_free(source, by, self.settings["steps"]):
            self.next = self.begin_recording

    def begin_recording(self):
        self.before.close()
        if self.harm is not None:
            return self.end("refused")
        entered = self.clock()
        self.live = _live_bytes(self.torch)
        labels = self.settings["modules"]
        if labels and self.iterations.aside.compiles():
            labels = False
            self.notes.append("modules have no labels: the job uses torch.compile, which would compile it again for them")
        self.recorder = _Recorder(self.torch, self.folder, labels, self.iterations.aside)
        self.phase = "recording"
        # Now, for at its end the job may have left its process groups.
        self.job, self.rank = _describe(self.torch, self.notes), _rank(self.torch)
        self.write_status()
        with self.guard:
            self.iterations.aside.unseen(self.recorder.start)
            if (self.rank[1] or 1) > 1:
                _meet(self.settings["folder"], os.path.basename(self.folder))
            self.recorder.mark(self.count + 1)
        self.guard.is_ours_on = True
        self.record_ns = self.clock() - entered

    def recording(self, source, by, is_new, now):
        if is_new:
            self.yield_to_job()
            return self.measuring(source, by, is_new, now)
        self.count += 1
        self.recorded.append(now - self.iteration_start)
        self.recorder.unmark()
        if len(self.recorded) < self.settings["steps"]:
            self.next = lambda: self.recorder.mark(self.count + 1)
            return None
        self.guard.is_ours_on = False
        with self.guard:
            self.iterations.aside.unseen(self.recorder.stop)
            self.recorder.write()
        self.notes += self.recorder.notes
        self.record_ns += self.clock() - now
        self.kept = self.count
        self.phase = "settling"
        if self.settings["values"] and self.iterations.aside.compiles():
            self.notes.append("no values of tensors were noted: the job uses torch.compile, which looking at them would turn off")
        elif self.settings["values"]:
            self.phase = "noting_values"
            self.next = lambda: self.recorder.start_values(self.settings["values"] == "values")
        self.write_status()
        return None

    def noting_values(self, source, by, is_new, now):
        self.count += 1
        self.recorder.stop_values()
        self.notes += self.recorder.problems
        self.phase = "settling"
        self.write_status()

    def settling(self, source, by, is_new, now):
        """The first iteration after the recording warms up again."""
        self.count += 1
        self.phase = "measuring_again"
        self.after.open()
        if self.settings["reference"] == 0:
            self.finish()

    def measuring_again(self, source, by, is_new, now):
        self.count += 1
        if not self.guard.is_free(source, by):
            self.passed_over += 1
            return
        self.after.add(now)
        if len(self.after.samples) >= self.settings["reference"]:
            self.finish()

    def finish(self):
        self.after.close()
        self.end("done")

    def end(self, phase):
        self.phase = phase
        self.iterations.stop()
        self.guard.stop()
        self.write_status()

    def done(self, source, by, is_new, now):
        """A wrapper that somebody else holds still calls: nothing is left to do."""

    # What can come in between.

    def yield_to_job(self):
        """The job starts a profiler or an observer of its own: ours goes, and tries again later."""
        try:
            self.end_look()
        except Exception:
            return self.fail()
        if self.phase == "recording":
            try:
                self.abandon()
            except Exception:
                return self.fail()
            self.recorder, self.next, self.recorded, self.phase = None, None, [], "measuring"
            self.passed_over += 1
            self.before.mark()
        return None

    def fail(self):
        import traceback
        if self.error is not None:
            return  # It is off already.
        self.error, self.phase = traceback.format_exc(), "done" if self.kept else "failed"
        self.iterations.stop()
        self.guard.stop()
        for last in (self.end_look, self.abandon_unless_kept, self.write_status):
            try:
                last()
            except Exception:
                pass  # Nothing of this is the job's concern.

    failed = refused = done

    def abandon_unless_kept(self):
        if self.recorder is not None and not self.kept:
            self.abandon()

    def abandon(self):
        self.guard.is_ours_on = False
        with self.guard:
            self.recorder.abandon()

    def at_exit(self):
        if os.getpid() != self.pid:
            return
        try:
            self.end_look()
            if self.phase in ("recording", "noting_values"):
                if self.phase == "recording":
                    self.abandon()
                    self.notes.append("the job ended in the iteration that was being recorded")
                else:
                    self.recorder.stop_values()
                    self.notes += [*self.recorder.problems, "the job ended while values were noted"]
            if self.phase == "measuring_again":
                self.after.close()
            value = getattr(sys, "last_value", None)
            if value is not None:
                self.notes.append(f"the job ended with {type(value).__name__}: {value}"[:500])
            self.write_status(ended=True)
        except Exception:
            pass  # Nothing of this is the job's concern.

    def in_child(self):
        """A forked process is not the one that was asked for, most often a worker that loads data: it is left alone."""
        try:
            self.iterations.stop()
            self.guard.stop()
            if self.phase == "recording":
                self.recorder.observer.stop()
            elif self.phase == "noting_values":
                self.recorder.leave_values()
        except Exception:
            pass  # Nothing of this is the job's concern.
        self.look, self.phase = None, "done"

    def write_status(self, ended=False):
        device = _device(self.torch)[1]
        allocator = _allocator_use(device) or {}
        own = sorted(self.own_ns)
        first = {"phase": self.phase, "ended": ended, "pid": self.pid, "rank": self.rank[0], "world_size": self.rank[1],
                 "iterations": self.count, "passed_over": self.passed_over, "source": self.first}
        whole = {
            **first,
            "recorded_iteration": self.kept - len(self.recorded) + 1 if self.kept else None,
            "recorded_ns": self.recorded if self.kept else [],
            "before": self.before.describe(), "after": self.after.describe(), "baseline_bytes": self.baseline,
            "device_peak_bytes": allocator.get("peak_bytes", 0), "device_reserved_bytes": allocator.get("reserved_bytes"),
            "live_bytes": self.live and self.live[0], "device_live_bytes": self.live and self.live[1],
            "start_up_ns": self.start_up_ns, "own_ns": own[len(own) // 2] if own else 0,
            "record_ns": self.record_ns, "seen": self.iterations.seen if self.iterations else None, "error": self.error,
            "refused": self.harm, "notes": self.notes, "job": self.job}
        try:
            _write_json(self.folder, whole)
            self.kept_in_status = self.kept
        except OSError as error:
            if not self.kept_in_status:  # Else a recording is known, and stays so.
                why = f"OSError: the hook cannot write into the capture's folder: {error.strerror}"
                _write_in_place(self.folder, {**first, "phase": "failed", "error": why})
            raise
