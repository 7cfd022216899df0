using System.Collections.Immutable;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Capture;

/// <summary>What capturing costs a job, from interleaved runs with the hook and with nothing but a clock. Times in nanoseconds.</summary>
internal sealed record CaptureOverhead
{
    /// <summary>Runs of each kind.</summary>
    public required int Rounds { get; init; }

    /// <summary>Iterations of the job with a clock alone.</summary>
    public required SampleStatistics Clocked { get; init; }

    /// <summary>Uninstrumented iterations of the captured job; what the hook takes at the end of each is in them.</summary>
    public required SampleStatistics Uninstrumented { get; init; }

    /// <summary>Recorded iterations.</summary>
    public required SampleStatistics Recorded { get; init; }

    /// <summary>The hook's own time; the medians of the runs.</summary>
    public required CaptureCost Cost { get; init; }

    /// <summary>Bytes of trace and profile, packed, for each operator of the trace.</summary>
    public required double BytesPerOperator { get; init; }

    /// <summary>How much longer an uninstrumented iteration takes: 0.01 for 1%.</summary>
    public double UninstrumentedOverhead => Uninstrumented.MedianNs / Clocked.MedianNs - 1;

    /// <summary>How much longer the recorded iteration takes than an uninstrumented one.</summary>
    public double RecordedOverhead => Recorded.MedianNs / Uninstrumented.MedianNs - 1;

    /// <summary>Compares; null where nothing was captured, or the clock saw no iterations.</summary>
    /// <param name="captured">The runs with the hook.</param>
    /// <param name="clocked">The times of the iterations of the others.</param>
    public static CaptureOverhead? Of(ImmutableArray<CaptureOutcome> captured, ImmutableArray<ImmutableArray<long>> clocked)
    {
        var folders = captured.Where(c => c.Folders.Length > 0).Select(c => c.Folders[0]).ToArray();
        if (folders.Length == 0 || clocked.All(c => c.IsEmpty) || folders.All(f => f.Baseline.Uninstrumented.SamplesNs.IsEmpty))
            return null;
        // As many of the clock's as of the others: what a job does later may take longer.
        var uninstrumented = folders.SelectMany(f => f.Baseline.Uninstrumented.SamplesNs.Select(t => t + f.Record.Cost!.UninstrumentedNs))
            .ToImmutableArray();
        int each = folders.Max(f => f.Baseline.Uninstrumented.SamplesNs.Length);
        var last = folders[^1].Record;
        return new CaptureOverhead
        {
            Rounds = captured.Length,
            Clocked = new SampleStatistics([.. clocked.SelectMany(c => c.Take(each))]),
            Uninstrumented = new SampleStatistics(uninstrumented),
            Recorded = new SampleStatistics([.. folders.SelectMany(f => f.Baseline.RecordedNs)]),
            Cost = new CaptureCost(Median(f => f.StartUpNs), Median(f => f.UninstrumentedNs), Median(f => f.RecordingNs)),
            BytesPerOperator = (double)last.Files.Sum(f => f.Bytes) / Math.Max(1, last.Operators),
        };

        long Median(Func<CaptureCost, long> part) => (long)new SampleStatistics([.. folders.Select(f => part(f.Record.Cost!))]).MedianNs;
    }
}
