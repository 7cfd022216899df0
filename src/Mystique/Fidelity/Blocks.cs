using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>What the blocks of an interleaved measurement tell together.</summary>
internal static class Blocks
{
    /// <summary>Fewer blocks say too little of their spread.</summary>
    private const int MinBlocks = 3;

    /// <summary>The iteration times of all blocks.</summary>
    public static SampleStatistics TimesOf(ImmutableArray<MeasuredBlock> blocks) => new([.. blocks.SelectMany(b => b.Times.SamplesNs)]);

    /// <summary>CPU time of an iteration, all threads, in nanoseconds: the median of the blocks'; null where one has none.</summary>
    public static double? CpuTimeOf(ImmutableArray<MeasuredBlock> blocks) => blocks.Any(b => b.CpuTimeNs is not > 0) ? null
        : Bootstrap.MedianOf([.. blocks.Select(b => b.CpuTimeNs!.Value)]);

    /// <summary>The blocks of processes of the same thing as one: a block is what they all did in it.</summary>
    public static ImmutableArray<MeasuredBlock> Join(ImmutableArray<ImmutableArray<MeasuredBlock>> processes) =>
        [.. Enumerable.Range(0, processes[0].Length).Select(i => MeasuredBlock.Of([.. processes.Select(p => p[i])]))];

    /// <summary>Whether two sides were measured interleaved, in enough blocks: what drifts on the machine met both alike.</summary>
    public static bool Compare(ImmutableArray<MeasuredBlock> original, ImmutableArray<MeasuredBlock> replay) =>
        original.Length >= MinBlocks && original.Length == replay.Length && original.Concat(replay).All(b => !b.Times.SamplesNs.IsEmpty);

    /// <summary>How far iteration times of a replay are from an original's, by the median of the errors of the pairs of blocks.</summary>
    public static ErrorInterval ErrorOf(ImmutableArray<MeasuredBlock> original, ImmutableArray<MeasuredBlock> replay) =>
        Bootstrap.PairedError(original.Select(b => b.Times.MedianNs), replay.Select(b => b.Times.MedianNs));

    /// <summary>The same of CPU time; null where a block has none.</summary>
    public static double? CpuTimeErrorOf(ImmutableArray<MeasuredBlock> original, ImmutableArray<MeasuredBlock> replay) =>
        CpuTimeOf(original) is null || CpuTimeOf(replay) is null ? null
            : Bootstrap.PairedError(original.Select(b => b.CpuTimeNs!.Value), replay.Select(b => b.CpuTimeNs!.Value)).Error;

    /// <summary>The A/A control: the second process of the same thing, as a replay of the first; null where there is none.</summary>
    public static ErrorInterval? ControlOf(ImmutableArray<ImmutableArray<MeasuredBlock>> processes) =>
        processes is [var first, var second, ..] ? ErrorOf(first, second) : null;
}
