using System.Diagnostics;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Suites;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.TorchSharp.Tests;

/// <summary>Engines as values: what a program gets that has the packages, and not the command.</summary>
public class EngineTests
{
    private const int Endless = 100_000_000;
    private const string Python = "/usr/bin/python3";

    private static readonly CancellationToken None = CancellationToken.None;

    private static Benchmark Relu => EngineFixture.Package(TraceText.WithRoots()
        .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]));

    private static Engine Create(string name)
    {
        if (name == nameof(TorchSharpEngine))
            return new TorchSharpEngine { Threads = 1 };
        Assert.SkipUnless(HasTorch(), "needs python3 with torch");
        return new PythonEngine(Python) { Threads = 1 };
    }

    private static bool HasTorch()
    {
        if (!File.Exists(Python))
            return false;
        using var process = Process.Start(new ProcessStartInfo(Python, ["-c", "import torch"]) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    [Theory]
    [InlineData(nameof(TorchSharpEngine))]
    [InlineData(nameof(PythonEngine))]
    public async Task Engine_RunsAReplayInItsWorker(string name)
    {
        await using var engine = Create(name);
        var progress = new Stages();
        var result = await ReplayRunner.RunAsync(Relu, engine, new ReplayOptions { Iterations = 2, Warmup = 1 }, progress, None);
        Assert.Equal(2, result.Iterations.SamplesNs.Length);
        Assert.True(result.Verification!.IsExact);
        Assert.Equal(("cpu", 1), (result.Engine.Device, result.Engine.Threads));
        Assert.NotEmpty(progress.Seen);
    }

    /// <summary>The worker of the same engine on a libtorch in another folder: here the bundled one, by its path.</summary>
    [Fact]
    public async Task TorchSharpEngine_OnAnotherLibTorch_LeavesNothing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs LD_LIBRARY_PATH");
        string folder = Path.GetDirectoryName(Directory.EnumerateFiles(AppContext.BaseDirectory, "libtorch_cpu.so",
            SearchOption.AllDirectories).First())!;
        string copy;
        await using (var engine = new TorchSharpEngine { LibTorch = folder })
        {
            copy = Path.GetDirectoryName(engine.PrepareWorker().Arguments[^1])!;
            Assert.NotEqual(AppContext.BaseDirectory, copy + Path.DirectorySeparatorChar);
            Assert.True(Directory.Exists(copy));
            var result = await ReplayRunner.RunAsync(Relu, engine, new ReplayOptions { Iterations = 1, Warmup = 0 },
                cancellationToken: None);
            Assert.True(result.Verification!.IsExact);
            // A copy of the value has a folder of its own.
            await using var other = engine with { Threads = 1 };
            Assert.NotEqual(engine.PrepareWorker().Arguments[^1], other.PrepareWorker().Arguments[^1]);
        }
        Assert.False(Directory.Exists(copy));
        Assert.Equal(new TorchSharpEngine { LibTorch = folder }, new TorchSharpEngine { LibTorch = folder });
        await using var none = new TorchSharpEngine { LibTorch = Path.GetTempPath() };
        Assert.Equal("MYS420", Assert.Throws<MystiqueException>(none.PrepareWorker).Id);
    }

    [Theory]
    [InlineData(nameof(TorchSharpEngine))]
    [InlineData(nameof(PythonEngine))]
    public async Task Iterate_Cancelled_EndsTheWorkerWithinASecond(string name)
    {
        await using var engine = Create(name);
        using var cancellation = new CancellationTokenSource();
        var progress = new Stages();
        await using var session = await ReplaySession.StartAsync(Relu, engine, new ReplayOptions(), progress, cancellation.Token);
        using var worker = Process.GetProcessById(session.ProcessId);
        var iterating = session.IterateAsync(Endless, "running for ever", cancellation.Token);
        await progress.Reached("running for ever").WaitAsync(TimeSpan.FromMinutes(1), None);
        var clock = Stopwatch.StartNew();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => iterating);
        worker.WaitForExit();
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Run_Cancelled_Throws()
    {
        await using var engine = Create(nameof(TorchSharpEngine));
        using var cancellation = new CancellationTokenSource();
        var progress = new Stages();
        var running = ReplayRunner.RunAsync(Relu, engine, new ReplayOptions { Iterations = Endless }, progress, cancellation.Token);
        await progress.Reached("measuring").WaitAsync(TimeSpan.FromMinutes(1), None);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    /// <summary>A worker that is killed while it writes a capture clears nothing up: who asked for it does.</summary>
    [Fact]
    public async Task Comparison_CancelledWhileItCaptures_LeavesNothing()
    {
        string folder = Directory.CreateTempSubdirectory("mystique-engine-").FullName;
        try
        {
            await using var engine = Create(nameof(TorchSharpEngine));
            using var cancellation = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            var comparing = new OriginalComparison("resnet18", engine, new ReplayOptions { Warmup = 1 }, null)
                .RunAsync(1000, folder, cancellation.Token);
            while (!comparing.IsCompleted && !Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any())
                await Task.Delay(5, None);
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => comparing);
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>An original can be run and observed; what only replays can do is refused, by its name.</summary>
    [Fact]
    public async Task Workload_RefusesWhatItHasNot()
    {
        await using var engine = new TorchSharpEngine { Threads = 1 };
        await using var worker = EngineWorker.Start(engine, null);
        Assert.Equal("torchsharp", (await worker.OpenWorkloadAsync("dlrm", 1, None)).Name);
        await worker.PrepareAsync("starting", None);
        var refused = await Assert.ThrowsAsync<WorkerException>(() => worker.CheckValuesAsync(None));
        Assert.Equal((WorkerFailureKind.Refused, "what is open, on torchsharp, does not have the service IChecksValues", "checking values"),
            (refused.Kind, refused.Message, refused.Stage));
        var block = await worker.IterateAsync(2, "running", releasesCache: false, None);
        Assert.Equal(2, block.Times.SamplesNs.Length);
        Assert.True(block.BaselineBytes > 0 && block.CpuTimeNs > 0);
        var unknown = await Assert.ThrowsAsync<WorkerException>(() => worker.OpenWorkloadAsync("alexnet", 1, None)
            .ContinueWith(_ => worker.PrepareAsync("starting", None), TaskScheduler.Default).Unwrap());
        Assert.StartsWith("there is no workload 'alexnet'", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Worker_EndsWhenItsInputEnds_WhateverItDoes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /proc");
        await using var engine = new TorchSharpEngine { Threads = 1 };
        var command = engine.PrepareWorker();
        var start = new ProcessStartInfo(command.FileName, command.Arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        foreach (WorkerRequest request in (WorkerRequest[])[new OpenWorkloadRequest("dlrm", 1), new PrepareRequest(),
            new IterateRequest(Endless)])
            await process.StandardInput.WriteLineAsync(WorkerJson.Write(request));
        await process.StandardInput.FlushAsync(None);
        while (await process.StandardOutput.ReadLineAsync(None) is { } line
            && !line.Contains($"\"total\":{Endless}", StringComparison.Ordinal))
        {
        }
        Assert.Equal("1000", (await File.ReadAllTextAsync($"/proc/{process.Id}/oom_score_adj", None)).Trim());
        var clock = Stopwatch.StartNew();
        process.StandardInput.Close();
        await process.WaitForExitAsync(None);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        Assert.Equal(1, process.ExitCode);
    }

    private sealed class Stages : IProgress<ReplayProgress>
    {
        private readonly Dictionary<string, TaskCompletionSource> _reached = [];

        public IEnumerable<string> Seen
        {
            get
            {
                lock (_reached)
                    return [.. _reached.Where(r => r.Value.Task.IsCompleted).Select(r => r.Key)];
            }
        }

        public Task Reached(string stage) => Of(stage).Task;

        public void Report(ReplayProgress value) => Of(value.Stage).TrySetResult();

        private TaskCompletionSource Of(string stage)
        {
            lock (_reached)
                return _reached.TryGetValue(stage, out var source) ? source
                    : _reached[stage] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
