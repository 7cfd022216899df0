using System.Collections.Immutable;
using System.Globalization;

namespace Mystique.Ranks;

/// <summary>Whether what the ranks of a group put into a call and get of it fits.</summary>
internal static class CallSizes
{
    /// <summary>What does not fit; null where all does, as far as sizes are known.</summary>
    /// <param name="group">The group.</param>
    /// <param name="calls">By rank, its call; all of one kind.</param>
    public static (RankMismatchKind Kind, int[] Ranks, string What)? WhyNot(RankGroup group, IReadOnlyDictionary<int, CollectiveCall> calls)
    {
        switch (calls.First().Value.Kind)
        {
            case CollectiveKind.AllReduce or CollectiveKind.Broadcast or CollectiveKind.Reduce or CollectiveKind.Gather:
                return Same(calls, c => c.InputElements, "puts in");
            case CollectiveKind.Scatter:
                return Same(calls, c => c.Outputs.IsEmpty ? null : CollectiveCall.ElementsOf(c.Outputs), "gets");
            case CollectiveKind.AllGather:
                return Gathered(group, calls) ?? Whole(group, calls, gathers: true);
            case CollectiveKind.ReduceScatter:
                return Same(calls, c => c.InputElements, "puts in") ?? Whole(group, calls, gathers: false);
            case CollectiveKind.AllToAll:
                return AllToAll(group, calls);
            default:
                return null;
        }
    }

    private static (RankMismatchKind, int[], string)? Whole(RankGroup group, IReadOnlyDictionary<int, CollectiveCall> calls, bool gathers)
    {
        foreach (var (rank, call) in calls)
            if (group.Size is { } size && !FitsWhole(call, gathers, size))
                return (RankMismatchKind.Sizes, [rank], string.Create(CultureInfo.InvariantCulture, $"rank {rank} puts in "
                    + $"{call.InputElements} elements and gets {CollectiveCall.ElementsOf(call.Outputs)} in {call}, in a group of {size}"));
        return null;
    }

    private static bool FitsWhole(CollectiveCall call, bool gathers, int size)
    {
        if (call.Inputs.IsEmpty || call.Outputs.IsEmpty || gathers && call.Outputs.Length == size && size > 1)
            return true; // A list can have parts of different sizes.
        long input = CollectiveCall.ElementsOf(call.Inputs), output = CollectiveCall.ElementsOf(call.Outputs);
        return gathers ? output == (decimal)input * size : input == (decimal)output * size || call.Inputs.Length == size && size > 1;
    }

    private static (RankMismatchKind, int[], string)? Same(IReadOnlyDictionary<int, CollectiveCall> calls,
        Func<CollectiveCall, long?> count, string what)
    {
        var (first, reference) = calls.First();
        foreach (var (rank, call) in calls)
            if (count(call) is { } elements && count(reference) is { } theirs && elements != theirs)
                return (RankMismatchKind.Sizes, [first, rank], string.Create(CultureInfo.InvariantCulture,
                    $"rank {first} {what} {theirs} elements in {reference}, rank {rank} {elements} in {call}"));
        return null;
    }

    /// <summary>What each rank puts in is what the others keep a place for: a list has a tensor of each, else all are alike.</summary>
    private static (RankMismatchKind, int[], string)? Gathered(RankGroup group, IReadOnlyDictionary<int, CollectiveCall> calls)
    {
        foreach (var (rank, call) in calls)
        {
            if (group.Members.IsDefault || call.Outputs.Length != group.Members.Length || call.Outputs.Length < 2)
                return Same(calls, c => c.InputElements, "puts in");
            for (int place = 0; place < call.Outputs.Length; place++)
                if (calls.TryGetValue(group.Members[place], out var other) && other.InputElements is { } given
                    && given != call.Outputs[place].ElementCount)
                    return (RankMismatchKind.Sizes, [rank, group.Members[place]], string.Create(CultureInfo.InvariantCulture,
                        $"rank {rank} expects {call.Outputs[place].ElementCount} elements of rank {group.Members[place]} in {call}, which "
                        + $"puts in {given} in {other}"));
        }
        return null;
    }

    /// <summary>What a rank gives another one is what that one takes; and splits add up to what there is.</summary>
    private static (RankMismatchKind, int[], string)? AllToAll(RankGroup group, IReadOnlyDictionary<int, CollectiveCall> calls)
    {
        int size = group.Size ?? calls.Count;
        var given = calls.ToDictionary(c => c.Key, c => PartsOf(c.Value.Inputs, c.Value.InputSplits, size));
        var taken = calls.ToDictionary(c => c.Key, c => PartsOf(c.Value.Outputs, c.Value.OutputSplits, size));
        foreach (var (rank, call) in calls)
        {
            if (call.Inputs.Length > 0 && given[rank] is null)
                return (RankMismatchKind.Splits, [rank], $"rank {rank} splits [{string.Join(", ", call.InputSplits)}] among {size} in "
                    + $"{call}, which do not add up to what it puts in ({Shape(call.Inputs)})");
            if (call.Outputs.Length > 0 && taken[rank] is null)
                return (RankMismatchKind.Splits, [rank], $"rank {rank} takes [{string.Join(", ", call.OutputSplits)}] of {size} in {call}, "
                    + $"which do not add up to what it gets ({Shape(call.Outputs)})");
        }
        if (group.Members.IsDefault)
            return null;
        for (int from = 0; from < group.Members.Length; from++)
            for (int to = 0; to < group.Members.Length; to++)
            {
                int giver = group.Members[from], taker = group.Members[to];
                if (given.GetValueOrDefault(giver) is { } gives && taken.GetValueOrDefault(taker) is { } takes && gives[to] != takes[from])
                    return (RankMismatchKind.Splits, [giver, taker], string.Create(CultureInfo.InvariantCulture,
                        $"rank {giver} gives rank {taker} {gives[to]} elements in {calls[giver]}, and it takes {takes[from]} in "
                        + $"{calls[taker]}"));
            }
        return null;
    }

    /// <summary>Elements for each place of the group; null where they do not add up.</summary>
    internal static ImmutableArray<long>? PartsOf(ImmutableArray<Traces.TensorValue> tensors, ImmutableArray<long> splits, int size)
    {
        if (tensors.Length == size && size > 1)
            return [.. tensors.Select(t => t.ElementCount)]; // A list has a tensor for each rank.
        if (tensors is not [var tensor] || size < 1)
            return null;
        long rows = tensor.Shape is [var first, ..] ? first : 1;
        if (splits.IsEmpty)
            return rows % size == 0 ? [.. Enumerable.Repeat(tensor.ElementCount / size, size)] : null;
        if (splits.Length != size || splits.Any(s => s < 0) || splits.Sum(s => (decimal)s) != rows)
            return null;
        return rows == 0 ? splits : [.. splits.Select(s => tensor.ElementCount / rows * s)];
    }

    private static string Shape(ImmutableArray<Traces.TensorValue> tensors) =>
        string.Join(", ", tensors.Take(8).Select(t => $"[{string.Join(", ", t.Shape)}]"));
}
