using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Execution;

/// <summary>Runs a package and measures it.</summary>
internal static class ReplayRunner
{
    /// <summary>On a device, iterations are measured for at least so long, if the user does not say how many.</summary>
    private const double LeastMeasuredNs = 1e9;

    private const int MostIterations = 10_000;

    /// <summary>Runs a plan in a worker: warm-up, verification, measured iterations, and a pass that times operators.</summary>
    /// <param name="benchmark">What to run.</param>
    /// <param name="engine">What it runs on; it may be used for other replays as well.</param>
    /// <param name="options">How to run it.</param>
    /// <param name="progress">Told how far it is; null for nobody. Its calls come one after the other, from any thread.</param>
    /// <param name="cancellationToken">Ends the worker at once.</param>
    /// <exception cref="MystiqueException">It cannot run (MYS203, MYS3xx, MYS4xx).</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<ReplayResult> RunAsync(Benchmark benchmark, Engine engine, ReplayOptions options,
        IProgress<ReplayProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        await using var session = await ReplaySession.StartAsync(benchmark, engine, options, progress, cancellationToken)
            .ConfigureAwait(false);
        var verification = options.Verify ? await session.VerifyAsync(cancellationToken).ConfigureAwait(false) : null;
        var (warmup, medianNs) = await session.WarmUpAsync(options.Warmup, "warming up", cancellationToken).ConfigureAwait(false);
        options = options with
        {
            Warmup = warmup,
            Iterations = options.Iterations ?? (session.IsOnHost || medianNs <= 0 ? ReplayOptions.HostIterations
                : (int)Math.Clamp(LeastMeasuredNs / medianNs, ReplayOptions.HostIterations, MostIterations)),
        };
        var measured = await MeasureAsync(session, options, cancellationToken).ConfigureAwait(false);
        return await FinishAsync(session, options, verification, measured, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What follows the measured iterations, and the outcome of all.</summary>
    /// <param name="session">The replay.</param>
    /// <param name="options">How it ran.</param>
    /// <param name="verification">What the observer saw.</param>
    /// <param name="measured">The measured iterations, all of them.</param>
    /// <param name="cancellationToken">Ends the worker at once.</param>
    internal static async Task<ReplayResult> FinishAsync(ReplaySession session, ReplayOptions options, VerificationResult? verification,
        MeasuredBlock measured, CancellationToken cancellationToken)
    {
        var plan = session.Package.Plan;
        var times = options.ProfileIterations > 0
            ? await session.TimeOperatorsAsync(options.ProfileIterations, cancellationToken).ConfigureAwait(false) : [];
        var nonFinite = options.CheckValues
            ? await session.CheckValuesAsync(cancellationToken).ConfigureAwait(false) : (ImmutableArray<OperatorFailure>?)null;
        var instrumented = options.ProfileIterations > 0
            ? await session.RunInstrumentedAsync(cancellationToken).ConfigureAwait(false) : null;
        if (options.KinetoFile is { } file)
            await session.RecordProfileAsync(Path.GetFullPath(file), null, cancellationToken).ConfigureAwait(false);
        return new ReplayResult
        {
            Plan = plan,
            Options = options,
            Engine = session.Target with { Notes = [.. session.Target.Notes, .. session.Notes] },
            Program = session.Program,
            Host = HostInfo.Current,
            Iterations = measured.Times,
            OperatorGroups = GroupsOf(plan, times, instrumented),
            OperatorTimesNs = times,
            Memory = new MemoryUse(measured.BaselineBytes!.Value, measured.PeakBytes!.Value, PlanMemory.Of(plan).PeakBytes)
            {
                Device = measured.Device,
            },
            CpuTimeNs = measured.CpuTimeNs!.Value,
            System = measured.System,
            Verification = verification is null ? null : KernelCounts.AddTo(verification, plan, instrumented),
            WhyNotVerified = options.Verify ? session.WhyNotObserved : null,
            NonFinite = nonFinite,
            Pace = measured.Pace,
            Clock = measured.Clock,
            Instrumented = instrumented,
        };
    }

    private static async Task<MeasuredBlock> MeasureAsync(ReplaySession session, ReplayOptions options, CancellationToken cancellationToken)
    {
        using var gpu = options.GpuMetrics ? new GpuSampler() : null;
        long start = GpuSampler.Now();
        var measured = await session.IterateAsync(options.Iterations!.Value, "measuring", cancellationToken).ConfigureAwait(false);
        return gpu is null ? measured : measured with
        {
            System = gpu.AddTo(measured.System, start, GpuSampler.Now(), session.Target.DeviceUuid),
        };
    }

    /// <summary>
    /// The times by operators of the same name, the longest first. What autograd runs in a backward pass cannot be called one by one: at
    /// the framework's level they are those of an instrumented iteration.
    /// </summary>
    private static ImmutableArray<OperatorGroupTime> GroupsOf(ReplayPlan plan, ImmutableArray<double> times,
        InstrumentedIteration? instrumented) => plan.Level == ReplayLevel.Framework && instrumented is not null
        ? [.. instrumented.Operators.GroupBy(o => o.Name)
            .Select(g => new OperatorGroupTime(g.Key, g.Count(), g.Sum(o => (double)o.DurationNs))).OrderByDescending(k => k.TimeNs)]
        : [.. plan.Operators.Zip(times).Where(o => o.First.Role != OperatorRole.Autograd)
            .Select(o => (o.First.Schema.FullName, Time: o.Second))
            .GroupBy(o => o.FullName, (name, group) => new OperatorGroupTime(name, group.Count(), group.Sum(o => o.Time)))
            .OrderByDescending(k => k.TimeNs)];
}
