namespace Mystique.Traces.Kineto;

/// <summary>Finds nodes of a trace in a profile by ids. An id alone does not convince: the name has to be the node's, too.</summary>
internal static class IdLinker
{
    public static Dictionary<long, int> ByRecordFunction(TraceNode[] operators, KinetoEvent[] events) =>
        ByIds(operators, events, e => e.RecordFunctionId ?? e.ExternalId, 0);

    public static Dictionary<long, int> ByExternalId(TraceNode[] operators, KinetoEvent[] events) =>
        ByIds(operators, events, e => e.ExternalId, 0);

    /// <summary>By the most frequent difference of ids, between the n-th node and the n-th event of each name.</summary>
    public static Dictionary<long, int> ByShiftedId(TraceNode[] operators, KinetoEvent[] events)
    {
        var best = new Dictionary<long, int>();
        foreach (Func<KinetoEvent, long?> idOf in (Func<KinetoEvent, long?>[])[e => e.RecordFunctionId, e => e.ExternalId])
        {
            var found = ShiftOf(operators, events, idOf) is { } shift ? ByIds(operators, events, idOf, shift) : [];
            if (found.Count > best.Count)
                best = found;
        }
        return best;
    }

    private static long? ShiftOf(TraceNode[] operators, KinetoEvent[] events, Func<KinetoEvent, long?> idOf)
    {
        var byName = events.Where(e => e.Kind == KinetoKind.Operator && idOf(e) is not null).GroupBy(e => e.Name)
            .ToDictionary(g => g.Key, g => g.Select(e => idOf(e)!.Value).Order().ToArray());
        var votes = new Dictionary<long, int>();
        foreach (var nodes in operators.GroupBy(n => n.Name))
        {
            if (!byName.TryGetValue(nodes.Key, out long[]? ids))
                continue;
            foreach (var (id, node) in ids.Zip(nodes.OrderBy(n => n.Id)))
                if (id - node.RecordFunctionId is { } shift)
                    votes[shift] = votes.GetValueOrDefault(shift) + 1;
        }
        return votes.Count == 0 ? null : votes.MaxBy(v => (v.Value, -Math.Abs(v.Key))).Key;
    }

    /// <summary>Labels, as a process group marks its work on another thread with (<c>gloo:all_reduce</c>).</summary>
    public static Dictionary<long, int> Labels(IEnumerable<TraceNode> nodes, KinetoEvent[] events) =>
        ByIds(nodes, events, e => e.RecordFunctionId, 0, KinetoKind.Label);

    private static Dictionary<long, int> ByIds(IEnumerable<TraceNode> operators, KinetoEvent[] events, Func<KinetoEvent, long?> idOf,
        long shift, KinetoKind kind = KinetoKind.Operator)
    {
        var byId = new Dictionary<long, int>();
        for (int i = 0; i < events.Length; i++)
            if (events[i].Kind == kind && idOf(events[i]) is { } id)
                byId.TryAdd(id, i);
        var found = new Dictionary<long, int>();
        foreach (var node in operators)
            if (node.RecordFunctionId + shift is { } id && byId.TryGetValue(id, out int at) && events[at].Name == node.Name)
                found.Add(node.Id, at);
        return found;
    }

    /// <summary>
    /// By their order among those of a name, where there are as many events of it: in all of a profile, or within a time. The last call's
    /// work ends after all operators.
    /// </summary>
    public static Dictionary<long, int> ByNames(IEnumerable<TraceNode> nodes, KinetoEvent[] events, long start, long end)
    {
        var byName = Enumerable.Range(0, events.Length).Where(i => !events[i].IsOnDevice).GroupBy(i => events[i].Name)
            .ToDictionary(g => g.Key, g => g.OrderBy(i => events[i].StartNs).ToArray());
        var found = new Dictionary<long, int>();
        foreach (var alike in nodes.GroupBy(n => n.Name))
        {
            int[] all = byName.GetValueOrDefault(alike.Key, []);
            int[] places = all.Length == alike.Count() ? all
                : [.. all.Where(i => events[i].EndNs > start && events[i].StartNs < end)];
            if (places.Length == alike.Count())
                foreach (var (node, place) in alike.OrderBy(n => n.Id).Zip(places))
                    found.Add(node.Id, place);
        }
        return found;
    }
}
