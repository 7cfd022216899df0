using Mystique.Capture;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.Reporting;
using Mystique.Suites;

namespace Mystique.Cli.Commands;

/// <summary>Captures a workload, replays it, and measures both in turn.</summary>
/// <param name="folder">Where captures and packages go.</param>
/// <param name="capture">How jobs are captured.</param>
/// <param name="options">How replays run.</param>
/// <param name="rounds">Turns of each process.</param>
/// <param name="python">What replays of jobs run on.</param>
/// <param name="torchSharp">What bundled workloads, and their replays, run on.</param>
internal sealed class BenchRunner(string folder, CaptureOptions capture, ReplayOptions options, int rounds, PythonEngine python,
    TorchSharpEngine torchSharp)
{
    /// <summary>The comparison of a workload.</summary>
    /// <exception cref="MystiqueException">It cannot be captured, or not be replayed.</exception>
    public BenchOutcome Run(BenchWorkload workload) => BenchOutcome.Of(workload.IsExample ? RunExample(workload.Name) : RunJob(workload));

    private ComparisonResult RunExample(string name) =>
        Terminal.WithProgress(progress => new OriginalComparison(name, torchSharp, options, progress).Run(rounds, folder));

    private ComparisonResult RunJob(BenchWorkload workload)
    {
        string target = OriginalComparison.CaptureIn(folder, workload.Name);
        var job = new JobCapture(workload.Command, target, capture) { Environment = MemoryProbe.KeepingEnvironment };
        var outcome = job.Run();
        CaptureText.Write(outcome.Failure is { } failure ? throw failure : outcome, target);
        return Terminal.WithProgress(progress =>
        {
            var recording = Inputs.Open(target);
            var benchmark = Benchmark.Create(recording, new BenchmarkOptions { Planning = options.Planning });
            using var session = ReplaySession.Start(benchmark, python with { WorkerEnvironment = MemoryProbe.KeepingEnvironment },
                options, progress);
            session.Package.Save(OriginalComparison.PackageIn(folder, workload.Name));
            var captured = OriginalReader.Of(recording, benchmark);
            using SteppedJob first = job.Hold(python.Timeout), second = job.Hold(python.Timeout);
            return new InterleavedMeasurement(session, options, rounds, progress)
                .Run(captured, [.. new[] { first, second }.Select(held => (Func<int, MeasuredTurn>)(count => TurnOf(held, count)))]);
        });

        MeasuredTurn TurnOf(SteppedJob held, int count) => held.Turn(count) is { SamplesNs.IsEmpty: false } window
            ? new MeasuredTurn(new SampleStatistics(window.SamplesNs), window.CpuTimeNs, window.PeakBytes, window.System)
            : throw Problems.NothingCaptured(target, "the job ended before its iterations could be measured");
    }
}
