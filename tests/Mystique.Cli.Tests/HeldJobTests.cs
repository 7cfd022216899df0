using System.Diagnostics;
using Mystique.Capture;

namespace Mystique.Cli.Tests;

/// <summary>Jobs that are measured in turn with something else.</summary>
public sealed class HeldJobTests : IDisposable
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

    private HeldJob Hold(string script, int skip = 2)
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string file = Path.Combine(_folder, "job.py");
        File.WriteAllText(file, script);
        return new JobCapture([Python.Executable, file], Path.Combine(_folder, "capture"), new CaptureOptions { Skip = skip }).Hold();
    }

    private int[] Pids() => [.. File.ReadAllLines(Path.Combine(_folder, "pids")).Select(int.Parse)];

    [Fact]
    public void Turn_JobThatEnds_IsStartedAgain()
    {
        using (var job = Hold(Training + "for i in range(11): step(torch.rand(64, 64))"))
        {
            for (int turn = 1; turn <= 3; turn++)
            {
                var window = job.Turn(3);
                Assert.Equal(3, window!.SamplesNs.Length);
                Assert.All(window.SamplesNs, ns => Assert.InRange(ns, 1, (long)60e9));
                Assert.True(window is { CpuTimeNs: > 0, PeakBytes: > 0, System.DurationNs: > 0 });
                Assert.Equal(turn < 3 ? 1 : 2, Pids().Length); // 2 to skip, and 1 + 3 a turn.
            }
            Assert.True(IsRunning(Pids()[^1]));
        }
        Assert.All(Pids(), pid => Assert.False(IsRunning(pid)));
        Assert.Equal(["job.py", "pids"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("for i in range(4): step(torch.rand(64, 64))")]
    [InlineData("for i in range(3): step(torch.rand(64, 64))\nraise SystemExit(3)")]
    [InlineData("")]
    public void Turn_TooFewIterations_IsNull(string loop)
    {
        using var job = Hold(Training + loop);
        Assert.Null(job.Turn(3));
    }

    [Fact]
    public void Turn_CallsOfAModule_AreIterationsToo()
    {
        using var job = Hold(Training + "with torch.no_grad():\n  for i in range(40): model(torch.rand(64, 64))");
        Assert.Equal(5, job.Turn(5)!.SamplesNs.Length);
        Assert.Single(Pids());
    }

    /// <summary>Data that is loaded while the job is held would be there too early.</summary>
    [Fact]
    public void Turn_WorkersThatLoadData_AreHeldToo()
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
            for (int turn = 0; turn < 2; turn++)
            {
                Assert.Equal(2, job.Turn(2)!.SamplesNs.Length);
                Assert.Equal(3, Pids().Length);
                Assert.All(Pids()[1..], pid => Assert.True(SpinWait.SpinUntil(() => StateOf(pid) == 'T', TimeSpan.FromSeconds(10))));
            }
        }
        Assert.All(Pids(), pid => Assert.True(SpinWait.SpinUntil(() => !IsRunning(pid), TimeSpan.FromSeconds(20))));
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
