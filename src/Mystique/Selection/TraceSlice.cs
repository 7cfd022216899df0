using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>What to select from a trace.</summary>
/// <param name="Iteration">The number of a <c>ProfilerStep#N</c>; null takes the first one, or all where there is none.</param>
/// <param name="AllIterations">Take all of the trace, whatever its iterations.</param>
public sealed record SelectionOptions(long? Iteration = null, bool AllIterations = false)
{
    /// <summary>Nodes to replace by their recorded children, where these do all that the node does.</summary>
    public ImmutableHashSet<long> Opened { get; init; } = [];
}

/// <summary>An iteration that the profiler marked.</summary>
/// <param name="Number">N of <c>ProfilerStep#N</c>.</param>
/// <param name="FirstId">The id of the first node in it.</param>
/// <param name="EndId">The id after the last node in it.</param>
public sealed record TraceIteration(long Number, long FirstId, long EndId);

/// <summary>The operators of a trace that are to be replayed, in order. Immutable.</summary>
/// <param name="Trace">The trace.</param>
/// <param name="Iteration">The iteration; null where all of the trace was taken.</param>
/// <param name="Operators">The operators by rising id.</param>
/// <param name="OutermostCount">How many outermost operators the selection has, before some were opened.</param>
/// <param name="Opened">
/// Operators that were replaced by their recorded children, because a later operator uses a tensor that only the
/// inside of them made (what autograd saved).
/// </param>
public sealed record TraceSlice(
    ExecutionTrace Trace,
    TraceIteration? Iteration,
    ImmutableArray<TraceNode> Operators,
    int OutermostCount,
    ImmutableArray<TraceNode> Opened)
{
    internal StorageTimeline Timeline { get; init; } = null!;
}
