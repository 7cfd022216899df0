using System.Diagnostics;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>Benchmarks as scripts of plain PyTorch: they run in the Python that is here, and know nothing of Mystique.</summary>
public sealed class ScriptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Trace(string name) => Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz");

    private static string Run(string script)
    {
        var start = new ProcessStartInfo(Python.Executable, [script, "--iterations", "2", "--warmup", "1"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error.Result);
        return output;
    }

    /// <summary>Examples whose operators PyTorch 1.13 and newer have.</summary>
    [Theory]
    [InlineData("resnet18")]
    [InlineData("dlrm")]
    public void Generate_AScript_RunsInPlainPyTorch(string name)
    {
        string script = Path.Combine(_folder, "s.py");
        CommandLine.Run("generate", Trace(name), "--python", script).AssertOk();
        string text = File.ReadAllText(script);
        Assert.DoesNotContain("import mystique", text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("ops.aten.", text, StringComparison.Ordinal);
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        Assert.Contains("edian", Run(script), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt", "aten::mm", "ops.aten.mm.default(")]
    [InlineData("resnet18", "aten::*conv*", "ops.aten.")]
    public void Extract_AnOperator_IsAScriptOfOneCall(string name, string op, string call)
    {
        string script = Path.Combine(_folder, "one.py");
        CommandLine.Run("extract", Trace(name), "--operator", op, "-o", script).AssertOk();
        string text = File.ReadAllText(script);
        string[] calls = [.. text[text.IndexOf("def iteration", StringComparison.Ordinal)..].Split('\n')
            .Where(l => l.Contains("ops.", StringComparison.Ordinal))];
        Assert.Contains(call, Assert.Single(calls), StringComparison.Ordinal);
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        Run(script);
    }

    /// <summary>A file's name is no coding of the script, and ends no line of it.</summary>
    [Fact]
    public void Generate_ATraceWithAHostileName_IsAScriptAllTheSame()
    {
        string trace = Path.Combine(_folder, "x coding=utf-7 +AAo-import os\nraise SystemExit(9).et.json.gz"),
            script = Path.Combine(_folder, "s.py");
        File.Copy(Trace("dlrm"), trace);
        CommandLine.Run("generate", trace, "--python", script).AssertOk();
        string[] lines = File.ReadAllLines(script);
        Assert.Equal("# -*- coding: utf-8 -*-", lines[1]);
        Assert.DoesNotContain(lines, l => l.StartsWith("raise", StringComparison.Ordinal));
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        Run(script);
    }

    [Fact]
    public void Generate_WithoutAnOutput_SaysWhatToName()
    {
        var result = CommandLine.Run("generate", Trace("dlrm"));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--python", result.Error, StringComparison.Ordinal);
    }
}
