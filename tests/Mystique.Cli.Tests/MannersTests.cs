using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>What a command says beside its results: on a terminal, in a pipe, with <c>--quiet</c> and <c>--verbose</c>.</summary>
public sealed class MannersTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Runs the command with standard error on a terminal of its own; what comes there.</summary>
    private string OnTerminal(string? noColor, params string[] arguments)
    {
        const string Program = "/usr/bin/script";
        Assert.SkipUnless(File.Exists(Program), $"needs {Program} (Debian: bsdutils)");
        string command = string.Join(' ', arguments.Prepend(CommandLine.Executable).Select(a => $"'{a}'"));
        var start = new ProcessStartInfo(Program, ["-qec", $"stty cols 120; {command} > '{_folder}/out'", "/dev/null"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        start.Environment["TERM"] = "xterm-256color";
        if (noColor is null)
            start.Environment.Remove("NO_COLOR");
        else
            start.Environment["NO_COLOR"] = noColor;
        using var process = Process.Start(start)!;
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, text);
        return text;
    }

    [Fact]
    public void LastLine_OnATerminal_IsTheNextCommand()
    {
        string trace = CommandLine.Example("dlrm");
        Assert.EndsWith($"next: mystique run {trace}\r\n", OnTerminal(null, "inspect", trace));
        Assert.DoesNotContain("next:", OnTerminal(null, "inspect", trace, "--quiet"));
        // In a pipe, nothing.
        var piped = CommandLine.Run("inspect", trace);
        piped.AssertOk();
        Assert.Equal("", piped.Error);
        Assert.DoesNotContain("next:", piped.Output);
    }

    [Fact]
    public void Progress_IsColouredUnlessNoColorIsSet_AndNotShownInPipesOrQuietly()
    {
        string[] run = ["run", CommandLine.Example("bilstm"), "--iterations", "2", "--no-profile"];
        string shown = OnTerminal(null, run);
        Assert.Contains("\e[38;5;", shown);
        Assert.Contains("reading bilstm", shown);
        Assert.DoesNotContain("\e[", File.ReadAllText(Path.Combine(_folder, "out"))); // Standard output is a file.
        string plain = OnTerminal("1", run);
        Assert.DoesNotContain("\e[38;5;", plain);
        Assert.DoesNotContain("reading bilstm", OnTerminal(null, [.. run, "--quiet"]));
        var piped = CommandLine.Run(run);
        piped.AssertOk();
        Assert.DoesNotContain("\e[", piped.Output + piped.Error);
    }

    [Fact]
    public void Verbose_TellsStepsAndTimes_AndLeavesStandardOutputAsItIs()
    {
        string trace = CommandLine.Example("dlrm");
        var result = CommandLine.Run("inspect", trace, "--json", "-", "--verbose");
        result.AssertOk();
        Assert.Equal(CommandLine.Run("inspect", trace, "--json", "-").Output, result.Output);
        foreach (string step in (string[])["read dlrm.et.json.gz: ", "select: ", "plan: ", "done; "])
            Assert.Contains(step, result.Error);
        Assert.DoesNotMatch("started: -", result.Error);
    }

    [Fact]
    public void Quiet_LeavesNotesOut_AndErrorsIn()
    {
        File.Copy(CommandLine.Example("dlrm"), Path.Combine(_folder, "dlrm.et.json.gz"));
        File.WriteAllText(Path.Combine(_folder, "other.json"), "{}");
        Assert.Contains("passed over", CommandLine.Run("coverage", _folder).Error);
        var quiet = CommandLine.Run("coverage", _folder, "--quiet");
        quiet.AssertOk();
        Assert.Equal("", quiet.Error);
        CommandLine.Run("inspect", "no-such-file.json", "--quiet").AssertFailed(2, "MYS101");
    }
}
