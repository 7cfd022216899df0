using System.Globalization;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Serving;

/// <summary>
/// Puts the operators that filled a device's graphs in the place of the graphs' launches. A step that launches graphs has the kernels,
/// and none of the operators; a capture of the same batch has the operators, and no kernel ran in it. See <c>docs/serving.md</c>.
/// </summary>
internal static class GraphJoin
{
    /// <summary>Fewer kernels than this share of a graph's are there by chance.</summary>
    private const double Enough = 0.5;

    /// <summary>Between two places at least: calls that stand for an operator lie within it.</summary>
    private const long LeastNs = 32;

    /// <summary>Joins a step with its capture.</summary>
    /// <param name="step">The step's events.</param>
    /// <param name="label">The step's label; null where it has none.</param>
    /// <param name="captures">Reads the captures; null where there are none.</param>
    /// <param name="notes">What was odd about the captures.</param>
    public static (KinetoProfile Profile, GraphUse? Use) Join(KinetoProfile step, StepLabel? label,
        Func<IReadOnlyList<GraphCapture>?> captures, List<string> notes)
    {
        var launches = step.Events.Where(IsGraphLaunch).OrderBy(e => e.StartNs).ToArray();
        if (launches.Length == 0)
            return (step, null);
        var correlations = launches.Select(l => l.Correlation).OfType<long>().ToHashSet();
        var inside = step.Events.Where(e => e.IsOnDevice && e.Correlation is { } c && correlations.Contains(c))
            .ToLookup(e => e.Correlation);
        var use = new GraphUse
        {
            Launches = launches.Length,
            DeviceNs = step.Events.Where(e => e.IsOnDevice).Sum(e => e.DurationNs),
            GraphNs = inside.Sum(g => g.Sum(e => e.DurationNs)),
            Kernels = inside.Sum(g => g.Count()),
        };
        var (capture, why) = Choose(launches.Length, label, captures());
        if (capture is null)
        {
            notes.Add(why);
            return (step, use);
        }
        use = use with { Capture = capture };
        var events = new List<KinetoEvent>(step.Events.Length);
        var allocations = step.Allocations.ToList();
        var moved = new Dictionary<(long?, long), long>(); // Of a kernel, by correlation and place among its graph's: its new correlation.
        var shifts = new List<(long FromNs, long By)>();
        long next = step.Events.Max(e => e.Correlation ?? 0) + 1;
        for (int i = 0; i < launches.Length; i++)
        {
            var graph = capture.Graphs[i];
            var work = InOrder(inside[launches[i].Correlation]);
            var pairs = Match(graph, work);
            if (work.Length == 0 || pairs.Count < Enough * work.Length)
            {
                notes.Add(string.Create(CultureInfo.InvariantCulture,
                    $"graph {i + 1} of {launches.Length} is not that of {capture.Source}: {pairs.Count:N0} of its ")
                        + string.Create(CultureInfo.InvariantCulture, $"{work.Length:N0} kernels were launched in this order"));
                continue;
            }
            use = use with { Joined = use.Joined + 1, Matched = use.Matched + pairs.Count };
            var of = new Dictionary<int, long>(); // Of a launch in the capture, its new correlation.
            foreach (var (launch, kernel) in pairs)
                moved[(launches[i].Correlation, work[kernel].Place)] = of[launch] = next++;
            var at = launches[i];
            long earlier = shifts.Sum(s => s.By);
            at.StartNs += earlier;
            if (Place(graph, at, of, events, allocations) is > 0 and var by)
                shifts.Add((launches[i].EndNs, by));
        }
        var places = new Dictionary<long, int>();
        foreach (var e in step.Events)
        {
            var kept = e;
            if (e is { IsOnDevice: true, Correlation: { } c } && correlations.Contains(c))
            {
                int place = places[c] = places.GetValueOrDefault(c, -1) + 1;
                if (moved.TryGetValue((c, place), out long now))
                    (kept.Correlation, kept.ExternalId) = (now, null);
            }
            if (!kept.IsOnDevice)
                kept.StartNs += shifts.Where(s => s.FromNs <= e.StartNs).Sum(s => s.By);
            events.Add(kept);
        }
        // What allocated nothing made nothing: that holds only where all allocations were recorded.
        bool hasAllocations = step.Allocations.Count > 0 && capture.Graphs.All(g => g.Allocations.Length > 0);
        return (step.With([.. events], hasAllocations ? allocations : [], step.StreamWaits), use);
    }

    /// <summary>Whether a call launches a graph (<c>cudaGraphLaunch</c>, <c>cuGraphLaunch</c>, <c>hipGraphLaunch</c>).</summary>
    private static bool IsGraphLaunch(KinetoEvent e) =>
        e.Kind == KinetoKind.Runtime && e.Name.Contains("GraphLaunch", StringComparison.Ordinal);

