using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Mystique.Diagnostics;
using Mystique.Execution.Workers;
using Mystique.Files;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Traces;
using Mystique.Traces.PyTorch;
using Mystique.Verification;

namespace Mystique.Execution;

/// <summary>
/// A package that is ready to run, in a worker process. Making one finds the operators that do not run here, takes them out of the
/// plan, with the reason, and starts again, until the rest runs. All methods throw <see cref="MystiqueException"/> where the worker
/// fails (MYS4xx), and end it where they are cancelled. Not thread-safe.
/// </summary>
internal sealed class ReplaySession : IAsyncDisposable
{
    /// <summary>
    /// Each round takes out all operators of some kind, or all that a probe found; more rounds than this mean something else is
    /// wrong.
    /// </summary>
    private const int MaxRounds = 20;

    /// <summary>On a device, warm-up takes at least and at most so long, if the user does not say how many iterations.</summary>
    private static readonly TimeSpan LeastWarmup = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan MostWarmup = TimeSpan.FromSeconds(20);

    private readonly Engine _engine;
    private readonly ReplayOptions _options;
    private readonly IProgress<ReplayProgress>? _progress;
    private readonly Unfinished _work;
    private readonly Benchmark _both;
    private TargetFit _fit;
    private Benchmark _given;
    private EngineWorker? _worker;
    private bool _hasChosen; // Of both levels, which one runs.

    private ReplaySession(Benchmark benchmark, Engine engine, ReplayOptions options, IProgress<ReplayProgress>? progress)
    {
        (_engine, _options, _progress) = (engine, options, progress);
        _both = benchmark;
        bool wants = options.Level == ReplayLevel.Framework && benchmark.Plan.Level != ReplayLevel.Framework;
        if (wants && benchmark.Framework is null && !benchmark.OtherLevel.Value.IsSame)
            throw Problems.NoFrameworkLevel(benchmark.Plan.Source.Name, benchmark.WhyNoFramework);
        if (wants && benchmark.Framework is null)
            Notes = [benchmark.WhyNoFramework];
        Take((wants ? benchmark.Framework : null) ?? benchmark.WithoutFramework());
        _work = Unfinished.TemporaryFolder();
    }

    /// <summary>From now on, this level of the benchmark is what runs.</summary>
    [MemberNotNull(nameof(_fit), nameof(_given), nameof(Package))]
    private void Take(Benchmark level)
    {
        _fit = new TargetFit(level.Plan, level.Origin?.Segment, level.Origin?.Options
            ?? _options.Planning with { Substitutions = _options.Planning.Substitutions.With(level.Plan.Substitutions) },
            () => string.Join(", ", Target.Versions.Where(v => v.Key is "torch" or "libtorch").Select(v => $"{v.Key} {v.Value}")))
        {
            HasLibraries = !_engine.Libraries.IsDefaultOrEmpty,
        };
        Package = _given = level;
    }

    /// <summary>What runs: the plan's package, or what it was fitted to.</summary>
    public Benchmark Package { get; private set; }

    /// <summary>What it runs on.</summary>
    public EngineInfo Target { get; private set; } = null!;

    /// <summary>Why it is not the level that was to be expected: sentences for people.</summary>
    public ImmutableArray<string> Notes { get; private set; } = [];

    /// <summary>The program that runs, and what was changed for the target.</summary>
    public ReplayedProgram Program => new(Package.ProgramDigest, Package.ProgramDigest != _given.ProgramDigest, _fit.Changes);

    /// <summary>The worker's process; another one takes its place while the session is made.</summary>
    public int ProcessId => Worker.ProcessId;

    /// <summary>Whether the worker gives the cache of the device's allocator back after its iterations.</summary>
    public bool ReleasesCache { get; set; }

    private EngineWorker Worker => _worker ?? throw new InvalidOperationException("the session was not started");

    /// <summary>Whether it runs on the host, and not on a device that works on its own.</summary>
    public bool IsOnHost => Target.IsOnHost;

