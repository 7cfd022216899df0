using System.Globalization;
using System.Runtime.InteropServices;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>
/// However a command ends, its workers end with it, at 100 million iterations; where the signal can be caught, what it began is
/// gone, and its exit code is 128 and the signal's number.
/// </summary>
public sealed partial class KillTests : IDisposable
{
    private const string Endless = "100000000";

    private readonly string _folder = Directory.CreateTempSubdirectory("mystique-kill-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string, int> CommandsAndSignals
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (string command in (string[])["run", "run python", "coverage", "compare", "demo", "bench"])
                foreach (int signal in (int[])[1, 2, 15, 9])
                    if (signal is 15 or 9 || command is "run") // What else differs by signal is the same code.
                        data.Add(command, signal);
            data.Add("bench, capturing", 15); // KILL leaves the job, which is the user's.
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(CommandsAndSignals))]
    public async Task CommandWithAWorker_EndsWithIt(string command, int signal)
    {
        Assert.SkipWhen(IsIgnored(signal), "the signal is ignored here (nohup), and so it is in what is started");
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /proc");
        Assert.SkipUnless(command is "run" or "coverage" or "demo" || Python.HasTorch, "needs python3 with torch");
        string trace = Path.Combine(_folder, "t.json"), list = Path.Combine(_folder, "list.txt"), job = Path.Combine(_folder, "job.py");
        File.WriteAllText(trace, TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [TraceText.Value.Tensor(10, 11, [4])],
            [TraceText.Value.Tensor(20, 21, [4])]).ToString());
        File.WriteAllText(job, "import torch\nm = torch.nn.Linear(8, 8)\no = torch.optim.SGD(m.parameters(), 0.1)\nfor i in "
            + "range(400):\n  o.zero_grad(); m(torch.rand(8, 8)).sum().backward(); o.step()\n");
        File.WriteAllText(list, $"job: {Python.Executable} {job}\n");
        string capture = Path.Combine(_folder, "capture");
        if (command == "compare")
            CommandLine.Run("capture", "-o", capture, "--", Python.Executable, job).AssertOk();
        string[] arguments = command switch
        {
            "run" => ["run", trace, "--iterations", Endless, "--no-profile"],
            "run python" => ["run", trace, "--iterations", Endless, "--no-profile", "--engine", "python", "--python", Python.Executable],
            "coverage" => ["coverage", trace, "--runs", "1000000"],
            "compare" => ["compare", capture, capture, "--iterations", Endless],
            "demo" => ["demo", "dlrm", "--rounds", "1000000", "-o", Path.Combine(_folder, "out")],
            _ => ["bench", list, "--rounds", "1000000", "--python", Python.Executable, "-o", Path.Combine(_folder, "out")],
        };
        string temporary = Directory.CreateDirectory(Path.Combine(_folder, "tmp")).FullName;
        using var process = CommandLine.StartWith("TMPDIR", temporary, arguments);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        int[] workers = [];
        // The command is killed while its workers work: all that there are by then, those of a job as well.
        Assert.True(SpinWait.SpinUntil(() => (workers = ChildrenOf(process.Id)).Length > 0 || process.HasExited, TimeSpan.FromMinutes(2))
            && !process.HasExited,
            $"it started no worker: {(process.HasExited ? await error : "")}");
        await Task.Delay(command == "bench" ? 6000 : 1500, TestContext.Current.CancellationToken);
        workers = [.. workers, .. ChildrenOf(process.Id)];
        Assert.Equal(0, Kill(process.Id, signal));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(128 + signal, process.ExitCode);
        Assert.True(SpinWait.SpinUntil(() => !workers.Any(IsRunning), TimeSpan.FromSeconds(signal == 9 ? 10 : 1)),
            "a worker was left alone");
        if (signal != 9)
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(temporary));
            Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(_folder), f => f.Contains(".tmp", StringComparison.Ordinal)
                || f.Contains(".work", StringComparison.Ordinal));
        }
        _ = await output;
    }

    /// <summary>A command that waits for its input has begun nothing that stays.</summary>
    [Theory]
    [InlineData("inspect")]
    [InlineData("generate")]
    public async Task CommandThatReads_LeavesNothing(string command)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs signals");
        string[] rest = command == "generate" ? ["-o", Path.Combine(_folder, "out")] : [];
        using var process = CommandLine.Start([command, "-", .. rest]);
        await Task.Delay(1500, TestContext.Current.CancellationToken);
        Assert.Equal(0, Kill(process.Id, 15));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(143, process.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
    }

    /// <summary>A captured job gets the signal, and its exit code is the command's; nothing but its own files stays.</summary>
    [Theory]
    [InlineData(15)]
    [InlineData(1)]
    public async Task Capture_PassesTheSignalOn(int signal)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs signals");
        Assert.SkipWhen(IsIgnored(signal), "the signal is ignored here (nohup), and so it is in what is started");
        string output = Path.Combine(_folder, "job");
        using var process = CommandLine.Start("capture", "-o", output, "--", "/bin/sh", "-c",
            "trap 'exit 7' TERM HUP; echo ready; while :; do sleep 0.1; done");
        Assert.Equal("ready", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, Kill(process.Id, signal));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(7, process.ExitCode);
        Assert.All(Directory.EnumerateFileSystemEntries(_folder), f => Assert.Equal(output, f));
    }

    /// <summary>Whether a signal is ignored: a shell that inherits that cannot trap it (proc(5), SigIgn).</summary>
    private static bool IsIgnored(int signal) => (Convert.ToUInt64(File.ReadLines("/proc/self/status")
        .First(l => l.StartsWith("SigIgn:", StringComparison.Ordinal)).Split('\t')[1], 16) >> (signal - 1) & 1) != 0;

    /// <summary>All processes below one.</summary>
    private static int[] ChildrenOf(int process)
    {
        try
        {
            int[] children = [.. Directory.GetDirectories($"/proc/{process}/task")
                .SelectMany(t => File.ReadAllText(Path.Combine(t, "children"))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                    .Select(c => int.Parse(c, CultureInfo.InvariantCulture))];
            return [.. children, .. children.SelectMany(ChildrenOf)];
        }
        catch (IOException)
        {
            return []; // It has ended.
        }
    }

    private static bool IsRunning(int process)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{process}/stat");
            return stat[stat.LastIndexOf(')') + 2] is not ('Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
