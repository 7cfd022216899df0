using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Fitting;
using Mystique.Execution.Workers;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Traces.PyTorch;
using Mystique.Verification;

namespace Mystique.Execution;

/// <summary>
/// A package that is ready to run, in a worker process. Making one finds the operators that do not run here, takes
/// them out of the plan, with the reason, and starts again, until the rest runs.
/// </summary>
internal sealed class ReplaySession : IDisposable
{
    /// <summary>
    /// Each round takes out all operators of some kind, or all that a probe found; more rounds than this mean something else is
    /// wrong.
    /// </summary>
    private const int MaxRounds = 20;

    private readonly WorkerCommand _command;
    private readonly Engine _target;
    private readonly ReplayOptions _options;
    private readonly Action<string, int, int> _progress;
    private readonly Unfinished _work;
    private WorkerClient? _worker;

    private readonly TargetFit _fit;

    private ReplaySession(Benchmark benchmark, Engine engine, ReplayOptions options, Action<string, int, int> progress)
    {
        _options = options;
        _target = engine;
        _progress = progress;
        _fit = new TargetFit(benchmark.Plan, benchmark.Origin?.Segment, benchmark.Origin?.Options ?? options.Planning, () =>
            string.Join(", ", Engine!.Versions.Where(v => v.Key is "torch" or "libtorch").Select(v => $"{v.Key} {v.Value}")))
        {
            HasLibraries = !engine.Libraries.IsDefaultOrEmpty,
        };
        Package = _given = benchmark;
        _work = Unfinished.TemporaryFolder();
        var command = engine.PrepareWorker();
        _command = command.Script is { } script ? command with { Arguments = [WriteScript(script), .. command.Arguments] } : command;
    }

    /// <summary>What runs: the plan's package, or what it was fitted to.</summary>
    public Benchmark Package { get; private set; }

    private readonly Benchmark _given;

    public EngineInfo Engine { get; private set; } = null!;

    private bool IsOnHost => Engine.Device.StartsWith("cpu", StringComparison.Ordinal);

