using System.Diagnostics;
using Mystique.Measurement;

namespace Mystique.Tests.Measurement;

/// <summary>With stand-ins for the vendors' tools, which write what the tools write.</summary>
public sealed class GpuSamplerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly string? _path = Environment.GetEnvironmentVariable("PATH");

    public GpuSamplerTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "the stand-ins are shell scripts");

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("PATH", _path);
        Directory.Delete(_folder, recursive: true);
    }

    private void Install(string tool, string script)
    {
        string program = Path.Combine(_folder, tool);
        File.WriteAllText(program, "#!/bin/sh\n" + script + "\n");
        Process.Start("chmod", ["+x", program]).WaitForExit();
        Environment.SetEnvironmentVariable("PATH", $"{_folder}:{_path}");
    }

    /// <summary>The one that was used, whatever its number: the tools count by PCI bus, and do not know what is hidden.</summary>
    [Fact]
    public void AddTo_TheGpuThatWasUsed_LeavesOutTheOthers()
    {
        Install("nvidia-smi", "while :; do echo '0, GPU-AA-1, Disabled, 5, 10, 20, 300'; echo '1, GPU-bb-2, Enabled, [N/A], 20, 90, 1700'; "
            + "sleep 0.05; done");
        var metrics = Sample(m => m.Gpus.Length == 1, "aa-1");
        Assert.Equal((0, 300), (metrics.Gpus[0].Index, metrics.Gpus[0].ClockMegahertz));
        Assert.Empty(metrics.Unavailable);
        metrics = Sample(m => m.Gpus.Length == 1, "BB-2");
        Assert.Equal((1, null, true), (metrics.Gpus[0].Index, metrics.Gpus[0].Utilisation, metrics.Gpus[0].IsPartitioned));
        Assert.Contains("partitioned (MIG)", metrics.Unavailable["GPU utilisation"], StringComparison.Ordinal);
        metrics = Sample(m => m.Unavailable.TryGetValue("GPU", out string? why) && why.Contains("none of the 2", StringComparison.Ordinal),
            "cc-3");
        Assert.Empty(metrics.Gpus);
    }

    private static SystemMetrics Sample(Func<SystemMetrics, bool> isEnough, string? uuid = null)
    {
        using var gpu = new GpuSampler();
        long start = GpuSampler.Now();
        var metrics = new SystemMetrics();
        for (int i = 0; i < 100 && !isEnough(metrics); i++)
        {
            Thread.Sleep(100);
            metrics = gpu.AddTo(new SystemMetrics(), start, GpuSampler.Now(), uuid)!;
        }
        Assert.Null(gpu.AddTo(null, start, GpuSampler.Now()));
        Assert.Empty(gpu.AddTo(new SystemMetrics(), 0, 1)!.Gpus);
        return metrics;
    }

    [Fact]
    public void AddTo_NvidiaSmiAndDcgm_AreJoined()
    {
        Install("nvidia-smi", "while :; do echo '0, GPU-aa, Disabled, 50, 1000, 200.5, 1500'; "
            + "echo '1, GPU-bb, [N/A], 100, 2000, [N/A], 1700'; sleep 0.05; done");
        Install("dcgmi", "echo '#Entity   SMACT        DRAMA'; echo 'ID'; while :; do echo 'GPU 0     0.250       0.125'; echo 'GPU 1    "
            + " N/A         N/A'; sleep 0.05; done");
        var metrics = Sample(m => m.Gpus.Length == 2 && m.Gpus[0].SmActivity is not null);
        Assert.Equal(
        [
            new GpuMetrics(0) { Uuid = "GPU-aa", Utilisation = 0.5, PeakMemoryBytes = 1000L << 20, PowerWatts = 200.5,
                ClockMegahertz = 1500, SmActivity = 0.25, MemoryActivity = 0.125 },
            new GpuMetrics(1) { Uuid = "GPU-bb", Utilisation = 1, PeakMemoryBytes = 2000L << 20, ClockMegahertz = 1700 },
        ], metrics.Gpus);
        Assert.DoesNotContain("GPU", metrics.Unavailable.Keys);
    }

    [Fact]
    public void AddTo_RocmSmi_IsRead()
    {
        Install("rocm-smi", """
            echo '{"card0": {"GPU use (%)": "75", "VRAM Total Memory (B)": "68702699520", "VRAM Total Used Memory (B)": "10854400",
             "Average Graphics Package Power (W)": "301.0", "sclk clock speed:": "(1700Mhz)"},
             "system": {"Driver version": "6.1"}}'
            """);
        var metrics = Sample(m => m.Gpus.Length == 1);
        Assert.Equal([new GpuMetrics(0) { Utilisation = 0.75, PeakMemoryBytes = 10854400, PowerWatts = 301, ClockMegahertz = 1700 }],
            metrics.Gpus);
    }

    [Theory]
    [InlineData("")]
    [InlineData("No devices were found")]
    [InlineData("0, 1, 2")]
    [InlineData("-1, GPU-aa, Disabled, 1, 2, 3, 4")]
    [InlineData("0, 1, 2, 3, 4")]
    [InlineData("GPU x 1 2")]
    [InlineData("[1]")]
    [InlineData("""{"card0": 1, "cardx": {}, "card1": {"GPU use (%)": 5}}""")]
    public void Of_OtherText_TellsNothing(string text)
    {
        Assert.Empty(GpuTools.OfNvidiaSmi(text));
        Assert.Empty(GpuTools.OfDcgm(text));
        Assert.All(GpuTools.OfRocmSmi(text), r => Assert.Null(r.Utilisation));
    }

    [Fact]
    public void AddTo_NoTool_SaysSo()
    {
        using var gpu = new GpuSampler();
        Assert.SkipUnless(gpu.Unavailable?.Contains("there is no", StringComparison.Ordinal) == true, "this machine has a tool");
        Assert.Contains("nvidia-smi", gpu.AddTo(new SystemMetrics(), 0, 1)!.Unavailable["GPU"], StringComparison.Ordinal);
    }
}
