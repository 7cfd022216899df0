# By hand, and as the worker of `mystique run --engine python`.


def run(options, ranks=None):
    if ranks is None and is_job(options.package):
        return run_job(options)
    package = package_of(options)
    if ranks is not None:
        ranks.job.check_package(package, ranks.rank)
        options.device = device_of_rank(options.device, package.manifest["devices"], ranks.launch)
    files = (package.path, package.program_path, __file__) + ((ranks.job.path,) if ranks is not None else ())
    own = [os.path.realpath(path) for path in files]
    for output in (options.json, options.profile, options.observe):
        if output in (None, "-"):
            continue
        if os.path.isdir(output) or not os.path.isdir(os.path.dirname(os.path.abspath(output))):
            raise output_problem("there is no such folder, or it is one", output)
        if os.path.realpath(output) in own:
            raise Problem("MYS305", "the output cannot be written: it is a file of the package itself", output, "name another file")
    engine = Engine(package, options.device, options.threads, options.seed, options.load_library, options.eager, options.allow_trace_code,
                    options.flags, options.tf32, options.pin, ranks)
    try:
        replay(engine, options)
    except Problem as problem:
        if problem.parts[0] != "MYS426" or options.level != "auto" or os.path.dirname(package.path) == options.package:
            raise
        options.level = "operator"
        print(printable(f"warning: {problem.parts[1]}; the operators' level runs instead"), file=sys.stderr)
        run(options, ranks)
    except Exception as error:
        if _is_device_error(error) and not options.find_failure:
            raise device_problem(engine, error)
        raise


def replay(engine, options):
    """All that is measured and looked at, and the result."""
    package, ranks = engine.package, engine.ranks
    if ranks.job is not None:
        backend = "" if ranks.is_alone else backend_of(options.backend, engine.device)
    baseline = engine.start()
    if options.find_failure:
        print(json.dumps(find_failure(engine)))
        return
    missing, substituted = dict(engine.program.missing), dict(engine.program.substituted)
    try:
        engine.iterate(1)
    except Problem:
        raise
    except Exception as error:  # Some operator does not run here: find all of them, and go on without.
        if _is_device_error(error):
            raise
        probed = engine.probe(lambda i: None)
        if (probed.missing, probed.substituted) == (missing, substituted):
            raise
        refuse_lost_autograd(package, probed)
        engine.program, missing, substituted, engine.fallback = probed, probed.missing, probed.substituted, first_line(error)
        engine.steps = steps_of(engine, probed)
        engine.iterate(1)
    if ranks.job is not None:
        join_others(engine, backend)
    substituted = {**substituted, **engine.substituted_calls()}
    verification = {"status": "not_run", "expected_operators": 0, "exact_operators": 0,
                    "unobserved_kernels": 0, "strides_compared": False, "differences": []}
    if not options.no_verify:
        with tempfile.TemporaryDirectory() as folder:
            try:
                observe_for_verification(engine, os.path.join(folder, "observed.json"))
                verification = verify(package, os.path.join(folder, "observed.json"), missing, substituted, engine.devices)
            except RuntimeError as error:
                verification["reason"] = first_line(error)
    if options.pace == "recorded":
        engine.pacer = pacer_of(engine, round(options.reference_time * 1e6))
    ranks.barrier()
    before = clocks_of(engine)
    options.warmup = engine.warm_up(options.warmup)
    measured = engine.iterate(engine.iterations_for(options.iterations))
    measured["clocks"] = [c for c in (before, clocks_of(engine)) if c]
    kinds = [] if options.no_operators else kinds_of(package, engine.time_operators(3))
    allocated = None
    if not options.no_operators:
        profiler = engine.profiled(engine.run_unpaced)
        # What autograd starts on a device cannot be told apart by the order of calls.
        is_on_host = engine.backend is None or is_of_framework(package.manifest)
        work = None if is_on_host else device_work(package, events_of(profiler))
        allocated = engine.allocated_bytes(profiler)
        if is_of_framework(package.manifest):
            add_backward(kinds, package, verification)
        add_device_work(kinds, package, work)
        add_kernel_counts(verification, package, work, missing, substituted)
    non_finite = check_values(engine) if options.check_values else None
    write_observations(engine, options)
    ranks.leave()
    result = result_of(engine, options, measured, baseline, allocated, kinds, verification, missing, substituted, non_finite)
    if options.json:
        write_json(options.json, result)
    if options.json != "-" and ranks.is_main:
        print_result(result, engine.fallback)
    differences = verification["differences"]
    if differences and options.strict:
        place = f"{options.package}, node {differences[0]['node']}" if "node" in differences[0] else options.package
        raise Problem("MYS422", f"the replay has {len(differences)} difference{'s' if len(differences) > 1 else ''} from the recording;"
                      f" the first is {differences[0]['operator']}: {differences[0]['what']}", place,
                      "omit --strict to accept the result; it lists all differences", 1)
    if differences and ranks.is_main:
        named = [f"{'node ' + str(d['node']) + ' (' + d['operator'] + ')' if 'node' in d else d['operator']}: {d['what']}"
                 for d in differences[:3]]
        more = f"; and {len(differences) - 3:,} more" if len(differences) > 3 else ""
        print(printable(f"warning: {len(differences):,} differences from the recording: {'; '.join(named)}{more}"), file=sys.stderr)


