using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>Parts of the examples, cut out and run as a user would.</summary>
public sealed class ControlTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Trace(string name) => Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz");

    [Theory]
    [InlineData("gpt", "phase:forward")]
    [InlineData("gpt", "phase:backward")]
    [InlineData("gpt", "phase:optimizer")]
    [InlineData("gpt", "op:aten::*attention*")]
    [InlineData("resnet18", "phase:forward")]
    [InlineData("resnet18", "phase:backward")]
    [InlineData("resnet18", "phase:optimizer")]
    [InlineData("resnet18", "op:aten::*conv*")]
    [InlineData("dlrm", "phase:forward")]
    [InlineData("dlrm", "phase:backward")]
    [InlineData("dlrm", "phase:optimizer")]
    [InlineData("bilstm", "phase:forward")]
    [InlineData("bilstm", "phase:backward")]
    [InlineData("bilstm", "phase:optimizer")]
    public void Run_APart_RunsItsOperatorsAsRecorded(string name, string selection)
    {
        var result = CommandLine.Run("run", Trace(name), "--select", selection, "--level", "operator", "--iterations", "2", "--warmup", "0",
            "--no-profile", "--check-values", "--json", "-");
        result.AssertOk();
        var document = JsonNode.Parse(result.Output)!;
        Assert.Equal("exact", (string)document["verification"]!["status"]!);
        Assert.Equal(1.0, (double)document["coverage"]!["share"]!);
    }

    /// <summary>Each module of a job, with its backward pass, runs as recorded; together they are no more than the sum of them.</summary>
    [Fact]
    public void Run_EachTopLevelModule_RunsItsOperatorsAsRecorded()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string script = Path.Combine(_folder, "train.py"), job = Path.Combine(_folder, "job");
        File.WriteAllText(script, TrainingJob.Text);
        CommandLine.Run("capture", "-o", job, "--modules", "--", Python.Executable, script).AssertOk();
        int OperatorsOf(string selection)
        {
            var result = CommandLine.Run("run", job, "--select", selection, "--level", "operator", "--iterations", "1", "--warmup", "0",
                "--no-profile", "--engine", "python", "--python", Python.Executable, "--json", "-");
            result.AssertOk();
            var document = JsonNode.Parse(result.Output)!;
            Assert.Equal("exact", (string)document["verification"]!["status"]!);
            Assert.Equal(1.0, (double)document["coverage"]!["share"]!);
            return (int)document["coverage"]!["selected_operators"]!;
        }
        string[] modules = ["embedding", "layers.0", "layers.1", "layers.2", "layers.3", "head"];
        string[] selections = [.. modules.Select(m => $"label:*{m}*")];
        int[] counts = [.. selections.Select(OperatorsOf)];
        Assert.All(counts, c => Assert.True(c >= 2)); // Forward and backward.
        Assert.Single(counts[1..5].Distinct());
        Assert.Equal(counts.Sum(), OperatorsOf(string.Join(" or ", selections)));
    }

    [Fact]
    public void Generate_APart_IsAPackageThatRuns()
    {
        string package = Path.Combine(_folder, "p.bench");
        CommandLine.Run("generate", Trace("gpt"), "--without", "phase:optimizer or op:aten::embedding*", "-o", package).AssertOk();
        CommandLine.Run("run", package, "--iterations", "1", "--warmup", "0").AssertOk();
        var refused = CommandLine.Run("run", package, "--select", "phase:forward");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("MYS212", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_APart_SaysItsShare()
    {
        var result = CommandLine.Run("inspect", Trace("gpt"), "--select", "op:aten::*attention*");
        result.AssertOk();
        Assert.Contains("of that, operators; time, FLOPs, bytes", result.Output, StringComparison.Ordinal);
        var nothing = CommandLine.Run("inspect", Trace("gpt"), "--select", "op:aten::mmm");
        Assert.Equal(2, nothing.ExitCode);
        Assert.Contains("did you mean op:aten::mm", nothing.Error, StringComparison.Ordinal);
    }
}
