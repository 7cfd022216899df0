using System.Collections.Immutable;

namespace Mystique.Ranks;

/// <summary>
/// Who gives whom how many bytes. What an algorithm moves is its own affair; this is the least that any has to, shared out evenly: of an
/// all-reduce of B bytes in a group of n each rank gives 2B/n to each other one, of a reduce-scatter B/n, of an all-gather B; roots, lists
/// and splits say the rest. The sums are nccl-tests' bus traffic (NVIDIA/nccl-tests, <c>doc/PERFORMANCE.md</c>).
/// </summary>
internal static class RankTraffic
{
    /// <summary>Bytes by giver and taker, of the calls that fit together, as far as sizes, roots and members are known.</summary>
    public static ImmutableSortedDictionary<(int From, int To), long> Of(RankJob job)
    {
        var sums = new Dictionary<(int, int), double>();
        foreach (var matched in job.Matched)
            foreach (var (rank, call) in matched.Calls)
                foreach (var (from, to, bytes) in SharesOf(matched, rank, call))
                    if (from != to && bytes > 0)
                        sums[(from, to)] = sums.GetValueOrDefault((from, to)) + bytes;
        return sums.ToImmutableSortedDictionary(s => s.Key, s => (long)Math.Round(Math.Min(s.Value, long.MaxValue / 2)));
    }

    private static IEnumerable<(int From, int To, double Bytes)> SharesOf(MatchedCall matched, int rank, CollectiveCall call)
    {
        var group = matched.Group;
        int size = !group.Members.IsDefault ? group.Members.Length : group.Size ?? call.GroupSize ?? matched.Calls.Count;
        int[] others = size > 4096 ? [] : [.. Enumerable.Range(0, size).Select(group.RankAt).Where(r => r != rank)];
        double given = call.InputBytes ?? 0;
        int? root = call.Root is { } place ? group.RankAt(place) : null;
        switch (call.Kind)
        {
            case CollectiveKind.AllReduce:
                return others.Select(o => (rank, o, 2 * given / size));
            case CollectiveKind.ReduceScatter:
                return others.Select(o => (rank, o, given / size));
            case CollectiveKind.AllGather:
                return others.Select(o => (rank, o, given));
            case CollectiveKind.AllToAll when CallSizes.PartsOf(call.Inputs, call.InputSplits, size) is { } parts:
                int item = call.Inputs[0].ItemSizeBytes;
                return parts.Select((count, at) => (rank, group.RankAt(at), (double)count * item));
            case CollectiveKind.Broadcast when root == rank:
                return others.Select(o => (rank, o, given));
            case CollectiveKind.Scatter when root is { } giver:
                return [(giver, rank, call.OutputBytes ?? 0)];
            case CollectiveKind.Gather or CollectiveKind.Reduce when root is { } taker:
                return [(rank, taker, given)];
            case CollectiveKind.Send when root is { } peer:
                return [(rank, peer, given)];
            default:
                return [];
        }
    }
}
