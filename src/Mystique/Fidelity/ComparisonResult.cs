using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>
/// An original and its replay, measured interleaved on the same machine. Errors are shares of the original: 0.02 for 2% more; of
/// times they are medians of the blocks' own.
/// </summary>
/// <param name="Captured">What the original's capture tells of it.</param>
/// <param name="Originals">The original's processes.</param>
/// <param name="Replay">The replay's blocks, at the original's pace where that is known.</param>
/// <param name="Unpaced">The replay's, unpaced.</param>
/// <param name="Result">What else was found out of the replay.</param>
public sealed record ComparisonResult(ComparedRun Captured, ImmutableArray<ComparedSide> Originals, ComparedSide Replay,
    ComparedSide Unpaced, ReplayResult Result)
{
    /// <summary>The original's processes together.</summary>
    public ComparedSide Original { get; } = ComparedSide.Of(Originals);

    /// <summary>The A/A control: the second process of the original, as a replay of the first; null where there is one.</summary>
    public ErrorInterval? Control => ComparedSide.ControlOf(Originals);

    /// <summary>The replay's iteration time.</summary>
    public ErrorInterval TimeError => Replay.ErrorFrom(Original);

    /// <summary>The same, of the unpaced replay.</summary>
    public ErrorInterval UnpacedError => Unpaced.ErrorFrom(Original);

    /// <summary>The replay's CPU time; null where a block has none.</summary>
    public double? CpuTimeError => ComparedSide.CpuTimeErrorOf(Original.Blocks, Replay.Blocks);

    /// <summary>
    /// The most bytes of the original's tensors at one time, and of the replay's; resident memory where the profiler does not
    /// tell.
    /// </summary>
    public (long Original, long Replay) MemoryBytes =>
        Captured.AllocatedBytes > 0 && Result.Watched?.HostMemory is { } memory ? (Captured.AllocatedBytes, memory.PeakBytes)
            : (Original.UsedBytes, Replay.UsedBytes);

    /// <summary>The replay's peak memory.</summary>
    public double MemoryError => (double)MemoryBytes.Replay / MemoryBytes.Original - 1;
}
