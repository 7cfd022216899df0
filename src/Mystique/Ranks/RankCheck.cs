using System.Collections.Immutable;
using System.Globalization;

namespace Mystique.Ranks;

/// <summary>
/// Whether the calls of several ranks go together, before anything runs: at the same place of a group all of its members make the same
/// call, with sizes that fit; sends meet receives. What does not fit would hang, or fail in all ranks.
/// </summary>
internal sealed class RankCheck
{
    private readonly ImmutableArray<RankTrace> _ranks;
    private readonly ImmutableArray<RankMismatch>.Builder _mismatches = ImmutableArray.CreateBuilder<RankMismatch>();
    private readonly ImmutableArray<MatchedCall>.Builder _matched = ImmutableArray.CreateBuilder<MatchedCall>();

    private RankCheck(ImmutableArray<RankTrace> ranks) => _ranks = ranks;

    /// <summary>The calls of all ranks put together, and what does not fit.</summary>
    public static RankJob Of(IEnumerable<RankTrace> ranks)
    {
        var check = new RankCheck([.. ranks.OrderBy(r => r.Rank)]);
        var groups = RankGroups.Of(check._ranks);
        foreach (var group in groups)
            check.Look(group);
        int world = check._ranks.Max(r => r.WorldSize ?? 0);
        return new RankJob(check._ranks, world, groups, check._matched.ToImmutable(), check._mismatches.ToImmutable());
    }

    private void Look(RankGroup group)
    {
        if (group.Conflict is { } conflict)
            _mismatches.Add(new RankMismatch(RankMismatchKind.Groups, group.Name, null, [.. group.Calls.Keys], conflict));
        var collectives = group.Calls.ToDictionary(c => c.Key, c => c.Value.Where(call => !call.IsPointToPoint).ToArray());
        bool hasSequences = collectives.Values.All(c => c.All(call => call.Sequence is not null)
            && c.Select(call => call.Sequence).Distinct().Count() == c.Length) && Overlap(collectives.Values);
        if (hasSequences)
        {
            var numbered = collectives.ToDictionary(c => c.Key, c => c.Value.ToDictionary(call => call.Sequence!.Value));
            foreach (long sequence in numbered.Values.SelectMany(c => c.Keys).Distinct().Order())
                Compare(group, sequence, numbered.ToDictionary(c => c.Key, c => c.Value.GetValueOrDefault(sequence)));
        }
        else
        {
            for (int place = 0; place < collectives.Values.Max(c => c.Length); place++)
                if (!Compare(group, place, collectives.ToDictionary(c => c.Key, c => c.Value.ElementAtOrDefault(place))))
                    break; // After a call that one rank lacks, all others are beside each other.
        }
        foreach (var (a, b, call, found) in new PointToPoint(group).Pairs())
            if (found.Length > 0)
                _mismatches.Add(new RankMismatch(RankMismatchKind.Unpaired, group.Name, null, [a, b], found));
            else
                _matched.Add(new MatchedCall(group, null, call));
    }

    /// <summary>Whether ranks count their calls alike: else groups were made again, and places count.</summary>
    private static bool Overlap(IReadOnlyCollection<CollectiveCall[]> calls)
    {
        var filled = calls.Where(c => c.Length > 0).Select(c => c.Select(x => x.Sequence!.Value).ToHashSet()).ToArray();
        return filled.Length < 2 || filled.Skip(1).All(s => s.Overlaps(filled[0]));
    }

    /// <summary>Compares the calls of all ranks at one place; returns whether they are the same.</summary>
    private bool Compare(RankGroup group, long place, Dictionary<int, CollectiveCall?> calls)
    {
        var made = calls.Where(c => c.Value is not null).ToDictionary(c => c.Key, c => c.Value!);
        var (first, reference) = made.First();
        int[] lacking = [.. calls.Where(c => c.Value is null).Select(c => c.Key)];
        if (lacking.Length > 0)
            return Differ(RankMismatchKind.MissingCall, lacking, $"rank {first} makes the call {place} of group {group.Name}, {reference}; "
                + $"{Ranks(lacking)} does not");
        foreach (var (rank, call) in made)
        {
            string Both(string what, object? one, object? other) => string.Create(CultureInfo.InvariantCulture,
                $"call {place} of group {group.Name}: rank {first} {what} {one} in {reference}, rank {rank} {other} in {call}");
            if (call.Kind != reference.Kind || call.Kind == CollectiveKind.Unknown && call.Name != reference.Name)
                return Differ(RankMismatchKind.Kinds, [first, rank], $"call {place} of group {group.Name}: rank {first} makes {reference}, "
                    + $"rank {rank} {call}");
            if (call.Reduction is { } reduction && reference.Reduction is { } theirs && reduction != theirs)
                return Differ(RankMismatchKind.Reductions, [first, rank], Both("reduces by", theirs, reduction));
            if (call.Root != reference.Root && call.Root is not null && reference.Root is not null)
                return Differ(RankMismatchKind.Roots, [first, rank], Both("has the root", reference.Root, call.Root));
            if (call.Type is { } type && reference.Type is { } other && type != other)
                return Differ(RankMismatchKind.Types, [first, rank], Both("moves", other, type));
        }
        if (CallSizes.WhyNot(group, made) is { } why)
            return Differ(why.Kind, why.Ranks, $"call {place} of group {group.Name}: {why.What}");
        _matched.Add(new MatchedCall(group, place, made.ToImmutableSortedDictionary()));
        return true;

        bool Differ(RankMismatchKind kind, IEnumerable<int> ranks, string what)
        {
            _mismatches.Add(new RankMismatch(kind, group.Name, place, [.. ranks], what));
            return false;
        }
    }

    /// <summary>Ranks in words.</summary>
    internal static string Ranks(IReadOnlyCollection<int> ranks) => ranks.Count == 1 ? $"rank {ranks.First()}"
        : $"each of the ranks {string.Join(", ", ranks.Take(16))}{(ranks.Count > 16 ? ", …" : "")}";
}
