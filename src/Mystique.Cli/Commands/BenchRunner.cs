using Mystique.Capture;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.Suites;

namespace Mystique.Cli.Commands;

/// <summary>Captures a workload, replays it, and measures both interleaved.</summary>
/// <param name="folder">Where captures and packages go.</param>
/// <param name="capture">How jobs are captured.</param>
/// <param name="options">How replays run.</param>
/// <param name="rounds">Blocks of each process.</param>
/// <param name="python">What replays of jobs run on.</param>
/// <param name="bundled">What bundled workloads, and their replays, run on, where they are no jobs.</param>
/// <param name="sharing">How a job's processes share memory; null for as it allows.</param>
internal sealed class BenchRunner(string folder, CaptureOptions capture, ReplayOptions options, int rounds, PythonEngine python,
    Engine bundled, SharingKind? sharing)
{
    /// <summary>The comparison of a workload.</summary>
    /// <exception cref="MystiqueException">It cannot be captured, or not be replayed.</exception>
    public async Task<FidelityReport> RunAsync(BenchWorkload workload, CancellationToken cancellationToken)
    {
        if (!workload.IsExample)
            return await RunJobAsync(workload, cancellationToken);
        if (BundledParts.HasLibTorch)
            return await RunExampleAsync(workload.Name, cancellationToken);
        using (var knowledge = new OperatorKnowledge(python))
            _ = knowledge.OverloadsOf([]); // Without a PyTorch that it could run on, the job would only say so in its own words.
        using var script = Unfinished.TemporaryFolder();
        return await RunJobAsync(workload with
        {
            Command = BundledParts.CommandOf(workload.Name, python.Python, python.Device, script.Path),
        }, cancellationToken);
    }

    private Task<FidelityReport> RunExampleAsync(string name, CancellationToken cancellationToken) =>
        Terminal.WithProgressAsync(progress =>
            new OriginalComparison(name, bundled, options, progress).RunAsync(rounds, folder, cancellationToken));

    private async Task<FidelityReport> RunJobAsync(BenchWorkload workload, CancellationToken cancellationToken)
    {
        string target = OriginalComparison.CaptureIn(folder, workload.Name);
        var job = new JobCapture(workload.Command, target, capture) { Environment = MemoryProbe.KeepingEnvironment };
        var outcome = job.Run();
        Interruption.EndIfPassedOn();
        CaptureText.Write(outcome.Failure is { } failure ? throw failure : outcome, target);
        return await Terminal.WithProgressAsync(async progress =>
        {
            var recording = Inputs.Open(target);
            var benchmark = Benchmark.Create(recording, new BenchmarkOptions { Planning = options.Planning });
            await using var engine = python with { WorkerEnvironment = MemoryProbe.KeepingEnvironment };
            await using var session = await ReplaySession.StartAsync(benchmark, engine, options, progress, cancellationToken);
            session.Package.Save(OriginalComparison.PackageIn(folder, workload.Name));
            var captured = OriginalRun.Of(recording, benchmark);
            var shared = sharing is { } asked ? new ProcessSharing(asked, "asked for") : ProcessSharing.Decide(recording.Baseline!,
                session.IsOnHost, session.Target.FreeBytes, MemoryProbe.AvailableBytes());
            bool releases = shared.Kind == SharingKind.Released;
            using SteppedJob first = job.Hold(python.Timeout, releases), second = job.Hold(python.Timeout, releases);
            return await new InterleavedMeasurement(session, options, rounds, progress) { Sharing = shared }.RunAsync(captured,
                [.. new[] { first, second }.Select(held => SteppedOriginal.BlocksOf(held, shared, target))], cancellationToken);
        });
    }
}
