using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Verification;

namespace Mystique.Tests.Verification;

public sealed class ConcurrencyTests
{
    private static DeviceWork Kernel(long start, long duration, long stream) => new("k", start, duration, new StreamId(stream), "");

    [Fact]
    public void Of_HostAlone_HasNoDevice()
    {
        Assert.Equal(new Concurrency(0, null, null), Concurrency.Of([(0, 10), (10, 20)], [], 100));
        // Of 60, 20 ran beside the other thread's.
        Assert.Equal(1 - 40.0 / 60, Concurrency.Of([(0, 30), (10, 20), (90, 10)], [], 100).HostOverlap, 9);
        Assert.Equal(0, Concurrency.Of([], [], 0).HostOverlap);
    }

    [Fact]
    public void Of_Streams_OverlapAndAreBusy()
    {
        var concurrency = Concurrency.Of([(0, 10)], [Kernel(0, 40, 7), Kernel(20, 40, 20), Kernel(80, 10, 7)], 100);
        Assert.Equal(1 - 70.0 / 90, concurrency.DeviceOverlap!.Value, 9);
        Assert.Equal(0.7, concurrency.DeviceBusy!.Value, 9);
    }
}
