using System.Text.RegularExpressions;
using BenchmarkDotNet.Attributes;
using Mystique.Execution;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.TorchSharp;
using Mystique.Traces.PyTorch;

namespace Mystique.Benchmarks;

/// <summary>
/// The engine's own time for an operator. The hollow program is the same program whose operators are taken out: each
/// call is replaced by a list of its tensors, of which the first is the result. What is left is what the engine adds:
/// the calls of functions, the interpreter, taking tensors from the list and putting them back (and the lists: it is an
/// upper bound). Divide by the number of operators, which the set-up prints.
/// </summary>
public partial class EngineBenchmark
{
    private LibTorchEngine _engine = null!;
    private LibTorchEngine _hollow = null!;

    /// <summary>
    /// A trace: an example's name, or a path. The launch-bound one is torch26/tiny of the published traces, if it is there.
    /// </summary>
    public static IEnumerable<string> Traces
    {
        get
        {
            string tiny = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(SampleTrace.Find("gpt"))!, "..", "..", "..", "shared",
                "traces", "torch26", "tiny.et.json.gz"));
            return File.Exists(tiny) ? ["gpt", tiny] : ["gpt"];
        }
    }

    [ParamsSource(nameof(Traces))]
    public string Trace { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        string path = File.Exists(Trace) ? Trace : SampleTrace.Find(Trace);
        var package = Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(TraceReader.Read(path)))));
        Console.WriteLine($"// {package.Plan.Operators.Length:N0} operators");
        _engine = Start(package);
        _hollow = Start(package with
        {
            ProgramBytes =
            [.. TorchScriptArchive.Write(HollowOut(ProgramGenerator.Generate(package.Plan).Code))]
        });
    }

    [Benchmark(Baseline = true)]
    public long Replay() => _engine.RunIteration();

    [Benchmark]
    public long HollowReplay() => _hollow.RunIteration();

    [GlobalCleanup]
    public void Cleanup()
    {
        _engine.Dispose();
        _hollow.Dispose();
    }

    private static LibTorchEngine Start(Benchmark package)
    {
        var engine = new LibTorchEngine(package, new EngineSettings { Threads = 1, Seed = 1 });
        engine.Prepare((_, _) => { });
        return engine;
    }

    /// <summary>
    /// Each result becomes the first of the operator's tensors; a list becomes one long enough; what returns nothing goes.
    /// </summary>
    internal static string HollowOut(string code)
    {
        var lines = new List<string>();
        foreach (string line in code.Split('\n'))
        {
            var call = OperatorCall().Match(line);
            if (!call.Success || line.Contains("ops.prim", StringComparison.Ordinal))
            {
                lines.Add(line);
                continue;
            }
            string[] results = call.Groups[1].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries);
            string[] tensors = [.. TensorName().Matches(line[call.Length..]).Select(m => m.Value).Distinct()];
            string first = tensors.Length == 0 ? "s[0]" : $"[{string.Join(", ", tensors)}][0]";
            foreach (string result in results)
            {
                bool isList = code.Contains($" = {result}[0]\n", StringComparison.Ordinal);
                bool isNumber = code.Contains($"[{result}])\n", StringComparison.Ordinal)
                    || code.Contains($"[int({result})])\n", StringComparison.Ordinal);
                lines.Add($"    {result} = {(isList ? "[s[0], s[0], s[0], s[0], s[0], s[0], s[0], s[0]]" : isNumber ? "1" : first)}");
            }
        }
        return string.Join('\n', lines);
    }

    [GeneratedRegex(@"\bt\d+\b")]
    private static partial Regex TensorName();

    [GeneratedRegex(@"^    (?:(\w+(?:, \w+)*) = )?ops\.")]
    private static partial Regex OperatorCall();
}
