using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mystique.Packaging.TorchScript;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>What several writers and readers must agree on: documents, packages, and that nothing is read or made twice.</summary>
public sealed class ConformanceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static JsonNode Read(string path) => JsonNode.Parse(File.ReadAllText(path))!;

    /// <summary>
    /// One package on both engines, by the command and by <c>run.py</c> alone: the same document but for times and the host.
    /// </summary>
    [Theory]
    [InlineData("operator")]
    [InlineData("framework")]
    public void Run_OnePackageOnBothEngines_IsTheSameDocument(string level)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        CommandLine.Run("generate", CommandLine.Example("dlrm"), "-o", File_("p"), "--reference-time", "40").AssertOk();
        DocumentSchema.AssertFits("mystique-benchmark", Path.Combine(File_("p"), "benchmark.json"));
        DocumentSchema.AssertFits("mystique-benchmark", Path.Combine(File_("p"), "framework", "benchmark.json"));
        string[] options = ["--level", level, "--threads", "1", "--iterations", "2", "--warmup", "0", "--pace", "recorded",
            "--check-values", "--json"];
        CommandLine.Run(["run", File_("p"), .. options, File_("a.json")]).AssertOk();
        Python.RunFile(Path.Combine(File_("p"), "run.py"), [.. options, File_("b.json")]).AssertOk();
        CommandLine.Run(["run", File_("p"), "--engine", "python", "--python", Python.Executable, .. options, File_("c.json")]).AssertOk();
        JsonNode[] documents = [.. new[] { "a.json", "b.json", "c.json" }.Select(f => Read(File_(f)))];
        foreach (string file in (string[])["a.json", "b.json", "c.json"])
            DocumentSchema.AssertFits("mystique-run", File_(file));
        Assert.Equal((bool)documents[1]["verification"]!["strides_compared"]!, (bool)documents[2]["verification"]!["strides_compared"]!);
        // What an observer records is its PyTorch's: the oldest knows no strides.
        foreach (var document in documents)
            document["verification"]!["strides_compared"] = true;
        string[] comparable = [.. documents.Select(Comparable)];
        Assert.Equal(comparable[1], comparable[2]);
        if (level == "operator") // Else backward passes are each version's own.
            Assert.Equal(comparable[0], comparable[1]);
    }

    /// <summary>What does not depend on the machine, the moment or the engine: of the rest, the names alone.</summary>
    private static string Comparable(JsonNode document)
    {
        string[] measured = ["engine", "host", "system", "pace", "memory", "iterations"];
        foreach (string name in measured)
            if (document[name] is JsonObject part)
                document[name] = new JsonArray([.. part.Select(p => (JsonNode)p.Key).OrderBy(k => (string)k!, StringComparer.Ordinal)]);
        document["cpu_time_ns"] = 0;
        foreach (var group in document["operators"]!.AsArray())
            group!["time_ns"] = 0; // Null where autograd ran some and nothing timed them.
        document["operators"] = new JsonArray([.. document["operators"]!.AsArray().Select(o => o!.DeepClone())
            .OrderBy(o => (string)o["name"]!, StringComparer.Ordinal)]);
        return Sorted(document).ToJsonString(new JsonSerializerOptions { WriteIndented = true });
    }

    private static JsonNode Sorted(JsonNode node) => node switch
    {
        JsonObject fields => new JsonObject(fields.OrderBy(f => f.Key, StringComparer.Ordinal)
            .Select(f => KeyValuePair.Create(f.Key, f.Value is null ? null : Sorted(f.Value)))),
        JsonArray items => new JsonArray([.. items.Select(i => i is null ? null : Sorted(i))]),
        _ when node.GetValueKind() == JsonValueKind.Number =>
            JsonValue.Create(double.Parse(node.ToJsonString())), // 1 and 1.0 are the same number.
        _ => node.DeepClone(),
    };

    /// <summary>Another generator's program for the same plan: those very bytes run, in both engines.</summary>
    [Theory]
    [InlineData("torchsharp")]
    [InlineData("python")]
    public void Run_ProgramOfAnotherGenerator_IsWhatRuns(string engine)
    {
        Assert.SkipUnless(engine == "torchsharp" || Python.HasTorch, "needs python3 with torch");
        var own = Benchmark.Create(Recording.Open(CommandLine.Example("bilstm")));
        var other = ProgramGenerator.Generate(own.Plan, operatorsPerFunction: 5);
        var foreign = Benchmark.Of(own.Plan, other.Schedule, [.. TorchScriptArchive.Write(other.Code)]);
        Assert.NotEqual(own.ProgramDigest, foreign.ProgramDigest);
        foreign.Save(File_("p"));
        CommandLine.Run("run", File_("p"), "--engine", engine, "--python", Python.Executable, "--iterations", "1", "--warmup", "0",
            "--no-profile", "--json", File_("r.json")).AssertOk();
        var result = Read(File_("r.json"));
        Assert.Equal("exact", (string)result["verification"]!["status"]!);
        if ((bool)result["program"]!["fitted"]!)
            Assert.NotEmpty(result["program"]!["changes"]!.AsArray()); // Only where this PyTorch lacks what the trace has.
        else
            Assert.Equal(foreign.ProgramDigest, (string)result["program"]!["sha256"]!);
        Assert.True(engine == "python" || !(bool)result["program"]!["fitted"]!);
    }

    /// <summary>A target that lacks an operator gets another program, and the result says so, with what and why.</summary>
    [Fact]
    public void Run_OperatorThatTheTargetLacks_IsFitted()
    {
        File.WriteAllText(File_("t.json"), TraceText.WithRoots()
            .Operator(3, "mine::op(Tensor self) -> Tensor", [TraceText.Value.Tensor(10, 11, [4])], [TraceText.Value.Tensor(20, 21, [4])])
            .Operator(4, "aten::relu(Tensor self) -> Tensor", [TraceText.Value.Tensor(20, 21, [4])], [TraceText.Value.Tensor(30, 31, [4])])
            .ToString());
        CommandLine.Run("generate", File_("t.json"), "-o", File_("p")).AssertOk();
        CommandLine.Run("run", File_("p"), "--iterations", "1", "--json", File_("r.json")).AssertOk();
        var program = Read(File_("r.json"))["program"]!;
        Assert.True((bool)program["fitted"]!);
        Assert.NotEqual(Benchmark.Load(File_("p")).ProgramDigest, (string)program["sha256"]!);
        var change = Assert.Single(program["changes"]!.AsArray())!;
        Assert.Equal(("mine::op", "stand_in"), ((string)change["operator"]!, (string)change["change"]!));
        Assert.Contains("does not have this operator", (string)change["reason"]!);
        DocumentSchema.AssertFits("mystique-run", File_("r.json"));
    }

    /// <summary>
    /// Each file of a capture is opened for reading once, also where it is both sides of a comparison (strace(1) watches).
    /// </summary>
    [Theory]
    [InlineData("run", "JOB", "--iterations", "1", "--warmup", "0")]
    [InlineData("compare", "JOB", "JOB", "--iterations", "1", "--warmup", "0")]
    public async Task Capture_InAnyCommand_IsReadOnce(params string[] command)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/strace"), "needs strace");
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string job = File_("job");
        CommandLine.Run("capture", "-o", job, "--skip", "1", "--reference", "2", "--", Python.Executable, "-c",
            """
            import torch
            model = torch.nn.Linear(8, 8)
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            for _ in range(12):
                optimizer.zero_grad()
                model(torch.ones(4, 8)).sum().backward()
                optimizer.step()
            """).AssertOk();
        var start = new ProcessStartInfo("/usr/bin/strace") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["-f", "-qq", "-e", "trace=openat,open", "-o", File_("log"), CommandLine.Executable,
            .. command.Select(a => a == "JOB" ? job : a)])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, error + await output);
        var opened = File.ReadLines(File_("log"))
            .Where(l => l.Contains(".gz\"", StringComparison.Ordinal) && l.Contains(job, StringComparison.Ordinal)
            && l.Contains("O_RDONLY", StringComparison.Ordinal) && !l.Contains("= -1", StringComparison.Ordinal))
            .Select(l => l.Split('"')[1]).Order(StringComparer.Ordinal).ToArray();
        Assert.NotEmpty(opened);
        Assert.Equal(opened.Distinct(), opened);
    }
}
