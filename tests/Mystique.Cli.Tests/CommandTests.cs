using System.IO.Compression;
using System.Text.Json;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

public sealed class CommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static JsonElement Json(string path) => JsonDocument.Parse(File.ReadAllText(path)).RootElement;

    [Fact]
    public void Inspect_Example_ShowsTableAndWritesTheSameAsJson()
    {
        var result = CommandLine.Run("inspect", CommandLine.Example("resnet18"), "--json", File_("s.json"));
        result.AssertOk();
        Assert.Contains("aten::convolution_backward", result.Output);
        Assert.Contains("(100.0 %)", result.Output);
        var json = Json(File_("s.json"));
        Assert.Equal("mystique-summary", json.GetProperty("format").GetString());
        Assert.Equal(1.0, json.GetProperty("coverage").GetProperty("planned_share").GetDouble());
        Assert.Contains($"{json.GetProperty("nodes").GetInt32():N0},", result.Output);
    }

    [Fact]
    public void Inspect_StandardInput_ReadsIt()
    {
        using var unpacked = new MemoryStream();
        using (var gzip = new GZipStream(File.OpenRead(CommandLine.Example("bilstm")), CompressionMode.Decompress))
            gzip.CopyTo(unpacked);
        var result = CommandLine.Run(unpacked.ToArray(), ["inspect", "-", "--json", "-"]);
        result.AssertOk();
        Assert.Equal("standard input", JsonDocument.Parse(result.Output).RootElement.GetProperty("source").GetProperty("trace")
            .GetString());
    }

    [Fact]
    public void Generate_Twice_GivesTheSameBytes()
    {
        foreach (string name in (string[])["a", "b"])
            CommandLine.Run("generate", CommandLine.Example("gpt"), "-o", File_(name)).AssertOk();
        Assert.Equal(["benchmark.json", "program.pt", "run.py"], Directory.EnumerateFiles(File_("a")).Select(Path.GetFileName).Order());
        foreach (string file in (string[])["benchmark.json", "program.pt"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(File_("a"), file)), File.ReadAllBytes(Path.Combine(File_("b"), file)));
        Assert.DoesNotContain(Repository.Root, File.ReadAllText(Path.Combine(File_("a"), "benchmark.json")));
    }

    [Fact]
    public void Run_Trace_ReplaysAllVerifiesAndWritesJson()
    {
        CommandLine.NeedsLibTorch();
        var result = CommandLine.Run("run", CommandLine.Example("bilstm"), "--iterations", "4", "--warmup", "1", "--json", File_("r.json"));
        result.AssertOk();
        Assert.Contains("exact: 229 operators", result.Output);
        var json = Json(File_("r.json"));
        Assert.Equal("mystique-run", json.GetProperty("format").GetString());
        Assert.Equal("exact", json.GetProperty("verification").GetProperty("status").GetString());
        Assert.Equal(4, json.GetProperty("iterations").GetProperty("samples_ns").GetArrayLength());
        Assert.All(json.GetProperty("iterations").GetProperty("samples_ns").EnumerateArray(), s => Assert.True(s.GetInt64() > 0));
        Assert.True(json.GetProperty("memory").GetProperty("used_bytes").GetInt64() > 0);
        Assert.Equal(229, json.GetProperty("operators").EnumerateArray().Sum(o => o.GetProperty("count").GetInt32()));
        Assert.DoesNotContain(Directory.EnumerateFiles(_folder), f => f.EndsWith(".tmp", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_Package_RunsWhatWasGenerated()
    {
        CommandLine.NeedsLibTorch();
        CommandLine.Run("generate", CommandLine.Example("bilstm"), "-o", File_("p")).AssertOk();
        var result = CommandLine.Run("run", File_("p"), "--iterations", "2", "--warmup", "0", "--no-profile",
            "--threads", "1");
        result.AssertOk();
        Assert.Contains("exact: 229 operators", result.Output);
        Assert.Contains("cpu, 1", result.Output);
        Assert.DoesNotContain("time by kind", result.Output);
        // No memory of what ran before decides what is verified.
        Assert.Contains("exact: 229 operators", CommandLine.Run("run", File_("p"), "--iterations", "1", "--no-profile").Output);
        Assert.Contains("not run", CommandLine.Run("run", File_("p"), "--iterations", "1", "--no-profile", "--no-verify").Output);
    }

    [Fact]
    public void Run_PartOfATrace_NamesWhatIsLeftOut()
    {
        CommandLine.NeedsLibTorch();
        string trace = File_("t.json");
        File.WriteAllText(trace, ErrorTests.TraceWithUnknownOperator);
        var result = CommandLine.Run("run", trace, "--iterations", "1", "--no-profile");
        result.AssertOk();
        Assert.Contains("1 of 2 operators as recorded (50.0 %)", result.Output);
        Assert.Contains("aten::no_such_operator", result.Output);
        Assert.Contains("libtorch 2.10.0 does not have this operator", result.Output);
    }

    [Fact]
    public void Run_LoadLibrary_KnowsItsOperators()
    {
        CommandLine.NeedsLibTorch();
        const string Compiler = "/usr/bin/gcc";
        Assert.SkipUnless(File.Exists(Compiler), $"needs {Compiler} to build a library of operators");
        string library = File_("liboperators.so");
        string torch = CommandLine.NativeLibrary("libtorch_cpu.so");
        using (var build = System.Diagnostics.Process.Start(Compiler,
            ["-shared", "-fPIC", "-o", library, Path.Combine(Repository.Root, "tests", "Mystique.Cli.Tests", "operators.c"),
            "-Wl,--no-as-needed,--allow-shlib-undefined", torch]))
        {
            build.WaitForExit();
            Assert.Equal(0, build.ExitCode);
        }
        string trace = File_("t.json");
        File.WriteAllText(trace, TraceText.WithRoots()
            .Operator(3, "mystique_test::copy(Tensor self) -> Tensor", [TraceText.Value.Tensor(10, 11, [4])],
                [TraceText.Value.Tensor(20, 21, [4])])
            .Operator(4, "aten::relu(Tensor self) -> Tensor", [TraceText.Value.Tensor(20, 21, [4])],
                [TraceText.Value.Tensor(30, 31, [4])]).ToString());
        var without = CommandLine.Run("run", trace, "--iterations", "1", "--no-profile");
        without.AssertOk();
        Assert.Contains("1 of 2 operators as recorded (50.0 %), 1 stand-ins", without.Output);
        var with = CommandLine.Run("run", trace, "--iterations", "1", "--no-profile", "--load-library", library);
        with.AssertOk();
        Assert.Contains("exact: 2 operators", with.Output);
        CommandLine.Run("run", trace, "--load-library", trace).AssertFailed(2, "MYS408");
        var refused = CommandLine.Run("run", trace, "--load-library", File_("nothing.so"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("there is no file", refused.Error);
        if (OperatingSystem.IsLinux())
        {
            System.Diagnostics.Process.Start("mkfifo", [File_("pipe.so")]).WaitForExit();
            refused = CommandLine.Run("run", trace, "--load-library", File_("pipe.so"));
            Assert.Equal(2, refused.ExitCode);
            Assert.Contains("is not a regular file: it is a pipe", refused.Error);
        }
    }

    [Fact]
    public void Run_OtherLibTorch_IsTheOneThatIsNamed()
    {
        CommandLine.NeedsLibTorch();
        Assert.SkipUnless(OperatingSystem.IsLinux(), "goes by LD_LIBRARY_PATH");
        string[] run = ["run", CommandLine.Example("dlrm"), "--threads", "1", "--iterations", "1", "--no-profile", "--libtorch",
            File_("lib")];
        Directory.CreateDirectory(File_("lib"));
        CommandLine.Run(run).AssertFailed(1, "MYS420");
        foreach (string library in Directory.EnumerateFiles(Path.GetDirectoryName(CommandLine.NativeLibrary("libtorch_cpu.so"))!)
            .Where(f => !f.Contains("LibTorchSharp", StringComparison.Ordinal)))
            File.CreateSymbolicLink(Path.Combine(File_("lib"), Path.GetFileName(library)), library);
        var result = CommandLine.Run(run);
        result.AssertOk();
        Assert.Contains("exact: 195 operators", result.Output);
        // One that is no library: it is this one that is loaded, and not the bundled one.
        File.Delete(Path.Combine(File_("lib"), "libtorch_cpu.so"));
        File.WriteAllText(Path.Combine(File_("lib"), "libtorch_cpu.so"), "no library");
        CommandLine.Run(run).AssertFailed(1, "MYS401");
        Assert.DoesNotContain(Directory.EnumerateDirectories(Path.GetTempPath()), d =>
            Path.GetFileName(d).StartsWith("mystique-libtorch-", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_ScaleMemory_CutsTablesAndSaysSo()
    {
        string trace = File_("t.json");
        var table = TraceText.Value.Tensor(10, 11, [4_000_000, 64]);
        File.WriteAllText(trace, TraceText.WithRoots()
            .Operator(3, "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool "
                + "sparse=False) -> Tensor",
                [table, TraceText.Value.Tensor(12, 13, [100], "long int"), -1, false, false], [TraceText.Value.Tensor(14, 15, [100, 64])])
            .Operator(4, "aten::embedding_dense_backward(Tensor grad_output, Tensor indices, SymInt num_weights, SymInt padding_idx, "
                + "bool scale_grad_by_freq) -> Tensor",
                [TraceText.Value.Tensor(14, 15, [100, 64]), TraceText.Value.Tensor(12, 13, [100], "long int"), 4_000_000, -1, false],
                    [TraceText.Value.Tensor(16, 17, [4_000_000, 64])])
            .Operator(5, "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)",
                [table, TraceText.Value.Tensor(16, 17, [4_000_000, 64]), 1], [table]).ToString());
        var result = CommandLine.Run("run", trace, "--iterations", "2", "--no-profile", "--scale-memory", "0.2");
        result.AssertOk();
        Assert.Contains("exact: 3 operators", result.Output);
        Assert.Contains("embedding tables of 1 shape are cut to", result.Output);
        Assert.Equal(2, CommandLine.Run("run", trace, "--scale-memory", "none").ExitCode);
    }

    [Fact]
    public void Run_TablesOfTheUsers_AreFollowedOrRefusedByTheirLine()
    {
        string trace = File_("t.json");
        File.WriteAllText(trace, ErrorTests.TraceWithUnknownOperator);
        File.WriteAllText(File_("s.txt"), "aten::no_such_operator:\n    out0 = aten::tanh(self)\n");
        var result = CommandLine.Run("run", trace, "--iterations", "1", "--no-profile", "--substitutions", File_("s.txt"), "--json",
            File_("r.json"));
        result.AssertOk();
        Assert.Contains("1 substituted", result.Output);
        Assert.Equal("aten::tanh", Json(File_("r.json")).GetProperty("coverage").GetProperty("replaced")[0].GetProperty("by").GetString());
        File.WriteAllText(File_("v.txt"), "# mine\naten::relu self nonsense 3\n");
        CommandLine.Run("run", trace, "--values", File_("v.txt")).AssertFailed(2, "MYS205");
        CommandLine.Run("run", trace, "--values", File_("nothing.txt")).AssertFailed(2, "MYS204");
    }

    [Fact]
    public void Coverage_OfExamples_IsATable()
    {
        CommandLine.NeedsLibTorch();
        File.Copy(CommandLine.Example("bilstm"), File_("bilstm.et.json.gz"));
        File.WriteAllText(File_("u.json"), ErrorTests.TraceWithUnknownOperator);
        File.WriteAllText(File_("other.json"), "{}");
        var result = CommandLine.Run("coverage", _folder, "--runs", "2", "--markdown", "-");
        result.AssertOk();
        Assert.Contains("| bilstm.et.json.gz | 229 | 229 | 0 | 0 | 0 | 0 | 0 | 229 of 229 | exact | 0 |", result.Output);
        Assert.Contains("| u.json | 2 | 1 | 0 | 0 | 0 | 1 | 0 | 1 of 2 | exact | 0 |", result.Output);
        Assert.Contains("| aten::no_such_operator | 1 | 1 | stand-in | libtorch 2.10.0 does not have this operator |", result.Output);
        Assert.Contains("passed over", result.Error);
        CommandLine.Run("coverage", File_("nothing.json")).AssertFailed(2, "MYS101");
    }

    [Fact]
    public void Demo_ComparesOriginalAndReplay()
    {
        CommandLine.NeedsLibTorch();
        var result = CommandLine.Run("demo", "bilstm", "--rounds", "2", "--iterations", "2", "--warmup", "1", "-o", File_("d"), "--json",
            File_("d.json"));
        result.AssertOk();
        Assert.Contains("replay against bilstm", result.Output);
        var json = Json(File_("d.json"));
        Assert.StartsWith("exact: ", json.GetProperty("replay").GetProperty("verification").GetString());
        Assert.Equal(8, json.GetProperty("original").GetProperty("iterations").GetProperty("count").GetInt32()); // Of two processes.
        Assert.True(json.GetProperty("errors").TryGetProperty("control", out _));
        Assert.Equal(4, json.GetProperty("replay").GetProperty("iterations").GetProperty("count").GetInt32());
        Assert.InRange(json.GetProperty("errors").GetProperty("memory").GetDouble(), -0.25, 0.25);
        Assert.Equal(["bilstm.bench", "bilstm.capture"], Directory.EnumerateFileSystemEntries(File_("d")).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("generate")]
    [InlineData("run")]
    [InlineData("demo")]
    public void Help_OfEachCommand_HasAnExample(string command)
    {
        var result = CommandLine.Run(command, "--help");
        result.AssertOk();
        Assert.Contains("Example:", result.Output);
        Assert.Contains($"mystique {command}", result.Output);
        Assert.DoesNotContain("Mystique.Cli", result.Output);
    }

    /// <summary>The oldest PyTorch that packages are for is 1.13: its own loader must take the program, and run it.</summary>
    [Fact]
    public void Program_InPython_LoadsAndRuns()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        CommandLine.Run("generate", CommandLine.Example("resnet18"), "-o", File_("p")).AssertOk();
        const string Script =
            """
            import json, sys, torch
            m = json.load(open(sys.argv[1] + '/benchmark.json'))
            p = torch.jit.load(sys.argv[1] + '/program.pt')
            torch._C._set_graph_executor_optimize(False)
            p.resize(len(m['tensors']) + 2)
            for d in m['devices']:
                p.use_device(torch.empty(0))
            for i, t in enumerate(m['tensors']):
                if t.get('external') and t['storage'] >= 0:
                    s = m['storages'][t['storage']]
                    dtype = getattr(torch, t['dtype'])
                    data = torch.zeros(s['bytes'] // torch.empty(0, dtype=dtype).element_size(), dtype=dtype)
                    p.put(i + 2, data.as_strided(t['shape'], t['strides'], t.get('offset', 0)))
            p.f0()
            print('ran', torch.__version__)
            """;
        var (exitCode, output) = Python.Run(Script, File_("p"));
        Assert.True(exitCode == 0 && output.Contains("ran ", StringComparison.Ordinal), output);
    }
}
