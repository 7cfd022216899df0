using System.Diagnostics;
using System.Net.Sockets;
using Mystique.Capture;
using Mystique.Recordings;

namespace Mystique.Cli.Tests;

/// <summary>Jobs that are measured interleaved with something else.</summary>
public sealed class SteppedJobTests : IDisposable
{
    private const string Training = """
        import os, sys, torch
        torch.set_num_threads(1)
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "pids"), "a") as file:
            print(os.getpid(), file=file)
        model = torch.nn.Linear(64, 64)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        def step(x):
            optimizer.zero_grad(); model(x).sum().backward(); optimizer.step()

        """;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private SteppedJob Hold(string script, int skip = 2)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string file = Path.Combine(_folder, "job.py");
        File.WriteAllText(file, script);
        return new JobCapture([Python.Executable, file], Path.Combine(_folder, "capture"), new CaptureOptions { Skip = skip }).Hold();
    }

    private int[] Pids() => [.. File.ReadAllLines(Path.Combine(_folder, "pids")).Select(int.Parse)];

    [Fact]
    public async Task RunBlock_JobThatEnds_IsStartedAgain()
    {
        using (var job = Hold(Training + "for i in range(11): step(torch.rand(64, 64))"))
        {
            for (int block = 1; block <= 3; block++)
            {
                var window = await job.RunBlockAsync(3);
                Assert.Equal(3, window!.SamplesNs.Length);
                Assert.All(window.SamplesNs, ns => Assert.InRange(ns, 1, (long)60e9));
                Assert.True(window is { CpuTimeNs: > 0, PeakBytes: > 0, System.DurationNs: > 0 });
                Assert.Equal(1, job.Threads);
                Assert.Equal(block < 3 ? 1 : 2, Pids().Length); // 2 to skip, and 1 + 3 a block.
            }
            Assert.True(IsRunning(Pids()[^1]));
        }
        Assert.All(Pids(), pid => Assert.False(IsRunning(pid)));
        Assert.Equal(["job.py", "pids"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName)
            .Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("for i in range(4): step(torch.rand(64, 64))")]
    [InlineData("for i in range(3): step(torch.rand(64, 64))\nraise SystemExit(3)")]
    [InlineData("")]
    public async Task RunBlock_TooFewIterations_IsNull(string loop)
    {
        using var job = Hold(Training + loop);
        Assert.Null(await job.RunBlockAsync(3));
    }

    [Fact]
    public async Task RunBlock_CallsOfAModule_AreIterationsToo()
    {
        using var job = Hold(Training + "with torch.no_grad():\n  for i in range(40): model(torch.rand(64, 64))");
        Assert.Equal(5, (await job.RunBlockAsync(5))!.SamplesNs.Length);
        Assert.Single(Pids());
    }

    /// <summary>Data that is loaded while the job is held would be there too early.</summary>
    [Fact]
    public async Task RunBlock_WorkersThatLoadData_AreHeldToo()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /proc");
        using (var job = Hold(Training + """
            class Endless(torch.utils.data.IterableDataset):
                def __iter__(self):
                    while True:
                        yield torch.rand(64)

            batches = iter(torch.utils.data.DataLoader(Endless(), 64, num_workers=2))
            with open(os.path.join(here, "pids"), "a") as file:
                for worker in batches._workers:
                    print(worker.pid, file=file)
            for i in range(100): step(next(batches))
            """))
        {
            for (int block = 0; block < 2; block++)
            {
                Assert.Equal(2, (await job.RunBlockAsync(2))!.SamplesNs.Length);
                Assert.Equal(3, Pids().Length);
                Assert.All(Pids()[1..], pid => Assert.True(SpinWait.SpinUntil(() => StateOf(pid) == 'T', TimeSpan.FromSeconds(10))));
            }
        }
        Assert.All(Pids(), pid => Assert.True(SpinWait.SpinUntil(() => !IsRunning(pid), TimeSpan.FromSeconds(20))));
    }

    /// <summary>Others on the machine cannot reach the job's link; whoever could would not stall it.</summary>
    [Fact]
    public async Task RunBlock_StrangersOnTheLink_DoNotStallIt()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Unix sockets and modes");
        string[] before = Directory.GetDirectories(Path.GetTempPath(), "mystique-*");
        using var job = Hold(Training + "import time; time.sleep(2)\nfor i in range(60): step(torch.rand(64, 64))");
        var block = job.RunBlockAsync(3, TestContext.Current.CancellationToken);
        string? link = null;
        Assert.True(SpinWait.SpinUntil(() => (link = Directory.GetDirectories(Path.GetTempPath(), "mystique-*").Except(before)
            .Select(d => Path.Combine(d, "job")).FirstOrDefault(File.Exists)) is not null, TimeSpan.FromSeconds(30)));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                File.GetUnixFileMode(Path.GetDirectoryName(link)!));
        var strangers = Enumerable.Range(0, 20).Select(_ => new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            .ToArray();
        foreach (var stranger in strangers)
        {
            await stranger.ConnectAsync(new UnixDomainSocketEndPoint(link!), TestContext.Current.CancellationToken);
            if (Array.IndexOf(strangers, stranger) % 2 == 0)
                await stranger.SendAsync("x"u8.ToArray(), TestContext.Current.CancellationToken);
        }
        Assert.Equal(3, (await block)!.SamplesNs.Length);
        foreach (var stranger in strangers)
            stranger.Dispose();
    }

    /// <summary>An answer that never comes ends the block, whatever trickles in.</summary>
    [Fact]
    public async Task RunBlock_JobThatHangs_EndsAtTheDeadline()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string file = Path.Combine(_folder, "job.py");
        File.WriteAllText(file, Training + "import time\nfor i in range(3): step(torch.rand(64, 64))\ntime.sleep(600)");
        using var job = new JobCapture([Python.Executable, file], Path.Combine(_folder, "capture"), new CaptureOptions { Skip = 2 })
            .Hold(TimeSpan.FromSeconds(8));
        Assert.Null(await job.RunBlockAsync(3));
    }

    [Fact]
    public async Task RunBlock_Cancelled_EndsTheJobAtOnce()
    {
        using var job = Hold(Training + "while True: step(torch.rand(64, 64))");
        Assert.NotNull(await job.RunBlockAsync(2));
        using var cancellation = new CancellationTokenSource();
        var block = job.RunBlockAsync(100_000_000, cancellation.Token);
        Assert.False(block.IsCompleted);
        var clock = Stopwatch.StartNew();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => block);
        Assert.True(SpinWait.SpinUntil(() => !Pids().Any(IsRunning), TimeSpan.FromSeconds(1)));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    }

    private static bool IsRunning(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return !process.HasExited && StateOf(pid) != 'Z';
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static char? StateOf(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[stat.LastIndexOf(')') + 2];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
