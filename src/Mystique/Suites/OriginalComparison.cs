using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Fidelity;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Suites;

/// <summary>
/// Runs a bundled workload, captures it, replays it, and measures both interleaved, each in a process of its own.
/// </summary>
/// <param name="workload">The workload's name.</param>
/// <param name="engine">What both run on; its worker has to have the workload.</param>
/// <param name="options">How the replay runs.</param>
/// <param name="progress">Told how far it is; null for nobody.</param>
internal sealed class OriginalComparison(string workload, Engine engine, ReplayOptions options, IProgress<ReplayProgress>? progress)
{
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
    /// <param name="rounds">Blocks of each process.</param>
    /// <param name="folder">Where the capture and the package go; made where it is not there.</param>
    /// <param name="cancellationToken">Ends all processes; what was not whole goes.</param>
    /// <exception cref="MystiqueException">One of them cannot run (MYS4xx).</exception>
    public async Task<FidelityReport> RunAsync(int rounds, string folder, CancellationToken cancellationToken)
    {
        await using var mapped = engine with { WorkerEnvironment = MemoryProbe.MappingEnvironment };
        await using var original = await StartOriginalAsync(mapped, cancellationToken).ConfigureAwait(false);
        await using var control = await StartOriginalAsync(mapped, cancellationToken).ConfigureAwait(false);
        var recording = Recording.Open(await CaptureAsync(original, CaptureIn(folder, workload), cancellationToken).ConfigureAwait(false));
        var benchmark = Benchmark.Create(recording, new BenchmarkOptions { Planning = options.Planning });
        benchmark.Save(PackageIn(folder, workload));
        await using var replay = await ReplaySession.StartAsync(benchmark, mapped, options, progress, cancellationToken)
            .ConfigureAwait(false);
        return await new InterleavedMeasurement(replay, options, rounds, progress).RunAsync(
            OriginalRun.Of(recording, benchmark) with { Name = workload },
            [.. new[] { original, control }.Select(process => (RunBlock)((count, cancellation) =>
                Ask(process.IterateAsync(count, "running the original", releasesCache: false, cancellation))))], cancellationToken)
            .ConfigureAwait(false);
    }

    private async Task<EngineWorker> StartOriginalAsync(Engine on, CancellationToken cancellationToken)
    {
        var original = EngineWorker.Start(on, progress);
        try
        {
            await Ask(original.OpenWorkloadAsync(workload, on.Threads, cancellationToken)).ConfigureAwait(false);
            await Ask(original.PrepareAsync("starting the original", cancellationToken)).ConfigureAwait(false);
            // The first step differs from the others: it makes the optimizer's state.
            await Ask(original.IterateAsync(Math.Max(1, options.Warmup ?? ReplayOptions.HostWarmup), "warming up the original",
                releasesCache: false, cancellationToken)).ConfigureAwait(false);
            return original;
        }
        catch
        {
            await original.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Captures the original, all of it or nothing, and returns the capture folder's path.</summary>
    private async Task<string> CaptureAsync(EngineWorker original, string folder, CancellationToken cancellationToken)
    {
        string path = Path.GetFullPath(folder);
        // The worker may be killed while it writes: so this process says where, and clears up.
        using var output = OutputFolder.Begin(path, CaptureOutput.Kind);
        await Ask(original.ObserveAsync(output.Staged, "capturing the original", cancellationToken)).ConfigureAwait(false);
        output.Commit();
        return path;
    }

    /// <summary>Says to the user what a worker's failure means.</summary>
    private async Task Ask(Task call)
    {
        try
        {
            await call.ConfigureAwait(false);
        }
        catch (WorkerException exception)
        {
            throw exception.ToProblem(workload);
        }
    }

    /// <inheritdoc cref="Ask(Task)"/>
    private async Task<T> Ask<T>(Task<T> call)
    {
        await Ask((Task)call).ConfigureAwait(false);
        return await call.ConfigureAwait(false);
    }
}
