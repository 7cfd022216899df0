using System.Text.Json;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.StepText;

namespace Mystique.Cli.Tests;

/// <summary>The two levels of replay, as a user runs them.</summary>
public sealed class LevelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private JsonElement Run(string input, params string[] options)
    {
        CommandLine.Run(["run", input, "--iterations", "2", "--warmup", "1", "--threads", "1", "--json", File_("r.json"), .. options])
            .AssertOk();
        return JsonDocument.Parse(File.ReadAllText(File_("r.json"))).RootElement;
    }

    private static string LevelOf(JsonElement result) => result.GetProperty("program").GetProperty("level").GetString()!;

    /// <summary>On the libtorch that they were captured with, autograd runs what was recorded, operator by operator.</summary>
    [Theory]
    [InlineData("dlrm", 92)]
    [InlineData("gpt", 289)]
    [InlineData("resnet18", 141)]
    [InlineData("bilstm", 45)]
    public void Run_Example_AtTheFrameworksLevel_IsExact(string example, int backward)
    {
        var result = Run(CommandLine.Example(example), "--level", "framework", "--check-values");
        Assert.Equal("framework", LevelOf(result));
        var verification = result.GetProperty("verification");
        Assert.True(verification.GetProperty("status").GetString() == "exact", verification.ToString());
        Assert.Equal(backward, verification.GetProperty("backward").GetProperty("exact_operators").GetInt32());
        Assert.Equal(1, result.GetProperty("coverage").GetProperty("share").GetDouble());
        Assert.Equal(0, result.GetProperty("non_finite").GetArrayLength());
        // What ran, by name: all that was selected, and what the plan added.
        Assert.Equal(result.GetProperty("coverage").GetProperty("selected_operators").GetInt32()
            + result.GetProperty("coverage").GetProperty("added_operators").GetInt32(),
            result.GetProperty("operators").EnumerateArray().Sum(o => o.GetProperty("count").GetInt32()));
    }

    /// <summary>Of a trace alone nobody knows its version: the recorded operators run.</summary>
    [Fact]
    public void Run_OfATrace_IsTheOperatorsLevel_UnlessAskedOtherwise()
    {
        Assert.Equal("operator", LevelOf(Run(CommandLine.Example("dlrm"))));
        CommandLine.Run("generate", CommandLine.Example("dlrm"), "-o", File_("p")).AssertOk();
        Assert.Equal("operator", LevelOf(Run(File_("p"))));
        Assert.Equal("framework", LevelOf(Run(File_("p"), "--level", "framework")));
        Assert.Equal("framework", LevelOf(Run(Path.Combine(File_("p"), "framework"))));
    }

    /// <summary>A captured job: its operators on its own PyTorch, the framework's level on another.</summary>
    [Fact]
    public void Run_OfACapture_TakesTheLevelThatPredicts()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string job = Path.Combine(Repository.Root, "examples", "pytorch", "models.py");
        CommandLine.Run("capture", "-o", File_("c"), "--", Python.Executable, job, "tiny", "40", "--device", "cpu").AssertOk();
        string[] here = ["--engine", "python", "--python", Python.Executable];
        Assert.Equal("operator", LevelOf(Run(File_("c"), here)));
        Assert.Equal("framework", LevelOf(Run(File_("c"))));
        var own = Run(File_("c"), [.. here, "--level", "framework"]);
        Assert.Equal(("framework", "exact"), (LevelOf(own), own.GetProperty("verification").GetProperty("status").GetString()));
        CommandLine.Run("generate", File_("c"), "-o", File_("p")).AssertOk();
        var script = Python.RunFile(Path.Combine(File_("p"), "run.py"), "--level", "framework", "--iterations", "2");
        script.AssertOk();
        Assert.Contains("of them in backward passes", script.Output);
        var compared = CommandLine.Run(["compare", File_("c"), File_("c"), .. here, "--level", "framework", "--iterations", "5"]);
        compared.AssertOk();
        Assert.Contains("at the framework's level", compared.Output);
    }

    /// <summary>
    /// A captured job with functions of its own, residuals around them, hooks, weights on both sides of a function, recomputation and
    /// several results: its pass is cut, and on its own PyTorch autograd and the recorded operators run what was recorded.
    /// </summary>
    [Theory]
    [InlineData("functions")]
    [InlineData("hooks")]
    [InlineData("checkpoint")]
    [InlineData("results")]
    public void Run_OfACaptureThatIsCut_IsExact(string job)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string script = Path.Combine(Repository.Root, "tests", "Mystique.Cli.Tests", "cut_job.py");
        CommandLine.Run("capture", "-o", File_("c"), "--skip", "4", "--reference", "3", "--", Python.Executable, script, job).AssertOk();
        var made = CommandLine.Run("generate", File_("c"), "-o", File_("p"));
        made.AssertOk();
        Assert.Contains("recorded operators for the rest", made.Output.ReplaceLineEndings(" "));
        foreach (string way in new[] { "", "--eager" })
        {
            Python.RunFile(Path.Combine(File_("p"), "run.py"), ["--level", "framework", "--iterations", "2", "--json", File_("s.json"),
                .. way.Length > 0 ? [way] : Array.Empty<string>()]).AssertOk();
            var verification = JsonDocument.Parse(File.ReadAllText(File_("s.json"))).RootElement.GetProperty("verification");
            Assert.True(verification.GetProperty("status").GetString() == "exact", verification.ToString());
            Assert.True(verification.GetProperty("backward").GetProperty("recorded_operators").GetInt32() > 5);
        }
        // In this process, by another version's autograd: all that was called ran, and all gradients are there.
        var classes = Run(File_("p"), "--level", "framework").GetProperty("verification").GetProperty("classes");
        Assert.Equal((0, 0), (classes.GetProperty("missing").GetInt32(), classes.GetProperty("unplanned").GetInt32()));
    }

    /// <summary>What autograd could not repeat: the operators' level, with the reason; asked for, it is refused.</summary>
    [Theory]
    [InlineData(false, "no forward operator of the selection has the sequence number of its first function")]
    [InlineData(true, "within it makes a graph: a recomputation, or gradients of gradients")]
    public void Run_WithoutAPassForAutograd_SaysWhy(bool hasForward, string why)
    {
        var step = Step(hasForward);
        if (hasForward)
            step.Node(60, 7, "aten::relu", Relu, [T(20)], [T(70)], sequence: 99); // Within the first function.
        File.WriteAllText(File_("t.json"), step.ToString());
        var refused = CommandLine.Run("run", File_("t.json"), "--level", "framework");
        refused.AssertFailed(2, "MYS211");
        Assert.Contains(why, refused.Error.ReplaceLineEndings(" "));
        Assert.Equal("operator", LevelOf(Run(File_("t.json"))));
        var made = CommandLine.Run("generate", File_("t.json"), "-o", File_("p"));
        made.AssertOk();
        Assert.Contains("levels: operator; ", made.Output);
        CommandLine.Run("run", File_("p"), "--level", "framework").AssertFailed(2, "MYS211");
    }

    /// <summary>
    /// An operator that the target lacks makes no graph, and autograd's call fails: the framework's level does not run, and the operators'
    /// does.
    /// </summary>
    [Fact]
    public void Run_WhereAutogradsCallFails_SaysSo()
    {
        const string Unknown = "aten::no_such_operator(Tensor self) -> Tensor";
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::no_such_operator", Unknown, [T(12, 4, 5)], [T(14, 4, 5)], sequence: 8);
        text.Node(5, 2, "aten::mean", Mean, [T(14, 4, 5), TraceText.Value.None], [T(13)], sequence: 9);
        text.Operator(6, Ones, [T(13)], [T(20)]);
        long id = 7;
        Function(text, ref id, "MeanBackward0", 9, T(20), (Relu, [T(20)], [T(21, 4, 5)]));
        Function(text, ref id, "NoSuchBackward0", 8, T(21, 4, 5), (Relu, [T(21, 4, 5)], [T(24, 4, 5)]));
        Function(text, ref id, "MmBackward0", 7, T(24, 4, 5), (Mm, [T(10, 3, 4), T(24, 4, 5)], [T(22, 3, 5)]));
        Accumulate(text, ref id, T(22, 3, 5));
        File.WriteAllText(File_("t.json"), text.ToString());
        var refused = CommandLine.Run("run", File_("t.json"), "--level", "framework");
        refused.AssertFailed(1, "MYS426");
        Assert.Contains("does not require grad", refused.Error.ReplaceLineEndings(" "));
        Assert.Equal("operator", LevelOf(Run(File_("t.json"))));
        CommandLine.Run("generate", File_("t.json"), "-o", File_("p")).AssertOk();
        // Of a recording on another version, the framework's level is tried first.
        string manifest = Path.Combine(File_("p"), "benchmark.json");
        File.WriteAllText(manifest, File.ReadAllText(manifest).Replace("\"schemas\": [", Baseline + "\"schemas\": [",
            StringComparison.Ordinal));
        var fallen = Run(File_("p"));
        Assert.Equal("operator", LevelOf(fallen));
        Assert.Contains("autograd's call fails here", fallen.GetProperty("engine").GetProperty("notes").ToString());
        if (!Python.HasTorch)
            return;
        string script = Path.Combine(File_("p"), "run.py");
        Python.RunFile(script, "--level", "framework").AssertFailed(1, "MYS426");
        var automatic = Python.RunFile(script, "--iterations", "1");
        automatic.AssertOk();
        Assert.Contains("the operators' level runs instead", automatic.Error);
        Assert.Matches(@"level:\s+operator", automatic.Output);
    }

    private const string Baseline = """
        "baseline": {"format":"mystique-reference","format_version":1,"rank":0,"world_size":1,"source":"job","source_name":"a",
        "recorded_iteration":1,"recorded_ns":[1],"before":{"samples_ns":[1],"cpu_time_ns":1,"peak_bytes":1},
        "after":{"samples_ns":[1],"cpu_time_ns":1,"peak_bytes":1},"runs_ns":[],"baseline_bytes":1,"device_peak_bytes":0,
        "device":{"type":"cpu","name":"a"},"versions":{"torch":"0.4"},"threads":{},"settings":{},"environment":{},"process_groups":[]},
        """;

    /// <summary>Inference has no pass, and both levels are the same.</summary>
    [Fact]
    public void Run_OfInference_AtTheFrameworksLevel_Runs()
    {
        File.WriteAllText(File_("t.json"), TraceText.WithRoots().Operator(3, Relu, [T(10, 4)], [T(11, 4)]).ToString());
        Assert.Equal("operator", LevelOf(Run(File_("t.json"), "--level", "framework")));
    }
}
