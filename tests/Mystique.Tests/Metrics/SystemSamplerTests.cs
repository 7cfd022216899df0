using System.Diagnostics;
using Mystique.Metrics;

namespace Mystique.Tests.Metrics;

public sealed class SystemSamplerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly string? _path = Environment.GetEnvironmentVariable("PATH");

    public SystemSamplerTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "counters are those of Linux");

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("PATH", _path);
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Works for some time, and touches new memory.</summary>
    private static void Work(int milliseconds)
    {
        var watch = Stopwatch.StartNew();
        for (long size = 1 << 20; watch.ElapsedMilliseconds < milliseconds; size++)
            Array.Fill(GC.AllocateUninitializedArray<byte>((int)size), (byte)1);
    }

    [Fact]
    public void Between_TimeOfWork_HasItsCounters()
    {
        using var sampler = new SystemSampler(Environment.ProcessId, null);
        Thread.Sleep(100);
        long start = Stopwatch.GetTimestamp();
        Work(400);
        long end = Stopwatch.GetTimestamp();
        Thread.Sleep(100);
        var metrics = sampler.Between(start, end)!;
        Assert.InRange(metrics.DurationNs, 399_000_000, long.MaxValue);
        Assert.True(metrics.CpuTimeNs > 0 && metrics.Samples > 2 && metrics.MinorFaults > 0, metrics.ToString());
        Assert.Equal(metrics.Samples, metrics.MemoryBytes.Length);
        Assert.All(metrics.MemoryBytes, b => Assert.True(b > 1 << 20));
        Assert.NotEmpty(metrics.CoreUtilisation);
        Assert.All(metrics.CoreUtilisation, u => Assert.InRange(u, 0, 1));
        Assert.Equal(metrics.Instructions is null, metrics.Unavailable.ContainsKey("hardware counters"));
        Assert.Equal(metrics.PackageEnergyMicrojoules is null, metrics.Unavailable.ContainsKey("package energy"));
        Assert.Null(sampler.Between(0, 1));
        Assert.Null(sampler.Between(end + 100 * (end - start), end + 101 * (end - start)));
    }

    [Fact]
    public void Between_ProcessThatEnds_KeepsItsSamples()
    {
        using var process = Process.Start("sleep", "0.3");
        using var sampler = new SystemSampler(process.Id, null);
        long start = Stopwatch.GetTimestamp();
        process.WaitForExit();
        long end = Stopwatch.GetTimestamp();
        Thread.Sleep(60);
        Assert.NotNull(sampler.Between(start, end));
    }

    /// <summary>A stand-in for the program that comes with NVIDIA's driver.</summary>
    [Fact]
    public void Between_NvidiaSmi_IsRead()
    {
        string program = Path.Combine(_folder, "nvidia-smi");
        File.WriteAllText(program, "#!/bin/sh\nwhile :; do echo '0, 50, 1000, 200.5, 1500'; echo '1, 100, 2000, [N/A], 1700'; sleep 0.05; done\n");
        Process.Start("chmod", ["+x", program]).WaitForExit();
        Environment.SetEnvironmentVariable("PATH", $"{_folder}:{_path}");
        using var gpu = new GpuSampler();
        using var sampler = new SystemSampler(Environment.ProcessId, gpu);
        long start = Stopwatch.GetTimestamp();
        SystemMetrics? metrics = null;
        for (int i = 0; i < 100 && metrics?.Gpus.Length != 2; i++)
        {
            Thread.Sleep(100);
            metrics = sampler.Between(start, Stopwatch.GetTimestamp());
        }
        Assert.Equal([new GpuMetrics(0, 0.5, 1000L << 20, 200.5, 1500), new GpuMetrics(1, 1, 2000L << 20, 0, 1700)], metrics!.Gpus);
        Assert.DoesNotContain("GPU", metrics.Unavailable.Keys);
    }
}
