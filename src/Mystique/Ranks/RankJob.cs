using System.Collections.Immutable;

namespace Mystique.Ranks;

/// <summary>A job of several ranks: their calls put together. Immutable.</summary>
/// <param name="Ranks">The ranks that were recorded, rising.</param>
/// <param name="WorldSize">How many ranks the job had, as far as the traces tell.</param>
/// <param name="Groups">The process groups that make calls, with the calls of each rank.</param>
/// <param name="Matched">Calls that all recorded members make alike.</param>
/// <param name="Mismatches">What does not fit.</param>
internal sealed record RankJob(ImmutableArray<RankTrace> Ranks, int WorldSize, ImmutableArray<RankGroup> Groups,
    ImmutableArray<MatchedCall> Matched, ImmutableArray<RankMismatch> Mismatches)
{
    /// <summary>The ranks that were not recorded.</summary>
    public ImmutableArray<int> Missing => [.. Enumerable.Range(0, WorldSize).Except(Ranks.Select(r => r.Rank))];
}

/// <summary>A call that the recorded members of a group make together.</summary>
/// <param name="Group">The group.</param>
/// <param name="Place">Its number among the group's calls; null of sends and receives.</param>
/// <param name="Calls">By rank, its call.</param>
internal sealed record MatchedCall(RankGroup Group, long? Place, ImmutableSortedDictionary<int, CollectiveCall> Calls)
{
    /// <summary>What it does.</summary>
    public CollectiveKind Kind => Calls.First().Value.Kind;

    /// <summary>The message's bytes; of ranks that differ, the most. Null where they are not known.</summary>
    public long? Bytes => Calls.Values.Max(c => c.Bytes);
}

/// <summary>A process group over all ranks. Immutable.</summary>
internal sealed record RankGroup
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Its global ranks in the order of their places; default where nothing tells.</summary>
    public required ImmutableArray<int> Members { get; init; }

    /// <summary>How many they are; null where nothing tells.</summary>
    public required int? Size { get; init; }

    /// <summary>What it is for; empty where nothing tells.</summary>
    public string Description { get; init; } = "";

    /// <summary>Its backends; empty where nothing tells.</summary>
    public string Backend { get; init; } = "";

    /// <summary>By recorded rank, its calls in this group, in order.</summary>
    public required ImmutableSortedDictionary<int, ImmutableArray<CollectiveCall>> Calls { get; init; }

    /// <summary>What ranks say differently of it; null for nothing.</summary>
    public string? Conflict { get; init; }

    /// <summary>The global rank at a place of the group; without known members, the place itself.</summary>
    public int RankAt(int place) => !Members.IsDefault && place >= 0 && place < Members.Length ? Members[place] : place;
}
