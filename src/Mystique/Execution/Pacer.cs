using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Execution;

/// <summary>
/// Waits where the original did something that is no operator, so that an iteration takes as long as the original's: what an
/// unpaced replay lacks is shared out over the original's gaps between operators, in proportion. Where no profile
/// tells the gaps, it is shared out over the calls, as they take long. Calls take longer between waits than unpaced: a wait
/// ends when its call would start if calls took what they take unpaced. A replay that is slower than the original never waits.
/// On a machine whose speed changes from one moment to the next, waits can be a share of the time that calls just take.
/// On a device that works on its own, times are the host's, less those in which it waits for the device: the device follows.
/// </summary>
internal sealed class Pacer
{
    /// <summary>A pace is learned from so many iterations, or from fewer, if they take long.</summary>
    private const int MaxLearningRounds = 9;
    private const int MinLearningRounds = 3;
    private const long LearningNs = 1_000_000_000;

    private readonly long[] _learnedNs; // When each call starts unpaced, and all is done.
    private readonly long[] _gapsNs; // The original's, before each call, and after the last.
    private readonly long[] _waitsNs; // The same that are waited.
    private readonly long _totalNs;
    private readonly PacerClock _clock;
    private readonly Func<long> _hostWaitsNs; // How long the host has waited for the device so far.
    private bool _isShare; // Waits are a share of what calls take now; else an iteration is to take the total.
    private double _slowness = 1; // What calls took in the last iteration, of what they took when the pace was learned.
    private long _waits;
    private long _waitedNs;
    private long _late;
    private long _worstLateNs;
    private long _iterations;

    private Pacer(long[] learnedNs, long[] gapsNs, long totalNs, Func<long> hostWaitsNs, PacerClock clock)
    {
        (_hostWaitsNs, _clock) = (hostWaitsNs, clock);
        double share = Math.Max(0, totalNs - learnedNs[^1]) / Math.Max(1.0, gapsNs.Sum(g => (double)g));
        (_learnedNs, _gapsNs, _totalNs) = (learnedNs, gapsNs, totalNs);
        _waitsNs = [.. gapsNs.Select(g => (long)(g * share))];
    }

    /// <summary>The pace of a package.</summary>
    /// <param name="package">The package.</param>
    /// <param name="call">Makes a call of the schedule; used to learn how long calls take.</param>
    /// <param name="synchronize">Waits for the device.</param>
    /// <param name="hostWaitsNs">
    /// How long the host has waited for the device within calls so far, in nanoseconds; null where the host does the work itself.
    /// </param>
    /// <param name="clock">What it waits by; null for the machine's own.</param>
    /// <exception cref="MystiqueException">The package has no times (MYS413).</exception>
    public static Pacer Of(Benchmark package, Action<int> call, Action synchronize, Func<long>? hostWaitsNs = null,
        PacerClock? clock = null)
    {
        clock ??= PacerClock.Own;
        if (package.Plan.Times is not { IterationNs: > 0, RecordedNs: > 0 } times)
            throw Problems.NoTimes(package.Plan.Source.Name);
        long[] learned = Learn(package.Schedule.Length, call, synchronize, hostWaitsNs, clock);
        long[] gaps = GapsOf(package, times);
        if (gaps.All(g => g == 0))
            gaps = [0, .. learned.Zip(learned.Skip(1), (a, b) => b - a)];
        return new Pacer(learned, gaps, hostWaitsNs is null ? times.IterationNs : HostTimeOf(package, times), hostWaitsNs ?? (() => 0),
            clock);
    }

    /// <summary>The pace of a machine whose speed changes: waits are a share of the time, however long calls take just now.</summary>
    /// <param name="share">
    /// How long an unpaced iteration of the replay takes, of one of the original at the same speed; above 0.
    /// </param>
    public Pacer WithShare(double share) =>
        new(_learnedNs, _gapsNs, (long)(_learnedNs[^1] / Math.Min(1, share)), _hostWaitsNs, _clock) { _isShare = true };

