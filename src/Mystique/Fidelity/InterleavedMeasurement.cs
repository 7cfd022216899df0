using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>
/// Measures processes of an original and a replay in turn (A B A' F, F A' B A, …): what drifts on the machine meets all
/// alike. The replay runs flat out, and at the original's pace where its package has one: it waits the share of an iteration
/// that its calls left free in the rounds so far, by their median. By a turn alone, that share would be too large as often as
/// too small, but never below 0: noise would make replays slow.
/// </summary>
/// <param name="session">The replay.</param>
/// <param name="options">How it runs; without a number of iterations, as many a turn as fit into <see cref="TurnNs"/>.</param>
/// <param name="rounds">Turns of each process.</param>
/// <param name="progress">Told the stage, parts done, and parts in all.</param>
internal sealed class InterleavedMeasurement(ReplaySession session, ReplayOptions options, int rounds, Action<string, int, int> progress)
{
    /// <summary>How long a turn is meant to take, in nanoseconds: short, for the machine to be the same for all of a round.</summary>
    private const double TurnNs = 200e6;

    private const int MaxIterations = 100;

    /// <summary>Rounds that tell what there is to wait, before those that count.</summary>
    private const int FirstRounds = 3;

    private const string Stage = "measuring in turn";

    private readonly bool _hasPace = session.Package.Plan.Times is not null;
    private readonly List<double> _shares = []; // What the replay's calls take between waits, of an iteration of the original, by round.

    /// <summary>Measures.</summary>
    /// <param name="captured">What the original's capture tells of it.</param>
    /// <param name="originals">Each gives a process of the original a turn of so many iterations.</param>
    /// <exception cref="Diagnostics.MystiqueException">One of them cannot run (MYS4xx).</exception>
    public ComparisonResult Run(ComparedRun captured, IReadOnlyList<Func<int, MeasuredTurn>> originals)
    {
        var verification = session.Verify();
        session.Iterate(Math.Max(1, options.Warmup), "warming up the replay");
        var first = originals.Select(o => o(1)).ToArray(); // All of them: they are to have started before turns count.
        int count = options.Iterations > 0 ? options.Iterations : (int)Math.Clamp(TurnNs / first[0].Times.MedianNs, 1, MaxIterations);
        for (int i = 0; _hasPace && i < FirstRounds; i++)
        {
            progress("learning the pace", i, FirstRounds);
            Note(originals[0](count), Paced(count));
        }
        var ofOriginals = originals.Select(_ => new List<MeasuredTurn>()).ToArray();
        var (flatOut, paced) = (new List<MeasuredTurn>(), new List<MeasuredTurn>());
        WorkerResponse last = null!;
        Action[] round =
        [
            () => ofOriginals[0].Add(originals[0](count)),
            () => paced.Add(MeasuredTurn.Of(last = Paced(count))),
            .. originals.Zip(ofOriginals).Skip(1).Select(o => (Action)(() => o.Second.Add(o.First(count)))),
            () => flatOut.Add(FlatOut(count)),
        ];
        for (int i = 0; i < rounds; i++)
        {
            progress(Stage, i, rounds);
            foreach (var turn in i % 2 == 0 ? round : round.Reverse())
                turn();
            Note(ofOriginals[0][^1], last);
        }
        session.RunFlatOut();
        var replay = new ComparedSide([.. paced]);
        var result = ReplayRunner.Finish(session, options with
        {
            Pace = _hasPace ? ReplayPace.Recorded : ReplayPace.None,
            Iterations =
            count
        }, verification, last,
            replay.Times, last.BaselineBytes + replay.UsedBytes, replay.CpuTimeNs, replay.System);
        return new ComparisonResult(captured, [.. ofOriginals.Select(turns => new ComparedSide([.. turns]))], replay,
            new ComparedSide([.. flatOut]), result);
    }

    private void Note(MeasuredTurn original, WorkerResponse replay)
    {
        var times = new SampleStatistics(replay.SamplesNs!.Value);
        double waited = (replay.Pace?.WaitedNs ?? 0) / times.MeanNs;
        _shares.Add(times.MedianNs * (1 - waited) / original.Times.MedianNs);
    }

    private MeasuredTurn FlatOut(int count)
    {
        session.RunFlatOut();
        return MeasuredTurn.Of(session.Iterate(count, Stage));
    }

    private WorkerResponse Paced(int count)
    {
        if (_hasPace && _shares.Count > 0)
            session.Pace(Bootstrap.MedianOf([.. _shares]));
        return session.Iterate(count, Stage);
    }
}
