using System.Globalization;
using System.Text;
using BenchmarkDotNet.Attributes;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Benchmarks;

/// <summary>Reading a Kineto profile of 26 MB and linking a trace with it, by the ids that both have.</summary>
[MemoryDiagnoser]
public class ProfileBenchmark
{
    private const int ProfileBytes = 26_000_000;

    private readonly string _path = Path.GetTempFileName();
    private ExecutionTrace _trace = null!;

    [GlobalSetup]
    public void Setup()
    {
        _trace = TraceReader.Read(SampleTrace.Find("gpt"));
        var text = new StringBuilder("{\"schemaVersion\": 1, \"traceEvents\": [\n");
        long at = 0;
        // The trace's own iteration, and others after it, each operator with a launch and a kernel.
        for (long id = 0; text.Length < ProfileBytes;)
        {
            foreach (var node in _trace.Nodes.Where(n => n.Name.Contains("::", StringComparison.Ordinal)))
            {
                bool isFirst = at < _trace.Nodes.Length * 10;
                id++;
                text.Append(CultureInfo.InvariantCulture,
                    $"{{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"{node.Name}\", \"pid\": 5, \"tid\": 5, \"ts\": {at}, \"dur\": 9, "
                    + $"\"args\": {{\"External id\": {id}, \"Record function id\": {(isFirst ? node.RecordFunctionId : id + 1_000_000)}, "
                    + $"\"Ev Idx\": {id}}}}},\n");
                text.Append(CultureInfo.InvariantCulture,
                    $"{{\"ph\": \"X\", \"cat\": \"cuda_runtime\", \"name\": \"cudaLaunchKernel\", \"pid\": 5, \"tid\": 5, \"ts\": "
                    + $"{at + 1}, \"dur\": 3, \"args\": {{\"External id\": {id}, \"cbid\": 211, \"correlation\": {id}}}}},\n");
                text.Append(CultureInfo.InvariantCulture,
                    $"{{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"void at::native::vectorized_elementwise_kernel<4>(int)\", "
                    + $"\"pid\": 0, \"tid\": 7, \"ts\": {at + 5}, \"dur\": 3, \"args\": {{\"External id\": {id}, \"device\": 0, "
                    + $"\"context\": 1, \"stream\": 7, \"correlation\": {id}, \"grid\": [16, 8, 2], \"block\": [64, 1, 1]}}}},\n");
                at += 10;
            }
        }
        File.WriteAllText(_path, text.Append("{}]}\n").ToString());
        Console.WriteLine($"// {text.Length / 1e6:N1} MB of profile, {_trace.Nodes.Length:N0} nodes of the trace, "
            + $"{Link().Operators.Count:N0} linked");
    }

    [GlobalCleanup]
    public void Cleanup() => File.Delete(_path);

    [Benchmark]
    public LinkedProfile Link() => ProfileLinker.Link(_trace, _path);
}
