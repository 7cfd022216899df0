using System.Collections.Immutable;
using Mystique.Measurement;

namespace Mystique.Execution;

/// <summary>Iterations that ran one after the other, in one process or in several of the same thing, and what they took.</summary>
/// <param name="Times">Iteration times, in nanoseconds.</param>
/// <param name="CpuTimeNs">CPU time of an iteration, all threads, in nanoseconds; null where it is not known.</param>
/// <param name="UsedBytes">The most resident memory, without what was there before the first tensor; null where it is not known.</param>
/// <param name="System">What they did to their machine; null where that is not known.</param>
public sealed record MeasuredBlock(SampleStatistics Times, double? CpuTimeNs, long? UsedBytes = null, SystemMetrics? System = null)
{
    /// <summary>Resident bytes that belong to no file, before the first tensor was made; null where that is not known.</summary>
    public long? BaselineBytes { get; init; }

    /// <summary>The most of such bytes while the iterations ran.</summary>
    public long? PeakBytes => BaselineBytes + UsedBytes;

    /// <summary>What PyTorch's allocator had of the device meanwhile; null for the host, and where it is not known.</summary>
    public AllocatorUse? Device { get; init; }

    /// <summary>What measured them: <c>events</c> of the device, or the <c>host</c>'s clock.</summary>
    internal string Clock { get; init; } = MeasuringClock.Host;

    /// <summary>How the original's pace was kept; null where it was not asked for.</summary>
    public PaceReport? Pace { get; init; }

    /// <summary>Blocks of processes that ran the same thing side by side, as one.</summary>
    internal static MeasuredBlock Of(ImmutableArray<MeasuredBlock> blocks) =>
        new(new SampleStatistics([.. blocks.SelectMany(b => b.Times.SamplesNs)]), blocks.Average(b => b.CpuTimeNs),
            blocks.Max(b => b.UsedBytes), blocks[0].System)
        {
            Device = AllocatorUse.MostOf(blocks.Select(b => b.Device)),
        };
}
