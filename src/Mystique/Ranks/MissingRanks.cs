using System.Collections.Immutable;
using Mystique.Diagnostics;

namespace Mystique.Ranks;

/// <summary>
/// Ranks without a trace, made of recorded ones with the same role: those whose process groups lie alike. Groups of jobs are regular
/// (tensor, pipeline and data parallel ranks are so many, so far apart), so that a recorded rank's group tells where another rank's is.
/// </summary>
internal static class MissingRanks
{
    /// <summary>The ranks of a job with groups whose members are known wherever that can be told, and what is assumed for it.</summary>
    public static (ImmutableArray<RankTrace> Ranks, ImmutableArray<string> Notes) Complete(ImmutableArray<RankTrace> ranks)
    {
        int world = Math.Max(ranks.Max(r => r.WorldSize ?? 0), ranks.SelectMany(r => r.Calls).Select(c => SizeOf(c) ?? 0)
            .DefaultIfEmpty().Max());
        var notes = new SortedSet<string>(StringComparer.Ordinal);
        return ([.. ranks.Select(r => Complete(r, world, notes))], [.. notes]);
    }

    /// <summary>A trace for each rank that has none.</summary>
    /// <param name="ranks">The recorded ranks, with their groups' members.</param>
    /// <param name="source">What to call the job in messages.</param>
    /// <returns>The ranks, and of which recorded one each is made.</returns>
    /// <exception cref="MystiqueException">A rank cannot be made up (MYS132).</exception>
    public static ImmutableArray<(RankTrace Rank, int MadeOf)> Make(ImmutableArray<RankTrace> ranks, string source)
    {
        int world = ranks.Max(r => r.WorldSize ?? 0);
        var made = ImmutableArray.CreateBuilder<(RankTrace, int)>();
        foreach (int missing in Enumerable.Range(0, world).Except(ranks.Select(r => r.Rank)))
        {
            // Of the roles the likest: that with the same place in the most groups.
            var best = ranks.Select(r => (Rank: r, Groups: GroupsFor(r, missing, world)))
                .Where(r => r.Groups is not null)
                .OrderByDescending(r => r.Groups!.Count(g => g.IsSamePlace)).ThenBy(r => r.Rank.Rank).FirstOrDefault();
            if (best.Groups is not { } groups)
                throw Problems.RankCannotBeMadeUp(source, $"rank {missing}", "the ranks of a process group do not lie at even distances, "
                    + "so that they do not tell those of its other groups");
            made.Add((best.Rank with
            {
                Rank = missing,
                Groups = [.. groups.Select(g => g.Group)],
                Notes = [],
                Times = CallTimes.None,
            }, best.Rank.Rank));
        }
        return made.ToImmutable();
    }

    private static RankTrace Complete(RankTrace rank, int world, SortedSet<string> notes)
    {
        var groups = rank.Groups.ToList();
        foreach (var calls in rank.Calls.GroupBy(c => c.Group ?? ""))
        {
            int known = groups.FindIndex(g => g.Name == calls.Key);
            if (known >= 0 && groups[known].HasRanks)
                continue;
            int? size = known >= 0 && groups[known].Size is { } told ? told : calls.Select(SizeOf).FirstOrDefault(s => s is not null);
            if (size is { } other && other != world)
                continue;
            notes.Add(calls.Key.Length == 0 ? "calls whose process group no trace tells are taken for calls of all ranks"
                : $"the process group {calls.Key} is taken for that of all ranks");
            var all = new ProcessGroup(calls.Key, known >= 0 ? groups[known].Description : "", known >= 0 ? groups[known].Backend : "",
                [.. Enumerable.Range(0, world)], world);
            if (known >= 0)
                groups[known] = all;
            else
                groups.Add(all);
        }
        return rank with
        {
            WorldSize = world,
            Groups = [.. groups],
            Calls = [.. rank.Calls.Select(c => c.Group is null ? c with { Group = "" } : c)],
        };
    }

    private static int? SizeOf(CollectiveCall call) => call.GroupSize ?? CallTensors.GroupSizeOf(call);

    /// <summary>A rank's groups, moved to another rank; null where they cannot be.</summary>
    private static List<(ProcessGroup Group, bool IsSamePlace)>? GroupsFor(RankTrace rank, int other, int world)
    {
        var moved = new List<(ProcessGroup, bool)>();
        var used = rank.Calls.Select(c => c.Group).ToHashSet();
        foreach (var group in rank.Groups.Where(g => used.Contains(g.Name)))
        {
            if (!group.HasRanks)
                return null;
            if (group.Ranks.Contains(other))
                moved.Add((group, group.Ranks.IndexOf(other) == group.Ranks.IndexOf(rank.Rank)));
            else if (MembersFor(group.Ranks, rank.Rank, other) is { } members && members.All(m => m >= 0 && m < world))
                moved.Add((group with { Ranks = members }, members.IndexOf(other) == group.Ranks.IndexOf(rank.Rank)));
            else
                return null;
        }
        return moved;
    }

    /// <summary>
    /// The group of a rank in the family that another one's group is of: so many ranks, at one distance. Null where the ranks lie unevenly.
    /// </summary>
    internal static ImmutableArray<int>? MembersFor(ImmutableArray<int> members, int rank, int other)
    {
        int count = members.Length, stride = count > 1 ? members[1] - members[0] : 1;
        if (stride < 1 || members.Index().Any(m => m.Item != members[0] + m.Index * stride) || FirstOf(rank) != members[0])
            return null;
        return [.. Enumerable.Range(0, count).Select(i => FirstOf(other) + i * stride)];

        int FirstOf(int r) => r - r / stride % count * stride;
    }
}
