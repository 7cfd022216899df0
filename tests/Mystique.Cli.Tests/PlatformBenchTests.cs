using System.Text.Json;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary><c>mystique bench --platforms</c>: what a replay predicts of other platforms.</summary>
public sealed class PlatformBenchTests : IDisposable
{
    /// <summary>
    /// A job that says where it runs. It leaves its threads to the environment, and its process is long enough for all blocks of a test.
    /// </summary>
    private const string Job = """
        import os, sys, torch
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "seen"), "a") as file:
            file.write(f"job {os.environ.get('MARK')} {torch.get_num_threads()}\n")
        if os.environ.get("MARK") == "fails":
            raise SystemExit(3)
        assert sys.argv[1:] == ["--on=cpu"]
        m = torch.nn.Linear(64, 64)
        o = torch.optim.SGD(m.parameters(), 0.1)
        for i in range(60):
            o.zero_grad(); m(torch.rand(64, 64)).sum().backward(); o.step()
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private CommandLine.Result Bench(string list, string platforms, params string[] arguments) =>
        CommandLine.Run(["bench", Write("list.txt", list), "--platforms", Write("platforms.txt", platforms), "--rounds", "2",
            "--iterations", "2", "--warmup", "1", .. arguments]);

    [Fact]
    public void Bench_JobOnTwoPlatforms_IsARowWithWhatTheReplayPredicts()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string job = Write("job.py", Job), markdown = Path.Combine(_folder, "p.md"), kept = Path.Combine(_folder, "kept");
        Directory.CreateDirectory(Path.Combine(_folder, "site"));
        // The replay's worker says where it runs by its start-up file, which the job's processes have too.
        Write(Path.Combine("site", "sitecustomize.py"), $"""
            import os
            with open("/proc/self/cmdline") as file:
                is_worker = "--worker" in file.read()
            if is_worker:
                with open({JsonSerializer.Serialize(Path.Combine(_folder, "seen"))}, "a") as file:
                    file.write(f"worker {"{os.environ.get('MARK')} {os.environ.get('OMP_NUM_THREADS')}"}\n")
            """);
        string python = $"PYTHONPATH={_folder}/site {Python.Executable}";
        var result = Bench($"example dlrm\njob: python3 {job} --on={{device}}\n", $"""
            base: MARK=first OMP_NUM_THREADS=1 {python}
            plain: MARK=second ATEN_CPU_CAPABILITY=default {python} --threads 2
            broken: MARK=fails {python}
            """, "-o", kept, "--markdown", markdown);
        Assert.Equal(1, result.ExitCode); // One platform was not measured.
        Assert.Contains("dlrm: left out: a bundled example is no job of a Python", result.Error);
        Assert.Contains("job on broken: there is no capture: the job ended before its iterations could be measured", result.Error);
        Assert.Contains("speed-up over base, 2 blocks each", result.Output);

        string text = File.ReadAllText(markdown);
        Assert.Matches(@"\| job \| plain \| [0-9.]+x \| [0-9.]+x \| [+-]?[0-9.]+ % \| [+-]?[0-9.]+ % to [+-]?[0-9.]+ % "
            + @"\| exact: [0-9]+ operators \| [0-9.]+x \| [+-]?[0-9.]+ % \| [+-]?[0-9.]+ % to [+-]?[0-9.]+ % "
            + @"\| exact: [0-9]+ operators, [0-9]+ of them in backward passes \| [+-]?[0-9.]+ % \|", text);
        Assert.Contains("of 1 prediction, 1 of them by exact replays", text);
        Assert.Contains("- not measured: job on broken\n", text);
        Assert.Contains("- plain: ATEN_CPU_CAPABILITY=default MARK=second OMP_NUM_THREADS=2 PYTHONPATH=site python3\n", text);

        DocumentSchema.AssertFits("mystique-platforms", Path.Combine(kept, "platforms.json"));
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(kept, "platforms.json")));
        var change = document.RootElement.GetProperty("jobs")[0].GetProperty("changes")[0];
        var run = change.GetProperty("levels")[0].GetProperty("run");
        Assert.Equal((2, 2), (change.GetProperty("threads").GetInt32(), run.GetProperty("threads").GetInt32()));
        Assert.Equal(2, change.GetProperty("original_ns").GetArrayLength());
        Assert.Equal(["job.bench", "job.capture", "platforms.json"],
            Directory.EnumerateFileSystemEntries(kept).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        // The environment reached the originals, and the replays.
        Assert.Equal(["job fails", "job first 1", "job second 2", "worker fails None", "worker first 1", "worker second 2"],
            File.ReadAllLines(Path.Combine(_folder, "seen")).Select(l => l.StartsWith("job fails", StringComparison.Ordinal) ? l[..9] : l)
                .Distinct().Order(StringComparer.Ordinal));
    }

    /// <summary>Each process is started for its block, and ends after it; what runs on a platform is the same.</summary>
    [Fact]
    public void Bench_ProcessesStartedForEachBlock_AreMeasuredToo()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        var result = Bench($"job: python3 {Write("job.py", Job)} --on={{device}}\n",
            $"base: {Python.Executable}\nother: {Python.Executable}\n", "--processes", "restarted", "--markdown", "-");
        result.AssertOk();
        Assert.Contains("| job | other | ", result.Output);
        // The capture; two originals on the reference to begin with; a first block, and one a round, of each of three.
        Assert.Equal(1 + 2 + 3 * (1 + 2), File.ReadAllLines(Path.Combine(_folder, "seen")).Length);
    }

    [Theory]
    [InlineData("base: python3\nother", "platforms.txt, line 2")]
    [InlineData("base: python3", "platforms.txt, line 1")]
    public void Bench_InvalidPlatform_IsNamed(string platforms, string where)
    {
        var result = Bench("job: true\n", platforms, "-o", Path.Combine(_folder, "kept"));
        result.AssertFailed(2, "MYS210");
        Assert.Contains(where, result.Error);
        Assert.False(Directory.Exists(Path.Combine(_folder, "kept")));
    }

    [Fact]
    public void Bench_OptionThatTheFileDecides_IsRefused()
    {
        var result = Bench("job: true\n", "base: python3\nother: python3\n", "--threads", "2");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--threads is not for --platforms: its file has it for each platform.", result.Error);
    }

    [Fact]
    public void Bench_SomebodyElsesDocument_IsLeftAlone()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "kept"));
        string document = Write(Path.Combine("kept", "platforms.json"), "{}");
        Bench("job: true\n", "base: python3\nother: python3\n", "-o", Path.Combine(_folder, "kept")).AssertFailed(2, "MYS304");
        Assert.Equal("{}", File.ReadAllText(document));
    }
}