    /// <summary>Makes all calls, with the waits before them.</summary>
    public void Run(Action<int> call)
    {
        long begin = _clock.NowNs, waitsBefore = _hostWaitsNs();
        long owedNs = 0, waitedNs = 0;
        long AtWork() => _clock.NowNs - begin - (_hostWaitsNs() - waitsBefore);
        for (int i = 0; i < _waitsNs.Length; i++)
        {
            owedNs += _waitsNs[i];
            long wait = WaitBefore(i, owedNs, waitedNs, AtWork());
            if (wait > 0)
                waitedNs += Wait(wait);
            if (i + 1 < _waitsNs.Length)
                call(i);
        }
        long lateNs = AtWork() - _totalNs;
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

    /// <summary>How long to wait before a call, in nanoseconds; 0 or less for not at all.</summary>
    /// <param name="call">The call.</param>
    /// <param name="owedNs">What is to be waited until then, if calls take what they took when the pace was learned.</param>
    /// <param name="waitedNs">What has been waited.</param>
    /// <param name="elapsedNs">Since the iteration began.</param>
    private long WaitBefore(int call, long owedNs, long waitedNs, long elapsedNs)
    {
        if (!_isShare)
            return Math.Min(owedNs - waitedNs, _learnedNs[call] + owedNs - elapsedNs);
        if (_learnedNs[call] >= _learnedNs[^1] / 10) // The first calls alone say too little.
            _slowness = (double)(elapsedNs - waitedNs) / _learnedNs[call];
        return (long)(owedNs * _slowness) - waitedNs;
    }

    private long Wait(long nanoseconds)
    {
        long start = _clock.NowNs;
        _waits++;
        _clock.Wait(nanoseconds);
        return _clock.NowNs - start;
    }

    /// <summary>
    /// How long the original's host was at work in an iteration, in nanoseconds: without its waits for the device. A host that was done
    /// earlier than the device, even while it was profiled, was not what the iteration waited for.
    /// </summary>
    internal static long HostTimeOf(Benchmark package, PlanTimes times)
    {
        if (times.Operators.IsEmpty)
            return times.IterationNs;
        double waits = package.Schedule.Sum(c => (double)(c.HostWait?.DurationNs ?? 0));
        return (long)Math.Round(Math.Min(times.IterationNs, times.RecordedNs) * Math.Max(0, 1 - waits / times.RecordedNs));
    }

    /// <summary>
    /// How long the original ran no operator before each call, and after the last, in nanoseconds of the recorded iteration. Its waits for
    /// the device are no gaps: the replay waits as well.
    /// </summary>
    internal static long[] GapsOf(Benchmark package, PlanTimes times)
    {
        var gaps = new long[package.Schedule.Length + 1];
        long end = 0, idle = 0;
        for (int i = 0; i < package.Schedule.Length; i++)
        {
            var call = package.Schedule[i];
            for (int op = call.First; op < call.First + call.Count; op++)
            {
                if (times.SpanOf(package.Plan.Operators[op]) is not { } span)
                    continue;
                gaps[i] += Math.Max(0, span.StartNs - end - idle);
                (end, idle) = (Math.Max(end, span.EndNs), 0);
            }
            idle += call.HostWait?.DurationNs ?? 0;
        }
        gaps[^1] = times.Operators.IsEmpty ? 0 : Math.Max(0, times.RecordedNs - end - idle);
        return gaps;
    }

    /// <summary>
    /// When calls start, and all is done, in a replay that never waits, in nanoseconds: medians of a few. On a device, which is done later
    /// than the host, the last is the host's end: waits up to there are what an iteration can take.
    /// </summary>
    private static long[] Learn(int calls, Action<int> call, Action synchronize, Func<long>? hostWaitsNs, PacerClock clock)
    {
        var rounds = new List<long[]>();
        long first = clock.NowNs;
        while (rounds.Count < MinLearningRounds || rounds.Count < MaxLearningRounds && clock.NowNs - first < LearningNs)
        {
            var marks = new long[calls + 1];
            rounds.Add(marks);
            long begin = clock.NowNs, waitsBefore = hostWaitsNs?.Invoke() ?? 0;
            long AtWork() => clock.NowNs - begin - ((hostWaitsNs?.Invoke() ?? 0) - waitsBefore);
            for (int i = 0; i < calls; i++)
            {
                marks[i] = AtWork();
                call(i);
            }
            if (hostWaitsNs is null)
                synchronize();
            marks[calls] = AtWork();
            synchronize();
        }
        return [.. Enumerable.Range(0, calls + 1).Select(i => rounds.Select(r => r[i]).Order().ElementAt(rounds.Count / 2))];
    }
}
