using System.Collections.Immutable;
using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Reporting;

/// <summary>Operators of a name in a selection.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Count">How many.</param>
/// <param name="InputBytes">Bytes of their input tensors, each counted as often as it is named.</param>
/// <param name="OutputBytes">Bytes of their output tensors.</param>
internal sealed record OperatorKindCount(string Name, int Count, long InputBytes, long OutputBytes);

/// <summary>Collectives of a name in a trace.</summary>
/// <param name="Name">For example <c>allreduce</c>.</param>
/// <param name="Count">How many.</param>
/// <param name="InputElements">Elements that this rank puts in; 0 where the trace does not say (before schema 1.1.0).</param>
internal sealed record CollectiveCount(string Name, int Count, long InputElements);

/// <summary>What is in a trace, and how much of it can be replayed as far as the trace tells.</summary>
/// <param name="Trace">The trace.</param>
/// <param name="Iterations">The iterations that the profiler marked.</param>
/// <param name="Threads">Threads that ran operators.</param>
/// <param name="Plan">The plan of the selection.</param>
/// <param name="Memory">The memory that the plan needs.</param>
/// <param name="Kinds">The operators of the selection by name, the most frequent first.</param>
/// <param name="Collectives">The collectives of the whole trace.</param>
internal sealed record TraceSummary(
    ExecutionTrace Trace,
    ImmutableArray<TraceIteration> Iterations,
    int Threads,
    ReplayPlan Plan,
    PlanMemory Memory,
    ImmutableArray<OperatorKindCount> Kinds,
    ImmutableArray<CollectiveCount> Collectives)
{
    /// <summary>Sums up a trace.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="options">The part of it to look at.</param>
    /// <exception cref="Diagnostics.MystiqueException">The selection is empty (MYS201, MYS202).</exception>
    public static TraceSummary Of(Recording recording, SelectionOptions options)
    {
        var trace = recording.Trace;
        var segment = SegmentSelector.Select(recording, options);
        var planning = new PlanningOptions();
        var plan = PortableFit.Of(ReplayPlanner.Plan(segment, planning), planning);
        var kinds = segment.Operators.GroupBy(o => o.Schema?.FullName ?? o.Name, (name, group) =>
        {
            var nodes = group.ToArray();
            return new OperatorKindCount(name, nodes.Length, nodes.Sum(n => BytesOf(n.Inputs)), nodes.Sum(n => BytesOf(n.Outputs)));
        });
        return new TraceSummary(trace, SegmentSelector.IterationsOf(trace), trace.Operators.Select(o => o.ThreadId).Distinct().Count(),
            plan, PlanMemory.Of(plan),
            [.. kinds.OrderByDescending(k => k.Count).ThenBy(k => k.Name, StringComparer.Ordinal)], CollectivesOf(trace));
    }

    private static long BytesOf(ImmutableArray<ArgumentValue> values)
    {
        long bytes = 0;
        foreach (var tensor in TensorLayout.TensorsOf(values))
            bytes = TensorLayout.SaturatingAdd(bytes, TensorLayout.SaturatingMultiply(tensor.ElementCount, tensor.ItemSizeBytes));
        return bytes;
    }

    /// <summary>
    /// Each collective is a <c>record_param_comms</c>; its name is an attribute from schema 1.1.0 on, and the fifth or
    /// fourth argument before (<c>torch/csrc/distributed/c10d/ParamCommsUtils.hpp</c>).
    /// </summary>
    private static ImmutableArray<CollectiveCount> CollectivesOf(ExecutionTrace trace) =>
        [.. trace.Nodes.Where(n => n.Name == "record_param_comms")
            .Select(n => (Name: n.Collective?.Name ?? n.Inputs.OfType<StringValue>()
                .FirstOrDefault(s => s.Value.Any(char.IsAsciiLetter))?.Value ?? "unknown",
                Elements: n.Collective?.InputElements ?? 0))
            .GroupBy(c => c.Name, (name, group) => (name, group: group.ToArray()))
            .Select(g => new CollectiveCount(g.name, g.group.Length, g.group.Sum(c => c.Elements)))
            .OrderByDescending(c => c.Count).ThenBy(c => c.Name, StringComparer.Ordinal)];
}
