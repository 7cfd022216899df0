using Mystique.Execution;

namespace Mystique;

/// <summary>Runs benchmarks.</summary>
public static class BenchmarkExecution
{
    /// <summary>
    /// Runs a benchmark in a worker process and measures it: its own program where the target can run that, else what it is fitted to
    /// (<see cref="ReplayResult.Program"/> says which).
    /// </summary>
    /// <param name="benchmark">The benchmark.</param>
    /// <param name="engine">What it runs on.</param>
    /// <param name="options">How it is run; null takes the defaults.</param>
    /// <param name="progress">Told how far it is; null for nobody.</param>
    /// <param name="cancellationToken">Ends the worker at once.</param>
    /// <exception cref="Diagnostics.MystiqueException">It cannot run (MYS203, MYS4xx).</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Task<ReplayResult> RunAsync(this Benchmark benchmark, Engine engine, ReplayOptions? options = null,
        IProgress<ReplayProgress>? progress = null, CancellationToken cancellationToken = default) =>
        ReplayRunner.RunAsync(benchmark, engine, options ?? new ReplayOptions(), progress, cancellationToken);
}
