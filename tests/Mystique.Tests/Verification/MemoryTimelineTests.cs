using System.Collections.Immutable;
using CsCheck;
using Mystique.Traces.Kineto;
using Mystique.Verification;

namespace Mystique.Tests.Verification;

public sealed class MemoryTimelineTests
{
    private static ImmutableArray<ProfiledAllocation> Host(params long[] bytes) =>
        [.. bytes.Select((b, i) => new ProfiledAllocation(10 * (i + 1), b, false, false))];

    private static MemoryTimeline Of(ImmutableArray<ProfiledAllocation> allocations, bool isOnDevice = false, long? start =
        null, long external = 0) =>
        MemoryTimeline.Of(allocations, 100, isOnDevice, start, external)!;

    [Fact]
    public void Of_AllocationsAndFrees_AddsThemUp()
    {
        var memory = Of(Host(50, 20, -50, 30, -20, -30), external: 1000);
        Assert.Equal([1050, 1070, 1020, 1050, 1030, 1000], memory.Points.Select(p => p.Bytes));
        Assert.Equal([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], memory.Points.Select(p => Math.Round(p.At, 6)));
        Assert.Equal((1000, 1070), (memory.StartBytes, memory.PeakBytes));
    }

    /// <summary>Gradients that are made anew replace those of the iteration before, which the profiler does not see go.</summary>
    [Fact]
    public void Of_HostThatSeemsToKeepMore_HadItBefore()
    {
        var memory = Of(Host(50, 20, -50), start: 500);
        Assert.Equal((480, 550), (memory.StartBytes, memory.PeakBytes));
        Assert.Equal(500, memory.Points[^1].Bytes);
        Assert.Equal(0, Of(Host(50), start: 20).StartBytes); // Never less than nothing.
    }

    [Fact]
    public void Of_Device_SeesWhatWasThereGo()
    {
        ImmutableArray<ProfiledAllocation> allocations = [new(1, -30, true, true), new(2, 70, true, false), new(3, 5, false, false)];
        Assert.Equal((1030, 1070), (Of(allocations, true, null, 1000).StartBytes, Of(allocations, true, null, 1000).PeakBytes));
        Assert.Equal((900, 940), (Of(allocations, true, 900, 1000).StartBytes, Of(allocations, true, 900, 1000).PeakBytes));
        Assert.Null(MemoryTimeline.Of(Host(1), 100, isOnDevice: true, null, 0));
    }

    [Fact]
    public void PeaksIn_Parts_KeepThePeaks()
    {
        var memory = Of(Host(50, 20, -50, 30, -20, -30), external: 1000);
        Assert.Equal([1070, 1070, 1050, 1000], memory.PeaksIn(4));
        Assert.Equal([1070], memory.PeaksIn(1));
    }

    /// <summary>Profiles are untrusted: whatever they say, numbers stay numbers.</summary>
    [Fact]
    public void Of_AnyAllocations_EndsWithAPeakAmongItsPoints() =>
        Gen.Select(Gen.Long, Gen.Long, Gen.Bool, Gen.Bool).Array[1, 20].Sample(raw =>
        {
            var memory = MemoryTimeline.Of([.. raw.Select(r => new ProfiledAllocation(r.Item1, r.Item2, r.Item3, r.Item4))], 100,
                isOnDevice: false, 1 << 20, 0);
            return memory is null || memory.Points.All(p => p.At is >= 0 and <= 1) && memory.PeaksIn(7).Max() <= memory.PeakBytes
                && memory.PeaksIn(7).Length == 7;
        });
}
