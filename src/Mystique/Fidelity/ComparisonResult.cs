using System.Collections.Immutable;
using Mystique.Metrics;
using Mystique.Replay;

namespace Mystique.Fidelity;

/// <summary>An original and its replay, measured in turn on the same machine.</summary>
/// <param name="Name">The original's name.</param>
/// <param name="Original">The original's measurements.</param>
/// <param name="Replay">The replay's.</param>
/// <param name="Rounds">How often each had its turn.</param>
/// <param name="Package">What the replay ran.</param>
/// <param name="Verification">What the observer saw.</param>
/// <param name="Engine">On what both ran.</param>
/// <param name="Host">Where.</param>
public sealed record ComparisonResult(
    string Name,
    ComparedSide Original,
    ComparedSide Replay,
    int Rounds,
    Packaging.BenchmarkPackage Package,
    VerificationResult Verification,
    EngineInfo Engine,
    HostInfo Host)
{
    /// <summary>How far the replay's median time is from the original's: 0.02 for 2% longer.</summary>
    public double TimeError => Replay.Times.MedianNs / Original.Times.MedianNs - 1;

    /// <summary>How far the replay's peak memory is from the original's.</summary>
    public double MemoryError => (double)Replay.MemoryBytes / Original.MemoryBytes - 1;

    /// <summary>How far the replay's processor time is from the original's.</summary>
    public double CpuTimeError => Replay.CpuTimeNs / Original.CpuTimeNs - 1;
}

/// <summary>One side of a comparison.</summary>
/// <param name="Times">Iteration times of all rounds.</param>
/// <param name="MemoryBytes">The most memory that an iteration had, without what was there before the first allocation.</param>
/// <param name="CpuTimeNs">Processor time of an iteration, all threads, in nanoseconds.</param>
public sealed record ComparedSide(SampleStatistics Times, long MemoryBytes, double CpuTimeNs)
{
    /// <summary>The iteration times by turn.</summary>
    public ImmutableArray<SampleStatistics> Turns { get; init; } = [];

    internal static ComparedSide Of(IReadOnlyList<WorkerResponse> rounds)
    {
        var samples = rounds.SelectMany(r => r.SamplesNs!.Value).ToImmutableArray();
        return new ComparedSide(new SampleStatistics(samples), rounds.Max(r => r.PeakBytes - r.BaselineBytes), (double)rounds.Sum(r => r.CpuTimeNs) / samples.Length)
        {
            Turns = [.. rounds.Select(r => new SampleStatistics(r.SamplesNs!.Value))],
        };
    }
}
