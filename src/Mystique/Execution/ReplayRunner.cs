using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Fitting;
using Mystique.Execution.Workers;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Execution;

/// <summary>Runs a package and measures it.</summary>
public static class ReplayRunner
{
    /// <summary>Runs a plan in a worker: warm-up, verification, measured iterations, and a pass that times operators.</summary>
    /// <param name="benchmark">What to run.</param>
    /// <param name="engine">What it runs on.</param>
    /// <param name="options">How to run it.</param>
    /// <param name="progress">Told the stage, parts done, and parts in all.</param>
    /// <exception cref="MystiqueException">It cannot run (MYS203, MYS4xx).</exception>
    public static ReplayResult Run(Benchmark benchmark, Engine engine, ReplayOptions options, Action<string, int, int> progress)
    {
        using var session = ReplaySession.Start(benchmark, engine, options, progress);
        VerificationResult? verification = options.Verify ? session.Verify() : null;
        if (options.Warmup > 0)
            session.Iterate(options.Warmup, "warming up");
        WorkerResponse measured;
        SystemMetrics? system;
        using (var gpu = options.GpuMetrics ? new GpuSampler() : null)
        {
            long start = GpuSampler.Now();
            measured = session.Iterate(options.Iterations, "measuring");
            system = gpu is null ? measured.SystemMetrics : gpu.AddTo(measured.SystemMetrics, start, GpuSampler.Now());
        }
        return Finish(session, options, verification, measured, new SampleStatistics(measured.SamplesNs!.Value), measured.PeakBytes,
            (double)measured.CpuTimeNs / options.Iterations, system);
    }

    /// <summary>What follows the measured iterations, and the outcome of all.</summary>
    /// <param name="session">The replay.</param>
    /// <param name="options">How it ran.</param>
    /// <param name="verification">What the observer saw.</param>
    /// <param name="measured">The last measured iterations.</param>
    /// <param name="iterations">The times of all of them.</param>
    /// <param name="peakBytes">The most memory in all of them.</param>
    /// <param name="cpuTimeNs">Processor time of one of them, in nanoseconds.</param>
    /// <param name="system">What they did to the machine.</param>
    internal static ReplayResult Finish(ReplaySession session, ReplayOptions options, VerificationResult? verification,
        WorkerResponse measured,
        SampleStatistics iterations, long peakBytes, double cpuTimeNs, SystemMetrics? system)
    {
        var plan = session.Package.Plan;
        var times = options.ProfileIterations > 0 ? session.Profile(options.ProfileIterations) : [];
        var nonFinite = options.CheckValues ? (ImmutableArray<OperatorFailure>?)session.CheckValues() : null;
        var watched = options.ProfileIterations > 0 ? session.Watch() : null;
        if (options.KinetoFile is { } file)
            session.RecordProfile(Path.GetFullPath(file), null);
        return new ReplayResult(plan, options, session.Engine, HostInfo.Current, iterations, KindsOf(plan, times),
            new MemoryUse(measured.BaselineBytes, peakBytes, PlanMemory.Of(plan).PeakBytes), cpuTimeNs, verification, nonFinite,
                measured.Pace)
        { OperatorTimesNs = times, System = system, Watched = watched };
    }

    /// <summary>The times by kind, the longest first.</summary>
    private static ImmutableArray<OperatorGroupTime> KindsOf(ReplayPlan plan, ImmutableArray<double> times) =>
        [.. plan.Operators.Zip(times, (op, time) => (op.Schema.FullName, Time: time))
            .GroupBy(o => o.FullName, (name, group) => new OperatorGroupTime(name, group.Count(), group.Sum(o => o.Time)))
            .OrderByDescending(k => k.TimeNs)];
}
