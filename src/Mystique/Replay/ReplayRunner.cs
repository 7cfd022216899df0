using System.Collections.Immutable;
using System.Diagnostics;
using Mystique.Diagnostics;
using Mystique.Fidelity;
using Mystique.Metrics;
using Mystique.Planning;

namespace Mystique.Replay;

/// <summary>Runs a package and measures it.</summary>
public static class ReplayRunner
{
    /// <summary>Runs a plan in a worker: warm-up, verification, measured iterations, and a pass that times operators.</summary>
    /// <param name="source">Where the plan comes from.</param>
    /// <param name="worker">How to start a worker.</param>
    /// <param name="options">How to run it.</param>
    /// <param name="progress">Told the stage, parts done, and parts in all.</param>
    /// <exception cref="MystiqueException">It cannot run (MYS203, MYS4xx).</exception>
    public static ReplayResult Run(IPlanSource source, WorkerCommand worker, ReplayOptions options, Action<string, int, int> progress)
    {
        using var session = ReplaySession.Start(source, worker, options, progress);
        VerificationResult? verification = options.Verify ? session.Verify() : null;
        if (options.Warmup > 0)
            session.Iterate(options.Warmup, "warming up");
        WorkerResponse measured;
        SystemMetrics? system;
        using (var gpu = options.GpuMetrics ? new GpuSampler() : null)
        {
            long start = Now();
            measured = session.Iterate(options.Iterations, "measuring");
            system = gpu is null ? measured.SystemMetrics : gpu.AddTo(measured.SystemMetrics, start, Now());
        }
        var times = options.ProfileIterations > 0 ? session.Profile(options.ProfileIterations) : [];
        var nonFinite = options.CheckValues ? (ImmutableArray<OperatorFailure>?)session.CheckValues() : null;
        var watched = options.ProfileIterations > 0 ? session.Watch() : null;
        if (options.KinetoFile is { } file)
            session.RecordProfile(Path.GetFullPath(file), null);
        return new ReplayResult(
            session.Package.Plan, options, session.Engine, HostInfo.Current,
            new SampleStatistics(measured.SamplesNs!.Value), KindsOf(session.Package.Plan, times),
            new MemoryUse(measured.BaselineBytes, measured.PeakBytes, PlanMemory.Of(session.Package.Plan).PeakBytes),
            (double)measured.CpuTimeNs / options.Iterations, verification, nonFinite, measured.Pace)
        { OperatorTimesNs = times, System = system, Watched = watched };
    }

    private static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

    /// <summary>The times by kind, the longest first.</summary>
    internal static ImmutableArray<OperatorKindTime> KindsOf(ReplayPlan plan, ImmutableArray<double> times) =>
        [.. plan.Operators.Zip(times, (op, time) => (op.Schema.FullName, Time: time))
            .GroupBy(o => o.FullName, (name, group) => new OperatorKindTime(name, group.Count(), group.Sum(o => o.Time)))
            .OrderByDescending(k => k.TimeNs)];
}
