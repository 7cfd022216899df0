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

    /// <summary>The kinds of a job's calls, the most bytes first.</summary>
    public static ImmutableArray<RankKinds> Of(RankJob job) =>
        [.. job.Matched.GroupBy(m => (m.Kind, m.Group.Size)).Select(g =>
        {
            long[] sizes = [.. g.Select(m => m.Calls.Values.Max(c => c.Bytes)).OfType<long>()];
            return new RankKinds
            {
                Kind = g.Key.Kind,
                GroupSize = g.Key.Size,
                Count = g.Count(),
                Sized = sizes.Length,
                Bytes = sizes.Sum(),
                SmallestBytes = sizes.DefaultIfEmpty().Min(),
                LargestBytes = sizes.DefaultIfEmpty().Max(),
            };
        }).OrderByDescending(k => k.Bytes).ThenBy(k => k.Kind)];
}
