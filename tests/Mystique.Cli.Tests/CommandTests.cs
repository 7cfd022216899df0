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
        Assert.Equal(1.0, json.GetProperty("coverage").GetProperty("share").GetDouble());
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
        Assert.Equal("standard input", JsonDocument.Parse(result.Output).RootElement.GetProperty("source").GetProperty("trace").GetString());
    }

    [Fact]
    public void Generate_Twice_GivesTheSameBytes()
    {
        foreach (string name in (string[])["a", "b"])
            CommandLine.Run("generate", CommandLine.Example("gpt"), "-o", File_(name)).AssertOk();
        Assert.Equal(["benchmark.json", "program.pt"], Directory.EnumerateFiles(File_("a")).Select(Path.GetFileName).Order());
        foreach (string file in (string[])["benchmark.json", "program.pt"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(File_("a"), file)), File.ReadAllBytes(Path.Combine(File_("b"), file)));
        Assert.DoesNotContain(Repository.Root, File.ReadAllText(Path.Combine(File_("a"), "benchmark.json")));
    }

    [Fact]
    public void Run_Trace_ReplaysAllVerifiesAndWritesJson()
    {
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
        CommandLine.Run("generate", CommandLine.Example("bilstm"), "-o", File_("p")).AssertOk();
        var result = CommandLine.Run("run", File_("p"), "--iterations", "2", "--warmup", "0", "--no-profile", "--verify", "true", "--threads", "1");
        result.AssertOk();
        Assert.Contains("exact: 229 operators", result.Output);
        Assert.Contains("cpu, 1", result.Output);
        Assert.DoesNotContain("time by kind", result.Output);
        Assert.Contains("not asked for", CommandLine.Run("run", File_("p"), "--iterations", "1", "--no-profile").Output); // Verified before.
    }

    [Fact]
    public void Run_PartOfATrace_NamesWhatIsLeftOut()
    {
        string trace = File_("t.json");
        File.WriteAllText(trace, ErrorTests.TraceWithUnknownOperator);
        var result = CommandLine.Run("run", trace, "--iterations", "1", "--no-profile");
        result.AssertOk();
        Assert.Contains("1 of 2 (50.0 %)", result.Output);
        Assert.Contains("aten::no_such_operator", result.Output);
        Assert.Contains("libtorch 2.10.0 does not have this operator", result.Output);
    }

    [Fact]
    public void Demo_ComparesOriginalAndReplay()
    {
        var result = CommandLine.Run("demo", "bilstm", "--rounds", "2", "--iterations", "2", "--warmup", "1", "-o", File_("d"), "--json", File_("d.json"));
        result.AssertOk();
        Assert.Contains("original against replay, measured in turn", result.Output);
        var json = Json(File_("d.json"));
        Assert.Equal("exact", json.GetProperty("verification").GetProperty("status").GetString());
        Assert.Equal(4, json.GetProperty("original").GetProperty("iterations").GetProperty("count").GetInt32());
        Assert.Equal(4, json.GetProperty("replay").GetProperty("iterations").GetProperty("count").GetInt32());
        Assert.InRange(json.GetProperty("memory_error").GetDouble(), -0.25, 0.25);
        Assert.Equal(["bilstm.bench", "bilstm.et.json"], Directory.EnumerateFileSystemEntries(File_("d")).Select(Path.GetFileName).Order());
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
