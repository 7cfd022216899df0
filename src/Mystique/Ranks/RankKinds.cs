using System.Collections.Immutable;

namespace Mystique.Ranks;

/// <summary>Calls of one kind in groups of one size.</summary>
internal sealed record RankKinds
{
    /// <summary>What they do.</summary>
    public required CollectiveKind Kind { get; init; }

    /// <summary>The groups' size; null where nothing tells.</summary>
    public required int? GroupSize { get; init; }

    /// <summary>How many.</summary>
    public required int Count { get; init; }

    /// <summary>Of how many the bytes are known.</summary>
    public required int Sized { get; init; }

    /// <summary>Bytes of a rank's message, of all of them together; of ranks that differ, the most.</summary>
    public required long Bytes { get; init; }

    /// <summary>Bytes of the smallest message.</summary>
    public required long SmallestBytes { get; init; }

    /// <summary>Bytes of the largest.</summary>
    public required long LargestBytes { get; init; }

    /// <summary>Of how many the time is known, too.</summary>
    public required int Timed { get; init; }

    /// <summary>The time of these, in nanoseconds, together: of each the rank that came last.</summary>
    public required long TimeNs { get; init; }

    /// <summary>How much longer the rank that came first was in a call, in nanoseconds: the median; null where no time is known.</summary>
    public required long? SkewNs { get; init; }

    /// <summary>Bytes of these over their time, in bytes a second; null where neither is known.</summary>
    public required double? AlgorithmBandwidth { get; init; }

    /// <summary>
    /// The same times the factor of nccl-tests, by which a link's bandwidth shows whatever the number of ranks (NVIDIA/nccl-tests,
    /// <c>doc/PERFORMANCE.md</c>); null where the group's size is not known either.
    /// </summary>
    public double? BusBandwidth => AlgorithmBandwidth * FactorOf(Kind, GroupSize);

    private static double? FactorOf(CollectiveKind kind, int? size) => (kind, size) switch
    {
        (CollectiveKind.Broadcast or CollectiveKind.Reduce or CollectiveKind.Send or CollectiveKind.Receive, _) => 1,
        (_, null or < 1) => null,
        (CollectiveKind.AllReduce, { } n) => 2.0 * (n - 1) / n,
        (CollectiveKind.Barrier or CollectiveKind.Unknown, _) => null,
        (_, { } n) => (n - 1.0) / n,
    };

    /// <summary>The kinds of a job's calls, the most bytes first.</summary>
    public static ImmutableArray<RankKinds> Of(RankJob job)
    {
        var times = job.Ranks.ToDictionary(r => r.Rank, r => r.Times);
        return [.. job.Matched.GroupBy(m => (m.Kind, m.Group.Size)).Select(g =>
        {
            long[] sizes = [.. g.Select(m => m.Bytes).OfType<long>()];
            var timed = g.Where(m => m.Bytes is > 0).Select(m => (Bytes: m.Bytes!.Value, Time: TimeOf(m, times)))
                .Where(m => m.Time is not null).ToArray();
            long spent = timed.Sum(t => t.Time!.Value.DurationNs);
            return new RankKinds
            {
                Kind = g.Key.Kind,
                GroupSize = g.Key.Size,
                Count = g.Count(),
                Sized = sizes.Length,
                Bytes = sizes.Sum(),
                SmallestBytes = sizes.DefaultIfEmpty().Min(),
                LargestBytes = sizes.DefaultIfEmpty().Max(),
                Timed = timed.Length,
                TimeNs = spent,
                SkewNs = timed.Length == 0 ? null : timed.Select(t => t.Time!.Value.SkewNs).Order().ElementAt(timed.Length / 2),
                AlgorithmBandwidth = spent > 0 ? timed.Sum(t => (double)t.Bytes) / spent * 1e9 : null,
            };
        }).OrderByDescending(k => k.Bytes).ThenBy(k => k.Kind)];
    }

    /// <summary>
    /// How long a call took: of the rank that came last, for the others waited for it; and how much longer the one that came first was in
    /// it. Null where not each rank's time is known.
    /// </summary>
    private static (long DurationNs, long SkewNs)? TimeOf(MatchedCall matched, Dictionary<int, CallTimes> times)
    {
        long[] durations = [.. matched.Calls.Select(c => times[c.Key].Calls.TryGetValue(c.Value.Start.Id, out var time)
            ? time.DurationNs : -1)];
        return durations.Length > 0 && durations.Min() >= 0 ? (durations.Min(), durations.Max() - durations.Min()) : null;
    }
}
