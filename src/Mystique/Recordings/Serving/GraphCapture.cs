using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Serving;

/// <summary>What was profiled while a device's graph was captured: the operators that filled it, and the kernels they launched.</summary>
/// <param name="Source">The file's name.</param>
/// <param name="Batch">The batch that it is for, in tokens.</param>
/// <param name="Mode"><c>FULL</c>: a step is one graph; <c>PIECEWISE</c>: it is several. Empty where nothing tells.</param>
/// <param name="Graphs">The graphs, in the order in which they were captured.</param>
internal sealed record GraphCapture(string Source, long Batch, string Mode, IReadOnlyList<CapturedGraph> Graphs);

/// <summary>The events of one graph's capture.</summary>
/// <param name="Events">
/// Operators, labels and calls of the runtime on the capturing thread, by their starts; what contains another first.
/// </param>
/// <param name="Allocations">Allocations and frees meanwhile.</param>
internal sealed record CapturedGraph(KinetoEvent[] Events, KinetoAllocation[] Allocations)
{
    /// <summary>The places of calls that put work into the graph, in order.</summary>
    public IReadOnlyList<int> Launches { get; } = [.. Enumerable.Range(0, Events.Length).Where(i => IsLaunch(Events[i]))];

    /// <summary>Finds the graphs that were captured in a profile: from the call that begins a capture to the one that ends it.</summary>
    public static IReadOnlyList<(long StartNs, CapturedGraph Graph)> In(KinetoProfile profile)
    {
        var found = new List<(long, CapturedGraph)>();
        foreach (var thread in profile.Events.Where(e => !e.IsOnDevice).GroupBy(e => e.Thread))
        {
            var events = thread.OrderBy(e => e.StartNs).ThenByDescending(e => e.DurationNs).ToArray();
            int begin = -1;
            for (int i = 0; i < events.Length; i++)
            {
                if (events[i].Kind != KinetoKind.Runtime)
                    continue;
                if (events[i].Name.Contains("StreamBeginCapture", StringComparison.Ordinal))
                    begin = i;
                else if (begin >= 0 && events[i].Name.Contains("StreamEndCapture", StringComparison.Ordinal))
                {
                    var (from, to) = (events[begin].EndNs, events[i].StartNs);
                    found.Add((events[begin].StartNs, new CapturedGraph([.. events[(begin + 1)..i]
                        .Where(e => e.StartNs >= from && e.EndNs <= to)],
                        [.. profile.Allocations.Where(a => a.AtNs >= from && a.AtNs <= to)])));
                    begin = -1;
                }
            }
        }
        found.Sort((a, b) => a.Item1.CompareTo(b.Item1));
        return found;
    }

    /// <summary>Whether a call of the runtime or the driver starts a kernel, a copy or a filling.</summary>
    public static bool IsLaunch(in KinetoEvent call) => call.Kind == KinetoKind.Runtime
        && (call.Name.Contains("Launch", StringComparison.Ordinal) && !call.Name.Contains("HostFunc", StringComparison.Ordinal)
            || call.Name.Contains("Memcpy", StringComparison.Ordinal) || call.Name.Contains("Memset", StringComparison.Ordinal));
}
