using Mystique.Traces.Kineto;

namespace Mystique.Verification;

/// <summary>How much work of an iteration ran at the same time as other work. Shares from 0 to 1. Immutable.</summary>
/// <param name="HostOverlap">Of the operators' time on the host, the share that ran beside other operators, on other threads.</param>
/// <param name="DeviceOverlap">
/// Of the time on the device, the share that ran beside other work there, on other streams; null where nothing ran there.
/// </param>
/// <param name="DeviceBusy">Share of the iteration during which the device worked; null where nothing ran there.</param>
public sealed record Concurrency(double HostOverlap, double? DeviceOverlap, double? DeviceBusy)
{
    /// <summary>Measures.</summary>
    /// <param name="operators">The starts and durations of outermost operators on the host, in nanoseconds.</param>
    /// <param name="kernels">What they started on the device.</param>
    /// <param name="iterationNs">The iteration's time, in nanoseconds.</param>
    internal static Concurrency Of(IEnumerable<(long StartNs, long DurationNs)> operators, IEnumerable<DeviceWork> kernels,
        long iterationNs)
    {
        var (sum, union) = SumAndUnion(operators);
        var (deviceSum, deviceUnion) = SumAndUnion(kernels.Select(k => (k.StartNs, k.DurationNs)));
        return new Concurrency(sum > 0 ? 1 - union / sum : 0, deviceSum > 0 ? 1 - deviceUnion / deviceSum : null, deviceSum > 0
            && iterationNs > 0 ? Math.Min(1, deviceUnion / iterationNs) : null);
    }

    private static (double Sum, double Union) SumAndUnion(IEnumerable<(long StartNs, long DurationNs)> spans)
    {
        double sum = 0, union = 0;
        long end = long.MinValue;
        foreach (var (start, duration) in spans.OrderBy(s => s.StartNs))
        {
            sum += duration;
            long until = start + duration;
            if (until > end)
                union += until - Math.Max(start, end);
            end = Math.Max(end, until);
        }
        return (sum, union);
    }
}
