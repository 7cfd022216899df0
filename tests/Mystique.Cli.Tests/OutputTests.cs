namespace Mystique.Cli.Tests;

/// <summary>What commands write, and where they do not: told before the work starts.</summary>
public sealed class OutputTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "out");

    private string[] Left => [.. Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories)
        .Select(e => Path.GetRelativePath(_folder, e)).Order(StringComparer.Ordinal)];

    private string Put(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>The trace is not there: but the output is looked at first.</summary>
    [Fact]
    public void Generate_IntoSomebodyElsesFolder_IsRefusedBeforeTheTraceIsRead()
    {
        Put("out/benchmark.json", "{\"format\": \"somebody's\"}");
        Put("out/run.py", "mine");
        Put("out/kernels/mine.py", "mine");
        CommandLine.Run("generate", "no-such-trace.json", "-o", Target).AssertFailed(2, "MYS304");
        Assert.Equal(["out", "out/benchmark.json", "out/kernels", "out/kernels/mine.py", "out/run.py"], Left);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Target, "run.py")));
        CommandLine.Run("generate", "no-such-trace.json", "-o", Path.Combine(_folder, "a", "b")).AssertFailed(2, "MYS101");
        Assert.False(Path.Exists(Path.Combine(_folder, "a")));
    }

    [Fact]
    public void Generate_OverAPackage_KeepsWhatIsBesideIt()
    {
        for (int i = 0; i < 2; i++)
        {
            CommandLine.Run("generate", CommandLine.Example("dlrm"), "-o", Target).AssertOk();
            Put("out/kernels/mine.py", "mine");
            Put("out/notes.txt", "mine");
        }
        Assert.Equal(["out", "out/benchmark.json", "out/framework", "out/framework/benchmark.json", "out/framework/program.pt",
            "out/kernels", "out/kernels/mine.py", "out/notes.txt", "out/program.pt", "out/run.py"], Left);
    }

    [Fact]
    public void DemoAndBench_WhereSomethingElseIsInTheWay_AreRefusedBeforeAnythingRuns()
    {
        string trace = Put("out/dlrm.capture/capture.json", "{}");
        CommandLine.Run("demo", "dlrm", "-o", Target).AssertFailed(2, "MYS307");
        CommandLine.Run("bench", Put("bench.txt", "example dlrm\n"), "-o", Target).AssertFailed(2, "MYS307");
        File.Delete(trace);
        Put("out/dlrm.bench/notes.txt", "mine");
        CommandLine.Run("demo", "dlrm", "-o", Target).AssertFailed(2, "MYS304");
        File.Delete(Path.Combine(Target, "dlrm.bench", "notes.txt"));
        Put("out/dlrm.html", "<!doctype html>\n<p>mine\n");
        CommandLine.Run("bench", Path.Combine(_folder, "bench.txt"), "-o", Target).AssertFailed(2, "MYS304");
        Assert.Equal(["bench.txt", "out", "out/dlrm.bench", "out/dlrm.capture", "out/dlrm.html"], Left);
    }

    [Fact]
    public void TemporaryFolder_ThatIsNotThere_IsNamed()
    {
        CommandLine.RunWith("TMPDIR", "/nowhere", "run", CommandLine.Example("dlrm")).AssertFailed(2, "MYS308");
        CommandLine.RunWith("TMPDIR", "/nowhere", "capture", "--import", _folder, "-o", Target).AssertFailed(2, "MYS308");
        CommandLine.RunWith("TMPDIR", "/nowhere", "demo", "dlrm").AssertFailed(2, "MYS308");
        Assert.Empty(Left);
    }

    [Fact]
    public void File_ThatCannotBeWritten_IsToldFirst_AndADeviceStaysOne()
    {
        string missing = Path.Combine(_folder, "no", "r");
        foreach (string[] command in (string[][])[["inspect", "x", "--html", missing], ["inspect", "x", "--json", missing],
            ["run", "x", "--profile", missing], ["run", "x", "--trace-out", _folder],
            ["compare", "x", "y", "--markdown", missing], ["coverage", "x", "--markdown", missing],
                ["bench", "x", "--markdown", missing], ["demo", "--json", missing]])
            CommandLine.Run(command).AssertFailed(2, "MYS305");
        Assert.Empty(Left);
        string link = Path.Combine(_folder, "link"), real = Put("real", "mine");
        File.CreateSymbolicLink(link, real);
        CommandLine.Run("inspect", CommandLine.Example("dlrm"), "--json", link).AssertOk();
        Assert.Equal("mine", File.ReadAllText(real)); // The link is replaced.
        var written = CommandLine.Run("inspect", CommandLine.Example("dlrm"), "--json", "/dev/stdout");
        written.AssertOk();
        Assert.StartsWith("{", written.Output, StringComparison.Ordinal);
        Assert.True(new FileInfo("/dev/stdout").LinkTarget is not null);
    }
}
