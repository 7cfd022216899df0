using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>A job keeps its exit code and its files, whatever becomes of its capture; what was begun is gone.</summary>
public sealed class CaptureExitCodeTests : IDisposable
{
    private const string Training = """
        import json, os, sys, torch
        m = torch.nn.Linear(64, 64)
        o = torch.optim.SGD(m.parameters(), 0.1)
        for i in range(20):
            if i == int(sys.argv[1]):
                {0}
            o.zero_grad(); m(torch.rand(4, 64)).sum().backward(); o.step()
        print("done")
        sys.exit(7)
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "out", "job");

    private string[] Left => [.. Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories)
        .Select(e => Path.GetRelativePath(_folder, e)).Order(StringComparer.Ordinal)];

    /// <summary>Captures a job of the shell, which has the output's folder as <c>$1</c>.</summary>
    private CommandLine.Result Capture(string job, params string[] options) =>
        CommandLine.Run(["capture", "-o", Target, .. options, "--", "bash", "-c", job, "job", Target]);

    private static void AssertTold(CommandLine.Result result, string id)
    {
        Assert.True(result.ExitCode == 7, $"exit code {result.ExitCode}\n{result.Error}");
        Assert.Contains($"{id}: ", result.Error);
        Assert.Contains("  where: ", result.Error);
        Assert.Contains("  fix: ", result.Error);
        Assert.DoesNotContain("   at ", result.Error);
        Assert.DoesNotContain("MYS999", result.Error);
    }

    public static TheoryData<string, string, string[]> Hindrances => new()
    {
        { "echo mine > \"$1\"; exit 7", "MYS307", ["out", "out/job"] }, // The output's name became a file.
        { "mkdir \"$1\"; echo '{}' > \"$1/capture.json\"; exit 7", "MYS307", ["out", "out/job", "out/job/capture.json"] },
        { "mkdir -p \"$1/capture.json\"; exit 7", "MYS307", ["out", "out/job", "out/job/capture.json"] },
        { "rm -rf \"$1\".*.work; exit 7", "MYS310", [] },
        { "rm -rf \"$(dirname \"$1\")\"; exit 7", "MYS310", [] }, // The output's parent too.
        { "rm -rf \"$1\".*.work/*; rmdir \"$1\".*.work; echo x > $(echo $MYSTIQUE_CAPTURE | sed 's/.*\"folder\":\"\\([^\"]*\\).*/\\1/'); "
            + "exit 7", "MYS310", [] },
        { "ln -s nowhere \"$1\"; exit 7", "", ["out", "out/job", "out/job/capture.json", "out/nowhere", "out/nowhere/capture.json"] },
            // A link to a folder that is made then.
    };

    [Theory]
    [MemberData(nameof(Hindrances))]
    public void Job_ThatIsInTheWay_KeepsItsExitCodeAndItsFiles(string job, string id, string[] left)
    {
        var result = Capture(job);
        if (id.Length > 0)
            AssertTold(result, id);
        Assert.Equal(7, result.ExitCode);
        Assert.Equal(left, Left);
        if (File.Exists(Target))
            Assert.Equal("mine\n", File.ReadAllText(Target));
    }

    /// <summary>.NET ignores SIGPIPE; a job must not.</summary>
    [Fact]
    public void Capture_JobThatASignalOfAPipeEnds_HasItsExitCode()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs signals");
        string output = Path.Combine(Directory.CreateTempSubdirectory().FullName, "job");
        Assert.Equal(141, CommandLine.Run("capture", "-o", output, "--", "/bin/sh", "-c", "kill -PIPE $$").ExitCode);
        CommandLine.Run("capture", "-o", output, "--", "").AssertFailed(2, "MYS417");
        Directory.Delete(Path.GetDirectoryName(output)!, recursive: true);
    }

    [Fact]
    public void Job_ThatWritesIntoTheOutput_KeepsBoth()
    {
        var first = Capture("mkdir -p \"$1/rank-0\"; echo model > \"$1/checkpoint.pt\"; echo model > \"$1/rank-0/model.pt\"; exit 7");
        Assert.Equal(7, first.ExitCode);
        Assert.Equal(["out", "out/job", "out/job/capture.json", "out/job/checkpoint.pt", "out/job/rank-0", "out/job/rank-0/model.pt"],
            Left);
        Assert.Equal(3, Capture("echo more >> \"$1/checkpoint.pt\"; exit 3").ExitCode);
        Assert.Equal("model\nmore\n", File.ReadAllText(Path.Combine(Target, "checkpoint.pt")));
        Assert.Contains("\"exit_code\": 3", File.ReadAllText(Path.Combine(Target, "capture.json")));
    }

    [Fact]
    public void Folder_OfSomebodyElse_IsRefusedBeforeTheJobRuns()
    {
        Directory.CreateDirectory(Target);
        foreach (string manifest in (string[])["{}", "[]", "{\"format\": \"mystique-bench", "{\"format\": \"other\"}",
            "{\"format\": [\"mystique-capture\"]}", ""])
        {
            File.WriteAllText(Path.Combine(Target, "capture.json"), manifest);
            File.WriteAllText(Path.Combine(Target, "notes.txt"), "mine");
            Capture("echo ran").AssertFailed(2, "MYS307");
            Assert.Equal(manifest, File.ReadAllText(Path.Combine(Target, "capture.json")));
            Assert.Equal(["out", "out/job", "out/job/capture.json", "out/job/notes.txt"], Left);
        }
    }

    [Fact]
    public void Capture_ThatIsThere_IsReplacedAndNotesStay()
    {
        Assert.Equal(0, Capture("true").ExitCode);
        File.WriteAllText(Path.Combine(Target, "notes.txt"), "mine");
        Assert.Equal(7, Capture("exit 7").ExitCode);
        Assert.Contains("\"exit_code\": 7", File.ReadAllText(Path.Combine(Target, "capture.json")));
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Target, "notes.txt")));
        // A user's own reference.json, a folder for a rank that leads elsewhere, a trace that no capture lists.
        string elsewhere = Directory.CreateDirectory(Path.Combine(_folder, "elsewhere")).FullName;
        foreach (var (name, make) in ((string, Action<string>)[])[("reference.json", p => File.WriteAllText(p, "{}")),
            ("rank-3", p => Directory.CreateSymbolicLink(p, elsewhere)), ("rank-4", p => File.WriteAllText(p, "")),
                ("rank-0.et.json.gz", p => File.WriteAllText(p, ""))])
        {
            make(Path.Combine(Target, name));
            Capture("echo ran").AssertFailed(2, "MYS307");
            File.Delete(Path.Combine(Target, name));
        }
        // A link to the folder is the folder.
        string link = Path.Combine(_folder, "link");
        Directory.CreateSymbolicLink(link, Target);
        Assert.Equal(5, CommandLine.Run("capture", "-o", link, "--", "bash", "-c", "exit 5").ExitCode);
        Assert.NotNull(new DirectoryInfo(link).LinkTarget);
        Assert.Contains("\"exit_code\": 5", File.ReadAllText(Path.Combine(Target, "capture.json")));
    }

    [Fact]
    public void Job_ThatCannotBeStarted_LeavesNoFolder()
    {
        CommandLine.Run("capture", "-o", Path.Combine(_folder, "a", "b", "job"), "--", Path.Combine(_folder, "no-such-program"))
            .AssertFailed(2, "MYS417");
        Assert.Empty(Left);
        File.WriteAllText(Path.Combine(_folder, "file"), "");
        CommandLine.Run("capture", "-o", Path.Combine(_folder, "file", "job"), "--", "true").AssertFailed(2, "MYS305");
    }

    /// <summary>Further runs of the job that fail change nothing about the first.</summary>
    [Theory]
    [InlineData("--noise")]
    [InlineData("--report")]
    public void Job_ThatCannotRunAgain_KeepsTheExitCodeOfItsFirstRun(string option)
    {
        string job = Path.Combine(_folder, "shell");
        File.CreateSymbolicLink(job, "/bin/bash");
        AssertTold(CommandLine.Run("capture", "-o", Target, option, "2", "--", job, "-c", "rm \"$0\"; exit 7", job), "MYS417");
        Assert.Equal(["out", "out/job", "out/job/capture.json"], Left);
    }

    public static TheoryData<string> Statuses =>
    [
        "garbage", "", "[]", "null", "{\"iterations\": NaN}", "{\"iterations\": \"many\"}", "{\"iterations\": 1e99}",
            "{\"iterations\": 9223372036854775807, \"rank\": -1}",
        "{\"iterations\": 5, \"notes\": null}", "{\"iterations\": 5, \"recorded_iteration\": 3, \"recorded_ns\": [1]}",
            "{\"iterations\": 5, \"before\": null}",
        "{\"iterations\": 5, \"recorded_ns\": null}", "{\"iterations\": 5, \"world_size\": 0}", "{\"iterations\": 5, \"source\": {}}",
            "{\"iterations\": 5, \"notes\": [null]}",
        $"{{\"iterations\": 5, \"before\": {{\"samples_ns\": [{new string('9', 100_000)}]}}}}", new string('[', 100_000),
            "{\"iterations\": 5, \"ends_ns\": [5, \"x\"]}",
    ];

    [Theory]
    [MemberData(nameof(Statuses))]
    public void Status_ThatMakesNoSense_IsTold(string status)
    {
        string file = Path.Combine(_folder, "status.json");
        File.WriteAllText(file, status);
        var result = CommandLine.Run("capture", "-o", Target, "--noise", "1", "--", "bash", "-c",
            "work=$(echo \"$MYSTIQUE_CAPTURE\" | sed 's/.*\"folder\":\"\\([^\"]*\\).*/\\1/'); mkdir -p \"$work/1\"; echo '{}' > "
                + "\"$work/1/et.json\"; cp \"$1\" \"$work/1/status.json\"; exit 7", "job", file);
        Assert.True(result.ExitCode == 7, $"{result.ExitCode}: {result.Error}");
        Assert.Contains("mystique: the hook's file of a process is invalid (1/status.json): ", result.Error);
        Assert.Equal(["out", "out/job", "out/job/capture.json", "status.json"], Left);
    }

    /// <summary>A job that puts down what the hook would have, for ranks: no PyTorch is needed.</summary>
    [Fact]
    public void Ranks_OneThenSeveralThenAPart_AreTheNewOnes()
    {
        string trace = Path.Combine(_folder, "et.json");
        using (var gzip = new System.IO.Compression.GZipStream(File.OpenRead(CommandLine.Example("dlrm")),
            System.IO.Compression.CompressionMode.Decompress))
        using (var file = File.Create(trace))
            gzip.CopyTo(file);
        Ranks(1, 0);
        Assert.Equal(["capture.json", "rank-0.et.json.gz", "reference.json"], Below(Target));
        File.WriteAllText(Path.Combine(Target, "notes.txt"), "mine");
        Ranks(2, 0, 1);
        Assert.Equal(["notes.txt", "rank-0", "rank-1"], Below(Target));
        Ranks(3, 2); // A process a rank, each with a capture of its own.
        Assert.Equal(["notes.txt", "rank-0", "rank-1", "rank-2"], Below(Target));
        Assert.Equal(["capture.json", "rank-2.et.json.gz", "reference.json"], Below(Path.Combine(Target, "rank-2")));
        CommandLine.Run("inspect", Target).AssertOk();
        Ranks(1, 0);
        Assert.Equal(["capture.json", "notes.txt", "rank-0.et.json.gz", "reference.json"], Below(Target));

        void Ranks(int world, params int[] ranks)
        {
            string work = "work=$(echo \"$MYSTIQUE_CAPTURE\" | sed 's/.*\"folder\":\"\\([^\"]*\\).*/\\1/'); ";
            var processes = ranks.Select(rank => $$$"""
                mkdir "$work/{{{rank}}}"; cp "$1" "$work/{{{rank}}}/et.json"; echo '{"phase": "done", "iterations": 5, "pid": {{{rank}}},
                    "rank": {{{rank}}}, "world_size": {{{world}}}, "recorded_iteration": 3, "recorded_ns": [5],
                "job": {"device": {"type": "cpu", "name": ""}, "versions": {}, "threads": {}, "settings": {}, "environment": {},
                    "process_groups": []}}' > "$work/{{{rank}}}/status.json"
                """);
            var result = CommandLine.Run("capture", "-o", Target, "--", "bash", "-c", $"{work}{string.Join('\n', processes)}\nexit 7",
                "job", trace);
            Assert.True(result.ExitCode == 7 && result.Error.Contains("next: mystique run", StringComparison.Ordinal), result.Error);
        }

        static IEnumerable<string> Below(string folder) => Directory.EnumerateFileSystemEntries(folder).Select(e => Path.GetFileName(e))
            .Order(StringComparer.Ordinal);
    }

    [Theory]
    [InlineData("et.json", "garbage", "the trace cannot be used")]
    [InlineData("values.json", "{", "the values of tensors cannot be used")]
    [InlineData("values.json", "[null]", "the values of tensors cannot be used")]
    public void Recording_ThatMakesNoSense_IsTold(string name, string text, string told)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string script = Path.Combine(_folder, "job.py");
        File.WriteAllText(script,
            Training.Replace("{0}",
            $"open(os.path.join(json.loads(os.environ['MYSTIQUE_CAPTURE'])['folder'], str(os.getpid()), '{name}'), "
                + $"'w').write('''{text}''')", StringComparison.Ordinal));
        var result = CommandLine.RunWith("PYTHONDONTWRITEBYTECODE", "1", "capture", "-o", Target, "--skip", "1", "--reference", "2",
            "--", Python.Executable, script, "15");
        Assert.True((result.ExitCode, result.Output) == (7, "done\n"), $"{result.ExitCode}: {result.Error}");
        Assert.Contains(told, result.Error);
        Assert.DoesNotContain("MYS999", result.Error);
    }

    /// <summary>
    /// The disk is full before the hook has written anything, before the recording, and after it: then the capture cannot be
    /// written.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(15)]
    public void Disk_ThatTheJobFills_CostsTheCaptureOnly(int iteration)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        using var disk = new SmallDisk(1000);
        string target = Path.Combine(disk.Folder, "job"), script = Path.Combine(_folder, "job.py"),
            fill = Path.Combine(disk.Folder, "fill");
        File.WriteAllText(script, Training.Replace("{0}", $"os.system('dd if=/dev/zero of={fill} bs=1k 2>/dev/null')",
            StringComparison.Ordinal));
        var result = CommandLine.RunWith("PYTHONDONTWRITEBYTECODE", "1", "capture", "-o", target, "--skip", "1", "--reference", "2",
            "--", Python.Executable, script, $"{iteration}");
        AssertTold(result, "MYS305");
        Assert.Equal("done\n", result.Output);
        Assert.Equal(["fill"], Directory.EnumerateFileSystemEntries(disk.Folder).Select(Path.GetFileName));
    }

    [Fact]
    public void Disk_ThatTheJobFills_LeavesTheEarlierCapture()
    {
        using var disk = new SmallDisk(300);
        string target = Path.Combine(disk.Folder, "job");
        Assert.Equal(3, CommandLine.Run("capture", "-o", target, "--", "bash", "-c", "exit 3").ExitCode);
        string before = File.ReadAllText(Path.Combine(target, "capture.json"));
        AssertTold(CommandLine.Run("capture", "-o", target, "--noise", "1", "--", "bash", "-c",
            "dd if=/dev/zero of=$0/checkpoint bs=1k 2>/dev/null; exit 7", target), "MYS305");
        Assert.Equal(before, File.ReadAllText(Path.Combine(target, "capture.json")));
        Assert.Equal(["capture.json", "checkpoint"], Directory.EnumerateFileSystemEntries(target).Select(Path.GetFileName)
            .Order(StringComparer.Ordinal));
        Assert.Equal(["job"], Directory.EnumerateFileSystemEntries(disk.Folder).Select(Path.GetFileName));
    }

    [Fact]
    public void Disk_ThatCanNoLongerBeWritten_CostsTheCaptureOnly()
    {
        using var disk = new SmallDisk(1000);
        AssertTold(CommandLine.Run("capture", "-o", Path.Combine(disk.Folder, "job"), "--", "bash", "-c",
            "mount -o remount,ro \"$0\" && exit 7", disk.Folder), "MYS305");
        Assert.False(Path.Exists(Path.Combine(disk.Folder, "job")));
        CommandLine.Run("capture", "-o", Path.Combine(disk.Folder, "job"), "--", "echo", "ran").AssertFailed(2, "MYS305");
        CommandLine.Run("generate", CommandLine.Example("dlrm"), "-o", Path.Combine(disk.Folder, "p")).AssertFailed(2, "MYS305");
        CommandLine.Run("inspect", "no-such-trace", "--json", Path.Combine(disk.Folder, "r.json")).AssertFailed(2, "MYS305");
    }

    /// <summary>With few descriptors .NET cannot load the command; the job runs all the same.</summary>
    [Theory]
    [InlineData("ulimit -n 64; ")]
    [InlineData("ulimit -n 30; ")]
    [InlineData("exec 2> /dev/full; ")]
    public void Process_WithFewDescriptorsOrAFullLog_RunsTheJob(string limit)
    {
        using var process = Process.Start(new ProcessStartInfo("bash",
            ["-c", limit + "exec \"$0\" capture -o \"$1\" -- bash -c 'echo \"$1\"; exit 7' job 'a  b'", CommandLine.Executable,
            Target])
        { RedirectStandardError = true, RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd(), error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal((7, "a  b\n"), (process.ExitCode, output));
        if (limit.StartsWith("ulimit", StringComparison.Ordinal))
            Assert.Contains("MYS312: ", error);
    }
}
