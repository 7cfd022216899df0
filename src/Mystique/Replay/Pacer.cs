using System.Diagnostics;
using Mystique.Diagnostics;
using Mystique.Packaging;
using Mystique.Planning;

namespace Mystique.Replay;

/// <summary>
/// Waits where the original did something that is no operator, so that an iteration takes as long as the original's: what a
/// replay that runs flat out lacks is shared out over the original's gaps between operators, in proportion. Where no profile
/// tells the gaps, it is shared out over the calls, as they take long. Calls take longer between waits than flat out: a wait
/// ends when its call would start if calls took what they take flat out. A replay that is slower than the original never waits.
/// </summary>
internal sealed class Pacer
{
    /// <summary>Longer waits give the processor away for a while; the rest, and shorter ones, are spun.</summary>
    private const long SleepFromNs = 1_000_000;
    private const long SpinNs = 300_000;

    /// <summary>A pace is learned from so many iterations, or from fewer, if they take long.</summary>
    private const int MaxLearningRounds = 9;
    private const int MinLearningRounds = 3;
    private const long LearningNs = 1_000_000_000;

    private static readonly double NsPerTick = 1e9 / Stopwatch.Frequency;

    private readonly long[] _learnedNs; // When each call starts flat out, and all is done.
    private readonly long[] _waitsNs; // Before each call, and after the last.
    private readonly long _totalNs;
    private long _waits;
    private long _waitedNs;
    private long _late;
    private long _worstLateNs;
    private long _iterations;

    private Pacer(long[] learnedNs, long[] waitsNs, long totalNs) => (_learnedNs, _waitsNs, _totalNs) = (learnedNs, waitsNs, totalNs);

    /// <summary>The pace of a package.</summary>
    /// <param name="package">The package.</param>
    /// <param name="call">Makes a call of the schedule; used to learn how long calls take.</param>
    /// <param name="synchronize">Waits for the device.</param>
    /// <param name="referenceNs">How long an iteration of the original takes, in nanoseconds; 0 for what the package says.</param>
    /// <exception cref="MystiqueException">The package has no times (MYS413).</exception>
    public static Pacer Of(BenchmarkPackage package, Action<int> call, Action synchronize, long referenceNs = 0)
    {
        if (package.Plan.Times is not { IterationNs: > 0, RecordedNs: > 0 } times)
            throw Problems.NoTimes(package.Plan.Source.Name);
        long total = referenceNs > 0 ? referenceNs : times.IterationNs;
        long[] learned = Learn(package.Schedule.Length, call, synchronize);
        long[] gaps = GapsOf(package, times);
        if (gaps.All(g => g == 0))
            gaps = [0, .. learned.Zip(learned.Skip(1), (a, b) => b - a)];
        double share = Math.Max(0, total - learned[^1]) / Math.Max(1.0, gaps.Sum(g => (double)g));
        return new Pacer(learned, [.. gaps.Select(g => (long)(g * share))], total);
    }

    /// <summary>Makes all calls, each in its time.</summary>
    public void Run(Action<int> call)
    {
        long begin = Stopwatch.GetTimestamp();
        long owedNs = 0, waitedNs = 0;
        for (int i = 0; i < _waitsNs.Length; i++)
        {
            owedNs += _waitsNs[i];
            long wait = owedNs - waitedNs;
            if (wait > 0 && (wait = Math.Min(wait, _learnedNs[i] + owedNs - Since(begin))) > 0)
                waitedNs += Wait(wait);
            if (i + 1 < _waitsNs.Length)
                call(i);
        }
        long lateNs = Since(begin) - _totalNs;
        _waitedNs += waitedNs;
        _late += lateNs > 0 ? 1 : 0;
        _worstLateNs = Math.Max(_worstLateNs, lateNs);
        _iterations++;
    }

    /// <summary>How the pace was kept since the last report.</summary>
    public PaceReport TakeReport()
    {
        long n = Math.Max(1, _iterations);
        var report = new PaceReport(_waits / n, _waitedNs / n, _late, _worstLateNs);
        _waits = _waitedNs = _late = _worstLateNs = _iterations = 0;
        return report;
    }

    private static long Since(long begin) => (long)((Stopwatch.GetTimestamp() - begin) * NsPerTick);

    private long Wait(long nanoseconds)
    {
        long start = Stopwatch.GetTimestamp();
        long due = start + (long)(nanoseconds / NsPerTick);
        _waits++;
        if (nanoseconds > SleepFromNs)
            Thread.Sleep((int)((nanoseconds - SpinNs) / 1_000_000));
        long now;
        while ((now = Stopwatch.GetTimestamp()) < due)
        {
        }
        return (long)((now - start) * NsPerTick);
    }

    /// <summary>How long the original ran no operator before each call, and after the last, in nanoseconds of the recorded iteration.</summary>
    private static long[] GapsOf(BenchmarkPackage package, PlanTimes times)
    {
        var gaps = new long[package.Schedule.Length + 1];
        long end = 0;
        for (int i = 0; i < package.Schedule.Length; i++)
        {
            var call = package.Schedule[i];
            for (int op = call.First; op < call.First + call.Count; op++)
            {
                if (!times.Operators.TryGetValue(package.Plan.Operators[op].NodeId, out var time))
                    continue;
                gaps[i] += Math.Max(0, time.StartNs - end);
                end = Math.Max(end, time.StartNs + time.DurationNs);
            }
        }
        gaps[^1] = times.Operators.IsEmpty ? 0 : Math.Max(0, times.RecordedNs - end);
        return gaps;
    }

    /// <summary>When calls start, and all is done, in a replay that never waits, in nanoseconds: medians of a few.</summary>
    private static long[] Learn(int calls, Action<int> call, Action synchronize)
    {
        var rounds = new List<long[]>();
        long first = Stopwatch.GetTimestamp();
        while (rounds.Count < MinLearningRounds || rounds.Count < MaxLearningRounds && Since(first) < LearningNs)
        {
            var marks = new long[calls + 1];
            rounds.Add(marks);
            long begin = Stopwatch.GetTimestamp();
            for (int i = 0; i < calls; i++)
            {
                marks[i] = Since(begin);
                call(i);
            }
            synchronize();
            marks[calls] = Since(begin);
        }
        return [.. Enumerable.Range(0, calls + 1).Select(i => rounds.Select(r => r[i]).Order().ElementAt(rounds.Count / 2))];
    }
}
