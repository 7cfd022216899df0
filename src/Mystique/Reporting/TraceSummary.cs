using System.Collections.Immutable;
using Mystique.Costs;
using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Ranks;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Reporting;

/// <summary>Operators of a name in a selection.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Count">How many.</param>
/// <param name="InputBytes">Bytes of their input tensors, each counted as often as it is named.</param>
/// <param name="OutputBytes">Bytes of their output tensors.</param>
/// <param name="Costs">What each of them costs.</param>
internal sealed record OperatorKindCount(string Name, int Count, long InputBytes, long OutputBytes, ImmutableArray<OperatorCost> Costs)
{
    /// <summary>What they cost.</summary>
    public CostSum Cost { get; } = OperatorCost.Sum(Costs);
}

/// <summary>Collectives of a name in a trace.</summary>
/// <param name="Name">For example <c>allreduce</c>.</param>
/// <param name="Count">How many.</param>
/// <param name="InputElements">Elements that this rank puts in; 0 where the trace does not say (before schema 1.1.0).</param>
internal sealed record CollectiveCount(string Name, int Count, long InputElements);

/// <summary>What a part is of its iteration, as shares from 0 to 1; null where nothing tells.</summary>
/// <param name="Operators">Of its operators, those in the part.</param>
/// <param name="All">Its operators.</param>
/// <param name="Time">Of the time of operators, the device's where there is one, else the host's.</param>
/// <param name="Flops">Of the FLOPs that are known.</param>
/// <param name="Bytes">Of the bytes that are moved at least.</param>
internal sealed record PartShare(int Operators, int All, double? Time, double? Flops, double? Bytes)
{
    /// <summary>Compares a part with the whole.</summary>
    public static PartShare Of(Segment part, Segment whole)
    {
        var (own, all) = (CostOf(part), CostOf(whole));
        double? Share(double of, double total) => total > 0 ? of / total : null;
        double TimeOf(Segment segment) => segment.Recording.Profile is not { } profile ? 0 : segment.Operators
            .Select(o => profile.Operators.GetValueOrDefault(o.Id)).OfType<Traces.Kineto.OperatorTime>()
            .Sum(t => profile.DeviceNs > 0 ? t.DeviceNs : t.DurationNs);
        return new PartShare(part.Operators.Length, whole.Operators.Length, Share(TimeOf(part), TimeOf(whole)), Share(own.Flops, all.Flops),
            Share(own.Bytes, all.Bytes));
    }

    private static CostSum CostOf(Segment segment) => OperatorCost.Sum(segment.Operators.Select(OperatorCost.Of));
}

/// <summary>What is in a trace, and how much of it can be replayed as far as the trace tells.</summary>
internal sealed record TraceSummary
{
    /// <summary>The trace.</summary>
    public required ExecutionTrace Trace { get; init; }

    /// <summary>The iterations that the profiler marked.</summary>
    public required ImmutableArray<TraceIteration> Iterations { get; init; }

    /// <summary>Threads that ran operators.</summary>
    public required int Threads { get; init; }

    /// <summary>The plan of the selection.</summary>
    public required ReplayPlan Plan { get; init; }

    /// <summary>The memory that the plan needs.</summary>
    public required PlanMemory Memory { get; init; }

    /// <summary>The operators of the selection by name, the most frequent first.</summary>
    public required ImmutableArray<OperatorKindCount> Kinds { get; init; }

    /// <summary>What each operator of the selection costs, in order.</summary>
    public required ImmutableArray<OperatorCost> Costs { get; init; }

    /// <summary>What the selection costs.</summary>
    public CostSum Cost => OperatorCost.Sum(Costs);

    /// <summary>The backward passes of the selection, in order.</summary>
    public required ImmutableArray<BackwardPass> BackwardPasses { get; init; }

    /// <summary>What a part is of its iteration; null where all of it is selected.</summary>
    public PartShare? Part { get; init; }

    /// <summary>The collectives of the whole trace.</summary>
    public required ImmutableArray<CollectiveCount> Collectives { get; init; }

    /// <summary>Sums up a trace.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="options">The part of it to look at.</param>
    /// <exception cref="Diagnostics.MystiqueException">The selection is empty (MYS201, MYS202).</exception>
    public static TraceSummary Of(Recording recording, SelectionOptions options)
    {
        var trace = recording.Trace;
        var segment = SegmentSelector.Select(recording, options);
        var planning = new PlanningOptions();
        var plan = PortableFit.Of(ReplayPlanner.Plan(segment, planning), segment, planning);
        ImmutableArray<OperatorCost> costs = [.. segment.Operators.Select(OperatorCost.Of)];
        var kinds = segment.Operators.Zip(costs).GroupBy(o => o.First.Schema?.FullName ?? o.First.Name, (name, group) =>
        {
            var (nodes, own) = (group.Select(o => o.First).ToArray(), group.Select(o => o.Second));
            return new OperatorKindCount(name, nodes.Length, nodes.Sum(n => BytesOf(n.Inputs)), nodes.Sum(n => BytesOf(n.Outputs)),
                [.. own]);
        });
        return new TraceSummary
        {
            Part = options.IsPart ? PartShare.Of(segment, SegmentSelector.Select(recording, options with { Select = null, Without = null }))
                : null,
            Trace = trace,
            Iterations = SegmentSelector.IterationsOf(trace),
            Threads = trace.Operators.Select(o => o.ThreadId).Distinct().Count(),
            Plan = plan,
            Memory = PlanMemory.Of(plan),
            Kinds = [.. kinds.OrderByDescending(k => k.Count).ThenBy(k => k.Name, StringComparer.Ordinal)],
            Costs = costs,
            BackwardPasses = BackwardReader.Of(segment),
            Collectives = CollectivesOf(trace),
        };
    }

    private static long BytesOf(ImmutableArray<ArgumentValue> values)
    {
        long bytes = 0;
        foreach (var tensor in TensorLayout.TensorsOf(values))
            bytes = TensorLayout.SaturatingAdd(bytes, TensorLayout.SaturatingMultiply(tensor.ElementCount, tensor.ItemSizeBytes));
        return bytes;
    }

    /// <summary>Each collective is a <c>record_param_comms</c>, waits among them.</summary>
    private static ImmutableArray<CollectiveCount> CollectivesOf(ExecutionTrace trace) =>
        [.. trace.Nodes.Select(n => (Node: n, Call: PositionalCall.Of(n))).Where(n => n.Call is not null)
            .Select(n => (Name: n.Call!.Name ?? "unknown", Elements: n.Node.Collective?.InputElements ?? 0))
            .GroupBy(c => c.Name, (name, group) => (name, group: group.ToArray()))
            .Select(g => new CollectiveCount(g.name, g.group.Length, g.group.Sum(c => c.Elements)))
            .OrderByDescending(c => c.Count).ThenBy(c => c.Name, StringComparer.Ordinal)];
}
