using System.Collections.Immutable;
using Mystique.Metrics;
using Mystique.Replay;

namespace Mystique.Fidelity;

/// <summary>A process in a comparison in turn, or several processes of the same thing.</summary>
/// <param name="Turns">Its turns, in order.</param>
/// <param name="UsedBytes">The most resident memory, without what was there before the first tensor.</param>
/// <param name="System">What it did to its machine in its last turn; null where that is not known.</param>
public sealed record ComparedSide(ImmutableArray<MeasuredTurn> Turns, long UsedBytes, SystemMetrics? System = null)
{
    /// <summary>The iteration times of all turns.</summary>
    public SampleStatistics Times { get; } = new([.. Turns.SelectMany(t => t.Times.SamplesNs)]);

    /// <summary>Processor time of an iteration, all threads, in nanoseconds: the median of the turns'.</summary>
    public double CpuTimeNs { get; } = Bootstrap.MedianOf([.. Turns.Select(t => t.CpuTimeNs)]);

    /// <summary>How far iteration times are from another's, by the median of the turns' own errors.</summary>
    /// <param name="other">The other, of as many turns.</param>
    public ErrorInterval ErrorFrom(ComparedSide other) => MeasuredTurn.Error(other.Turns, Turns);

    /// <summary>The same for processor time; null where a turn has none.</summary>
    /// <param name="other">The other, of as many turns.</param>
    public double? CpuTimeErrorFrom(ComparedSide other) => MeasuredTurn.CpuTimeError(other.Turns, Turns);

    internal static ComparedSide Of(IReadOnlyList<ComparedTurn> turns) =>
        new([.. turns.Select(t => new MeasuredTurn(t.Times, t.CpuTimeNs))], turns.Max(t => t.UsedBytes), turns[^1].System);

    /// <summary>Processes of the same thing as one: a turn is what they all did in it.</summary>
    internal static ComparedSide Of(ImmutableArray<ComparedSide> processes) => new(
        [.. Enumerable.Range(0, processes[0].Turns.Length).Select(i => new MeasuredTurn(new SampleStatistics([.. processes.SelectMany(p => p.Turns[i].Times.SamplesNs)]), processes.Average(p => p.Turns[i].CpuTimeNs)))],
        processes.Max(p => p.UsedBytes), processes[0].System);
}

/// <summary>What was measured in a turn.</summary>
/// <param name="Times">Iteration times.</param>
/// <param name="CpuTimeNs">Processor time of an iteration, all threads, in nanoseconds; 0 where it is not known.</param>
public sealed record MeasuredTurn(SampleStatistics Times, double CpuTimeNs)
{
    internal static ErrorInterval Error(ImmutableArray<MeasuredTurn> original, ImmutableArray<MeasuredTurn> replay) =>
        Bootstrap.PairedError(original.Select(t => t.Times.MedianNs), replay.Select(t => t.Times.MedianNs));

    internal static double? CpuTimeError(ImmutableArray<MeasuredTurn> original, ImmutableArray<MeasuredTurn> replay) => original.Concat(replay).Any(t => t.CpuTimeNs <= 0) ? null
        : Bootstrap.PairedError(original.Select(t => t.CpuTimeNs), replay.Select(t => t.CpuTimeNs)).Error;
}

/// <summary>A turn of a process.</summary>
/// <param name="Times">Iteration times.</param>
/// <param name="CpuTimeNs">Processor time of an iteration, all threads, in nanoseconds.</param>
/// <param name="UsedBytes">The most resident memory, without what was there before the first tensor.</param>
/// <param name="System">What it did to its machine; null where that is not known.</param>
internal sealed record ComparedTurn(SampleStatistics Times, double CpuTimeNs, long UsedBytes, SystemMetrics? System)
{
    public static ComparedTurn Of(WorkerResponse response) =>
        new(new SampleStatistics(response.SamplesNs!.Value), (double)response.CpuTimeNs / response.SamplesNs.Value.Length, response.PeakBytes - response.BaselineBytes, response.SystemMetrics);
}
