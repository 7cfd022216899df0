namespace Mystique.Traces.Kineto;

/// <summary>
/// Links by the order of operators on each thread where either side lacks some: both are walked in step, and where names differ, the
/// nearest place is taken from which they agree again.
/// </summary>
internal static class GapLinker
{
    /// <summary>How far to look for where both sides agree again.</summary>
    private const int Window = 32;

    /// <summary>Places in the profile where the trace's sequence may start.</summary>
    private const int MaxStarts = 50;

    public static ProfileLinker.Found Link(TraceNode[] operators, KinetoTree tree, KinetoEvent[] events)
    {
        var found = new Dictionary<long, int>();
        var threads = tree.Threads.Select(t => t.Where(i => events[i].Kind == KinetoKind.Operator
            && ProfileLinker.IsOperatorName(events[i].Name)).ToArray()).Where(t => t.Length > 0).ToList();
        foreach (var group in operators.GroupBy(n => n.ThreadId).OrderByDescending(g => g.Count()))
        {
            var nodes = group.OrderBy(n => n.Id).ToArray();
            List<(int Node, int Event)> best = [];
            int[]? taken = null;
            foreach (int[] thread in threads)
                foreach (int start in StartsIn(thread, nodes, events))
                    if (Align(nodes, thread, start, events) is var pairs && pairs.Count > best.Count)
                        (best, taken) = (pairs, thread);
            if (taken is null)
                continue;
            threads.Remove(taken);
            foreach (var (node, at) in best)
                found[nodes[node].Id] = at;
        }
        return new ProfileLinker.Found(found, []);
    }

    /// <summary>The thread's start, and where its operators have the names of the trace's first ones.</summary>
    private static IEnumerable<int> StartsIn(int[] thread, TraceNode[] nodes, KinetoEvent[] events)
    {
        yield return 0;
        int count = 1;
        for (int i = 1; i < thread.Length && count < MaxStarts; i++)
        {
            if (events[thread[i]].Name != nodes[0].Name || nodes.Length > 1 && i + 1 < thread.Length
                && events[thread[i + 1]].Name != nodes[1].Name)
                continue;
            count++;
            yield return i;
        }
    }

    private static List<(int Node, int Event)> Align(TraceNode[] nodes, int[] thread, int start, KinetoEvent[] events)
    {
        var pairs = new List<(int, int)>();
        int i = 0;
        int j = start;
        while (i < nodes.Length && j < thread.Length)
        {
            if (Agrees(i, j))
                pairs.Add((i++, thread[j++]));
            else if (NextAgreement(i, j) is var (skipNodes, skipEvents))
                (i, j) = (i + skipNodes, j + skipEvents);
            else
                (i, j) = (i + 1, j + 1);
        }
        return pairs;

        bool Agrees(int node, int at) => nodes[node].Name == events[thread[at]].Name;

        // Two in a row, where there are two: one name alone agrees by chance.
        bool AgreesOn(int node, int at) => Agrees(node, at)
            && (node + 1 >= nodes.Length || at + 1 >= thread.Length || Agrees(node + 1, at + 1));

        (int, int)? NextAgreement(int node, int at)
        {
            for (int sum = 1; sum <= Window; sum++)
                for (int skip = 0; skip <= sum; skip++)
                    if (node + skip < nodes.Length && at + sum - skip < thread.Length && AgreesOn(node + skip, at + sum - skip))
                        return (skip, sum - skip);
            return null;
        }
    }
}
