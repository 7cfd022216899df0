using System.Diagnostics;
using Mystique.Measurement;

namespace Mystique.Tests.Measurement;

public sealed class ProcessMeterTests
{
    public ProcessMeterTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "counters are those of Linux");

    /// <summary>Works for some time, and touches new memory.</summary>
    private static void Work(int milliseconds)
    {
        var watch = Stopwatch.StartNew();
        for (long size = 1 << 20; watch.ElapsedMilliseconds < milliseconds; size++)
            Array.Fill(GC.AllocateUninitializedArray<byte>((int)size), (byte)1);
    }

    [Fact]
    public void Read_Work_HasItsCounters()
    {
        using var meter = new ProcessMeter();
        meter.Start();
        Work(200);
        meter.Stop();
        var metrics = meter.Read()!;
        Assert.InRange(metrics.DurationNs, 199_000_000, long.MaxValue);
        Assert.True(metrics.CpuTimeNs > 10_000_000 && metrics.MinorFaults > 0, metrics.ToString());
        Assert.Equal(metrics.CpuTimeNs, meter.CpuTimeNs);
        Assert.NotEmpty(metrics.CoreUtilisation);
        Assert.All(metrics.CoreUtilisation, u => Assert.InRange(u, 0, 1));
        Assert.Equal(metrics.Instructions is null, metrics.Unavailable.ContainsKey("hardware counters"));
        Assert.Equal(metrics.PackageEnergyMicrojoules is null, metrics.Unavailable.ContainsKey("package energy"));
    }

    [Fact]
    public void Read_WorkThatIsNotMeasured_DoesNotCount()
    {
        using var meter = new ProcessMeter();
        meter.Start();
        meter.Stop();
        Work(200);
        meter.Start();
        meter.Stop();
        var metrics = meter.Read()!;
        Assert.True(metrics.CpuTimeNs < 100_000_000 && metrics.DurationNs < 100_000_000, metrics.ToString());
    }

    [Fact]
    public void Read_NothingMeasured_IsNull()
    {
        using var meter = new ProcessMeter();
        Assert.Null(meter.Read());
    }
}
