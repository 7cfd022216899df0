using Mystique.Capture;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Fidelity;
using Mystique.Metrics;
using Mystique.Planning;
using Mystique.Replay;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary>Captures a workload, replays it, and measures both in turn; each turn of a job is a process of its own.</summary>
/// <param name="folder">Where captures and packages go.</param>
/// <param name="capture">How jobs are captured.</param>
/// <param name="options">How replays run.</param>
/// <param name="rounds">Turns of each side.</param>
/// <param name="python">The Python of replays of jobs.</param>
internal sealed class BenchRunner(string folder, CaptureOptions capture, ReplayOptions options, int rounds, string python)
{
    /// <summary>The comparison of a workload.</summary>
    /// <exception cref="MystiqueException">It cannot be captured, or not be replayed.</exception>
    public BenchOutcome Run(BenchWorkload workload) => workload.IsExample ? RunExample(workload.Name) : RunJob(workload);

    private BenchOutcome RunExample(string name)
    {
        var outcome = Terminal.WithProgress(progress => new OriginalComparison(name, WorkerProcess.StartCommand, options, progress).Run(rounds, folder));
        return OutcomeOf(outcome.Captured, new TurnResult(outcome.Original, outcome.Replay, outcome.FlatOut, outcome.Result));
    }

    private BenchOutcome RunJob(BenchWorkload workload)
    {
        string target = Path.Combine(folder, $"{workload.Name}.capture");
        var job = new JobCapture(workload.Command, target, capture) { Environment = MemoryProbe.KeepingEnvironment };
        CaptureText.Write(job.Run(), target);
        return Terminal.WithProgress(progress =>
        {
            var plans = GenerateCommand.PlansOf(target, null, false, new PlanningOptions());
            using var session = ReplaySession.Start(plans, WorkerProcess.StartPython(python) with { Environment = MemoryProbe.KeepingEnvironment }, options, progress);
            var original = OriginalReader.OfCapture(CaptureFolder.Read(target), plans);
            return OutcomeOf(original, new TurnComparison(session, options, rounds, progress).Run(() =>
            {
                var clocked = job.Clock();
                return clocked.SamplesNs.IsEmpty ? throw Problems.NothingCaptured(target, "the job ended before its iterations could be measured")
                    : new ComparedTurn(new SampleStatistics(clocked.SamplesNs), clocked.CpuTimeNs, clocked.PeakBytes, clocked.System);
            }));
        });
    }

    private static BenchOutcome OutcomeOf(ComparedRun original, TurnResult turns) => new(
        FidelityComparer.Compare(
            original with { Times = turns.Original.Times, Turns = turns.Original.Turns, CpuTimeNs = turns.Original.CpuTimeNs, UsedBytes = turns.Original.UsedBytes, System = turns.Original.System ?? original.System },
            ResultReader.Of(turns.Result) with { Turns = turns.Replay.Turns }),
        turns.FlatOut.Turns);
}
