using System.Collections.Immutable;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Verification;

/// <summary>Bytes of tensors that live, over an iteration, as PyTorch's allocators gave them out and took them back. Immutable.</summary>
/// <param name="StartBytes">When the iteration starts.</param>
/// <param name="Points">After each allocation and each free: when, as a share of the iteration's time, and how many.</param>
public sealed record MemoryTimeline(long StartBytes, ImmutableArray<(double At, long Bytes)> Points)
{
    /// <summary>The most at one time.</summary>
    public long PeakBytes => Points.IsEmpty ? StartBytes : Math.Max(StartBytes, Points.Max(p => p.Bytes));

    /// <summary>Adds up what an iteration allocates and frees.</summary>
    /// <param name="allocations">What a profiler saw.</param>
    /// <param name="iterationNs">The iteration's time, in nanoseconds.</param>
    /// <param name="isOnDevice">Whether the device's memory is meant; else the host's.</param>
    /// <param name="startBytes">What there is at its start; null where nobody counted.</param>
    /// <param name="externalBytes">
    /// What the plan needs at its start: with what is freed that was there before, it stands for what nobody counted.
    /// </param>
    /// <returns>Null where nothing was allocated.</returns>
    /// <remarks>
    /// On the host the profiler is not told when something is freed that was there before (<c>c10/core/CPUAllocator.cpp</c>,
    /// <c>ProfiledCPUMemoryReporter::Delete</c>): gradients of the iteration before, most often. As one iteration is like the
    /// next, an iteration frees as much of that as it seems to leave behind, and it is taken to do so at its start.
    /// </remarks>
    public static MemoryTimeline? Of(ImmutableArray<ProfiledAllocation> allocations, long iterationNs, bool isOnDevice, long? startBytes,
        long externalBytes)
    {
        var of = allocations.Where(a => a.IsOnDevice == isOnDevice).ToArray();
        if (of.Length == 0)
            return null;
        long start = startBytes ?? of.Where(a => a.WasThere).Aggregate(externalBytes, (sum, a) =>
            TensorLayout.SaturatingAdd(sum, -Math.Max(a.Bytes, -long.MaxValue)));
        if (!isOnDevice && startBytes is not null)
            start -= Math.Clamp(of.Aggregate(0L, (sum, a) => a.Bytes > 0 ? TensorLayout.SaturatingAdd(sum, a.Bytes) : sum + a.Bytes), 0,
                start);
        long live = start;
        var points = ImmutableArray.CreateBuilder<(double, long)>(of.Length);
        foreach (var allocation in of)
        {
            live = allocation.Bytes > 0 ? TensorLayout.SaturatingAdd(live, allocation.Bytes) : live + allocation.Bytes;
            points.Add((Math.Clamp((double)allocation.AtNs / Math.Max(1, iterationNs), 0, 1), live));
        }
        return new MemoryTimeline(start, points.MoveToImmutable());
    }

    /// <summary>The most in each of so many equal parts of the iteration, in bytes.</summary>
    /// <param name="parts">How many.</param>
    public ImmutableArray<long> PeaksIn(int parts)
    {
        long[] peaks = new long[parts];
        int next = 0;
        long live = StartBytes;
        for (int part = 0; part < parts; part++)
        {
            peaks[part] = live;
            for (; next < Points.Length && (Points[next].At < (part + 1.0) / parts || part == parts - 1); next++)
                peaks[part] = Math.Max(peaks[part], live = Points[next].Bytes);
        }
        return [.. peaks];
    }
}
