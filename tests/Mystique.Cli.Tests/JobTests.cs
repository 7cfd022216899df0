using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>Jobs of several ranks, as a user makes and runs them.</summary>
public sealed class JobTests : IDisposable
{
    private const string Work = "__torch__.torch.classes.c10d.Work";
    private const string Group = "__torch__.torch.classes.c10d.ProcessGroup process_group";
    private const string Reduce = $"c10d::allreduce_(Tensor[] tensors, {Group}, __torch__.torch.classes.c10d.ReduceOp reduce_op, "
        + $"Tensor? sparse_indices, int timeout) -> (Tensor[], {Work})";
    private const string ToAll = $"c10d::alltoall_base_(Tensor output, Tensor input, {Group}, int[] output_split_sizes, "
        + $"int[] input_split_sizes, int timeout) -> {Work}";

    private static readonly TraceText.Value Opaque = new("\"<Object>\"", "[]", "Object", "[]");

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static TraceText.Value Text(string value) => new($"\"{value}\"", "[]", "String", "[]");

    /// <summary>A rank: matrix products, a reduction, and an uneven exchange.</summary>
    private static TraceText Rank(long elements, long given, long taken, long[] outputs, long[] inputs, int world = 2) =>
        TraceText.WithRoots()
        .Node(3, 2, "## process_group:init ##", inputs: [Text("[{\\\"pg_name\\\": \\\"0\\\", \\\"pg_desc\\\": \\\"default_pg\\\", "
            + $"\\\"backend_config\\\": \\\"gloo\\\", \\\"ranks\\\": [], \\\"group_size\\\": {world}, \\\"group_count\\\": 1}}]")])
        .Operator(4, "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Tensor(30, 31, [64, 64]), Tensor(32, 33, [64, 64])],
            [Tensor(34, 35, [64, 64])])
        .Operator(5, Reduce, [List(Tensor(10, 11, [elements])), Opaque, Opaque, None, -1], [List(Tensor(10, 11, [elements])), Opaque])
        .Operator(6, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [elements])], [Tensor(20, 21, [elements])])
        .Operator(7, ToAll, [Tensor(40, 41, [taken, 2]), Tensor(42, 43, [given, 2]), Opaque, Ints(outputs), Ints(inputs), -1], [Opaque]);

    private string Ranks()
    {
        string folder = Directory.CreateDirectory(File_("ranks")).FullName;
        File.WriteAllText(Path.Combine(folder, "rank-0.et.json"), Rank(1000, 5, 3, [1, 2], [1, 4]).ToString());
        File.WriteAllText(Path.Combine(folder, "rank-1.et.json"), Rank(1000, 4, 6, [4, 2], [2, 2]).ToString());
        return folder;
    }

    private string Job()
    {
        CommandLine.Run("generate", Ranks(), "-o", File_("job.bench")).AssertOk();
        return File_("job.bench");
    }

    private static string[] OnGloo(params string[] arguments) =>
        [.. arguments, "--python", Python.Executable, "--iterations", "3", "--warmup", "1", "--threads", "1", "--call-timeout", "20"];

    [Fact]
    public void Generate_FolderOfRanks_IsAJob_WhichIsChecked()
    {
        var result = CommandLine.Run("generate", Ranks(), "-o", File_("job.bench"));
        result.AssertOk();
        Assert.Contains("2 ranks, 2 programs, 1 process group", result.Output, StringComparison.Ordinal);
        Assert.Contains("1 reductions are not recorded: SUM stands for them", result.Output, StringComparison.Ordinal);
        DocumentSchema.AssertFits("mystique-job", Path.Combine(File_("job.bench"), "job.json"));
        CommandLine.Run("run", File_("job.bench"), "--check").AssertOk();
        File.WriteAllText(Path.Combine(File_("job.bench"), "job.json"), "{}");
        CommandLine.Run("run", File_("job.bench"), "--check").AssertFailed(2, "MYS131");
    }

    [Fact]
    public void Generate_SeveralFiles_IsTheSameJob()
    {
        string job = Job();
        CommandLine.Run("generate", Path.Combine(File_("ranks"), "rank-1.et.json"), Path.Combine(File_("ranks"), "rank-0.et.json"),
            "-o", File_("again.bench")).AssertOk();
        Assert.Equal(File.ReadAllText(Path.Combine(job, "job.json")), File.ReadAllText(Path.Combine(File_("again.bench"), "job.json")));
    }

    [Fact]
    public void Generate_RanksThatDoNotFit_WritesNothing()
    {
        File.WriteAllText(Path.Combine(Ranks(), "rank-1.et.json"), Rank(999, 4, 6, [4, 2], [2, 2]).ToString());
        var result = CommandLine.Run("generate", File_("ranks"), "-o", File_("job.bench"));
        result.AssertFailed(2, "MYS130");
        Assert.Contains("rank 0 puts in 1000 elements", result.Error, StringComparison.Ordinal);
        Assert.False(Path.Exists(File_("job.bench")));
        CommandLine.Run("run", File_("ranks"), "--check").AssertFailed(2, "MYS130");
    }

    /// <summary>On paper: 64 ranks, of which one was recorded.</summary>
    [Fact]
    public void Run_Check_OfManyRanks_RunsNothing()
    {
        string folder = Directory.CreateDirectory(File_("one")).FullName;
        File.WriteAllText(Path.Combine(folder, "rank-5.et.json"), TraceText.WithRoots()
            .Node(3, 2, "## process_group:init ##", inputs: [Text("[{\\\"pg_name\\\": \\\"0\\\", \\\"pg_desc\\\": \\\"default_pg\\\", "
                + "\\\"backend_config\\\": \\\"nccl\\\", \\\"ranks\\\": [], \\\"group_size\\\": 64, \\\"group_count\\\": 1}]")])
            .Operator(5, Reduce, [List(Tensor(10, 11, [64])), Opaque, Opaque, None, -1], [List(Tensor(10, 11, [64])), Opaque]).ToString());
        CommandLine.Run("generate", folder, "-o", File_("job.bench")).AssertOk();
        var result = CommandLine.Run("run", File_("job.bench"), "--check");
        result.AssertOk();
        Assert.Contains("64 ranks, 1 program, 1 process group", result.Output, StringComparison.Ordinal);
        Assert.Contains("not recorded, and made of others: 0–4, 6–63", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_WhatCannotBe_IsRefused()
    {
        string job = Job();
        CommandLine.Run("run", job, "--engine", "torchsharp").AssertFailed(2, "MYS439");
        CommandLine.Run("run", job, "--ranks", "0,7").AssertFailed(2, "MYS134");
        CommandLine.Run("run", job, "--ranks-here", "1").AssertFailed(2, "MYS137"); // No profile, and no network.
        File.WriteAllText(File_("net.json"), "{}");
        CommandLine.Run("run", job, "--ranks-here", "1", "--network", File_("net.json")).AssertFailed(2, "MYS136");
        var result = CommandLine.Run("run", job, "--python", File_("no-python"));
        Assert.NotEqual(0, result.ExitCode);
        Assert.StartsWith("MYS4", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_Ranks_MakeTheirCallsTogether()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        Directory.CreateDirectory(File_("out"));
        var result = CommandLine.Run(OnGloo("run", Job(), "--json", File_("out/run.json"), "--html", File_("out/run.html"), "--strict"));
        result.AssertOk();
        DocumentSchema.AssertFits("mystique-job-run", File_("out/run.json"));
        var run = JsonNode.Parse(File.ReadAllText(File_("out/run.json")))!;
        Assert.Equal("together", (string)run["mode"]!);
        foreach (var rank in run["ranks"]!.AsArray())
        {
            Assert.Equal((2, 2), ((int)rank!["calls"]!["recorded"]!, (int)rank["calls"]!["exact"]!));
            Assert.Equal((2, 0), ((int)rank["result"]!["communication"]!["real"]!, (int)rank["result"]!["communication"]!["local"]!));
            Assert.Equal("exact", (string)rank["result"]!["verification"]!["status"]!);
        }
        Assert.Contains("Calls of each rank", File.ReadAllText(File_("out/run.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Run_OneRankAlone_MakesLocalPasses()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        CommandLine.Run(OnGloo("run", Job(), "--ranks", "1", "--json", File_("run.json"))).AssertOk();
        var run = JsonNode.Parse(File.ReadAllText(File_("run.json")))!;
        Assert.Equal("alone", (string)run["mode"]!);
        var rank = Assert.Single(run["ranks"]!.AsArray())!;
        Assert.Equal(2, (int)rank["result"]!["communication"]!["local"]!);
        Assert.Equal(2, (int)rank["result"]!["coverage"]!["substituted_operators"]!);
    }

    /// <summary>The others are emulated by the network's model, and the report says so.</summary>
    [Fact]
    public void Run_FewerRanks_WaitAsLongAsTheModelHasIt()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        File.WriteAllText(File_("net.json"), """
            {"ranks_per_node": 1, "node_gbytes_per_s": 1, "network_gbytes_per_s": 1, "base_us": 50000}
            """);
        CommandLine.Run(OnGloo("run", Job(), "--ranks-here", "1", "--network", File_("net.json"), "--json", File_("run.json"))).AssertOk();
        var run = JsonNode.Parse(File.ReadAllText(File_("run.json")))!;
        Assert.Equal("emulated", (string)run["mode"]!);
        Assert.Equal((2, 0), ((int)run["emulation"]!["from_model"]!, (int)run["emulation"]!["from_recording"]!));
        Assert.True((long)run["iteration"]!["median_ns"]! > 100_000_000); // Two calls of 50 ms.
    }

    /// <summary>A rank that is killed ends all: a message that names it, exit code 1, nothing left behind.</summary>
    [Fact]
    public async Task Run_RankIsKilled_EndsAll()
    {
        Assert.SkipUnless(Python.HasTorch && OperatingSystem.IsLinux(), "needs python3 with torch, and /proc");
        string temporary = Directory.CreateDirectory(File_("tmp")).FullName;
        string[] arguments = ["run", Job(), "--python", Python.Executable, "--iterations", "1000000", "--threads", "1", "--call-timeout",
            "20"];
        using var process = CommandLine.StartWith("TMPDIR", temporary, arguments);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        int[] ranks = [];
        Assert.True(SpinWait.SpinUntil(() => (ranks = ChildrenOf(process.Id)).Length == 2 || process.HasExited, TimeSpan.FromSeconds(60)));
        await Task.Delay(8000, TestContext.Current.CancellationToken);
        Assert.False(process.HasExited, "it ended by itself");
        Process.GetProcessById(ranks[1]).Kill();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)), "it hangs");
        Assert.Equal(1, process.ExitCode);
        string message = await error;
        Assert.StartsWith("MYS437: ", message, StringComparison.Ordinal);
        Assert.Contains("rank 1 ended by signal 9", message, StringComparison.Ordinal);
        Assert.Contains("rank 0", message, StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => !ranks.Any(r => Path.Exists($"/proc/{r}")), TimeSpan.FromSeconds(5)), "a rank was left alone");
        Assert.Empty(Directory.EnumerateFileSystemEntries(temporary));
    }

    /// <summary>A launcher starts the ranks: each takes its number from it, and writes its own result.</summary>
    private void AssertRan(int exitCode, string output)
    {
        Assert.True(exitCode == 0, output);
        foreach (int rank in (int[])[0, 1])
        {
            var result = JsonNode.Parse(File.ReadAllText(File_($"result.rank-{rank}.json")))!;
            Assert.Equal((rank, 2, 2), ((int)result["communication"]!["rank"]!, (int)result["communication"]!["world_size"]!,
                (int)result["communication"]!["real"]!));
            Assert.Equal("exact", (string)result["verification"]!["status"]!);
        }
    }

    private string[] OfRunScript() =>
    [
        Path.Combine(Job(), "run.py"), "--iterations", "3", "--warmup", "1", "--threads", "1", "--timeout", "20",
        "--json", File_("result.json"),
    ];

    [Fact]
    public void RunScript_UnderTorchrun_RunsTheRanks()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        // What 1.13 does with its own redirections does not work with Python 3.11.
        var (exitCode, output) = Launch(Python.Executable, ["-m", "torch.distributed.run", "-r", "9:1", "-t", "9:1",
            "--nproc_per_node", "2", "--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0", .. OfRunScript()]);
        AssertRan(exitCode, output);
    }

    [Fact]
    public void RunScript_UnderSrun_RunsTheRanks()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        using var cluster = SlurmCluster.Start(File_("slurm"));
        var (exitCode, output) = Launch("srun", ["--immediate=30", "-n", "2", Python.Executable, .. OfRunScript()],
            ("SLURM_CONF", cluster.Config));
        AssertRan(exitCode, output);
    }

    /// <summary>No launcher says which rank this is: an error that says how, and no hang.</summary>
    [Fact]
    public void RunScript_WithoutLauncher_SaysHow()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        var (exitCode, output) = Launch(Python.Executable, OfRunScript());
        Assert.Equal(2, exitCode);
        Assert.Contains("MYS432", output, StringComparison.Ordinal);
        Assert.Contains("torchrun", output, StringComparison.Ordinal);
    }

    private static (int ExitCode, string Output) Launch(string program, string[] arguments, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        (start.Environment["USE_LIBUV"], start.Environment["GLOO_SOCKET_IFNAME"], start.Environment["OMP_NUM_THREADS"]) = ("0", "lo", "1");
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }

    private static int[] ChildrenOf(int process)
    {
        try
        {
            return [.. Directory.GetDirectories($"/proc/{process}/task").SelectMany(t => File.ReadAllText(Path.Combine(t, "children"))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(c => int.Parse(c, CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            return []; // A thread has ended.
        }
    }
}
