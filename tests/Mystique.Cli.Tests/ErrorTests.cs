using System.Diagnostics;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>Bad input: a message with the place and the fix, an exit code, and nothing half-written.</summary>
public sealed class ErrorTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    internal static readonly string TraceWithUnknownOperator = TraceText.WithRoots()
        .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
        .Operator(4, "aten::no_such_operator(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]).ToString();

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private string Output => Path.Combine(_folder, "out");

    private void AssertNothingWritten() => Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(_folder), e =>
        e.Contains("out", StringComparison.Ordinal) || e.EndsWith(".tmp", StringComparison.Ordinal));

    public static TheoryData<string, string> BadTraces => new()
    {
        { "", "MYS104" },
        { "no json", "MYS105" },
        { "{\"a\": []}", "MYS106" },
        { "{\"traceEvents\": []}", "MYS127" },
        { new TraceText("7.0").ToString(), "MYS108" },
        { TraceText.WithRoots().Node(3, 2, "a").Node(3, 2, "b").ToString(), "MYS202" },
        { TraceText.WithRoots().Node(3, 4, "a").Node(4, 3, "b").ToString(), "MYS202" },
        { TraceText.WithRoots().Operator(3, Relu, [new("[1,2,0,4,4,\"cpu\"]", "[-4]", "Tensor(float)", "[1]")], []).ToString(), "MYS112" },
        { TraceText.WithRoots().Node(3, 2, "x", "aten::relu(").ToString(), "MYS112" },
        { TraceText.WithRoots().Node(3, 2, "x", inputs: [new("1,2", "[]", "Int", "[]")]).ToString(), "MYS112" },
        { TraceText.WithRoots().Node(3, 2, "label").ToString(), "MYS202" },
        { TraceText.WithRoots().Node(3, 2, "record_param_comms").ToString(), "MYS203" },
    };

    [Theory]
    [MemberData(nameof(BadTraces))]
    public void Generate_BadTrace_ExitsWith2AndLeavesNothing(string text, string id)
    {
        string path = Write("bad.json", text);
        var result = CommandLine.Run("generate", path, "-o", Output);
        result.AssertFailed(2, id);
        Assert.Contains("bad.json", result.Error);
        AssertNothingWritten();
    }

    [Fact]
    public void Inspect_MissingFileOrDirectory_ExitsWith2()
    {
        CommandLine.Run("inspect", Path.Combine(_folder, "none.json")).AssertFailed(2, "MYS101");
        CommandLine.Run("inspect", _folder).AssertFailed(2, "MYS102");
    }

    [Fact]
    public void Inspect_GzipCutShort_ExitsWith2()
    {
        byte[] whole = File.ReadAllBytes(CommandLine.Example("gpt"));
        string path = Path.Combine(_folder, "cut.json.gz");
        File.WriteAllBytes(path, whole[..(whole.Length / 2)]);
        CommandLine.Run("inspect", path).AssertFailed(2, "MYS109");
    }

    [Fact]
    public void Inspect_DamagedTrace_WarnsOrRefuses()
    {
        string text = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]).Node(4, 2, "lost").ToString();
        string path = Write("cut.json", text[..text.IndexOf("lost", StringComparison.Ordinal)]);
        var result = CommandLine.Run("inspect", path);
        result.AssertOk();
        Assert.Contains("warning: ", result.Error);
        Assert.Contains("3 nodes kept, 1 lost", result.Error);
        CommandLine.Run("inspect", path, "--strict").AssertFailed(2, "MYS110");
    }

    [Fact]
    public void Run_UnknownOperator_IsRefusedWhenStrict()
    {
        CommandLine.NeedsLibTorch();
        var result = CommandLine.Run("run", Write("unknown.json", TraceWithUnknownOperator), "--strict", "--json", Output);
        result.AssertFailed(2, "MYS404");
        Assert.Contains("aten::no_such_operator: libtorch 2.10.0 does not have this operator", result.Error);
        Assert.Contains("unknown.json, node 4", result.Error);
        AssertNothingWritten();
    }

    [Fact]
    public void Run_NothingButUnknownOperators_IsRefused()
    {
        string text = TraceText.WithRoots()
            .Operator(4, "aten::no_such_operator(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]).ToString();
        CommandLine.Run("run", Write("unknown.json", text)).AssertFailed(2, "MYS203");
    }

    [Fact]
    public void Run_OperatorWithOtherArguments_IsNamed()
    {
        CommandLine.NeedsLibTorch();
        string text = TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self, int colour) -> Tensor", [Tensor(10, 11, [4]), 7L], [Tensor(20, 21, [4])])
            .Operator(4, "aten::tanh(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]).ToString();
        var result = CommandLine.Run("run", Write("old.json", text), "--iterations", "1", "--no-profile", "--json", "-");
        result.AssertOk();
        Assert.Contains("\"recorded_operators\": 1,", result.Output);
        Assert.Contains("libtorch 2.10.0 has it with other arguments: it does not take 'colour' there", result.Output);
    }

    [Fact]
    public void Run_NoneForATensor_IsNamed()
    {
        string text = TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [None], [Tensor(20, 21, [4])])
            .Operator(4, "aten::tanh(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]).ToString();
        var result = CommandLine.Run("run", Write("none.json", text), "--iterations", "1", "--no-profile", "--json", "-");
        result.AssertOk();
        Assert.Contains("\"recorded_operators\": 1,", result.Output);
        Assert.Contains("its argument 'self' is None, which its schema does not allow", result.Output);
    }

    /// <summary>Operators of other versions: an argument that came later, one that is gone, one that moved.</summary>
    [Fact]
    public void Run_OperatorsOfOtherVersions_AreAdapted()
    {
        string text = TraceText.WithRoots()
            .Operator(3, "aten::add.Tensor(Tensor self, Tensor other) -> Tensor", [Tensor(10, 11, [4]), Tensor(12, 13, [4])],
                [Tensor(20, 21, [4])])
            .Operator(4, "aten::tanh(Tensor self, *, bool fast=False) -> Tensor", [Tensor(20, 21, [4]), false], [Tensor(30, 31, [4])])
            .Operator(5, "aten::sum.dim_IntList(Tensor self, bool keepdim, int[1]? dim) -> Tensor", [Tensor(30, 31, [4]), true, Ints(0)],
                [Tensor(40, 41, [1])]).ToString();
        var result = CommandLine.Run("run", Write("versions.json", text), "--iterations", "1", "--no-profile");
        result.AssertOk();
        Assert.Contains("3 of 3 operators as recorded (100.0 %)", result.Output);
        Assert.Contains("exact: 3 operators", result.Output);
    }

    [Fact]
    public void Run_TensorLargerThanMemory_IsRefusedWithTheNumbers()
    {
        string text = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [1 << 24, 1 << 24])], [Tensor(20, 21, [1 << 24, 1 << 24])])
            .ToString();
        var result = CommandLine.Run("run", Write("large.json", text));
        result.AssertFailed(2, "MYS403");
        Assert.Contains("the largest tensor 1,125,899.9 GB", result.Error);
    }

    [Fact]
    public void Run_PackageThatDisagrees_IsRefused()
    {
        CommandLine.Run("generate", CommandLine.Example("dlrm"), "-o", Path.Combine(_folder, "p")).AssertOk();
        CommandLine.Run("generate", CommandLine.Example("bilstm"), "-o", Path.Combine(_folder, "q")).AssertOk();
        File.Copy(Path.Combine(_folder, "q", "program.pt"), Path.Combine(_folder, "p", "program.pt"), overwrite: true);
        CommandLine.Run("run", Path.Combine(_folder, "p")).AssertFailed(2, "MYS303");
    }

    [Fact]
    public void Run_Timeout_StopsTheWorker()
    {
        var result = CommandLine.Run("run", CommandLine.Example("resnet18"), "--iterations", "100000", "--timeout", "4", "--json", Output);
        result.AssertFailed(1, "MYS406");
        AssertNothingWritten();
    }

    [Fact]
    public async Task Run_WorkerKilled_SaysSo()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "finds the worker in /proc");
        using var process = CommandLine.Start("run", CommandLine.Example("bilstm"), "--iterations", "1000000", "--json", Output);
        var error = process.StandardError.ReadToEndAsync();
        int worker = await CommandLine.WorkerOf(process);
        await Task.Delay(3000);
        Process.GetProcessById(worker).Kill();
        string message = await error;
        await process.WaitForExitAsync();
        new CommandLine.Result(process.ExitCode, "", message).AssertFailed(1, "MYS405");
        Assert.Contains("it was killed (SIGKILL)", message);
        AssertNothingWritten();
    }

    [Theory]
    [InlineData("run")]
    [InlineData("fly")]
    [InlineData("run", "x", "--iterations", "many")]
    [InlineData("run", "x", "--iterations", "0")]
    [InlineData("run", "x", "--iteration", "first")]
    [InlineData("run", "x", "--engine", "python", "--libtorch", "y")]
    [InlineData("demo", "alexnet")]
    [InlineData("generate", "x")]
    [InlineData("run", "x", "--quiet=true", "--quiet=false")]
    [InlineData("run", "x", "--network")]
    [InlineData("scale", "a:batch=2", "--to")]
    [InlineData("suite", "compare", "a", "b", "--suite", "s", "--link", "x")]
    [InlineData("run", "x", "--engine", "python", "--python", "")]
    [InlineData("doctor", "--python", "")]
    public void BadUsage_ExitsWith2(params string[] arguments)
    {
        var result = CommandLine.Run(arguments);
        Assert.Equal(2, result.ExitCode);
        Assert.NotEqual("", result.Error);
        Assert.DoesNotContain("   at ", result.Error);
        Assert.DoesNotContain("MYS999", result.Error);
        Assert.EndsWith("--help\n", result.Error);
        Assert.Equal("", result.Output);
    }

    [Fact]
    public void ValueOfAParameter_IsToldAsItWasTyped()
    {
        string error = CommandLine.Run("scale", "a", "b:batch=2", "--to", "batch", "-o", Output).Error;
        Assert.Contains("'a' is no capture with the value of a parameter, for example job:batch=4.\n", error);
        Assert.Contains("--to: 'batch' is no value of a parameter, for example batch=64.\n", error);
        Assert.DoesNotContain("'b:batch=2'", error);
    }

    [Fact]
    public void Json_IntoAFolderThatIsNotThere_IsRefused() =>
        CommandLine.Run("inspect", CommandLine.Example("dlrm"), "--json", Path.Combine(_folder, "none", "x.json"))
            .AssertFailed(2, "MYS305");

    [Fact]
    public void StandardOutput_OnAFullDisk_IsNamed()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "needs /dev/full");
        foreach (string command in (string[])[$"\"{CommandLine.Executable}\" inspect \"{CommandLine.Example("bilstm")}\"",
            $"\"{CommandLine.Executable}\" inspect \"{CommandLine.Example("bilstm")}\" --json -"])
        {
            var start = new ProcessStartInfo("/bin/sh", ["-c", command + " > /dev/full"])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true
            };
            using var process = Process.Start(start)!;
            string error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            new CommandLine.Result(process.ExitCode, "", error).AssertFailed(2, "MYS305");
        }
    }

    [Fact]
    public void Output_ThatIsTheInput_IsRefused()
    {
        string text = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]).ToString();
        string path = Write("t.json", text);
        CommandLine.Run("inspect", path, "--json", path).AssertFailed(2, "MYS305");
        Assert.Equal(text, File.ReadAllText(path));
    }
}
