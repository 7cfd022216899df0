using System.Text.Json;
using System.Text.Json.Nodes;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>The package on the system's own PyTorch: by its run.py, and as the worker of <c>mystique run --engine python</c>.</summary>
public sealed class PythonEngineTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public PythonEngineTests() => Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private string Package(string trace, params string[] options)
    {
        CommandLine.Run(["generate", trace, "-o", File_("p"), .. options]).AssertOk();
        return File_("p");
    }

    private string Package(TraceText text)
    {
        File.WriteAllText(File_("t.json"), text.ToString());
        return Package(File_("t.json"));
    }

    private static CommandLine.Result RunPackage(string package, params string[] options) =>
        Python.RunFile(Path.Combine(package, "run.py"), options);

    private static JsonElement Json(string path) => JsonDocument.Parse(File.ReadAllText(path)).RootElement;

    [Theory]
    [InlineData("dlrm", false)]
    [InlineData("resnet18", false)]
    [InlineData("dlrm", true)]
    public void RunPy_Example_IsExactAndFinite(string example, bool eager)
    {
        string package = Package(CommandLine.Example(example));
        var result = RunPackage(package, ["--threads", "1", "--iterations", "2", "--warmup", "1", "--check-values", "--json",
            File_("r.json"), .. eager ? ["--eager"] : Array.Empty<string>()]);
        result.AssertOk();
        var json = Json(File_("r.json"));
        Assert.Equal("mystique-run", json.GetProperty("format").GetString());
        Assert.Equal(eager ? "eager" : "torchscript", json.GetProperty("program").GetProperty("form").GetString());
        var verification = json.GetProperty("verification");
        Assert.True(verification.GetProperty("status").GetString() == "exact", verification.ToString());
        var coverage = json.GetProperty("coverage");
        int replayed = coverage.GetProperty("recorded_operators").GetInt32();
        Assert.Equal(coverage.GetProperty("selected_operators").GetInt32(), replayed);
        Assert.Equal(replayed, verification.GetProperty("classes").GetProperty("exact").GetInt32());
        Assert.Equal(replayed, json.GetProperty("operators").EnumerateArray()
            .Sum(o => o.GetProperty("count").GetInt32()) - coverage.GetProperty("added_operators").GetInt32());
        Assert.Equal(2, json.GetProperty("iterations").GetProperty("samples_ns").GetArrayLength());
        Assert.Empty(json.GetProperty("non_finite").EnumerateArray());
        Assert.Contains($"exact: {verification.GetProperty("exact_operators").GetInt32():N0} operators", result.Output);
    }

    [Fact]
    public void Run_EnginePython_IsExactAndReportsThePython()
    {
        var result = CommandLine.Run("run", CommandLine.Example("dlrm"), "--engine", "python", "--python", Python.Executable,
            "--threads", "1", "--iterations", "2", "--json", File_("r.json"),
            "--profile", File_("k.json"), "--check-values");
        result.AssertOk();
        Assert.Contains("values: all results are finite", result.Output);
        Assert.Equal("exact", Json(File_("r.json")).GetProperty("verification").GetProperty("status").GetString());
        Assert.Equal(1.0, Json(File_("r.json")).GetProperty("coverage").GetProperty("share").GetDouble());
        var engine = Json(File_("r.json")).GetProperty("engine");
        Assert.Equal("python", engine.GetProperty("name").GetString());
        Assert.NotEqual("", engine.GetProperty("versions").GetProperty("torch").GetString());
        Assert.Contains("aten::", File.ReadAllText(File_("k.json")));
        Assert.DoesNotContain(Directory.EnumerateFiles(_folder), f => f.EndsWith(".tmp", StringComparison.Ordinal));
    }

    /// <summary>The library that comes along has a profiler, too.</summary>
    [Fact]
    public void Run_EngineTorchSharpProfile_IsAKinetoProfile()
    {
        var result = CommandLine.Run("run", CommandLine.Example("dlrm"), "--threads", "1", "--iterations", "2", "--json",
            File_("r.json"), "--profile", File_("k.json"));
        result.AssertOk();
        Assert.Contains("peak memory of tensors", result.Output);
        var events = Json(File_("k.json")).GetProperty("traceEvents").EnumerateArray().Select(e => e.GetProperty("name").GetString())
            .ToArray();
        Assert.Contains("aten::embedding_bag", events);
        Assert.Contains("[memory]", events);
        var memory = Json(File_("r.json")).GetProperty("memory");
        // What operators need within them is little here.
        Assert.InRange(memory.GetProperty("allocated_bytes").GetDouble() / memory.GetProperty("planned_peak_bytes").GetDouble(), 0.9, 1.1);
    }

    /// <summary>Operators that this PyTorch lacks, or that fail there, get the same remedies as in process.</summary>
    [Fact]
    public void UnknownAndFailingOperators_AreNamedAndTheRestRuns()
    {
        string package = Package(TraceText.WithRoots()
            .Operator(3, "aten::no_such_operator(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Tensor(20, 21, [4]), Tensor(20, 21, [4])], [Tensor(30, 31, [4])])
            .Operator(5, Relu, [Tensor(30, 31, [4])], [Tensor(40, 41, [4])]));
        foreach (var result in (CommandLine.Result[])[
            RunPackage(package, "--iterations", "1", "--json", File_("r.json")),
            CommandLine.Run("run", package, "--engine", "python", "--python", Python.Executable, "--iterations", "1",
                "--json", File_("r.json"))])
        {
            result.AssertOk();
            var coverage = Json(File_("r.json")).GetProperty("coverage");
            Assert.Equal(1, coverage.GetProperty("recorded_operators").GetInt32());
            Assert.Equal(2, coverage.GetProperty("stand_ins").GetInt32());
            Assert.Equal("exact", Json(File_("r.json")).GetProperty("verification").GetProperty("status").GetString());
            Assert.Contains("does not have this operator", coverage.ToString());
            Assert.Contains("it failed: ", coverage.ToString());
        }
    }

    /// <summary>
    /// Operators that a PyTorch lacks are done by rows of the table of substitutions, in run.py by itself as in the command.
    /// </summary>
    [Fact]
    public void OperatorsOfOtherPlatforms_AreSubstituted()
    {
        string package = Package(TraceText.WithRoots()
            .Operator(3, "aten::cudnn_convolution_add_relu(Tensor self, Tensor weight, Tensor z, Scalar? alpha, Tensor? bias, SymInt[] "
                + "stride, SymInt[] padding, SymInt[] dilation, SymInt groups) -> Tensor",
                [Tensor(10, 11, [1, 2, 4, 4]), Tensor(12, 13, [3, 2, 1, 1]), Tensor(14, 15, [1, 3, 4, 4]), None, Tensor(16, 17, [3]),
                    Ints(1, 1), Ints(0, 0), Ints(1, 1), 1], [Tensor(20, 21, [1, 3, 4, 4])])
            .Operator(4, "aten::_fused_adagrad_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] state_sums, Tensor(d!)[] "
                + "state_steps, *, float lr, float lr_decay, float weight_decay, float eps, bool maximize, Tensor? grad_scale=None, "
                + "Tensor? found_inf=None) -> ()",
                [List(Tensor(20, 21, [1, 3, 4, 4])), List(Tensor(22, 23, [1, 3, 4, 4])), List(Tensor(24, 25, [1, 3, 4, 4])),
                    List(Tensor(26, 27, [])), 0.1, 0.0, 0.0, 1e-4, false, None, None], [])
            .Operator(5, Relu, [Tensor(20, 21, [1, 3, 4, 4])], [Tensor(40, 41, [1, 3, 4, 4])]));
        var result = RunPackage(package, "--threads", "1", "--iterations", "1", "--check-values", "--json", File_("r.json"));
        result.AssertOk();
        var json = Json(File_("r.json"));
        Assert.Equal(2, json.GetProperty("coverage").GetProperty("substituted_operators").GetInt32());
        Assert.Equal(0, json.GetProperty("coverage").GetProperty("stand_ins").GetInt32());
        Assert.Equal("exact", json.GetProperty("verification").GetProperty("status").GetString());
        Assert.Equal(2, json.GetProperty("verification").GetProperty("classes").GetProperty("substituted").GetInt32());
        Assert.Contains("aten::convolution, aten::add_.Tensor, aten::relu_", result.Output);
    }

    [Theory]
    [InlineData("torchsharp")]
    [InlineData("python")]
    public void PaceRecorded_WaitsAndSaysSo(string engine)
    {
        string package = Package(CommandLine.Example("dlrm"));
        string[] run = ["run", package, "--engine", engine, "--python", Python.Executable, "--threads", "1", "--iterations", "2",
            "--no-profile", "--pace", "recorded"];
        CommandLine.Run(run).AssertFailed(2, "MYS413");
        var result = CommandLine.Run([.. run, "--reference-time", "2000", "--json", File_("r.json")]);
        result.AssertOk();
        var json = Json(File_("r.json"));
        Assert.True(json.GetProperty("pace").GetProperty("waits").GetInt32() > 0);
        Assert.True(json.GetProperty("pace").GetProperty("waited_ns").GetInt64() > 0);
        Assert.Equal(2_000_000_000, json.GetProperty("reference").GetProperty("iteration_ns").GetInt64());
        // Not a speed: what an iteration waits is in its time, and most of these 2 s is waited.
        long[] samples = [.. json.GetProperty("iterations").GetProperty("samples_ns").EnumerateArray().Select(s => s.GetInt64())];
        Assert.InRange(json.GetProperty("pace").GetProperty("waited_ns").GetInt64(), 1_000_000_000, (long)samples.Average());
    }

    [Fact]
    public void NoUsablePyTorch_IsReportedWithItsFix()
    {
        string package = Package(CommandLine.Example("bilstm"));
        Directory.CreateDirectory(File_("m"));
        (string, string)[] cases = [("raise ImportError('no torch here')", "MYS409"), ("__version__ = '1.12.1'", "MYS421")];
        foreach (var (module, id) in cases)
        {
            File.WriteAllText(Path.Combine(File_("m"), "torch.py"), module);
            Python.RunFile(Path.Combine(package, "run.py"), File_("m"), ["--json", File_("r.json")]).AssertFailed(2, id);
            CommandLine.RunWith("PYTHONPATH", File_("m"), "run", package, "--engine", "python", "--python", Python.Executable, "--json",
                File_("r.json")).AssertFailed(2, id);
        }
        CommandLine.Run("run", package, "--engine", "python", "--python", File_("nopython"), "--json", File_("r.json"))
            .AssertFailed(2, "MYS414");
        Assert.False(File.Exists(File_("r.json")));
    }

    [Fact]
    public void BadPackagesAndDevices_AreRefused()
    {
        string package = Package(CommandLine.Example("bilstm"));
        RunPackage(package, "--device", "cuda:7", "--json", File_("r.json")).AssertFailed(2, "MYS411");
        CommandLine.Run("run", package, "--engine", "python", "--python", Python.Executable, "--device", "cuda:7", "--json",
            File_("r.json")).AssertFailed(2, "MYS411");
        CommandLine.Run("run", package, "--device", "cuda:7", "--json", File_("r.json")).AssertFailed(2, "MYS411");
        RunPackage(package, "--json", Path.Combine(File_("none"), "r.json")).AssertFailed(2, "MYS305");
        Assert.Equal(2, RunPackage(package, "--iterations", "0").ExitCode);

        string manifest = Path.Combine(package, "benchmark.json");
        var changed = JsonNode.Parse(File.ReadAllText(manifest))!;
        changed["format_version"] = 99;
        File.WriteAllText(manifest, changed.ToJsonString());
        RunPackage(package, "--json", File_("r.json")).AssertFailed(2, "MYS302");
        changed["format_version"] = 2;
        File.WriteAllText(manifest, changed.ToJsonString());
        File.AppendAllText(Path.Combine(package, "program.pt"), "x");
        RunPackage(package, "--json", File_("r.json")).AssertFailed(2, "MYS303");
        File.WriteAllText(manifest, "{");
        RunPackage(package, "--json", File_("r.json")).AssertFailed(2, "MYS301");
        File.Delete(manifest);
        RunPackage(package, "--json", File_("r.json")).AssertFailed(2, "MYS306");
        Assert.False(File.Exists(File_("r.json")));
    }

    /// <summary>
    /// A package's files can be anything on the disk of somebody who unpacked it: what is not a regular file is not waited for.
    /// </summary>
    [Theory]
    [InlineData("benchmark.json")]
    [InlineData("program.pt")]
    public void PackageWithAPipe_IsRefusedByBoth(string name)
    {
        string package = Package(TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]));
        string file = Path.Combine(package, name);
        File.Delete(file);
        System.Diagnostics.Process.Start("mkfifo", [file]).WaitForExit();
        RunPackage(package).AssertFailed(2, "MYS124");
        CommandLine.Run("run", package).AssertFailed(2, "MYS124");
    }

    /// <summary>Whatever a package says reaches the terminal as text.</summary>
    [Fact]
    public void RunPy_HostileTexts_AreEscaped()
    {
        string package = Package(TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]));
        string manifest = Path.Combine(package, "benchmark.json");
        const string Hostile = "\\u001b]0;title\\u0007\\u001b[2J\\u009b1m\\u202e\\nMYS000: x";
        string text = File.ReadAllText(manifest);
        File.WriteAllText(manifest, text.Replace("\"has_backward\":false", $"\"has_backward\":false,\"notes\":[\"{Hostile}\"]",
            StringComparison.Ordinal));
        var result = RunPackage(package, "--iterations", "1");
        result.AssertOk();
        Assert.Contains(@"note:                           \x1b]0;title\x07\x1b[2J\x9b1m\u202e\x0aMYS000: x", result.Output);
        Assert.DoesNotContain(result.Output + result.Error, c => c != '\n' && PrintableText.IsUnprintable(c));
        File.WriteAllText(manifest, text.Replace("\"devices\": [", $"\"devices\": [\"{Hostile}\",\"{new string('x', 65)}\",",
            StringComparison.Ordinal));
        result = RunPackage(package, "--json", File_("r\u001b[2J/r.json"));
        Assert.Equal(2, result.ExitCode);
        Assert.DoesNotContain(result.Output + result.Error, c => c != '\n' && PrintableText.IsUnprintable(c));
    }

    [Fact]
    public void TooLittleMemory_IsSaidBeforeAnythingIsAllocated()
    {
        string package = Package(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [1 << 22, 1 << 22])], [Tensor(20, 21, [1 << 22, 1 << 22])]));
        var result = RunPackage(package, "--json", File_("r.json"));
        result.AssertFailed(2, "MYS403");
        Assert.Contains("the replay needs 140,737.5 GB of memory", result.Error);
        CommandLine.Run("run", package, "--engine", "python", "--python", Python.Executable).AssertFailed(2, "MYS403");
        Assert.False(File.Exists(File_("r.json")));
    }

    /// <summary>A device says only when it is asked for memory that it has too little; the host does so where a limit is set.</summary>
    [Fact]
    public void OutOfMemory_IsSaidWithTheNumbers()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "needs /bin/sh");
        string package = Package(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [1 << 15, 1 << 14])], [Tensor(20, 21, [1 << 15, 1 << 14])]));
        string script = Path.Combine(package, "run.py");
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("/bin/sh",
            ["-c", "ulimit -v 3000000; exec \"$0\" \"$@\"", Python.Executable, script, "--threads", "1", "--json", File_("r.json")])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string error = process.StandardError.ReadToEnd(), output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        new CommandLine.Result(process.ExitCode, output, error).AssertFailed(1, "MYS412");
        Assert.Contains("the plan needs 4.3 GB on cpu", error);
        Assert.False(File.Exists(File_("r.json")));
    }

    [Fact]
    public async Task PythonKilled_IsSaidAndLeavesNothing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "finds the worker in /proc");
        string package = Package(CommandLine.Example("dlrm"));
        using var process = CommandLine.Start("run", package, "--engine", "python", "--python", Python.Executable, "--threads", "1",
            "--iterations", "1000000", "--json", File_("r.json"));
        var error = process.StandardError.ReadToEndAsync();
        int worker = await CommandLine.WorkerOf(process);
        await Task.Delay(4000);
        System.Diagnostics.Process.GetProcessById(worker).Kill();
        string message = await error;
        await process.WaitForExitAsync();
        new CommandLine.Result(process.ExitCode, "", message).AssertFailed(1, "MYS405");
        Assert.False(File.Exists(File_("r.json")));
        Assert.False(Directory.Exists($"/proc/{worker}"));
    }

    /// <summary>
    /// The original, captured on this machine's PyTorch, against its package, with its times: small numbers of rounds, for what
    /// is tested is that all of it works.
    /// </summary>
    [Fact]
    public void Compare_TinyCapturedHere_RunsAllOfIt()
    {
        var result = Python.RunFile(Path.Combine(Repository.Root, "tests", "Original", "compare.py"), "tiny", "--threads", "1",
            "--rounds", "2", "--iterations", "2", "--warmup", "1", "-o", File_("o"), "--limit", "1000000",
            "--mystique", CommandLine.Executable);
        result.AssertOk();
        var report = JsonDocument.Parse(result.Output).RootElement[0];
        Assert.Equal("exact", report.GetProperty("verification").GetString());
        Assert.Equal(report.GetProperty("operators").GetInt32(), report.GetProperty("replayed").GetInt32());
        Assert.True(report.GetProperty("operators").GetInt32() > 1000);
        Assert.Contains("operators found by their", result.Error);
        Assert.Equal(["report.json", "tiny.et.json.gz", "tiny.kineto.json.gz"], Directory.EnumerateFileSystemEntries(File_("o"))
            .Select(Path.GetFileName).Order());
    }

    /// <summary>
    /// The acceptance as a dry run on the host: one variant goes through all steps, one needs a device and is not judged.
    /// </summary>
    [Fact]
    public void Accept_OnTheHost_JudgesWhatAppliesAndNamesWhatDoesNot()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string script = Path.Combine(Repository.Root, "tests", "Original", "accept.py");
        string[] common = ["--device", "cpu", "--variants-only", "--mystique", CommandLine.Executable];
        var result = Python.RunFile(script, [.. common, "--variants", "item,streams", "-o", File_("a")]);
        result.AssertOk();
        Assert.Equal(["acceptance.json", "acceptance.md"], Directory.EnumerateFileSystemEntries(File_("a")).Select(Path.GetFileName)
            .Order());
        var document = JsonDocument.Parse(File.ReadAllText(File_("a/acceptance.json"))).RootElement;
        Assert.True(document.GetProperty("accepted").GetBoolean());
        Assert.Equal(["facts", "capture with values", "capture", "generate", "replay unpaced", "replay at pace",
            "replay at the framework's level"],
            document.GetProperty("steps").EnumerateArray().Select(s => s.GetProperty("step").GetString()));
        var rows = document.GetProperty("rows").EnumerateArray().ToLookup(r => r.GetProperty("variant").GetString(),
            r => $"{r.GetProperty("figure").GetString()}: {r.GetProperty("outcome").GetString()}");
        Assert.Equal(["all: not applicable"], rows["streams"]);
        Assert.Contains("verification: within", rows["item"]);
        Assert.Contains("extra_waits: not applicable", rows["item"]);
        Assert.Contains("| item | verification | exact | exact | within |", File.ReadAllText(File_("a/acceptance.md")));

        // Without mystique all of its steps fail: that is told, and nothing is accepted.
        common[^1] = File_("no-such-program");
        var failed = Python.RunFile(script, [.. common, "--variants", "item", "-o", File_("b")]);
        Assert.Equal(1, failed.ExitCode);
        Assert.Contains("| item | verification | exact |  | **not seen**: a step failed", failed.Output);
        Assert.Contains("| item: generate | 127 |", failed.Output);
    }
}
