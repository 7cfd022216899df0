namespace Mystique.Cli.Tests;

/// <summary><c>mystique bench</c>: a list of workloads, one table.</summary>
public sealed class BenchTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string List(string text)
    {
        string path = Path.Combine(_folder, "bench.txt");
        File.WriteAllText(path, text);
        return path;
    }

    [Fact]
    public void Bench_ExampleJobAndBrokenJob_AreARowEachOrAReason()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        File.WriteAllText(Path.Combine(_folder, "job.py"), """
            import sys
            import torch
            torch.set_num_threads(1)
            assert sys.argv[1:] == ["--on=cpu"]
            m = torch.nn.Linear(64, 64)
            o = torch.optim.SGD(m.parameters(), 0.1)
            for i in range(30):
                o.zero_grad(); m(torch.rand(64, 64)).sum().backward(); o.step()
            """);
        List($"# all\nexample dlrm\njob: python3 {_folder}/job.py --on={{device}}\nbroken: python3 -c pass # never\n"
            + "change dlrm job\nchange dlrm broken\n");
        string file = Path.Combine(_folder, "f.md");
        var result = CommandLine.Run("bench", _folder, "--rounds", "2", "--iterations", "2", "--warmup", "1", "--python",
            Python.Executable, "-o", Path.Combine(_folder, "kept"), "--markdown", file);
        Assert.Equal(1, result.ExitCode); // One of them was not compared.
        string text = File.ReadAllText(file);
        Assert.Matches(@"\| dlrm \| operator \| [0-9,]+ \| 100.0 % "
            + @"\| [0-9.,]+ \| [0-9.,]+ \| [+-]?[0-9.]+ % \|.*\| exact: [0-9,]+ operators \|",
            text);
        Assert.Matches(@"\| job \| operator \| [0-9,]+ \| 100.0 % "
            + @"\| [0-9.,]+ \| [0-9.,]+ \| [+-]?[0-9.]+ % \|.*\| exact: [0-9,]+ operators \|", text);
        Assert.Contains("## broken\n\nNot compared: there is no capture: nothing was recorded: Python ran, but never imported torch", text);
        Assert.Contains("Median error of the iteration time", text);
        Assert.Contains("2 workloads, 2 blocks each", result.Output);
        Assert.Matches(@"## Sensitivity[^#]*\| dlrm \| job \| -[0-9.]+ % \| -[0-9.]+ % \| -[0-9.]+ % \|\n\n", text);
        Assert.Equal(["broken.capture", "dlrm.bench", "dlrm.capture", "dlrm.html", "dlrm.json", "job.bench", "job.capture",
            "job.html", "job.json"],
            Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "kept")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    /// <summary>Where memory does not hold three of them, each process is started for its block; the report says so.</summary>
    [Fact]
    public void Bench_ProcessesStartedForEachBlock_AreComparedAndTold()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        File.WriteAllText(Path.Combine(_folder, "job.py"), """
            import os, torch
            with open(os.path.join(os.path.dirname(__file__), "starts"), "a") as file:
                file.write("x")
            torch.set_num_threads(1)
            m = torch.nn.Linear(64, 64)
            o = torch.optim.SGD(m.parameters(), 0.1)
            for i in range(30):
                o.zero_grad(); m(torch.rand(64, 64)).sum().backward(); o.step()
            """);
        string kept = Path.Combine(_folder, "kept");
        var result = CommandLine.Run("bench", List($"job: python3 {_folder}/job.py\n"), "--rounds", "2", "--iterations", "2", "--warmup",
            "1", "--processes", "restarted", "--python", Python.Executable, "-o", kept);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("\"processes\": \"started again for each block: asked for\"", File.ReadAllText(Path.Combine(kept, "job.json")));
        // The capture; the first round of both originals; three rounds that tell the pace; two rounds of both.
        Assert.Equal(1 + 2 + 3 + 2 * 2, File.ReadAllText(Path.Combine(_folder, "starts")).Length);
    }

    [Theory]
    [InlineData("example nothing")]
    [InlineData("no colon")]
    [InlineData("../x: true")]
    [InlineData("change one other")]
    public void Bench_LineThatMakesNoSense_IsNamed(string line)
    {
        var result = CommandLine.Run("bench", List($"# one\n{line}\n"));
        result.AssertFailed(2, "MYS209");
        Assert.Contains("bench.txt, line 2", result.Error);
        CommandLine.Run("bench", Path.Combine(_folder, "none")).AssertFailed(2, "MYS204");
    }
}
