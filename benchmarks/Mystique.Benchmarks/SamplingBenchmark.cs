using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using Mystique.Metrics;

namespace Mystique.Benchmarks;

/// <summary>A sample of the system-level metrics of another process.</summary>
[MemoryDiagnoser]
public class SamplingBenchmark
{
    private Process _process = null!;
    private SystemSampler _sampler = null!;

    [GlobalSetup]
    public void Setup()
    {
        _process = Process.Start("sleep", "600");
        _sampler = new SystemSampler(_process.Id, null);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _sampler.Dispose();
        _process.Kill();
        _process.Dispose();
    }

    [Benchmark]
    public void Sample() => _sampler.Take(ProcFiles.CountersOf(_process.Id)!.Value);
}