class Worker:
    """Answers requests, lines of JSON, until its input ends (docs/worker-protocol.md)."""

    def __init__(self, eager):
        self.engine, self.eager, self.baseline, self.told = None, eager, 0, 0.0
        self.output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # What libraries print is no answer.

    def run(self):
        requests, done = queue.SimpleQueue(), threading.Event()
        threading.Thread(target=self.listen, args=(requests, done), daemon=True).start()
        for line in iter(requests.get, None):
            try:
                answer = {"kind": "result", **(self.answer(json.loads(line)) or {})}
            except Problem as problem:
                answer = {"kind": "failure", "problem": problem.parts, "exitCode": problem.exit_code}
            except Exception as error:
                answer = {"kind": "failure", "error": str(error)}
                if self.engine is not None and _is_device_error(error):
                    problem = device_problem(self.engine, error)
                    answer = {"kind": "failure", "problem": problem.parts, "exitCode": problem.exit_code}
            self.send(answer)
        done.set()

    @staticmethod
    def listen(requests, done):
        """Reads beside the work: whoever asks may end in the middle of it, by whatever signal, and this process ends then too."""
        for line in sys.stdin:
            requests.put(line)
        requests.put(None)
        if not done.wait(1):
            os._exit(1)

    def send(self, message):
        self.output.write(json.dumps(message) + "\n")
        self.output.flush()

    def progress(self, done, total):
        now = time.monotonic()
        if now - self.told >= 0.1:
            self.told = now
            self.send({"kind": "progress", "done": done, "total": total})

    def answer(self, request):
        command = request["command"]
        if command == "open":
            need_torch()
            self.engine = Engine(Package(request["package"]), request.get("device", ""), request.get("threads", 0), request.get("seed", 0),
                                 request.get("libraries") or (), self.eager, request.get("allowTraceCode", False),
                                 "target" if request.get("keepsSettings") else "recorded", pins=request.get("pins"))
            return {"info": self.engine.info()}
        if command == "schemas":
            names, package = request.get("names") or (), self.engine.package
            known = {name: str(schema) for name, schema in schemas_of(names).items()}
            for i in self.engine.kernels:
                op = package.manifest["operators"][i]
                known[package.name_of(op)] = package.manifest["schemas"][op["schema"]]
            return {"schemas": known}
        if command == "overloads":
            need_torch()
            return {"schemas": overloads_of(request["names"])}
        if command == "describe":
            need_torch()
            results = []
            for i, call in enumerate(request["calls"]):
                self.send({"kind": "progress", "done": i + 1})  # Each is named before it runs: it may end the process.
                results.append(describe(call))
            return {"results": results}
        if command == "start":
            self.baseline = self.engine.start(self.progress, fall_back=False)
            return {"baselineBytes": self.baseline}
        if command == "pace":
            return self.engine.keep_pace(request.get("share", 0))
        if command == "unpaced":
            self.engine.pacer = None
            return None
        if command == "iterate":
            answer = {"baselineBytes": self.baseline, **self.engine.iterate(request["count"], self.progress)}
            if request.get("releasesCache"):
                self.engine.release_cache()
            return dict(answer, pace=self.engine.pacer.report()) if self.engine.pacer else answer
        if command == "observe":
            return self.engine.observe(request["path"], hides=True)
        if command == "kineto":
            return self.engine.kineto(request["path"], request.get("trace"))
        if command == "probe":
            program = self.engine.probe(lambda i: self.send({"kind": "progress", "done": i + 1}))
            found = {**program.missing, **{i: reason for i, (_, reason) in program.substituted.items()}}
            return {"failures": [{"operator": i, "reason": reason} for i, reason in sorted(found.items())]}
        if command == "check":
            return {"failures": [{"operator": i, "reason": reason} for i, reason in check_values(self.engine)]}
        if command == "profile":
            return {"operatorTimesNs": self.engine.time_operators(request["count"])}
        raise RuntimeError(f"there is no command {command}")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.splitlines()[0],
                                     epilog="example: python3 run.py --device cuda:0 --iterations 100 --json result.json")
    parser.add_argument("package", nargs="?", default=os.path.dirname(os.path.abspath(__file__)),
                        help="the package's folder; default: where this file lies")
    parser.add_argument("--level", choices=("operator", "framework", "auto"), default="auto",
                        help="operator: the recorded operators; framework: what the job called, and this PyTorch's autograd makes the"
                             " backward passes; auto: operator on the recorded version and kind of device, and where these are not known;"
                             " framework elsewhere")
    parser.add_argument("--device", default="",
                        help="the device: cpu, cuda:1, xpu, …; default: for what was recorded on an accelerator, the one that is there")
    parser.add_argument("--flags", choices=("recorded", "target"), default="recorded",
                        help="the settings that decide kernels (TF32, cuDNN's, …): as recorded, or left as they are")
    parser.add_argument("--tf32", choices=("on", "off"),
                        help="whether matrix products and convolutions of float32 run as TF32; default: as --flags says")
    parser.add_argument("--pin", metavar="NAME=VALUE", action="append", default=[],
                        help="decide a setting, whatever the original had and --flags says: attention=flash, =efficient, =math or =cudnn,"
                             " or a setting by its name in packages (cudnn_benchmark=true); repeatable")
    parser.add_argument("--iterations", type=int, help="iterations to measure (20; on an accelerator at least a second's worth)")
    parser.add_argument("--warmup", type=int,
                        help="warm-up iterations, which are not measured (3; on an accelerator until times are steady)")
    parser.add_argument("--threads", type=int, default=0,
                        help="threads within operators; 0, the default: as many as the captured original had, else one per logical CPU")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the contents of tensors (1)")
    parser.add_argument("--pace", choices=("none", "recorded"), default="none",
                        help="none: unpaced; recorded: wait between calls, so that an iteration takes as long as the original's")
    parser.add_argument("--reference-time", metavar="MS", type=float, default=0,
                        help="the original's iteration time, in milliseconds: the target of --pace recorded; default: the package's")
    parser.add_argument("--profile", metavar="FILE", help="write a Kineto profile of one iteration")
    parser.add_argument("--observe", metavar="FILE",
                        help="write the execution trace of one iteration; with --profile both are of the same one")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output")
    parser.add_argument("--no-verify", action="store_true", help="do not compare an iteration, operator by operator, with the trace")
    parser.add_argument("--strict", action="store_true", help="end with exit code 1 where the replay differs from the recording")
    parser.add_argument("--no-operators", action="store_true", help="omit the separate pass that times operators")
    parser.add_argument("--check-values", action="store_true", help="look for operators that produce NaN or infinities")
    parser.add_argument("--load-library", metavar="FILE", action="append", default=[], help="load a library of operators first")
    parser.add_argument("--allow-trace-code", action="store_true", help="compile and run the Triton kernels that came with the trace")
    parser.add_argument("--eager", action="store_true", help="call the operators one by one, without TorchScript")
    parser.add_argument("--backend", default="",
                        help="what ranks of a job talk through: gloo, nccl, mpi, …; default: nccl on CUDA, xccl on XPU, else gloo")
    parser.add_argument("--rank", type=int, help="the rank of a job that this process is; without a launcher it runs without the others")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=60, help="the longest that a call between ranks may take (60)")
    parser.add_argument("--emulation", metavar="FILE", help="how long calls between ranks shall take, and which ranks are there (JSON)")
    parser.add_argument("--store", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--status", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--parent", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--find-failure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.strict and options.no_verify:
        parser.error("--strict needs the verification that --no-verify omits")
    try:
        options.pin = _pins_of(options.pin)
    except ValueError as error:
        parser.error(f"--pin: {error}")
    if not 0 < options.timeout <= 1e6:
        parser.error("--timeout takes seconds above 0")
    for name, least in (("iterations", 1), ("warmup", 0), ("threads", 0), ("seed", 0), ("rank", 0)):
        if getattr(options, name) is not None and getattr(options, name) < least:
            parser.error(f"--{name} takes a whole number from {least} on")
    return options


def give_way():
    """Where memory runs out, this process goes before those that somebody works with (proc(5), oom_score_adj)."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        pass  # Not on this system.


def main():
    options = parse(sys.argv[1:])
    give_way()
    if options.worker:
        return Worker(options.eager).run()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # What was begun goes: see the finally clauses.
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    if options.parent:
        end_with_parent()
    try:
        need_torch()
        run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except RankFailed as failed:
        return end_rank(failed)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code
    except OSError as error:  # Files have messages of their own: what is left is standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return 128 + 13  # Nobody reads on: SIGPIPE.
        print(output_problem(error.strerror, "standard output"), file=sys.stderr)
        return 2
    except Exception as error:
        print(Problem("MYS407", f"the replay failed: {first_line(error)}", options.package,
                      "report it with this message and the trace", 1), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
