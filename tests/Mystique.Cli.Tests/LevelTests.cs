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

    /// <summary>What autograd could not repeat: the operators' level, with the reason; asked for, it is refused.</summary>
    [Theory]
    [InlineData(false, "no forward operator of the selection has the sequence number of its first function")]
    [InlineData(true, "within it is a hook's")]
    public void Run_WithoutAPassForAutograd_SaysWhy(bool hasForward, string why)
    {
        File.WriteAllText(File_("t.json"), Step(hasForward, hook: hasForward ? 0 : -1).ToString());
        var refused = CommandLine.Run("run", File_("t.json"), "--level", "framework");
        refused.AssertFailed(2, "MYS211");
        Assert.Contains(why, refused.Error.ReplaceLineEndings(" "));
        Assert.Equal("operator", LevelOf(Run(File_("t.json"))));
        var made = CommandLine.Run("generate", File_("t.json"), "-o", File_("p"));
        made.AssertOk();
        Assert.Contains("levels: operator; ", made.Output);
        CommandLine.Run("run", File_("p"), "--level", "framework").AssertFailed(2, "MYS211");
    }

    /// <summary>Inference has no pass, and both levels are the same.</summary>
    [Fact]
    public void Run_OfInference_AtTheFrameworksLevel_Runs()
    {
        File.WriteAllText(File_("t.json"), TraceText.WithRoots().Operator(3, Relu, [T(10, 4)], [T(11, 4)]).ToString());
        Assert.Equal("operator", LevelOf(Run(File_("t.json"), "--level", "framework")));
    }
}
