using System.Collections.Immutable;

namespace Mystique.Ranks;

/// <summary>Puts the process groups of several ranks together.</summary>
internal static class RankGroups
{
    /// <summary>
    /// The groups that make calls. Ranks know a group by its name; one name can mean another group on another rank (each row of a mesh),
    /// and one group have two names, where it was made again: then its members tell.
    /// </summary>
    public static ImmutableArray<RankGroup> Of(ImmutableArray<RankTrace> ranks)
    {
        var parts = new Dictionary<string, List<(RankTrace Rank, ProcessGroup? Group, ImmutableArray<CollectiveCall> Calls)>>();
        foreach (var rank in ranks)
            foreach (var calls in rank.Calls.GroupBy(c => c.Group ?? ""))
            {
                var group = rank.GroupOf(calls.First());
                string key = $"{calls.Key} {(group is { HasRanks: true } ? string.Join(',', group.Ranks) : "")}";
                if (!parts.TryGetValue(key, out var known))
                    parts.Add(key, known = []);
                known.Add((rank, group, [.. calls]));
            }
        Rename(parts);
        return [.. parts.Values.Select(p => Join(p, ranks)).OrderBy(g => g.Name.Length).ThenBy(g => g.Name, StringComparer.Ordinal)
            .ThenBy(g => g.Calls.Keys.First())];
    }

    /// <summary>Two parts of the same members that no rank is in both of are one group, by different names.</summary>
    private static void Rename(Dictionary<string, List<(RankTrace Rank, ProcessGroup? Group, ImmutableArray<CollectiveCall> Calls)>> parts)
    {
        foreach (var same in parts.Where(p => p.Value[0].Group is { HasRanks: true })
            .GroupBy(p => string.Join(',', p.Value[0].Group!.Ranks)).Where(g => g.Count() > 1).ToArray())
        {
            var (first, others) = (same.First(), same.Skip(1).ToArray());
            foreach (var other in others)
                if (!other.Value.Any(o => first.Value.Any(f => f.Rank.Rank == o.Rank.Rank)))
                {
                    first.Value.AddRange(other.Value);
                    parts.Remove(other.Key);
                }
        }
    }

    /// <summary>The size that calls themselves tell, by their splits and lists; null where they tell none, or several.</summary>
    private static int? SizeOf(IEnumerable<CollectiveCall> calls) =>
        calls.Select(c => c.GroupSize ?? CallTensors.GroupSizeOf(c)).Where(s => s is not null).Distinct().Take(2).ToArray() is [var only]
            ? only : null;

    private static RankGroup Join(List<(RankTrace Rank, ProcessGroup? Group, ImmutableArray<CollectiveCall> Calls)> parts,
        ImmutableArray<RankTrace> ranks)
    {
        var known = parts.Select(p => p.Group).FirstOrDefault(g => g is { HasRanks: true }) ?? parts.Select(p => p.Group)
            .FirstOrDefault(g => g is not null);
        var calls = parts.ToImmutableSortedDictionary(p => p.Rank.Rank, p => p.Calls);
        int? size = known?.Size ?? SizeOf(parts.SelectMany(p => p.Calls));
        // Where as many ranks make calls in it as it has, they are its members, in their order.
        var members = known is { HasRanks: true } ? known.Ranks : size == calls.Count ? [.. calls.Keys] : default(ImmutableArray<int>);
        string? conflict = null;
        if (!members.IsDefault)
        {
            int[] strangers = [.. calls.Keys.Where(r => !members.Contains(r))];
            if (strangers.Length > 0)
                conflict = $"{RankCheck.Ranks(strangers)} makes calls in group {known?.Name}, whose ranks are "
                    + string.Join(", ", members.Take(16));
            foreach (var rank in ranks.Where(r => members.Contains(r.Rank) && !calls.ContainsKey(r.Rank)))
                calls = calls.Add(rank.Rank, []); // It makes none of the calls that its group makes.
        }
        return new RankGroup
        {
            Name = known?.Name ?? parts[0].Calls[0].Group ?? "unknown",
            Members = members,
            Size = size,
            Description = known?.Description ?? "",
            Backend = known?.Backend ?? "",
            Calls = calls,
            Conflict = conflict,
        };
    }
}
