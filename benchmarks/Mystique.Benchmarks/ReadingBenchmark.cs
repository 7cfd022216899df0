using System.Text;
using BenchmarkDotNet.Attributes;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Benchmarks;

/// <summary>Reading a trace: the time for its megabytes gives MB/s, the allocated bytes say how much memory it takes.</summary>
[MemoryDiagnoser]
public class ReadingBenchmark
{
    private byte[] _text = [];

    /// <summary>Copies of the GPT example's nodes, until there are this many megabytes.</summary>
    [Params(4, 64)]
    public int Megabytes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _text = Encoding.UTF8.GetBytes(SampleTrace.Repeat("gpt", Megabytes * 1_000_000));
        long before = GC.GetTotalMemory(forceFullCollection: true);
        var trace = Read();
        long after = GC.GetTotalMemory(forceFullCollection: true);
        Console.WriteLine($"// {_text.Length / 1e6:N1} MB of text, {trace.Nodes.Length:N0} nodes: the model keeps "
            + $"{(after - before) / (double)_text.Length:N2} bytes for a byte of text");
        GC.KeepAlive(trace);
    }

    [Benchmark]
    public ExecutionTrace Read() => TraceReader.Read(new MemoryStream(_text), "benchmark");
}
