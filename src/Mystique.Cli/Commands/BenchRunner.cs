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
    public FidelityReport Run(BenchWorkload workload) => workload.IsExample ? RunExample(workload.Name) : RunJob(workload);

    private FidelityReport RunExample(string name)
    {
        var outcome = Terminal.WithProgress(progress => new OriginalComparison(name, WorkerProcess.StartCommand, options, progress).Run(rounds, folder));
        var original = OriginalReader.OfCapture(CaptureFolder.Read(Path.Combine(folder, $"{name}.capture")));
        return FidelityComparer.Compare(
            original with { Name = name, Times = outcome.Original.Times, Turns = outcome.Original.Turns, CpuTimeNs = outcome.Original.CpuTimeNs, UsedBytes = outcome.Original.MemoryBytes, System = null },
            ResultReader.Of(new ReplayResult(outcome.Package.Plan, options, outcome.Engine, outcome.Host, outcome.Replay.Times, [],
                new MemoryUse(0, outcome.Replay.MemoryBytes, PlanMemory.Of(outcome.Package.Plan).PeakBytes), outcome.Replay.CpuTimeNs, outcome.Verification)) with
            { Turns = outcome.Replay.Turns });
    }

    private FidelityReport RunJob(BenchWorkload workload)
    {
        string target = Path.Combine(folder, $"{workload.Name}.capture");
        var job = new JobCapture(workload.Command, target, capture);
        CaptureText.Write(job.Run(), target);
        string work = Directory.CreateTempSubdirectory("mystique-bench-").FullName;
        try
        {
            return Terminal.WithProgress(progress => Replay(job, target, work, progress));
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private FidelityReport Replay(JobCapture job, string target, string work, Action<string, int, int> progress)
    {
        var original = OriginalReader.OfCapture(CaptureFolder.Read(target));
        var paced = options with { Pace = ReplayPace.Recorded };
        using var session = ReplaySession.Start(GenerateCommand.PlansOf(target, null, false, new PlanningOptions()), WorkerProcess.StartPython(python), paced, progress);
        var verification = session.Verify();
        session.Iterate(Math.Max(1, options.Warmup), "warming up the replay");
        var originals = new List<SampleStatistics>();
        var replays = new List<WorkerResponse>();
        for (int round = 0; round < rounds; round++)
        {
            progress("measuring in turn", 2 * round, 2 * rounds);
            originals.Add(new SampleStatistics(job.Clock()));
            if (originals[^1].SamplesNs.IsEmpty)
                throw Problems.NothingCaptured(target, "the job ended before its iterations could be measured");
            progress("measuring in turn", 2 * round + 1, 2 * rounds);
            session.Repace((long)originals[^1].MedianNs);
            replays.Add(session.Iterate(options.Iterations, "measuring in turn"));
        }
        var (trace, kineto) = (Path.Combine(work, "et.json"), Path.Combine(work, "kineto.json"));
        session.RecordKineto(kineto, trace);
        var side = ComparedSide.Of(replays);
        var times = session.Profile(options.ProfileIterations);
        var plan = session.Package.Plan;
        var run = ResultReader.Of(new ReplayResult(plan, paced, session.Engine, HostInfo.Current, side.Times, ReplayRunner.KindsOf(plan, times),
            new MemoryUse(0, side.MemoryBytes, PlanMemory.Of(plan).PeakBytes), side.CpuTimeNs, verification)
        { OperatorTimesNs = times });
        return FidelityComparer.Compare(
            original with { Name = Path.GetFileName(target), Times = new SampleStatistics([.. originals.SelectMany(o => o.SamplesNs)]), Turns = [.. originals], System = null },
            WatchedReplay.Apply(run, trace, kineto) with { Turns = side.Turns });
    }
}