    /// <summary>Starts a worker with a plan.</summary>
    /// <exception cref="MystiqueException">It cannot run (MYS203, MYS4xx).</exception>
    public static ReplaySession Start(Benchmark benchmark, Engine engine, ReplayOptions options, Action<string, int, int> progress)
    {
        var session = new ReplaySession(benchmark, engine, options, progress);
        try
        {
            session.Prepare();
            if (options.Pace == ReplayPace.Recorded)
                session.Call(new WorkerRequest(WorkerRequest.Pace), "learning the pace");
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Has the worker wait as the original did, in proportion to the machine's speed just then: it may be one that others use
    /// too.
    /// </summary>
    /// <param name="flatOutShare">How long an iteration takes flat out, of one of the original at the same speed.</param>
    public void Pace(double flatOutShare) => Call(new WorkerRequest(WorkerRequest.Pace) { Share = flatOutShare }, "learning the pace");

    /// <summary>From now on, calls start as soon as can be.</summary>
    public void RunFlatOut() => Call(new WorkerRequest(WorkerRequest.FlatOut), "measuring");

    /// <summary>Runs iterations.</summary>
    public WorkerResponse Iterate(int count, string stage) =>
        Call(new WorkerRequest(WorkerRequest.Iterate) { Count = count }, stage);

    /// <summary>Runs an iteration under the observer and compares it with the plan.</summary>
    public VerificationResult Verify()
    {
        string path = Path.Combine(_work.Path, "observed.et.json");
        Call(new WorkerRequest(WorkerRequest.Observe) { Path = path }, "verifying");
        return ReplayVerifier.Verify(Package.Plan, TraceReader.Read(path));
    }

    /// <summary>Watches an iteration as an original's is watched when it is captured; null where what is seen does not fit.</summary>
    public InstrumentedIteration? Watch()
    {
        var (trace, profile) = (Path.Combine(_work.Path, "watched.et.json"), Path.Combine(_work.Path, "watched.kineto.json"));
        RecordProfile(profile, trace);
        return InstrumentedIteration.Of(Package.Plan, IsOnHost, trace, profile);
    }

    /// <summary>Records a Kineto profile of one iteration, and its execution trace where that is asked for.</summary>
    public void RecordProfile(string path, string? trace) =>
        Call(new WorkerRequest(WorkerRequest.Kineto) { Path = path, Trace = trace }, "recording a profile");

    /// <summary>Looks for operators whose results are not finite.</summary>
    public ImmutableArray<OperatorFailure> CheckValues() => Call(new WorkerRequest(WorkerRequest.Check), "checking values").Failures!.Value;

    /// <summary>Times the operators, each on its own; in nanoseconds, in the plan's order.</summary>
    public ImmutableArray<double> Profile(int iterations) =>
        Call(new WorkerRequest(WorkerRequest.Profile) { Count = iterations }, "profiling").OperatorTimesNs!.Value;

    public void Dispose()
    {
        _worker?.Dispose();
        _work.Dispose();
    }

    private string WriteScript(string script)
    {
        string path = Path.Combine(_work.Path, RunScript.FileName);
        try
        {
            File.WriteAllText(path, script);
            return path;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _work.Dispose();
            throw Problems.NoTemporaryFolder(_work.Path, exception);
        }
    }

    /// <summary>The host's memory is known before anything is allocated; a device says so itself when its own does not suffice.</summary>
    private void CheckMemory()
    {
        if (!IsOnHost)
            return;
        var memory = PlanMemory.Of(Package.Plan);
        if (MemoryProbe.AvailableBytes() is { } available && memory.PeakBytes > available)
            throw Problems.TooLarge(Package.Plan.Source.Name, memory.PeakBytes, memory.LargestBytes, available);
    }

    private void Prepare()
    {
        for (int round = 0; round < MaxRounds; round++)
        {
            var failures = TryStart();
            if (failures.IsEmpty)
            {
                CheckStrict();
                return;
            }
            _fit.Note(failures);
        }
        throw Problems.NothingToReplay(Package.Plan.Source.Name, Package.Plan.FirstReason);
    }

    private IReadOnlyDictionary<string, string> SchemasOf(IReadOnlyList<string> names) =>
        Call(new WorkerRequest(WorkerRequest.Schemas) { Names = [.. names] }, "asking for operators").Schemas!;

    /// <summary>As many as the user says, else as the original had, else 0: as there are processors.</summary>
    private static int ThreadsOf(ReplayPlan plan, Engine engine) => engine.Threads > 0 ? engine.Threads
        : plan.Baseline?.Threads.TryGetValue("intra_op", out int threads) == true ? Math.Clamp(threads, 1, Environment.ProcessorCount) : 0;

    /// <summary>Starts a worker, fits the plan to it, and runs a first iteration. Returns what stands in the way.</summary>
    private ImmutableArray<OperatorFailure> TryStart()
    {
        _worker?.Dispose();
        var worker = _worker = new WorkerClient(_command, _target.Timeout);
        Open();
        while (_fit.FitSchemas() is { IsEmpty: false } names)
            _fit.NoteSchemas(names, SchemasOf(names));
        if (_fit.Plan != Package.Plan)
        {
            Package = Benchmark.Of(_fit.Plan) with { Ranks = _given.Ranks };
            Open();
        }
        CheckMemory();
        try
        {
            worker.Call(new WorkerRequest(WorkerRequest.Start), (done, total) => _progress("preparing", done, total));
        }
        catch (WorkerException exception) when (FindCompileError(exception) is { IsEmpty: false } failures)
        {
            return failures;
        }
        catch (WorkerException exception)
        {
            throw WorkerProblem.Of(exception, Package.Plan.Source.Name, "preparing");
        }
        try
        {
            worker.Call(new WorkerRequest(WorkerRequest.Iterate) { Count = 1 });
            return [];
        }
        catch (WorkerException exception) when (exception.Kind == WorkerFailureKind.Refused)
        {
            return Probe(exception);
        }
        catch (WorkerException exception)
        {
            throw WorkerProblem.Of(exception, Package.Plan.Source.Name, "the first iteration");
        }
    }

    private void Open()
    {
        string folder = Path.Combine(_work.Path, "package");
        Package.Save(folder);
        Engine = Call(new WorkerRequest(WorkerRequest.Open)
        {
            Package = folder,
            Threads = ThreadsOf(Package.Plan, _target),
            Device = _target.Device,
            AllowTraceCode = _options.Planning.AllowTraceCode,
            Seed = _options.Seed,
            Libraries = _target.Libraries,
        }, "opening").Info!;
    }

    /// <summary>Finds the operators that fail, each run on its own. One that ends the worker is taken out alone.</summary>
    private ImmutableArray<OperatorFailure> Probe(WorkerException cause)
    {
        try
        {
            var failures = _worker!.Call(new WorkerRequest(WorkerRequest.Probe),
                (done, _) => _progress("probing", done, Package.Plan.Operators.Length)).Failures!.Value;
            return failures.IsEmpty ? throw Problems.WorkerFailed(Package.Plan.Source.Name, "an iteration", cause.Message) : failures;
        }
        catch (WorkerException exception) when (exception is { Kind: WorkerFailureKind.Died, LastProgress: > 0 })
        {
            return [new OperatorFailure(exception.LastProgress - 1, $"it ends the process: {exception.Message}")];
        }
        catch (WorkerException exception)
        {
            throw WorkerProblem.Of(exception, Package.Plan.Source.Name, "probing");
        }
    }

    /// <summary>
    /// A program that does not compile ends the worker (see <c>docs/design.md</c>), or is refused by one that runs in Python;
    /// libtorch's last words name the line.
    /// All operators with the same schema go.
    /// </summary>
    private ImmutableArray<OperatorFailure> FindCompileError(WorkerException exception)
    {
        string words = exception.Kind == WorkerFailureKind.Refused ? exception.Message : exception.StandardError;
        if (exception.Kind == WorkerFailureKind.TimedOut || CompileError.Find(words) is not { } error)
            return [];
        int culprit = ProgramGenerator.Generate(Package.Plan).OperatorLines.IndexOf(error.Line);
        if (culprit < 0)
            return [];
        string schema = Package.Plan.Operators[culprit].Schema.Text;
        return [.. Package.Plan.Operators.Select((op, i) => (op, i)).Where(o => o.op.Schema.Text == schema)
            .Select(o => new OperatorFailure(o.i, $"libtorch does not compile it: {error.What}"))];
    }

    private void CheckStrict()
    {
        if (_options.Strict && Package.Plan.Replaced.Where(r => r.Remedy != Remedy.Substitute).ToArray() is [var first, ..] skipped)
            throw Problems.OperatorCannotRun(Package.Plan.Source.Name, first.Id.Node, first.Name, first.Reason, skipped.Length);
    }

    private WorkerResponse Call(WorkerRequest request, string stage)
    {
        try
        {
            return _worker!.Call(request, (done, total) => _progress(stage, done, total));
        }
        catch (WorkerException exception)
        {
            throw WorkerProblem.Of(exception, Package.Plan.Source.Name, stage);
        }
    }
}
