using BenchmarkDotNet.Attributes;
using Mystique.Measurement;

namespace Mystique.Benchmarks;

/// <summary>What the system-level metrics cost an iteration: two readings of the process's counters.</summary>
[MemoryDiagnoser]
public class MeterBenchmark
{
    private ProcessMeter _meter = null!;

    [GlobalSetup]
    public void Setup() => _meter = new ProcessMeter();

    [GlobalCleanup]
    public void Cleanup() => _meter.Dispose();

    [Benchmark]
    public void Iteration()
    {
        _meter.Start();
        _meter.Stop();
    }
}
