using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>Operators that take no time, and others in their places.</summary>
public sealed class WhatIfTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private static string Trace => Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz");

    [Fact]
    public void Drop_Operators_LeavesThemOutAndCountsThem()
    {
        CommandLine.Run("generate", Trace, "-o", At("bench"), "--drop", "op:aten::bmm or op:aten::embedding_bag").AssertOk();
        var manifest = JsonNode.Parse(File.ReadAllText(At("bench/benchmark.json")))!;
        var replaced = manifest["replaced"]!.AsArray();
        Assert.Equal(11, replaced.Count); // 3 products, 8 tables.
        Assert.All(replaced, r => Assert.Equal(("stand_in", true), ((string)r!["remedy"]!, ((string)r["reason"]!).StartsWith("what if",
            StringComparison.Ordinal))));
        Assert.Null(manifest["framework"]);
        Assert.DoesNotContain(manifest["schemas"]!.AsArray(), s => ((string)s!).StartsWith("aten::bmm(", StringComparison.Ordinal));
        CommandLine.Run("run", At("bench"), "--iterations", "1", "--warmup", "0", "--json", At("result.json")).AssertOk();
        var result = JsonNode.Parse(File.ReadAllText(At("result.json")))!;
        Assert.Equal("exact", (string)result["verification"]!["status"]!);
        Assert.Equal(11, (int)result["coverage"]!["stand_ins"]!);
    }

    [Theory]
    [InlineData("--drop", "phase:optimizer", "72")]
    [InlineData("--substitutions", null, "14")]
    public void WhatIf_OfAChange_MeasuresBoth(string option, string? value, string operators)
    {
        var measured = CommandLine.Run("whatif", Trace, option, value
            ?? Path.Combine(Repository.Root, "examples", "whatif", "bfloat16.txt"),
            "--rounds", "2", "--iterations", "2", "--warmup", "1");
        measured.AssertOk();
        Assert.Contains("difference", measured.Output, StringComparison.Ordinal);
        Assert.Contains($" {operators} ", measured.Output.Split('\n').Single(l => l.Contains("are left out", StringComparison.Ordinal)),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("MYS223")]
    [InlineData("MYS207", "--drop", "op:aten::nothing")]
    [InlineData("MYS206", "--drop", "phase")]
    public void WhatIf_OfNothing_IsRefused(string id, params string[] options)
    {
        var refused = CommandLine.Run(["whatif", Trace, .. options]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(id, refused.Error, StringComparison.Ordinal);
    }
}
