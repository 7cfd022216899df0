using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Execution;

/// <summary>Where the plans of a replay come from.</summary>
public interface IPlanSource
{
    /// <summary>The plan.</summary>
    /// <param name="opened">Nodes of operators to replace by their recorded children.</param>
    ReplayPlan Plan(IEnumerable<long> opened);

    /// <summary>The full names of the operators that a node's recorded children are; empty where they cannot take its place.</summary>
    /// <param name="node">The node's id.</param>
    IReadOnlyList<string> ChildrenOf(long node);
}

/// <summary>Plans of a trace: operators can be opened.</summary>
/// <param name="trace">The trace.</param>
/// <param name="selection">Which part of it.</param>
/// <param name="options">How to plan.</param>
public sealed class TracePlanSource(ExecutionTrace trace, SelectionOptions selection, PlanningOptions options) : IPlanSource
{
    /// <summary>The trace.</summary>
    public ExecutionTrace Trace => trace;

    /// <summary>How it is planned.</summary>
    public PlanningOptions Options => options;

    private readonly Lazy<Dictionary<long, TraceNode>> _nodes = new(() => trace.Nodes.ToDictionary(n => n.Id));
    private readonly Lazy<StorageTimeline> _timeline = new(() => StorageTimeline.Of(trace));

    /// <inheritdoc/>
    public ReplayPlan Plan(IEnumerable<long> opened) =>
        ReplayPlanner.Plan(SliceSelector.Select(trace, selection with { Opened = [.. opened] }), options);

    /// <inheritdoc/>
    public IReadOnlyList<string> ChildrenOf(long node)
    {
        var children = OperatorDecomposer.ChildrenInPlaceOf(_nodes.Value[node], _timeline.Value);
        return children.All(c => OperatorSupport.WhyNot(c) is null) ? [.. children.Select(c => c.Schema!.FullName)] : [];
    }
}

/// <summary>The plan of a package: the trace is not at hand.</summary>
/// <param name="plan">The plan.</param>
public sealed class FixedPlanSource(ReplayPlan plan) : IPlanSource
{
    /// <inheritdoc/>
    public ReplayPlan Plan(IEnumerable<long> opened) => plan;

    /// <inheritdoc/>
    public IReadOnlyList<string> ChildrenOf(long node) => [];
}
