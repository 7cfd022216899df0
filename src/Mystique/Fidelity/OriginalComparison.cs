using Mystique.Capture;
using Mystique.Diagnostics;
using Mystique.Metrics;
using Mystique.Packaging;
using Mystique.Replay;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Fidelity;

/// <summary>
/// Runs a workload, records it, replays it, and measures both in turn (A B A B …), each in a process of its own: what
/// drifts on the machine meets both alike.
/// </summary>
internal sealed class OriginalComparison(string workload, WorkerCommand worker, ReplayOptions options, Action<string, int, int> progress)
{
    private readonly WorkerCommand _worker = worker with { Environment = MemoryProbe.ComparableEnvironment };

    /// <summary>Measures.</summary>
    /// <param name="rounds">Turns of each side.</param>
    /// <param name="folder">Where the trace and the package go; made where it is not there.</param>
    /// <exception cref="MystiqueException">One of them cannot run (MYS4xx).</exception>
    public ComparisonResult Run(int rounds, string folder)
    {
        using var original = StartOriginal();
        // The first step differs from the others: it makes the optimizer's state.
        Call(original, new WorkerRequest(WorkerRequest.Iterate) { Count = Math.Max(1, options.Warmup) }, "warming up the original");
        var capture = CaptureFolder.Read(Capture(original, folder));
        var source = new TracePlanSource(TraceReader.Read(capture.TracePath), new SelectionOptions(), options.Planning);
        BenchmarkPackage.Create(source.Plan([]) with { Reference = capture.Reference }).Write(Path.Combine(folder, $"{workload}.bench"));
        using var replay = ReplaySession.Start(source, _worker, options, progress);
        var verification = replay.Verify();
        if (options.Warmup > 0)
            replay.Iterate(options.Warmup, "warming up the replay");
        var originalRounds = new List<WorkerResponse>();
        var replayRounds = new List<WorkerResponse>();
        for (int round = 0; round < rounds; round++)
        {
            progress("measuring in turn", 2 * round, 2 * rounds);
            originalRounds.Add(Call(original, new WorkerRequest(WorkerRequest.Iterate) { Count = options.Iterations }, "running the original"));
            progress("measuring in turn", 2 * round + 1, 2 * rounds);
            replayRounds.Add(replay.Iterate(options.Iterations, "measuring in turn"));
        }
        return new ComparisonResult(workload, ComparedSide.Of(originalRounds), ComparedSide.Of(replayRounds), rounds,
            replay.Package, verification, replay.Engine, HostInfo.Current);
    }

    private WorkerClient StartOriginal()
    {
        var original = new WorkerClient(_worker, options.Timeout);
        try
        {
            Call(original, new WorkerRequest(WorkerRequest.Open) { Workload = workload, Threads = options.Threads }, "starting the original");
            Call(original, new WorkerRequest(WorkerRequest.Start), "starting the original");
            return original;
        }
        catch
        {
            original.Dispose();
            throw;
        }
    }

    /// <summary>Captures the original and returns the capture folder's path.</summary>
    private string Capture(WorkerClient original, string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(folder, exception);
        }
        string path = Path.GetFullPath(Path.Combine(folder, $"{workload}.capture"));
        Call(original, new WorkerRequest(WorkerRequest.Observe) { Path = path }, "capturing the original");
        return path;
    }

    private WorkerResponse Call(WorkerClient client, WorkerRequest request, string stage)
    {
        try
        {
            return client.Call(request, (done, total) => progress(stage, done, total));
        }
        catch (WorkerException exception)
        {
            throw WorkerProblem.Of(exception, workload, stage);
        }
    }
}
