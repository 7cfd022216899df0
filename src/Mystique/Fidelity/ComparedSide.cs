using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>A process in an interleaved measurement, or several processes of the same thing.</summary>
/// <param name="Blocks">Its blocks, in order.</param>
public sealed record ComparedSide(ImmutableArray<MeasuredBlock> Blocks)
{
    /// <summary>The iteration times of all blocks.</summary>
    public SampleStatistics Times { get; } = new([.. Blocks.SelectMany(b => b.Times.SamplesNs)]);

    /// <summary>CPU time of an iteration, all threads, in nanoseconds: the median of the blocks'.</summary>
    public double CpuTimeNs { get; } = Bootstrap.MedianOf([.. Blocks.Select(b => b.CpuTimeNs)]);

    /// <summary>The most resident memory, without what was there before the first tensor.</summary>
    public long UsedBytes => Blocks.Max(b => b.UsedBytes);

    /// <summary>What it did to its machine in its last block; null where that is not known.</summary>
    public SystemMetrics? System => Blocks[^1].System;

    /// <summary>How far iteration times are from another's, by the median of the blocks' own errors.</summary>
    /// <param name="other">The other, of as many blocks.</param>
    public ErrorInterval ErrorFrom(ComparedSide other) => ErrorOf(other.Blocks, Blocks);

    /// <summary>Processes of the same thing as one: a block is what they all did in it.</summary>
    internal static ComparedSide Of(ImmutableArray<ComparedSide> processes) =>
        new([.. Enumerable.Range(0, processes[0].Blocks.Length).Select(i => MeasuredBlock.Of([.. processes.Select(p => p.Blocks[i])]))]);

    /// <summary>The A/A control: the second process of the same thing, as a replay of the first; null where there is none.</summary>
    internal static ErrorInterval? ControlOf(ImmutableArray<ComparedSide> processes) => processes is [var first, var second, ..]
        ? second.ErrorFrom(first) : null;

    /// <summary>How far iteration times of a replay are from an original's, by the median of the errors of the pairs of blocks.</summary>
    internal static ErrorInterval ErrorOf(ImmutableArray<MeasuredBlock> original, ImmutableArray<MeasuredBlock> replay) =>
        Bootstrap.PairedError(original.Select(b => b.Times.MedianNs), replay.Select(b => b.Times.MedianNs));

    /// <summary>The same of CPU time; null where a block has none.</summary>
    internal static double? CpuTimeErrorOf(ImmutableArray<MeasuredBlock> original, ImmutableArray<MeasuredBlock> replay) =>
        original.Concat(replay).Any(b => b.CpuTimeNs <= 0) ? null
        : Bootstrap.PairedError(original.Select(b => b.CpuTimeNs), replay.Select(b => b.CpuTimeNs)).Error;
}
