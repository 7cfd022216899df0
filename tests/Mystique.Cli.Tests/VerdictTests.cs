using System.Text.Json;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>The headline, warnings and exit codes say what ran, not what was planned; and what is not known does not pass.</summary>
public sealed class VerdictTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static JsonElement Coverage(string path) => JsonDocument.Parse(File.ReadAllText(path)).RootElement.GetProperty("coverage");

    /// <summary>A trace whose second operator returned another type than it does without the mode that it ran in.</summary>
    private string OtherTypes()
    {
        string path = File_("types.et.json");
        File.WriteAllText(path, TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, "aten::tanh(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4], "c10::BFloat16")]).ToString());
        return path;
    }

    /// <summary>The result is there all the same: it lists the differences.</summary>
    private static void AssertStrict(CommandLine.Result result)
    {
        Assert.Equal(1, result.ExitCode);
        Assert.StartsWith("MYS422: the replay has 1 difference from the recording; the first is aten::tanh", result.Error,
            StringComparison.Ordinal);
    }

    public static TheoryData<string> Engines => ["torchsharp", "python"];

    private static string[] EngineOf(string name)
    {
        Assert.SkipWhen(name == "python" && !Python.HasTorch, "needs python3 with torch");
        return name == "python" ? ["--engine", "python", "--python", Python.Executable] : [];
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Run_WithDifferences_WarnsAndStrictFails(string engine)
    {
        string[] options =
            [OtherTypes(), "--iterations", "1", "--warmup", "0", "--no-profile", "--json", File_("r.json"), .. EngineOf(engine)];
        var result = CommandLine.Run(["run", .. options]);
        result.AssertOk();
        Assert.Contains("1 of 2 operators as recorded (50.0 %)", result.Output);
        Assert.Contains("warning: 1 differences from the recording: node 4 (aten::tanh): its output 0 is float32", result.Error);
        Assert.Equal(0.5, Coverage(File_("r.json")).GetProperty("share").GetDouble());
        AssertStrict(CommandLine.Run(["run", "--strict", .. options]));
        Assert.Equal(2, CommandLine.Run(["run", "--strict", "--no-verify", .. options]).ExitCode);
    }

    [Fact]
    public void RunPy_WithDifferences_WarnsAndStrictFails()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        CommandLine.Run("generate", OtherTypes(), "-o", File_("b")).AssertOk();
        string script = Path.Combine(File_("b"), "run.py");
        string[] options = ["--iterations", "1", "--warmup", "0", "--no-operators", "--json", File_("r.json")];
        var result = Python.RunFile(script, options);
        result.AssertOk();
        Assert.Contains("1 of 2 (50.0 %)", result.Output);
        Assert.Contains("warning: 1 differences from the recording: node 4 (aten::tanh)", result.Error);
        Assert.Equal(0.5, Coverage(File_("r.json")).GetProperty("share").GetDouble());
        AssertStrict(Python.RunFile(script, [.. options, "--strict"]));
    }

    [Fact]
    public void Run_NotVerified_HasNoShare()
    {
        var result = CommandLine.Run("run", OtherTypes(), "--iterations", "1", "--no-verify", "--no-profile", "--json", File_("r.json"));
        result.AssertOk();
        Assert.Contains("not verified", result.Output);
        Assert.False(Coverage(File_("r.json")).TryGetProperty("share", out _));
        Assert.Equal(1, CommandLine.Run("compare", File_("r.json"), File_("r.json"), "--fail-above", "1000%").ExitCode);
    }

    [Fact]
    public void FailAbove_WhatWasNotDone_DoesNotPass()
    {
        CommandLine.Run("run", OtherTypes(), "--iterations", "1", "--no-profile", "--json", File_("r.json")).AssertOk();
        var result = CommandLine.Run("compare", File_("r.json"), File_("r.json"), "--fail-above", "5%");
        Assert.Equal(3, result.ExitCode);
        Assert.Contains("the work of 50.0 % of the operators was not done: more than 5.0 %", result.Error);
    }

    [Fact]
    public void Compare_WithAProfileOfAnotherJob_IsRefused()
    {
        CommandLine.Run("run", CommandLine.Example("bilstm"), "--iterations", "1", "--json", File_("r.json")).AssertOk();
        File.WriteAllText(File_("k.json"), "{\"traceEvents\": [{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::foreign\", "
            + "\"pid\": 1, \"tid\": 1, \"ts\": 1, \"dur\": 5}, "
            + "{\"ph\": \"X\", \"cat\": \"user_annotation\", \"name\": \"ProfilerStep#1\", \"pid\": 1, "
            + "\"tid\": 1, \"ts\": 1, \"dur\": 50}]}");
        CommandLine.Run("compare", File_("k.json"), File_("r.json")).AssertFailed(2, "MYS120");
        File.WriteAllText(File_("kernels.json"), "{\"traceEvents\": [{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"k\", \"pid\": 0, "
            + "\"tid\": 7, \"ts\": 1, \"dur\": 5}]}");
        var result = CommandLine.Run("compare", File_("kernels.json"), File_("r.json"), "--fail-above", "5%");
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("nothing could be compared", result.Error);
    }

    /// <summary>Strangers' files, each with what has to come out: the share of operators that ran as recorded, and differences.</summary>
    [Theory]
    [InlineData("cases/01-amp-inference/infer.et.json.gz", 1, 0)]
    [InlineData("cases/01-amp-inference/teacher.et.json.gz", 1, 0)]
    [InlineData("cases/02-sparse-embedding/et.json.gz", 1, 0)]
    [InlineData("cases/04-symbolic-shapes/et.json", 0.25, 0)]
    [InlineData("cases/13-functional-all-reduce/et.json", 0.833333, 0)]
    [InlineData("cases/14-meta-device/captured.et.json.gz", 1, 0)]
    [InlineData("cases/14-meta-device/et.json", 1, 0)]
    [InlineData("cases/16-et-plus/linked.et.json.gz", 0.75, 0)]
    [InlineData("cases/17-vllm-operators/et.json", 0.555555, 0)]
    [InlineData("traces/distributed/zero3.2/rank-0", 0.939393, 0)]
    public void Case_ComesOutAsItShould(string path, double share, int differences)
    {
        string file = Path.Combine(Repository.Root, "..", "shared", path);
        Assert.SkipUnless(Path.Exists(file), "the folder ../shared is not here");
        CommandLine.Run("run", file, "--iterations", "1", "--warmup", "0", "--no-profile", "--json", File_("r.json")).AssertOk();
        var json = JsonDocument.Parse(File.ReadAllText(File_("r.json"))).RootElement;
        Assert.Equal(share, Coverage(File_("r.json")).GetProperty("share").GetDouble());
        Assert.Equal(differences, json.GetProperty("verification").GetProperty("differences").GetArrayLength());
    }

    /// <summary>Strangers' profiles beside their trace: operators found, device time in microseconds, iteration in milliseconds.</summary>
    [Theory]
    [InlineData("05-kineto-one-bad-event/inf.kineto.json.gz", 28, 16, 19691.071)]
    [InlineData("05-kineto-one-bad-event/missing-value.kineto.json.gz", 28, 16, 19691.071)]
    [InlineData("05-kineto-one-bad-event/unescaped-quote.kineto.json.gz", 28, 16, 19691.071)]
    [InlineData("05-kineto-one-bad-event/win-backslash.kineto.json.gz", 28, 16, 19691.071)]
    [InlineData("06-kineto-ids-zero/one-event-missing.kineto.json.gz", 27, 16, 19691.071)]
    [InlineData("07-kineto-old-categories/kineto.json.gz", 28, 16, 19691.071)]
    [InlineData("08-kineto-string-ts/kineto.json.gz", 28, 16, 19691.071)]
    [InlineData("09-kineto-durations/impossible-kernel.kineto.json.gz", 28, 11, 19691.071)]
    [InlineData("09-kineto-durations/negative.kineto.json.gz", 27, 16, 19691.071)]
    [InlineData("10-kineto-merged-ranks/kineto.json.gz", 28, 16, 19691.071)]
    public void CaseOfAProfile_ComesOutAsItShould(string profile, int found, double deviceUs, double iterationMs)
    {
        string shared = Path.Combine(Repository.Root, "..", "shared");
        Assert.SkipUnless(Directory.Exists(shared), "the folder ../shared is not here");
        var result = CommandLine.Run("generate", Path.Combine(shared, "traces", "hta", "benchmark_simple_add_et.json.gz"), "--profile",
            Path.Combine(shared, "cases", profile), "-o", File_("b"));
        result.AssertOk();
        Assert.Contains($"{found} of 28 operators found by their", result.Output);
        var times = JsonDocument.Parse(File.ReadAllText(Path.Combine(File_("b"), "benchmark.json"))).RootElement.GetProperty("times");
        Assert.Equal((deviceUs, iterationMs),
            (times.GetProperty("device_ns").GetInt64() / 1e3, times.GetProperty("iteration_ns").GetInt64() / 1e6));
    }

    /// <summary>Jobs in mixed precision, captured and replayed on the same PyTorch: every operator with its recorded types.</summary>
    [Theory]
    [InlineData("infer")]
    [InlineData("train")]
    [InlineData("checkpoint")]
    public void MixedPrecision_ReplaysExactly(string mode)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        CommandLine.Run("capture", "-o", File_("job"), "--skip", "1", "--reference", "2", "--", Python.Executable,
            Path.Combine(Repository.Root, "examples", "pytorch", "amp.py"), mode, "10").AssertOk();
        CommandLine.Run("run", File_("job"), "--engine", "python", "--python", Python.Executable, "--iterations", "1", "--warmup", "0",
            "--no-profile", "--strict", "--json", File_("r.json")).AssertOk();
        Assert.Equal(1, Coverage(File_("r.json")).GetProperty("share").GetDouble());
    }
}
