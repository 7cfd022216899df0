using System.Collections.Immutable;
using Mystique.Execution.Workers;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>A process in a comparison in turn, or several processes of the same thing.</summary>
/// <param name="Turns">Its turns, in order.</param>
public sealed record ComparedSide(ImmutableArray<MeasuredTurn> Turns)
{
    /// <summary>The iteration times of all turns.</summary>
    public SampleStatistics Times { get; } = new([.. Turns.SelectMany(t => t.Times.SamplesNs)]);

    /// <summary>Processor time of an iteration, all threads, in nanoseconds: the median of the turns'.</summary>
    public double CpuTimeNs { get; } = Bootstrap.MedianOf([.. Turns.Select(t => t.CpuTimeNs)]);

    /// <summary>The most resident memory, without what was there before the first tensor.</summary>
    public long UsedBytes => Turns.Max(t => t.UsedBytes);

    /// <summary>What it did to its machine in its last turn; null where that is not known.</summary>
    public SystemMetrics? System => Turns[^1].System;

    /// <summary>How far iteration times are from another's, by the median of the turns' own errors.</summary>
    /// <param name="other">The other, of as many turns.</param>
    public ErrorInterval ErrorFrom(ComparedSide other) => MeasuredTurn.Error(other.Turns, Turns);

    /// <summary>Processes of the same thing as one: a turn is what they all did in it.</summary>
    internal static ComparedSide Of(ImmutableArray<ComparedSide> processes) =>
        new([.. Enumerable.Range(0, processes[0].Turns.Length).Select(i => MeasuredTurn.Of([.. processes.Select(p => p.Turns[i])]))]);

    /// <summary>The second process of the same thing, as a replay of the first; null where there is none.</summary>
    internal static ErrorInterval? Again(ImmutableArray<ComparedSide> processes) => processes is [var first, var second, ..]
        ? second.ErrorFrom(first) : null;
}

/// <summary>A turn of a process, or of several of the same thing.</summary>
/// <param name="Times">Iteration times.</param>
/// <param name="CpuTimeNs">Processor time of an iteration, all threads, in nanoseconds; 0 where it is not known.</param>
/// <param name="UsedBytes">The most resident memory, without what was there before the first tensor.</param>
/// <param name="System">What it did to its machine; null where that is not known.</param>
public sealed record MeasuredTurn(SampleStatistics Times, double CpuTimeNs, long UsedBytes = 0, SystemMetrics? System = null)
{
    internal static MeasuredTurn Of(WorkerResponse response) =>
        new(new SampleStatistics(response.SamplesNs!.Value), (double)response.CpuTimeNs / response.SamplesNs.Value.Length,
            response.PeakBytes - response.BaselineBytes, response.SystemMetrics);

    internal static MeasuredTurn Of(ImmutableArray<MeasuredTurn> turns) =>
        new(new SampleStatistics([.. turns.SelectMany(t => t.Times.SamplesNs)]), turns.Average(t => t.CpuTimeNs), turns.Max(t =>
            t.UsedBytes), turns[0].System);

    internal static ErrorInterval Error(ImmutableArray<MeasuredTurn> original, ImmutableArray<MeasuredTurn> replay) =>
        Bootstrap.PairedError(original.Select(t => t.Times.MedianNs), replay.Select(t => t.Times.MedianNs));

    /// <summary>Null where a turn has no processor time.</summary>
    internal static double? CpuTimeError(ImmutableArray<MeasuredTurn> original, ImmutableArray<MeasuredTurn> replay) =>
        original.Concat(replay).Any(t => t.CpuTimeNs <= 0) ? null
        : Bootstrap.PairedError(original.Select(t => t.CpuTimeNs), replay.Select(t => t.CpuTimeNs)).Error;
}