    /// <summary>The capture of the smallest batch that holds the step's, with as many graphs as the step launched.</summary>
    private static (GraphCapture?, string Why) Choose(int launches, StepLabel? label, IReadOnlyList<GraphCapture>? captures)
    {
        if (captures is null)
            return (null, "it launches graphs, and there are no capture traces: what ran in them has no operators (docs/serving.md)");
        if (captures.Count == 0)
            return (null, "none of the capture traces has a captured graph");
        if (label is null && captures.Select(c => c.Batch).Distinct().Count() > 1)
            return (null, "the step has no label (execute_…), so that the batch of its graphs is not known");
        long tokens = label?.Tokens ?? captures[0].Batch;
        var fitting = captures.Where(c => c.Batch >= tokens).ToArray();
        if (fitting.Length == 0)
            return (null, string.Create(CultureInfo.InvariantCulture,
                $"the step is of {tokens:N0} tokens, and the largest captured batch is {captures.Max(c => c.Batch):N0}"));
        long batch = fitting.Min(c => c.Batch);
        var ofBatch = fitting.Where(c => c.Batch == batch).ToArray();
        return ofBatch.FirstOrDefault(c => c.Graphs.Count == launches) is { } found ? (found, "")
            : (null, string.Create(CultureInfo.InvariantCulture,
                $"the step launches {launches:N0} graphs, and the captures of batch {batch:N0} have ")
                + string.Join(", ", ofBatch.Select(c => c.Graphs.Count.ToString(CultureInfo.InvariantCulture))));
    }

    /// <summary>A graph's work in the order of its nodes where that is recorded, else of its starts, with its place in the file.</summary>
    private static (KinetoEvent Event, int Place)[] InOrder(IEnumerable<KinetoEvent> work)
    {
        var all = work.Select((e, i) => (Event: e, Place: i)).ToArray();
        return all.All(w => w.Event.GraphNode is not null) ? [.. all.OrderBy(w => w.Event.GraphNode)]
            : [.. all.OrderBy(w => w.Event.StartNs)];
    }

    /// <summary>
    /// Which launch of a capture started which kernel: by names in order, stream by stream, where the runtime's calls have the kernels'
    /// names; else, if there are as many of the one as of the other, by order alone.
    /// </summary>
    private static List<(int Launch, int Kernel)> Match(CapturedGraph graph, (KinetoEvent Event, int Place)[] work)
    {
        var launches = graph.Launches;
        if (!launches.Any(l => graph.Events[l].Launched is not null))
            return launches.Count == work.Length ? [.. launches.Select((l, i) => (l, i))] : [];
        var pairs = new List<(int, int)>();
        var free = launches.ToList();
        foreach (var stream in Enumerable.Range(0, work.Length).GroupBy(i => work[i].Event.Stream).OrderByDescending(s => s.Count()))
        {
            int[] kernels = [.. stream];
            var found = CommonSequence.Of([.. free.Select(l => NameOf(graph.Events[l]))], [.. kernels.Select(k => NameOf(work[k].Event))]);
            pairs.AddRange(found.Select(f => (free[f.First], kernels[f.Second])));
            var taken = found.Select(f => free[f.First]).ToHashSet();
            free.RemoveAll(taken.Contains);
        }
        return pairs;
    }

    private static string NameOf(in KinetoEvent e) => e.Kind == KinetoKind.Memcpy ? "copy" : e.Kind == KinetoKind.Memset ? "fill"
        : e.IsOnDevice ? e.Name : e.Launched ?? (e.Name.Contains("Memset", StringComparison.Ordinal) ? "fill" : "copy");

    /// <summary>
    /// Adds a capture's events within its launch. When they would run is not known, for they do not: their places keep their order
    /// and what contains what, and share out the launch's time.
    /// </summary>
    /// <returns>How much longer the launch has to be for that: what comes later on the host has to move by as much.</returns>
    private static long Place(CapturedGraph graph, in KinetoEvent launch, Dictionary<int, long> correlations, List<KinetoEvent> events,
        List<KinetoAllocation> allocations)
    {
        long[] times = [.. graph.Events.Select(e => e.StartNs).Concat(graph.Events.Select(e => e.EndNs))
            .Concat(graph.Allocations.Select(a => a.AtNs)).Distinct().Order()];
        var ranks = times.Index().ToDictionary(t => t.Item, t => t.Index);
        var (from, to) = (launch.StartNs, Math.Max(launch.EndNs, launch.StartNs + LeastNs * times.Length));
        long At(long ns) => from + (long)((Int128)(to - from) * (ranks[ns] + 1) / (times.Length + 1));
        for (int i = 0; i < graph.Events.Length; i++)
        {
            var e = graph.Events[i];
            long start = At(e.StartNs);
            e.DurationNs = At(e.EndNs) - start;
            e.StartNs = start;
            (e.Thread, e.Process, e.ExternalId, e.RecordFunctionId) = (launch.Thread, launch.Process, null, null);
            e.Correlation = correlations.TryGetValue(i, out long known) ? known : null;
            events.Add(e);
        }
        allocations.AddRange(graph.Allocations.Select(a => a with { AtNs = At(a.AtNs) }));
        return to - launch.EndNs;
    }
}

/// <summary>A step's use of graphs.</summary>
internal sealed record GraphUse
{
    /// <summary>How many graphs it launched.</summary>
    public required int Launches { get; init; }

    /// <summary>Time on the device, added up over all streams, in nanoseconds.</summary>
    public required long DeviceNs { get; init; }

    /// <summary>Of this, what graphs started.</summary>
    public required long GraphNs { get; init; }

    /// <summary>Kernels, copies and fillings that graphs started.</summary>
    public required int Kernels { get; init; }

    /// <summary>Launches whose operators were found.</summary>
    public int Joined { get; init; }

    /// <summary>Kernels whose launch was found among a capture's.</summary>
    public int Matched { get; init; }

    /// <summary>The capture; null for none.</summary>
    public GraphCapture? Capture { get; init; }
}
