using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Suites;

/// <summary>Runs a workload, captures it, replays it, and measures both in turn, each in a process of its own.</summary>
internal sealed class OriginalComparison(string workload, Engine engine, ReplayOptions options, Action<string, int, int> progress)
{
    private readonly Engine _engine = engine with { WorkerEnvironment = MemoryProbe.MappingEnvironment };

    /// <summary>Says beforehand that a capture and a package cannot go into a folder.</summary>
    /// <exception cref="MystiqueException">Why not (MYS304, MYS305, MYS307).</exception>
    public static void CheckTargets(string name, string folder)
    {
        CaptureFolder.CheckTarget(CaptureIn(folder, name));
        Benchmark.CheckTarget(PackageIn(folder, name));
    }

    /// <summary>Where the capture of a workload lies in a folder of several.</summary>
    public static string CaptureIn(string folder, string name) => Path.Combine(folder, $"{name}.capture");

    /// <summary>Where its package does.</summary>
    public static string PackageIn(string folder, string name) => Path.Combine(folder, $"{name}.bench");

    /// <summary>Measures.</summary>
    /// <param name="rounds">Turns of each process.</param>
    /// <param name="folder">Where the capture and the package go; made where it is not there.</param>
    /// <exception cref="MystiqueException">One of them cannot run (MYS4xx).</exception>
    public ComparisonResult Run(int rounds, string folder)
    {
        using var original = StartOriginal();
        using var again = StartOriginal();
        var recording = Recording.Open(Capture(original, folder));
        var benchmark = Benchmark.Create(recording, new BenchmarkOptions { Planning = options.Planning });
        benchmark.Save(PackageIn(folder, workload));
        using var replay = ReplaySession.Start(benchmark, _engine, options, progress);
        return new InterleavedMeasurement(replay, options, rounds, progress).Run(
            OriginalReader.Of(recording, benchmark) with { Name = workload },
            [.. new[] { original, again }.Select(process =>
                (Func<int, MeasuredTurn>)(count => MeasuredTurn.Of(Iterate(process, count, "running the original"))))]);
    }

    private WorkerClient StartOriginal()
    {
        var original = new WorkerClient(_engine.PrepareWorker(), _engine.Timeout);
        try
        {
            Call(original, new WorkerRequest(WorkerRequest.Open) { Workload = workload, Threads = _engine.Threads },
                "starting the original");
            Call(original, new WorkerRequest(WorkerRequest.Start), "starting the original");
            // The first step differs from the others: it makes the optimizer's state.
            Iterate(original, Math.Max(1, options.Warmup), "warming up the original");
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
        string path = Path.GetFullPath(CaptureIn(folder, workload));
        Call(original, new WorkerRequest(WorkerRequest.Observe) { Path = path }, "capturing the original");
        return path;
    }

    private WorkerResponse Iterate(WorkerClient client, int count, string stage) =>
        Call(client, new WorkerRequest(WorkerRequest.Iterate) { Count = count }, stage);

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
