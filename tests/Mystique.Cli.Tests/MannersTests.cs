using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>What a command says beside its results: on a terminal, in a pipe, with <c>--quiet</c> and <c>--verbose</c>.</summary>
public sealed class MannersTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string OnTerminal(string? noColor, params string[] arguments) => TerminalRun.Of($"{_folder}/out", noColor, [0], arguments);

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
        const string Progress = @"[a-z ]+(\e\[0m)?: [0-9]+%";
        string[] run = ["run", Trace("small.json", 2000), "--iterations", "20", "--no-profile"];
        string shown = OnTerminal(null, run);
        Assert.Contains("\e[38;5;", shown);
        Assert.Matches(Progress, shown);
        Assert.DoesNotContain("\e[", File.ReadAllText(Path.Combine(_folder, "out"))); // Standard output is a file.
        string plain = OnTerminal("1", run);
        Assert.DoesNotContain("\e[38;5;", plain);
        Assert.Matches(Progress, plain);
        Assert.DoesNotMatch(Progress, OnTerminal(null, [.. run, "--quiet"]));
        var piped = CommandLine.Run(run);
        piped.AssertOk();
        Assert.DoesNotContain("\e[", piped.Output + piped.Error);
    }

    [Fact]
    public void Progress_OfALargeFile_TellsHowMuchIsRead()
    {
        string large = Trace("large.json", 150_000);
        Assert.Matches(@"reading large\.json[^%\n]* [1-9][0-9]?%", OnTerminal("1", "inspect", large));
        Assert.DoesNotContain("reading large", OnTerminal("1", "inspect", large, "--quiet"));
    }

    /// <summary>A trace of so many operators.</summary>
    private string Trace(string name, int operators)
    {
        string path = Path.Combine(_folder, name);
        var trace = TraceText.WithRoots();
        for (int id = 3; id < operators + 3; id++)
            trace.Operator(id, StepText.Relu, [StepText.T(id, 4, 48)], [StepText.T(id + 1, 4, 48)]);
        File.WriteAllText(path, trace.ToString());
        return path;
    }

    /// <summary>Commands that read, run and measure show one progress at a time.</summary>
    [Fact]
    public void Progress_OfWhatIsReadWithinARun_IsThatOfTheRun()
    {
        string trace = Trace("small.json", 50), damaged = Path.Combine(_folder, "damaged.json");
        string profile = Path.Combine(_folder, "k.json");
        CommandLine.Run("run", trace, "--iterations", "2", "--no-profile", "--profile", profile).AssertOk();
        OnTerminal(null, "compare", profile, trace, "--iterations", "2"); // It ends well, and does not refuse the second.
        Assert.Contains("replay against k.json", File.ReadAllText(Path.Combine(_folder, "out")));
        // A warning that comes within it stays.
        File.WriteAllText(damaged, File.ReadAllText(trace)[..^300]);
        Assert.Contains($"warning: {damaged}: the file", OnTerminal(null, "compare", profile, damaged, "--iterations", "2"));
    }

    [Fact]
    public void NextCommand_NamesAPackage()
    {
        foreach (var (name, package) in ((string, string)[])[(".x.et.json.gz", "x.bench"), ("y.json.gz", "y.bench"), (".gz", "gz.bench")])
        {
            string trace = Trace(name, 5);
            Assert.EndsWith($"next: mystique generate {trace} -o {package}\r\n",
                OnTerminal(null, "run", trace, "--iterations", "1", "--warmup", "0", "--no-profile"));
        }
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
        Trace("small.json", 5);
        File.WriteAllText(Path.Combine(_folder, "other.json"), "{}");
        Assert.Contains("passed over", CommandLine.Run("coverage", _folder).Error);
        var quiet = CommandLine.Run("coverage", _folder, "--quiet");
        quiet.AssertOk();
        Assert.Equal("", quiet.Error);
        CommandLine.Run("inspect", "no-such-file.json", "--quiet").AssertFailed(2, "MYS101");
    }
}
