using System.Diagnostics;
using Mystique.Diagnostics;
using Mystique.Packaging;

namespace Mystique.Replay;

/// <summary>
/// Waits before calls so that they start when they started in the original; never where the replay is already late. Where
/// only the iteration's time is known, calls are spread as a replay that runs flat out spends its time; where it is known
/// beside a profile, whose iteration took longer because it was watched, recorded starts are scaled to it.
/// </summary>
internal sealed class Pacer
{
    /// <summary>Longer waits give the processor away for a while; the rest, and shorter ones, are spun.</summary>
    private const long SleepFromNs = 1_000_000;
    private const long SpinNs = 300_000;
    private const int LearningRounds = 5;

    private static readonly double NsPerTick = 1e9 / Stopwatch.Frequency;

    private readonly long[] _startsNs;
    private readonly long _totalNs;
    private long _waits;
    private long _waitedNs;
    private long _late;
    private long _worstLateNs;
    private long _iterations;

    private Pacer(long[] startsNs, long totalNs)
    {
        _startsNs = startsNs;
        _totalNs = totalNs;
    }

    /// <summary>The pace of a package.</summary>
    /// <param name="package">The package.</param>
    /// <param name="call">Makes a call of the schedule; used to learn how long calls take.</param>
    /// <param name="referenceNs">How long an iteration of the original takes, in nanoseconds; 0 for what the package says.</param>
    /// <exception cref="MystiqueException">The package has no times (MYS413).</exception>
    public static Pacer Of(BenchmarkPackage package, Action<int> call, long referenceNs = 0)
    {
        if (package.Plan.Times is not { IterationNs: > 0, RecordedNs: > 0 } times)
            throw Problems.NoTimes(package.Plan.Source.Name);
        times = referenceNs > 0 ? times with { IterationNs = referenceNs } : times;
        long[] learned = Learn(package.Schedule.Length, call);
        long flatOutNs = Math.Max(1, learned[^1]);
        var starts = new long[package.Schedule.Length];
        for (int i = 0; i < starts.Length; i++)
        {
            if (times.Operators.IsEmpty)
                starts[i] = (long)((Int128)learned[i] * times.IterationNs / flatOutNs);
            else if (times.Operators.TryGetValue(package.Plan.Operators[package.Schedule[i].First].NodeId, out var time))
                starts[i] = (long)((Int128)time.StartNs * times.IterationNs / times.RecordedNs);
            // A profiler costs some operators more than others: no call starts so late that the rest would not fit.
            starts[i] = Math.Max(i > 0 ? starts[i - 1] : 0, Math.Min(starts[i], times.IterationNs - (flatOutNs - learned[i])));
        }
        return new Pacer(starts, times.IterationNs);
    }

    /// <summary>Makes all calls, each in its time.</summary>
    public void Run(Action<int> call)
    {
        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < _startsNs.Length; i++)
        {
            WaitUntil(begin, _startsNs[i]);
            call(i);
        }
        WaitUntil(begin, _totalNs);
        _iterations++;
    }

    /// <summary>How the pace was kept since the last report.</summary>
    public PaceReport TakeReport()
    {
        long n = Math.Max(1, _iterations);
        var report = new PaceReport(_waits / n, _waitedNs / n, _late / n, _worstLateNs);
        _waits = _waitedNs = _late = _worstLateNs = _iterations = 0;
        return report;
    }

    private void WaitUntil(long begin, long dueNs)
    {
        long due = begin + (long)(dueNs / NsPerTick);
        long now = Stopwatch.GetTimestamp();
        if (now >= due)
        {
            _late += now > due ? 1 : 0;
            _worstLateNs = Math.Max(_worstLateNs, (long)((now - due) * NsPerTick));
            return;
        }
        long waitNs = (long)((due - now) * NsPerTick);
        _waits++;
        _waitedNs += waitNs;
        if (waitNs > SleepFromNs)
            Thread.Sleep((int)((waitNs - SpinNs) / 1_000_000));
        while (Stopwatch.GetTimestamp() < due)
        {
        }
    }

    /// <summary>When calls start, and the last one ends, in a replay that never waits, in nanoseconds: medians of a few.</summary>
    private static long[] Learn(int calls, Action<int> call)
    {
        var rounds = new long[LearningRounds][];
        for (int round = 0; round < LearningRounds; round++)
        {
            var marks = rounds[round] = new long[calls + 1];
            long begin = Stopwatch.GetTimestamp();
            for (int i = 0; i < calls; i++)
            {
                marks[i] = (long)((Stopwatch.GetTimestamp() - begin) * NsPerTick);
                call(i);
            }
            marks[calls] = (long)((Stopwatch.GetTimestamp() - begin) * NsPerTick);
        }
        return [.. Enumerable.Range(0, calls + 1).Select(i => rounds.Select(r => r[i]).Order().ElementAt(LearningRounds / 2))];
    }
}
