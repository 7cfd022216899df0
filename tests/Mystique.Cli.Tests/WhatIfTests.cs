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

    /// <summary>Conditions on shapes and types choose operators, in the command and in a package on another PyTorch.</summary>
    [Fact]
    public void Table_WithConditions_AppliesToSomeOfThem()
    {
        File.WriteAllText(At("table.txt"), """
            always aten::addmm if mat1.dtype = float32 and mat2.size(1) >= 64:
                x = aten::mm(mat1, mat2)
                out0 = aten::add.Tensor(x, self)
            """);
        CommandLine.Run("generate", Trace, "-o", At("bench"), "--substitutions", At("table.txt")).AssertOk();
        var manifest = JsonNode.Parse(File.ReadAllText(At("bench/benchmark.json")))!;
        var row = manifest["substitutions"]!.AsArray().Single(r => r!["conditions"] is not null)!;
        Assert.Equal(["dtype", "size"], row["conditions"]!.AsArray().Select(c => (string)c!["of"]!));
        var operators = manifest["operators"]!.AsArray();
        var schemas = manifest["schemas"]!.AsArray().Select(s => (string)s!).ToArray();
        bool[] wide = [.. operators.Where(o => schemas[(int)o!["schema"]!].StartsWith("aten::addmm(", StringComparison.Ordinal))
            .Select(o => (int)manifest["tensors"]![(int)o!["args"]![2]!["t"]![0]!]!["shape"]![1]! >= 64)];
        Assert.Contains(true, wide);
        Assert.Contains(false, wide);
        foreach (string[] run in (string[][])[["--engine", "torchsharp"], ["--engine", "python", "--python", Python.Executable]])
        {
            if (run[1] == "python" && !Python.HasTorch)
                continue;
            CommandLine.Run(["run", At("bench"), "--iterations", "1", "--warmup", "0", "--json", At("result.json"), .. run]).AssertOk();
            var coverage = JsonNode.Parse(File.ReadAllText(At("result.json")))!["coverage"]!;
            Assert.Equal(wide.Count(w => w), (int)coverage["substituted_operators"]!);
        }
    }

    /// <summary>What computes in another type is counted as substituted, and runs in a package on both engines.</summary>
    [Theory]
    [InlineData("torchsharp")]
    [InlineData("python")]
    public void Dtype_OfOperators_RunsAndIsCounted(string engine)
    {
        Assert.SkipUnless(engine != "python" || Python.HasTorch, "needs python3 with torch");
        CommandLine.Run("generate", Trace, "-o", At("bench"), "--dtype", "op:aten::bmm or op:aten::addmm=float64").AssertOk();
        CommandLine.Run(["run", At("bench"), "--engine", engine, .. engine == "python" ? (string[])["--python", Python.Executable] : [],
            "--iterations", "1", "--warmup", "0", "--json", At("result.json")]).AssertOk();
        var result = JsonNode.Parse(File.ReadAllText(At("result.json")))!;
        Assert.Equal("exact", (string)result["verification"]!["status"]!);
        Assert.Equal(8, (int)result["coverage"]!["substituted_operators"]!);
    }

    /// <summary>A package has no recording to change: it would run as it is.</summary>
    [Theory]
    [InlineData("--drop", "op:aten::bmm")]
    [InlineData("--dtype", "op:aten::bmm=float64")]
    public void Change_OfAPackage_IsRefused(string option, string what)
    {
        CommandLine.Run("generate", Trace, "-o", At("bench")).AssertOk();
        var refused = CommandLine.Run("run", At("bench"), option, what);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("MYS212", refused.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--drop", "phase:optimizer", "72")]
    [InlineData("--substitutions", null, "14")]
    [InlineData("--dtype", "op:aten::bmm or op:aten::addmm=float64", "8")]
    [InlineData("--speed", "op:aten::bmm=4x", "3")]
    [InlineData("--speed", "op:aten::bmm=0.5x", "3")]
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
    [InlineData("MYS207", "--speed", "op:aten::nothing=2x")]
    [InlineData("MYS232", "--dtype", "op:aten::bmm=int8")]
    [InlineData("MYS223", "--dtype", "op:aten::bmm=float32")]
    [InlineData("MYS230", "--speed", "op:aten::bmm=2")]
    public void WhatIf_OfNothing_IsRefused(string id, params string[] options)
    {
        var refused = CommandLine.Run(["whatif", Trace, .. options]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(id, refused.Error, StringComparison.Ordinal);
    }
}
