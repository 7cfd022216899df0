namespace Mystique.Planning;

/// <summary>
/// What a part of an iteration makes and the rest of it uses: it lives to the part's end, as it outlived it in the whole.
/// </summary>
internal static class OutgoingTensors
{
    /// <summary>Keeps it.</summary>
    /// <param name="plan">The part's plan.</param>
    /// <param name="segment">The part; another segment is left as it is.</param>
    /// <param name="table">Where its tensors are.</param>
    public static ReplayPlan Keep(ReplayPlan plan, Segment segment, TensorTable table)
    {
        if (!segment.IsPart || plan.Operators is not [.., var last])
            return plan;
        var own = segment.Operators.SelectMany(o => o.SelfAndBelow).ToHashSet();
        var kept = new HashSet<StorageId>();
        foreach (var node in segment.Recording.Trace.Nodes)
            if (node.Schema is not null && node.Id > segment.Operators[0].Id && node.Id < (segment.Iteration?.EndId ?? long.MaxValue)
                && !own.Contains(node))
                foreach (var generation in segment.Timeline.InputsOf(node))
                    if (generation is not null && table.StorageOf(generation) is { } storage && !plan[storage].IsExternal)
                        kept.Add(storage);
        return kept.Count == 0 ? plan : plan with
        {
            Storages = [.. plan.Storages.Select((s, i) => kept.Contains(new StorageId(i)) ? s with { Until = last.Id } : s)],
        };
    }
}
