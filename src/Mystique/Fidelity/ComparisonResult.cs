using Mystique.Replay;

namespace Mystique.Fidelity;

/// <summary>An original and its replay, measured in turn on the same machine.</summary>
/// <param name="Captured">What the original's capture tells of it.</param>
/// <param name="Original">The original's measurements.</param>
/// <param name="Replay">The replay's, at the original's pace.</param>
/// <param name="FlatOut">The replay's, each call as soon as can be.</param>
/// <param name="Rounds">How often each had its turn.</param>
/// <param name="Result">What else was found out of the replay.</param>
public sealed record ComparisonResult(ComparedRun Captured, ComparedSide Original, ComparedSide Replay, ComparedSide FlatOut, int Rounds, ReplayResult Result)
{
    /// <summary>How far the replay's median time is from the original's: 0.02 for 2% longer.</summary>
    public double TimeError => Replay.Times.MedianNs / Original.Times.MedianNs - 1;

    /// <summary>The same, of the replay that runs flat out.</summary>
    public double FlatOutError => FlatOut.Times.MedianNs / Original.Times.MedianNs - 1;

    /// <summary>The most bytes of the original's tensors at one time, and of the replay's; resident memory where the profiler does not tell.</summary>
    public (long Original, long Replay) MemoryBytes =>
        Captured.AllocatedBytes > 0 && Result.Watched?.HostMemory is { } memory ? (Captured.AllocatedBytes, memory.PeakBytes) : (Original.UsedBytes, Replay.UsedBytes);

    /// <summary>How far the replay's peak memory is from the original's.</summary>
    public double MemoryError => (double)MemoryBytes.Replay / MemoryBytes.Original - 1;

    /// <summary>How far the replay's processor time is from the original's.</summary>
    public double CpuTimeError => Replay.CpuTimeNs / Original.CpuTimeNs - 1;
}
