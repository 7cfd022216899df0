using System.Collections.Immutable;
using Mystique.Metrics;
using Mystique.Replay;

namespace Mystique.Fidelity;

/// <summary>
/// Measures an original and its replay in turn (A B A B …): what drifts on the machine meets both alike. The replay runs
/// at the original's pace where its package has one, and is told in each turn how fast the original just was; and flat out.
/// </summary>
/// <param name="session">The replay.</param>
/// <param name="options">How it runs.</param>
/// <param name="rounds">Turns of each side.</param>
/// <param name="progress">Told the stage, parts done, and parts in all.</param>
internal sealed class TurnComparison(ReplaySession session, ReplayOptions options, int rounds, Action<string, int, int> progress)
{
    /// <summary>Measures.</summary>
    /// <param name="original">Gives the original its turn.</param>
    /// <exception cref="Diagnostics.MystiqueException">One of them cannot run (MYS4xx).</exception>
    public TurnResult Run(Func<ComparedTurn> original)
    {
        var verification = session.Verify();
        session.Iterate(Math.Max(1, options.Warmup), "warming up the replay");
        var originals = new List<ComparedTurn>();
        var replays = new List<ComparedTurn>();
        var flatOut = new List<ComparedTurn>();
        bool hasPace = session.Package.Plan.Times is not null;
        WorkerResponse last = null!;
        for (int round = 0; round < rounds; round++)
        {
            progress("measuring in turn", 2 * round, 2 * rounds);
            originals.Add(original());
            progress("measuring in turn", 2 * round + 1, 2 * rounds);
            if (hasPace)
                session.Pace((long)originals[^1].Times.MedianNs);
            last = session.Iterate(options.Iterations, "measuring in turn");
            replays.Add(ComparedTurn.Of(last));
            if (hasPace)
                session.RunFlatOut();
            flatOut.Add(hasPace ? ComparedTurn.Of(session.Iterate(options.Iterations, "measuring in turn")) : replays[^1]);
        }
        var side = ComparedSide.Of(replays);
        var result = ReplayRunner.Finish(session, options with { Pace = hasPace ? ReplayPace.Recorded : ReplayPace.None }, verification, last,
            side.Times, last.BaselineBytes + side.UsedBytes, side.CpuTimeNs, side.System);
        return new TurnResult(ComparedSide.Of(originals), side, ComparedSide.Of(flatOut), result);
    }
}

/// <summary>What came of turns.</summary>
/// <param name="Original">The original's.</param>
/// <param name="Replay">The replay's, at the original's pace where that is known.</param>
/// <param name="FlatOut">The replay's, each call as soon as can be.</param>
/// <param name="Result">The replay's, with what else was found out of it.</param>
internal sealed record TurnResult(ComparedSide Original, ComparedSide Replay, ComparedSide FlatOut, ReplayResult Result);

/// <summary>A turn.</summary>
/// <param name="Times">Iteration times.</param>
/// <param name="CpuTimeNs">Processor time of an iteration, all threads, in nanoseconds.</param>
/// <param name="UsedBytes">The most resident memory, without what was there before the first tensor.</param>
/// <param name="System">What it did to its machine; null where that is not known.</param>
internal sealed record ComparedTurn(SampleStatistics Times, double CpuTimeNs, long UsedBytes, SystemMetrics? System)
{
    public static ComparedTurn Of(WorkerResponse response) =>
        new(new SampleStatistics(response.SamplesNs!.Value), (double)response.CpuTimeNs / response.SamplesNs.Value.Length, response.PeakBytes - response.BaselineBytes, response.SystemMetrics);
}

/// <summary>One side of a comparison in turn.</summary>
/// <param name="Times">Iteration times of all turns.</param>
/// <param name="UsedBytes">The most resident memory, without what was there before the first tensor.</param>
/// <param name="CpuTimeNs">Processor time of an iteration, all threads, in nanoseconds: the median of the turns'.</param>
/// <param name="Turns">The iteration times by turn.</param>
/// <param name="System">What it did to its machine in its last turn; null where that is not known.</param>
public sealed record ComparedSide(SampleStatistics Times, long UsedBytes, double CpuTimeNs, ImmutableArray<SampleStatistics> Turns, SystemMetrics? System = null)
{
    internal static ComparedSide Of(IReadOnlyList<ComparedTurn> turns) => new(
        new SampleStatistics([.. turns.SelectMany(t => t.Times.SamplesNs)]), turns.Max(t => t.UsedBytes), Bootstrap.MedianOf([.. turns.Select(t => t.CpuTimeNs)]), [.. turns.Select(t => t.Times)], turns[^1].System);
}
