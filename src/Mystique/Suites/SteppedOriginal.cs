using Mystique.Capture;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Measurement;

namespace Mystique.Suites;

/// <summary>A process of a job, as one that is measured in blocks.</summary>
internal static class SteppedOriginal
{
    /// <summary>How its blocks are run.</summary>
    /// <param name="held">The process.</param>
    /// <param name="sharing">How it shares memory with others.</param>
    /// <param name="target">What messages say that it is.</param>
    /// <exception cref="MystiqueException">When a block is run: the job ends before it has the iterations (MYS122).</exception>
    public static RunBlock BlocksOf(SteppedJob held, ProcessSharing sharing, string target) => async (count, cancellationToken) =>
    {
        var window = await held.RunBlockAsync(count, cancellationToken).ConfigureAwait(false);
        if (window is not { SamplesNs.IsEmpty: false })
            throw Problems.NothingCaptured(target, "the job ended before its iterations could be measured");
        if (sharing.Kind == SharingKind.Restarted)
            held.Stop();
        return new MeasuredBlock(new SampleStatistics(window.SamplesNs), window.CpuTimeNs, window.PeakBytes, window.System)
        {
            Device = window.Device,
        };
    };
}
