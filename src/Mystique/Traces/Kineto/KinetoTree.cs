using System.Globalization;

namespace Mystique.Traces.Kineto;

/// <summary>
/// Which events of a profile lie within which on each thread of the host, and which operator started what on the device:
/// the innermost around the runtime's call that has the same correlation.
/// </summary>
internal sealed class KinetoTree
{
    private const int None = -1;

    private readonly KinetoEvent[] _events;
    private readonly int[] _parents;
    private readonly int[] _launches; // For what ran on the device, the runtime's call; for all others, none.
    private readonly Dictionary<int, List<int>> _work = []; // By operator, what it and those within it started.

    public KinetoTree(KinetoProfile profile)
    {
        _events = profile.Events;
        _parents = new int[_events.Length];
        _launches = new int[_events.Length];
        Array.Fill(_parents, None);
        Array.Fill(_launches, None);
        Threads = SortThreads();
        foreach (int[] thread in Threads)
            FindParents(thread);
        FindLaunches();
    }

    /// <summary>By thread of the host, its events in the order in which they started; those without a thread are one more.</summary>
    public int[][] Threads { get; }

    /// <summary>The events that an event lies within, the innermost first.</summary>
    public IEnumerable<int> AncestorsOf(int index)
    {
        for (int parent = _parents[index]; parent != None; parent = _parents[parent])
            yield return parent;
    }

    /// <summary>The runtime's call that started something on the device; null where the profile does not say.</summary>
    public int? LaunchOf(int index) => _launches[index] is var launch and not None ? launch : null;

    /// <summary>What an operator, and what is within it, started on the device, by its start.</summary>
    /// <param name="index">The operator's event.</param>
    /// <param name="baseNs">What times are counted from.</param>
    public IEnumerable<DeviceWork> WorkOf(int index, long baseNs)
    {
        if (!_work.TryGetValue(index, out var list))
            return [];
        return list.OrderBy(i => _events[i].StartNs)
            .Select(i => new DeviceWork(_events[i].Name, _events[i].StartNs - baseNs, _events[i].DurationNs,
                _events[i].Stream, GridOf(_events[i])));
    }

    private static string GridOf(in KinetoEvent e) =>
        e.Grid.X == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{e.Grid.X}x{e.Grid.Y}x{e.Grid.Z}");

    private int[][] SortThreads()
    {
        var threads = Enumerable.Range(0, _events.Length).Where(i => !_events[i].IsOnDevice)
            .GroupBy(i => _events[i].Thread).Select(g => g.ToArray()).ToArray();
        foreach (int[] thread in threads)
            Array.Sort(thread, Compare);
        return threads;
    }

    /// <summary>
    /// By start. Profiles can count in whole microseconds, so that an operator and what is within it start at once: the ids
    /// of operators rise with their starts, and calls of the runtime lie within operators.
    /// </summary>
    private int Compare(int a, int b)
    {
        ref var x = ref _events[a];
        ref var y = ref _events[b];
        int order = x.StartNs.CompareTo(y.StartNs);
        if (order == 0)
            order = (x.Kind == KinetoKind.Runtime).CompareTo(y.Kind == KinetoKind.Runtime);
        if (order == 0 && x.Kind != KinetoKind.Runtime)
            order = Nullable.Compare(x.ExternalId, y.ExternalId);
        if (order == 0 && x.Kind == KinetoKind.Runtime)
            order = y.DurationNs.CompareTo(x.DurationNs);
        return order != 0 ? order : a.CompareTo(b); // Without ids, the file's order.
    }

    private void FindParents(int[] thread)
    {
        var open = new Stack<int>();
        foreach (int i in thread)
        {
            // What ended before this starts is done; what ends when it starts holds it only if it started there too.
            while (open.TryPeek(out int top) && (_events[top].EndNs < _events[i].EndNs
                || _events[top].EndNs <= _events[i].StartNs && _events[top].StartNs < _events[i].StartNs))
                open.Pop();
            if (open.TryPeek(out int parent))
                _parents[i] = parent;
            if (_events[i].Kind != KinetoKind.Runtime)
                open.Push(i);
        }
    }

    private void FindLaunches()
    {
        var calls = new Dictionary<long, int>();
        for (int i = 0; i < _events.Length; i++)
            if (_events[i] is { Kind: KinetoKind.Runtime, Correlation: { } started })
                calls.TryAdd(started, i);
        for (int i = 0; i < _events.Length; i++)
        {
            if (!_events[i].IsOnDevice || _events[i].Correlation is not { } correlation || !calls.TryGetValue(correlation, out int call))
                continue;
            _launches[i] = call;
            foreach (int above in AncestorsOf(call))
            {
                if (_events[above].Kind != KinetoKind.Operator)
                    continue;
                if (!_work.TryGetValue(above, out var list))
                    _work.Add(above, list = []);
                list.Add(i);
            }
        }
    }
}