    /// <summary>Starts a worker with a plan.</summary>
    /// <param name="benchmark">What to run.</param>
    /// <param name="engine">What it runs on; it has to live as long as the session.</param>
    /// <param name="options">How it runs.</param>
    /// <param name="progress">Told how far it is; null for nobody.</param>
    /// <param name="cancellationToken">Ends the worker at once.</param>
    /// <exception cref="MystiqueException">It cannot run (MYS203, MYS4xx).</exception>
    public static async Task<ReplaySession> StartAsync(Benchmark benchmark, Engine engine, ReplayOptions options,
        IProgress<ReplayProgress>? progress, CancellationToken cancellationToken)
    {
        var session = new ReplaySession(benchmark, engine, options, progress);
        try
        {
            await session.PrepareAsync(cancellationToken).ConfigureAwait(false);
            if (options.Pace == ReplayPace.Recorded)
                await session.KeepPaceAsync(null, cancellationToken).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>From now on, iterations keep the original's pace.</summary>
    /// <param name="share">
    /// How long an unpaced iteration takes, of one of the original at the same speed of the machine, which may be one that others use
    /// too: waits are in proportion to its speed just then. Null for iterations of the time that the package says.
    /// </param>
    /// <param name="cancellationToken">Ends the worker at once.</param>
    public Task KeepPaceAsync(double? share, CancellationToken cancellationToken) => Ask(Worker.KeepPaceAsync(share, cancellationToken));

    /// <summary>From now on, each call starts when the one before it is done.</summary>
    public Task RunUnpacedAsync(CancellationToken cancellationToken) => Ask(Worker.RunUnpacedAsync(cancellationToken));

    /// <summary>Runs iterations.</summary>
    public Task<MeasuredBlock> IterateAsync(int count, string stage, CancellationToken cancellationToken) =>
        Ask(Worker.IterateAsync(count, stage, ReleasesCache, cancellationToken));

    /// <summary>
    /// Runs iterations that are not measured: so many; unless told, a few on the host, on a device until its times are steady. Its clocks
    /// rise for a while, and the first iterations load kernels.
    /// </summary>
    /// <returns>How many there were, and the median of the last ones' times, in nanoseconds; 0 where there were none.</returns>
    public async Task<(int Count, double MedianNs)> WarmUpAsync(int? asked, string stage, CancellationToken cancellationToken)
    {
        if (asked is { } count || IsOnHost)
        {
            count = asked ?? ReplayOptions.HostWarmup;
            return count == 0 ? (0, 0)
                : (count, (await IterateAsync(count, stage, cancellationToken).ConfigureAwait(false)).Times.MedianNs);
        }
        var samples = new List<long>();
        var spent = Stopwatch.StartNew();
        do
        {
            var block = await IterateAsync(Math.Max(1, samples.Count / 2), stage, cancellationToken).ConfigureAwait(false);
            samples.AddRange(block.Times.SamplesNs);
        }
        while (spent.Elapsed < MostWarmup && (spent.Elapsed < LeastWarmup || !SampleStatistics.IsSteady(samples)));
        return (samples.Count, new SampleStatistics([.. samples.TakeLast(Math.Max(1, samples.Count / 10))]).MedianNs);
    }

    /// <summary>Why nothing can run under the observer here; null where it can.</summary>
    public string? WhyNotObserved => Unobservable.WhyNot(Package.Plan,
        Target.Versions.GetValueOrDefault("torch") ?? Target.Versions.GetValueOrDefault("libtorch"));

    /// <summary>Runs an iteration under the observer and compares it with the plan; null where that cannot be.</summary>
    public async Task<VerificationResult?> VerifyAsync(CancellationToken cancellationToken)
    {
        if (WhyNotObserved is not null)
            return null;
        string path = Path.Combine(_work.Path, "observed.et.json");
        await Ask(Worker.ObserveAsync(path, "verifying", cancellationToken)).ConfigureAwait(false);
        return ReplayVerifier.Verify(Package.Plan, TraceReader.Read(path), Target.DeviceKind);
    }

    /// <summary>
    /// Runs an iteration under the observer and the profiler, as an original's is when it is captured; null where what they record
    /// does not fit, or the observer cannot be on.
    /// </summary>
    public async Task<InstrumentedIteration?> RunInstrumentedAsync(CancellationToken cancellationToken)
    {
        if (WhyNotObserved is not null)
            return null;
        string trace = Path.Combine(_work.Path, "instrumented.et.json");
        string profile = Path.Combine(_work.Path, "instrumented.kineto.json");
        long? live = await RecordProfileAsync(profile, trace, cancellationToken).ConfigureAwait(false);
        return InstrumentedIteration.Of(Package.Plan, IsOnHost, trace, profile, live);
    }

    /// <summary>Records a Kineto profile of one iteration, and its execution trace where that is asked for.</summary>
    /// <returns>Bytes that the device's allocator had given out when it began; null for the host, and where it is not known.</returns>
    public Task<long?> RecordProfileAsync(string path, string? trace, CancellationToken cancellationToken) =>
        Ask(Worker.RecordProfileAsync(path, trace, cancellationToken));

    /// <summary>Looks for operators whose results are not finite.</summary>
    public Task<ImmutableArray<OperatorFailure>> CheckValuesAsync(CancellationToken cancellationToken) =>
        Ask(Worker.CheckValuesAsync(cancellationToken));

    /// <summary>Times the operators, each on its own; in nanoseconds, in the plan's order.</summary>
    public Task<ImmutableArray<double>> TimeOperatorsAsync(int iterations, CancellationToken cancellationToken) =>
        Ask(Worker.TimeOperatorsAsync(iterations, cancellationToken));

    /// <summary>Ends the worker until <see cref="ResumeAsync"/>, because others need its memory.</summary>
    public async Task SuspendAsync()
    {
        await Worker.DisposeAsync().ConfigureAwait(false);
        _worker = null;
    }

    /// <summary>Starts the worker again with what it ran, and warms it up, where it was suspended.</summary>
    /// <param name="warmup">As in <see cref="WarmUpAsync"/>.</param>
    /// <param name="cancellationToken">Ends the worker at once.</param>
    public async Task ResumeAsync(int? warmup, CancellationToken cancellationToken)
    {
        if (_worker is not null)
            return;
        _worker = EngineWorker.Start(_engine, _progress);
        await OpenAsync(cancellationToken).ConfigureAwait(false);
        await Ask(_worker.PrepareAsync("starting the replay again", cancellationToken)).ConfigureAwait(false);
        await WarmUpAsync(warmup is { } asked ? Math.Max(1, asked) : null, "warming up the replay", cancellationToken)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_worker is not null)
            await _worker.DisposeAsync().ConfigureAwait(false);
        _work.Dispose();
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

    private async Task PrepareAsync(CancellationToken cancellationToken)
    {
        for (int round = 0; round < MaxRounds; round++)
        {
            var failures = await TryStartAsync(cancellationToken).ConfigureAwait(false);
            if (failures.IsEmpty)
            {
                CheckStrict();
                return;
            }
            if (failures.FirstOrDefault(f => Package.Plan.Operators[f.Operator].Role == OperatorRole.Autograd) is { } autograd)
                TakeOperators(autograd.Reason);
            else
                _fit.Note(failures);
        }
        throw Problems.NothingToReplay(Package.Plan.Source.Name, Package.Plan.FirstReason);
    }

    /// <summary>Autograd's own calls have no substitutes: the operators' level has to do.</summary>
    private void TakeOperators(string reason)
    {
        if (_options.Level == ReplayLevel.Framework || _both.Plan.Level == ReplayLevel.Framework)
            throw Problems.FrameworkFailed(Package.Plan.Source.Name, reason);
        Take(_both.WithoutFramework());
        Notes = Notes.Add($"the operators' level: at the framework's, autograd's call fails here: {reason}");
    }

    /// <summary>
    /// Where the target is another than that of the recording, as far as both are known, the framework's level predicts what it does.
    /// </summary>
    private bool IsElsewhere()
    {
        var plan = _both.Plan;
        string kind = plan.Devices.FirstOrDefault(DeviceName.IsAccelerator) is { } device ? DeviceName.KindOf(device) : DeviceName.Host;
        if (Target.DeviceKind != kind)
            return true;
        return Version(plan.Baseline?.Versions) is { } recorded && Version(Target.Versions) is { } here && recorded != here;

        // Of a build, what comes after the version does not count: 2.6.0+cu124.
        static string? Version(IReadOnlyDictionary<string, string>? versions) => versions is null ? null
            : (versions.TryGetValue("torch", out string? version) || versions.TryGetValue("libtorch", out version)
                ? version.Split('+')[0] : null);
    }

    /// <summary>As many as the user says, else as the original had, else 0: as there are logical CPUs.</summary>
    private static int ThreadsOf(ReplayPlan plan, Engine engine) => engine.Threads > 0 ? engine.Threads
        : plan.Baseline?.Threads.TryGetValue("intra_op", out int threads) == true ? Math.Clamp(threads, 1, Environment.ProcessorCount) : 0;

    /// <summary>Starts a worker, fits the plan to it, and runs a first iteration. Returns what stands in the way.</summary>
    private async Task<ImmutableArray<OperatorFailure>> TryStartAsync(CancellationToken cancellationToken)
    {
        if (_worker is not null)
            await _worker.DisposeAsync().ConfigureAwait(false);
        _worker = EngineWorker.Start(_engine, _progress);
        await OpenAsync(cancellationToken).ConfigureAwait(false);
        if (!_hasChosen && _options.Level is null && IsElsewhere() && _both.Framework is { } framework)
        {
            Take(framework);
            await OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        _hasChosen = true;
        while (_fit.FitSchemas() is { IsEmpty: false } names)
            _fit.NoteSchemas(names, await Ask(_worker.SchemasAsync(names, cancellationToken)).ConfigureAwait(false));
        if (_fit.Plan != Package.Plan)
        {
            Package = Benchmark.Of(_fit.Plan).WithoutFramework() with { Ranks = _given.Ranks };
            await OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        CheckMemory();
        try
        {
            await _worker.PrepareAsync("preparing", cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerException exception)
        {
            return FindCompileError(exception) is { IsEmpty: false } failures ? failures
                : throw exception.ToProblem(Package.Plan.Source.Name);
        }
        try
        {
            await _worker.IterateAsync(1, "the first iteration", releasesCache: false, cancellationToken)
                .ConfigureAwait(false);
            return [];
        }
        catch (WorkerException exception)
        {
            return exception.Kind == WorkerFailureKind.Refused ? await ProbeAsync(exception, cancellationToken).ConfigureAwait(false)
                : throw exception.ToProblem(Package.Plan.Source.Name);
        }
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        string folder = Path.Combine(_work.Path, "package");
        using (Phase.Start("write the package for the worker"))
            PackageWriter.WriteForWorker(Package, folder);
        Target = await Ask(Worker.OpenPackageAsync(folder, new EngineSettings
        {
            Threads = ThreadsOf(Package.Plan, _engine),
            Device = _engine.Device,
            AllowTraceCode = _options.Planning.AllowTraceCode,
            Seed = _options.Seed,
            Libraries = _engine.Libraries,
            KeepsSettings = _engine.KeepsSettings,
            Pins = _engine.Pins,
        }, cancellationToken)).ConfigureAwait(false);
    }

    /// <summary>Finds the operators that fail, each run on its own. One that ends the worker is taken out alone.</summary>
    private async Task<ImmutableArray<OperatorFailure>> ProbeAsync(WorkerException cause, CancellationToken cancellationToken)
    {
        try
        {
            var failures = await Worker.ProbeAsync(Package.Plan.Operators.Length, cancellationToken).ConfigureAwait(false);
            return failures.IsEmpty ? throw Problems.WorkerFailed(Package.Plan.Source.Name, "an iteration", cause.Message) : failures;
        }
        catch (WorkerException exception)
        {
            return exception is { Kind: WorkerFailureKind.Died, LastProgress: > 0 }
                ? [new OperatorFailure(exception.LastProgress - 1, $"it ends the process: {exception.Message}")]
                : throw exception.ToProblem(Package.Plan.Source.Name);
        }
    }

    /// <summary>
    /// A program that does not compile ends the worker (see <c>docs/design.md</c>, 9), or is refused by one that runs in Python;
    /// libtorch's last words name the line.
    /// All operators with the same schema go.
    /// </summary>
    private ImmutableArray<OperatorFailure> FindCompileError(WorkerException exception)
    {
        string words = exception.Kind == WorkerFailureKind.Refused ? exception.Message : exception.StandardError;
        if (exception.Kind == WorkerFailureKind.TimedOut || CompileError.Find(words) is not { } error)
            return [];
        if (ProgramInspector.OperatorAt(TorchScriptArchive.ReadCode([.. Package.ProgramBytes]), error.Line, Package.Plan, Package.Schedule)
            is not { } culprit)
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

    /// <summary>Says to the user what a worker's failure means.</summary>
    private async Task Ask(Task call)
    {
        try
        {
            await call.ConfigureAwait(false);
        }
        catch (WorkerException exception)
        {
            throw exception.ToProblem(Package.Plan.Source.Name);
        }
    }

    /// <inheritdoc cref="Ask(Task)"/>
    private async Task<T> Ask<T>(Task<T> call)
    {
        await Ask((Task)call).ConfigureAwait(false);
        return await call.ConfigureAwait(false);
    }
}
