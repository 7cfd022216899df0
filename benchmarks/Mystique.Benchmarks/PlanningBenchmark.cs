using BenchmarkDotNet.Attributes;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Benchmarks;

/// <summary>From a trace of more than 10,000 selected operators to a package.</summary>
[MemoryDiagnoser]
public class PlanningBenchmark
{
    private ExecutionTrace _trace = null!;

    [GlobalSetup]
    public void Setup()
    {
        for (int megabytes = 8; ; megabytes += 4)
        {
            _trace = SampleTrace.Read("gpt", megabytes * 1_000_000);
            int selected = SegmentSelector.Select(Recording.Of(_trace)).Operators.Length;
            if (selected < 10_000)
                continue;
            Console.WriteLine($"// {selected:N0} operators selected of {_trace.Nodes.Length:N0} nodes");
            return;
        }
    }

    [Benchmark]
    public Benchmark SelectPlanAndGenerate() => Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(_trace))));
}
