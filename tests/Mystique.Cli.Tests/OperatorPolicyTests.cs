using System.Diagnostics;
using Mystique.Packaging.TorchScript;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>
/// A trace or a package cannot make anything touch a file, start a process or print: whatever engine, however it is asked.
/// </summary>
public sealed class OperatorPolicyTests : IDisposable
{
    private const string FromFile =
        "aten::from_file(str filename, bool? shared=None, int? size=0, *, ScalarType? dtype=None, Layout? layout=None, "
        + "Device? device=None, bool? pin_memory=None) -> Tensor";

    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory("mystique-policy-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Victim => Path.Combine(_folder, "victim");

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static TraceText.Value Text(string text) => new($"\"{text}\"", "[]", "String", "[]");

    /// <summary>aten::from_file with shared memory, and aten::zero_ on it: it would overwrite a file.</summary>
    private string FileWriter(string schema = FromFile) => TraceText.WithRoots()
        .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
        .Operator(4, schema, [Text(Victim), true, 16L, 6L, None, None, None], [Tensor(30, 31, [16])])
        .Operator(5, "aten::zero_(Tensor(a!) self) -> Tensor(a!)", [Tensor(30, 31, [16])], [Tensor(30, 31, [16])]).ToString();

    [Theory]
    [InlineData("torchsharp", "run")]
    [InlineData("python", "run")]
    [InlineData("torchsharp", "coverage")]
    [InlineData("torchsharp", "generate")]
    public void TraceThatWritesAFile_WritesNone(string engine, string command)
    {
        Assert.SkipUnless(engine == "torchsharp" || Python.HasTorch, "needs python3 with torch");
        File.WriteAllText(Victim, new string('x', 64));
        string trace = Write("t.json", FileWriter());
        string package = Path.Combine(_folder, "p");
        string[] arguments = command switch
        {
            "run" => ["run", trace, "--no-profile", "--iterations", "1", "--engine", engine, "--python", Python.Executable],
            "generate" => ["generate", trace, "-o", package],
            _ => ["coverage", trace],
        };
        var result = CommandLine.Run(arguments);
        result.AssertOk();
        if (command == "run")
            Assert.Contains("never run", result.Output.ReplaceLineEndings(" "));
        if (command == "generate" && Python.HasTorch)
            Python.RunFile(Path.Combine(package, "run.py"), "--iterations", "1").AssertOk();
        Assert.Equal(new string('x', 64), File.ReadAllText(Victim));
    }

    /// <summary>The recorded schema is the word of whoever wrote the trace: what counts is the target's.</summary>
    [Theory]
    [InlineData("aten::from_file(str reduce, bool? shared=None, int? size=0, *, ScalarType? dtype=None, Layout? layout=None, Device? "
        + "device=None, bool? pin_memory=None) -> Tensor")]
    [InlineData("aten::from_file.x(str reduce, bool? shared=None, int? size=0, *, ScalarType? dtype=None, Layout? layout=None, Device? "
        + "device=None, bool? pin_memory=None) -> Tensor")]
    public void SchemaThatLies_IsNotBelieved(string schema)
    {
        string trace = Write("t.json", FileWriter(schema).Replace($"\"{Victim}\"", "\"sum\"", StringComparison.Ordinal));
        CommandLine.Run("run", trace, "--no-profile", "--iterations", "1").AssertOk();
        if (Python.HasTorch)
            CommandLine.Run("run", trace, "--no-profile", "--iterations", "1", "--engine", "python", "--python", Python.Executable)
                .AssertOk();
        Assert.False(File.Exists("sum"));
        Assert.False(File.Exists(Path.Combine(Path.GetTempPath(), "sum")));
    }

    /// <summary>A program that calls more than its manifest says, with the digest put right.</summary>
    [Theory]
    [InlineData("    ops.aten.save(t0, \"/tmp/mystique-policy-x\")")]
    [InlineData("    print(\"x\")")]
    [InlineData("    t1 = ops.aten.relu(t0)")]
    [InlineData("    while True:\n      pass")]
    public void ProgramThatDoesMore_IsRefused(string line) => AssertRefused(
        code => code.Replace("    return None\n  def last", $"{line}\n    return None\n  def last", StringComparison.Ordinal), "", "");

    /// <summary>A package of one operator, changed, with the digest put right, is refused by the command and by run.py.</summary>
    private void AssertRefused(Func<string, string> changeCode, string from, string to)
    {
        string package = Path.Combine(_folder, "p");
        CommandLine.Run("generate", Write("t.json", TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .ToString()), "-o", package).AssertOk();
        string program = Path.Combine(package, "program.pt"), manifest = Path.Combine(package, "benchmark.json");
        byte[] before = File.ReadAllBytes(program), after = TorchScriptArchive.Write(changeCode(TorchScriptArchive.ReadCode(before)));
        string text = File.ReadAllText(manifest);
        Assert.Contains(from, text);
        string changed = (from.Length == 0 ? text : text.Replace(from, to, StringComparison.Ordinal))
            .Replace(Benchmark.DigestOf(before), Benchmark.DigestOf(after), StringComparison.Ordinal);
        Assert.NotEqual(text, changed);
        File.WriteAllBytes(program, after);
        File.WriteAllText(manifest, changed);
        CommandLine.Run("run", package).AssertFailed(2, "MYS309");
        if (Python.HasTorch)
            Python.RunFile(Path.Combine(package, "run.py")).AssertFailed(2, "MYS309");
        Assert.False(File.Exists("/tmp/mystique-policy-x"));
    }

    /// <summary>A manifest, or a row of its table of substitutions, that lists what may not run.</summary>
    [Theory]
    [InlineData("\"aten::relu(Tensor self) -> Tensor\"", "\"aten::save(Tensor self) -> Tensor\"", "ops.aten.relu", "ops.aten.save")]
    [InlineData("\"aten::relu(Tensor self) -> Tensor\"", "\"prim::relu(Tensor self) -> Tensor\"", "ops.aten.relu", "ops.prim.relu")]
    [InlineData("\"substitutions\": []",
        "\"substitutions\": [{\"operator\":\"aten::relu\",\"always\":true,\"calls\":[{\"operator\":\"aten::save\",\"results\":[],"
        + "\"args\":[[\"\",\"self\"],[\"\",\"'/tmp/mystique-policy-x'\"]]}]}]", "", "")]
    public void ManifestThatListsWhatMayNotRun_IsRefused(string from, string to, string call, string other) =>
        AssertRefused(code => call.Length == 0 ? code : code.Replace(call, other, StringComparison.Ordinal), from, to);

    /// <summary>
    /// Every operator of PyTorch that takes text, a storage, a class, or is none of tensors, called with a path where a text goes,
    /// and with words: nothing opens the file, and no process is started (strace(1) watches).
    /// </summary>
    [Theory]
    [InlineData("torchsharp")]
    [InlineData("python")]
    public async Task EveryOperatorWithText_OpensNoFileAndStartsNoProcess(string engine)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        Assert.SkipUnless(File.Exists("/usr/bin/strace"), "needs strace");
        const string List = """
            import re, sys, torch
            try:
                import torchvision
            except ImportError:
                pass
            for s in sorted(str(s) for s in torch._C._jit_get_all_schemas()):
                head = s[:s.rindex(" -> ")]
                if re.search(r"[(, ]str[\[\]?]* |Storage|Device\[|__torch__", head) or s.split("::")[0] in ("prim", "profiler", "c10d",
                    "quantized", "image", "video_reader"):
                    print(s)
            """;
        string[] schemas = [.. Python.Run(List).Output.Split('\n').Where(l => l.Contains("::", StringComparison.Ordinal)
            && !l.Contains("...", StringComparison.Ordinal))];
        Assert.True(schemas.Length > 300, $"{schemas.Length} schemas");
        var text = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]);
        long id = 4;
        foreach (string schema in schemas)
            foreach (string word in (string[])[Victim, "sum"])
                if (TryNode(schema, word, id * 10) is { } node)
                    text.Operator(id++, schema.Replace("\\", "\\\\", StringComparison.Ordinal)
                        .Replace("\"", "\\\"", StringComparison.Ordinal), node.Inputs, node.Outputs);
        Assert.True(id > 400, $"{id} operators");
        string trace = Write("all.json", text.ToString()), log = Path.Combine(_folder, "log");
        string[] before = [.. Directory.EnumerateFileSystemEntries(_folder)];
        var start = new ProcessStartInfo("/usr/bin/strace")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _folder
        };
        foreach (string argument in (string[])["-f", "-qq", "-s", "300", "-e",
            "trace=open,openat,creat,rename,unlink,execve,connect,bind", "-o", log,
            CommandLine.Executable, "run", trace, "--no-profile", "--iterations", "1", "--engine", engine, "--python", Python.Executable])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await error + output);
        string[] calls = await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(calls, c => c.Contains("victim", StringComparison.Ordinal));
        // The command, and its worker: a new one for each round of fitting.
        string[] started = [.. calls.Where(c => c.Contains("execve(", StringComparison.Ordinal)
            && c.EndsWith("= 0", StringComparison.Ordinal))];
        Assert.All(started.Skip(1), c => Assert.Contains(engine == "python" ? "--worker\"]" : "Mystique.Worker.dll\"]", c));
        Assert.Equal(before.Append(log).Order(), Directory.EnumerateFileSystemEntries(_folder).Order());
    }

    /// <summary>
    /// Arguments and results for a schema, as the observer records them; null for a schema that this version does not read.
    /// </summary>
    private static (TraceText.Value[] Inputs, TraceText.Value[] Outputs)? TryNode(string text, string word, long id)
    {
        try
        {
            var schema = Traces.SchemaParser.Parse(text);
            return ([.. schema.Arguments.Select(a => ValueOf(a.Type, word, id))],
                [.. schema.Returns.Select((r, i) => ValueOf(r.Type, word, id + 1 + i))]);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static TraceText.Value ValueOf(Traces.SchemaType type, string word, long id)
    {
        TraceText.Value one = type.BaseName switch
        {
            "Tensor" => Tensor(id, id, [4]),
            "int" or "ScalarType" or "Layout" or "MemoryFormat" => 1L,
            "float" => 1.0,
            "bool" => false,
            "Scalar" or "number" => 1L,
            "str" => Text(word),
            "Device" => new("\"cpu\"", "[]", "Device", "[]"),
            var other => new($"\"<{other}>\"", "[]", other, "[]"),
        };
        return type.AsList is null ? type.IsOptional && type.BaseName is not "str" ? None : one
            : type.BaseName is "int" ? Ints(1, 1) : List(one);
    }
}
