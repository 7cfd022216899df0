using System.Globalization;

namespace Mystique.Traces.Kineto;

/// <summary>
/// Work on the device that cannot have taken as long as it says: a stream runs one thing after the other, so nothing lasts until
/// after what came later on its stream has ended, and nothing lasts twice as long as the host was seen at all.
/// </summary>
internal static class ImpossibleWork
{
    /// <summary>Graphs and some drivers let work of a stream overlap a little: shorter ones are believed.</summary>
    private const long ShortestNs = 1_000_000;

    /// <summary>How many times as long as the stream's median work.</summary>
    private const int Factor = 100;

    private const int MaxNameLength = 80;

    /// <summary>The events without such work.</summary>
    /// <param name="events">All events.</param>
    /// <param name="count">How many are left out.</param>
    /// <param name="why">Why the first is; empty where none is.</param>
    public static KinetoEvent[] LeaveOut(KinetoEvent[] events, out int count, out string why)
    {
        var doubted = new HashSet<int>();
        why = "";
        long hostNs = HostSpan(events);
        foreach (var stream in Enumerable.Range(0, events.Length).Where(i => events[i].IsOnDevice)
            .GroupBy(i => (events[i].Process, events[i].Stream)))
        {
            int[] order = [.. stream.OrderBy(i => events[i].StartNs).ThenBy(i => events[i].EndNs)];
            long median = order.Select(i => events[i].DurationNs).Order().ElementAt(order.Length / 2);
            for (int k = 0; k < order.Length; k++)
            {
                var e = events[order[k]];
                if (e.DurationNs < ShortestNs)
                    continue;
                bool coversLater = k + 1 < order.Length && events[order[k + 1]].EndNs < e.EndNs && e.DurationNs / Factor > median;
                if (!coversLater && (hostNs == 0 || e.DurationNs / 2 <= hostNs))
                    continue;
                doubted.Add(order[k]);
                if (why.Length == 0)
                    why = string.Create(CultureInfo.InvariantCulture,
                        $"they cannot have taken so long; the first is {Short(e.Name)}: {e.DurationNs / 1e6:N3} ms")
                        + (coversLater ? ", until after what its stream ran later" : ", longer than the profile");
            }
        }
        count = doubted.Count;
        return count == 0 ? events : [.. events.Where((_, i) => !doubted.Contains(i))];
    }

    /// <summary>Names of kernels can be as long as pages.</summary>
    private static string Short(string name) => name.Length <= MaxNameLength ? name : name[..MaxNameLength] + "…";

    private static long HostSpan(KinetoEvent[] events)
    {
        long start = long.MaxValue;
        long end = long.MinValue;
        foreach (ref var e in events.AsSpan())
        {
            if (e.IsOnDevice)
                continue;
            start = Math.Min(start, e.StartNs);
            end = Math.Max(end, e.EndNs);
        }
        return end > start ? end - start : 0;
    }
}
