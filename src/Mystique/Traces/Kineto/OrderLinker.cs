namespace Mystique.Traces.Kineto;

/// <summary>
/// Links by the order of operators on each thread. A job's iterations run the same operators, so the trace's sequence
/// occurs in the profile once for each iteration of it; the one of median length is taken, and on other threads what
/// ran while it lasted.
/// </summary>
internal static class OrderLinker
{
    /// <summary>Shorter sequences occur by chance.</summary>
    private const int ShortestSequence = 4;

    public static ProfileLinker.Found Link(ExecutionTrace trace, TraceNode[] operators, KinetoTree tree, KinetoEvent[] events)
    {
        // An operator that calls itself by another overload has two events or, where the profiler takes out the inner, one.
        bool IsRepeated(int index) => tree.AncestorsOf(index).Take(1)
            .Any(above => events[above].Name == events[index].Name && events[above].DurationNs > 0);
        var threads = tree.Threads.Select(t =>
            t.Where(i => events[i].Kind == KinetoKind.Operator && ProfileLinker.IsOperatorName(events[i].Name) && !IsRepeated(i)).ToArray())
            .Where(t => t.Length > 0).ToArray();
        var repeated = operators.Where(n => n.Parent?.Name == n.Name).ToArray();
        var found = LinkParts(trace, [.. operators.Where(n => n.Parent?.Name != n.Name)], threads, events);
        foreach (var node in repeated)
            if (found.Events.TryGetValue(node.Parent!.Id, out int above))
                found.Events[node.Id] = above;
        return found;
    }

    private static ProfileLinker.Found LinkParts(ExecutionTrace trace, TraceNode[] operators, int[][] threads, KinetoEvent[] events)
    {
        // The trace as a whole; where it is of several iterations, or starts within one, each of them.
        var found = LinkPart(operators, threads, events);
        if (found.Events.Count > 0)
            return found;
        long[] steps = [.. trace.Nodes.Where(n => ProfilerStep.NumberOf(n.Name) is not null).Select(n => n.Id)];
        for (int i = 0; i < steps.Length && found.Events.Count == 0; i++)
        {
            long end = i + 1 < steps.Length ? steps[i + 1] : long.MaxValue;
            found = LinkPart([.. operators.Where(n => n.Id >= steps[i] && n.Id < end)], threads, events);
        }
        return found;
    }

    private static ProfileLinker.Found LinkPart(TraceNode[] operators, int[][] threads, KinetoEvent[] events)
    {
        var found = new Dictionary<long, int>();
        var periods = new List<long>();
        // The thread that starts first leads: what the others run follows from it.
        var groups = operators.GroupBy(n => n.ThreadId).Select(g => g.OrderBy(n => n.Id).ToArray())
            .OrderBy(g => g.Length < ShortestSequence).ThenBy(g => g[0].Id).ToArray();
        if (groups.Length == 0 || groups[0].Length < ShortestSequence)
            return new ProfileLinker.Found(found, periods);
        var (leader, occurrences) = Occurrences(groups[0], threads, events);
        if (occurrences.Count == 0)
            return new ProfileLinker.Found(found, periods);
        long[] starts = [.. occurrences.Select(o => events[leader[o]].StartNs)];
        for (int i = 1; i < starts.Length; i++)
            periods.Add(starts[i] - starts[i - 1]);
        int chosen = MedianOf(periods);
        Take(groups[0], leader, occurrences[chosen]);
        var taken = new HashSet<int[]> { leader }; // A thread of the trace is one of the profile's.
        long from = starts[chosen];
        long until = chosen + 1 < starts.Length ? starts[chosen + 1] : long.MaxValue;
        foreach (var group in groups.Skip(1))
        {
            var (thread, places) = Occurrences(group, [.. threads.Where(t => !taken.Contains(t))], events);
            int place = places.FindIndex(p => events[thread[p]].StartNs >= from && events[thread[p]].StartNs < until);
            if (place < 0)
                continue;
            Take(group, thread, places[place]);
            taken.Add(thread);
        }
        return new ProfileLinker.Found(found, periods);

        void Take(TraceNode[] nodes, int[] thread, int place)
        {
            for (int i = 0; i < nodes.Length; i++)
                found[nodes[i].Id] = thread[place + i];
        }
    }

    /// <summary>The place of a list's median; with fewer than two, the first.</summary>
    private static int MedianOf(List<long> periods)
    {
        if (periods.Count < 2)
            return 0;
        long median = periods.Order().ElementAt(periods.Count / 2);
        return periods.IndexOf(median);
    }

    /// <summary>Where a sequence of names occurs: the thread on which it does most often, and the places (Knuth, Morris, Pratt).</summary>
    private static (int[] Thread, List<int> Places) Occurrences(TraceNode[] nodes, int[][] threads, KinetoEvent[] events)
    {
        int[] failure = new int[nodes.Length];
        for (int i = 1, k = 0; i < nodes.Length; i++)
        {
            while (k > 0 && nodes[i].Name != nodes[k].Name)
                k = failure[k - 1];
            failure[i] = nodes[i].Name == nodes[k].Name ? ++k : k;
        }
        (int[] Thread, List<int> Places) best = ([], []);
        foreach (int[] thread in threads)
        {
            var places = new List<int>();
            for (int i = 0, k = 0; i < thread.Length; i++)
            {
                while (k > 0 && (k == nodes.Length || events[thread[i]].Name != nodes[k].Name))
                    k = failure[k - 1];
                if (events[thread[i]].Name == nodes[k].Name)
                    k++;
                if (k == nodes.Length)
                {
                    places.Add(i - k + 1);
                    k = 0; // The next one starts after this one has ended.
                }
            }
            if (places.Count > best.Places.Count)
                best = (thread, places);
        }
        return best;
    }
}
