using System.Text.Json.Nodes;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary><c>mystique convert</c>, and what operators cost, as a user sees them.</summary>
public sealed class ConvertTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static string Example => Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz");

    private static JsonNode Summary(string path)
    {
        var result = CommandLine.Run("inspect", path, "--json", "-");
        result.AssertOk();
        return JsonNode.Parse(result.Output)!;
    }

    private static string Groups(JsonNode summary) => summary["operator_groups"]!.ToJsonString();

    [Fact]
    public void Convert_ToChakraAndBack_HasTheSameOperators()
    {
        CommandLine.Run("convert", Example, "-o", File_("d.%d.et")).AssertOk();
        Assert.Equal(Groups(Summary(Example)), Groups(Summary(File_("d.0.et"))));
        CommandLine.Run("convert", File_("d.0.et"), "-o", File_("d.et.json.gz")).AssertOk();
        Assert.Equal(Groups(Summary(Example)), Groups(Summary(File_("d.et.json.gz"))));
        Assert.Equal("1.1.1-chakra.0.0.4", (string)Summary(File_("d.et.json.gz"))["source"]!["schema"]!);
        CommandLine.Run("convert", Example, "-o", File_("a.et"), "--astra-sim").AssertOk();
    }

    [Fact]
    public void Run_AChakraFile_IsAsExactAsItsTrace()
    {
        var text = TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]);
        File.WriteAllText(File_("r.json"), text.ToString());
        CommandLine.Run("convert", File_("r.json"), "-o", File_("r.et")).AssertOk();
        var result = CommandLine.Run("run", File_("r.et"), "--iterations", "2", "--strict");
        result.AssertOk();
        Assert.Contains("1 of 1 operators as recorded", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_WhatCannotBe_SaysWhyAndWritesNothing()
    {
        CommandLine.Run("convert", Example, "-o", File_("p.json"), "--to", "perfetto").AssertFailed(2, "MYS142");
        CommandLine.Run("convert", Example, "-o", File_("p.json"), "--astra-sim").AssertFailed(2, "MYS142");
        foreach (int rank in (int[])[0, 1])
            File.Copy(Example, File_($"rank-{rank}.et.json.gz"));
        CommandLine.Run("convert", _folder, "-o", Path.Combine(Directory.CreateDirectory(File_("out")).FullName, "one.et"))
            .AssertFailed(2, "MYS142");
        Assert.Empty(Directory.EnumerateFileSystemEntries(File_("out")));
        File.WriteAllBytes(File_("bad.et"), [4, 0x0A, 2, 0x31, 0x32, 9, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]);
        CommandLine.Run("inspect", File_("bad.et")).AssertFailed(2, "MYS141");
    }

    [Fact]
    public void Convert_WithAProfile_IsATimelineForPerfetto()
    {
        File.WriteAllText(File_("r.json"), TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])],
            [Tensor(20, 21, [4])]).ToString());
        File.WriteAllText(File_("k.json"), """
            {"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 7, "tid": 1, "ts": 10, "dur": 5,
             "args": {"Record function id": 3, "External id": 3}}]}
            """);
        CommandLine.Run("convert", File_("r.json"), "--profile", File_("k.json"), "-o", File_("p.json"), "--to", "perfetto").AssertOk();
        var e = JsonNode.Parse(File.ReadAllText(File_("p.json")))!["traceEvents"]!.AsArray().Single()!;
        Assert.Equal(("aten::relu", 5.0, "float32[4]"), ((string)e["name"]!, (double)e["dur"]!, (string)e["args"]!["inputs"]!));
    }

    [Fact]
    public void Inspect_WithPeaks_SaysTheLeastTime()
    {
        File.WriteAllText(File_("m.json"), TraceText.WithRoots().Operator(3, "aten::mm(Tensor self, Tensor mat2) -> Tensor",
            [Tensor(10, 11, [100, 200]), Tensor(12, 13, [200, 300])], [Tensor(20, 21, [100, 300])]).ToString());
        var cost = Summary(File_("m.json"))["cost"]!;
        Assert.Equal((12e6, 440e3, 0), ((double)cost["flops"]!, (double)cost["bytes"]!, (int)cost["unknown_flops"]!));
        var result = CommandLine.Run("inspect", File_("m.json"), "--peak-flops", "0.012", "--bandwidth", "0.22");
        result.AssertOk();
        Assert.Contains("at least 2.000 ms, 100.0 % of it bound by memory", result.Output, StringComparison.Ordinal);
        Assert.Contains("12 MFLOP", result.Output, StringComparison.Ordinal);
        Assert.Equal(2, CommandLine.Run("inspect", File_("m.json"), "--peak-flops", "0").ExitCode);
    }

    /// <summary>The table against the formulas of PyTorch's own profiler, where both have one.</summary>
    [Fact]
    public void Inspect_Flops_AreThoseOfPyTorch()
    {
        Assert.SkipUnless(Python.HasTorch, "needs a Python with PyTorch");
        var made = Python.RunFile(Path.Combine(Repository.Root, "tests", "Mystique.Cli.Tests", "flops_job.py"), _folder);
        made.AssertOk();
        var expected = JsonNode.Parse(File.ReadAllText(File_("flops.json")))!.AsObject();
        var groups = Summary(File_("et.json"))["operator_groups"]!.AsArray().GroupBy(g => ((string)g!["name"]!).Split('.')[0])
            .ToDictionary(g => g.Key, g => g.Sum(k => (double?)k!["flops"] ?? 0));
        double Of(string name) => groups.GetValueOrDefault(name);
        foreach (string name in (string[])["aten::conv2d", "aten::mm", "aten::baddbmm"])
            Assert.Equal((double?)expected[name] ?? 0, Of(name));
        // What a composite operator calls is within it.
        Assert.Equal((double?)expected["aten::addmm"] ?? 0, Of("aten::addmm") + Of("aten::linear"));
        Assert.Equal((double?)expected["aten::bmm"] ?? 0, Of("aten::bmm") + Of("aten::matmul"));
    }
}
