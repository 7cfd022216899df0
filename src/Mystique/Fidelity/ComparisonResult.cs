using System.Collections.Immutable;
using Mystique.Measurement;
using Mystique.Execution;

namespace Mystique.Fidelity;

/// <summary>
/// An original and its replay, measured in turn on the same machine. Errors are shares of the original: 0.02 for 2% more; of
/// times they are medians of the turns' own.
/// </summary>
/// <param name="Captured">What the original's capture tells of it.</param>
/// <param name="Originals">The original's processes.</param>
/// <param name="Replay">The replay's turns, at the original's pace where that is known.</param>
/// <param name="FlatOut">The replay's, each call as soon as can be.</param>
/// <param name="Result">What else was found out of the replay.</param>
public sealed record ComparisonResult(ComparedRun Captured, ImmutableArray<ComparedSide> Originals, ComparedSide Replay,
    ComparedSide FlatOut, ReplayResult Result)
{
    /// <summary>The original's processes together.</summary>
    public ComparedSide Original { get; } = ComparedSide.Of(Originals);

    /// <summary>The second process of the original, as a replay of the first; null where there is one.</summary>
    public ErrorInterval? Again => ComparedSide.Again(Originals);

    /// <summary>The replay's iteration time.</summary>
    public ErrorInterval TimeError => Replay.ErrorFrom(Original);

    /// <summary>The same, of the replay that runs flat out.</summary>
    public ErrorInterval FlatOutError => FlatOut.ErrorFrom(Original);

    /// <summary>The replay's processor time; null where a turn has none.</summary>
    public double? CpuTimeError => MeasuredTurn.CpuTimeError(Original.Turns, Replay.Turns);

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
