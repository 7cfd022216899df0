using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>Chooses the operators to replay.</summary>
internal static class SegmentSelector
{
    /// <summary>The iterations that the profiler marked, by rising id.</summary>
    /// <param name="trace">The trace.</param>
    public static ImmutableArray<TraceIteration> IterationsOf(ExecutionTrace trace)
    {
        var steps = trace.Nodes.Where(n => ProfilerStep.NumberOf(n.Name) is not null).ToArray();
        long end = trace.Nodes[^1].Id + 1;
        return [.. steps.Select((step, i) => new TraceIteration(ProfilerStep.NumberOf(step.Name)!.Value, step.Id, i + 1 < steps.Length
            ? steps[i + 1].Id : end))];
    }

    /// <summary>
    /// Selects the outermost operator of each call tree; labels of autograd and the profiler are passed through. All
    /// threads count: what ran on another thread while the iteration lasted belongs to it. An operator is decomposed, that
    /// is replaced by its children, where a later operator uses what only its inside made.
    /// </summary>
    /// <param name="recording">The recording.</param>
    /// <param name="options">What to select.</param>
    /// <exception cref="MystiqueException">
    /// The trace does not have the iteration, or the selection is empty (MYS201, MYS202, MYS207), or is invalid (MYS206).
    /// </exception>
    public static Segment Select(Recording recording, SelectionOptions? options = null)
    {
        using var phase = Phase.Start("select");
        options ??= new SelectionOptions();
        var trace = recording.Trace;
        var iterations = IterationsOf(trace);
        // A serving engine's step was chosen when its profile was read.
        var iteration = options.AllIterations || trace.Serving?.Label is not null ? null
            : options.Iteration is { } number
                ? iterations.FirstOrDefault(i => i.Number == number)
                    ?? throw Problems.IterationMissing(trace.Source, number, iterations.Select(i => i.Number))
                : iterations.FirstOrDefault();
        var outermost = new List<TraceNode>();
        var unseen = UnseenWork.Of(trace);
        CollectOutermost(trace.Root, iteration?.FirstId ?? 0, iteration?.EndId ?? long.MaxValue, outermost, unseen);
        if (!trace.IsSelection)
            HelperThreads.Drop(outermost, trace);
        if (outermost.Count == 0)
            throw Problems.NothingSelected(trace.Source);
        outermost.Sort((a, b) => a.Id.CompareTo(b.Id));
        var whole = new Segment(recording, iteration, [.. outermost], StorageTimeline.Of(trace), unseen, trace.Opened);
        // What the rest of the iteration uses of an operator's inside is made in a part, too.
        return !options.IsPart ? whole : new Segment(recording, iteration, [.. PartSelector.Of(recording, outermost, options, unseen)],
            whole.Timeline, unseen, new HashSet<long>(trace.Opened.Concat(whole.Decomposed.Select(d => d.Id))))
        { IsPart = true };
    }

    /// <summary>
    /// Whether a node is something that ran, and not a label around it: an operator with a schema, a collective, or a
    /// kernel that a compiler made.
    /// </summary>
    internal static bool IsOperator(TraceNode node) =>
        node.Schema is not null || IsCollective(node) || IsCompiledKernel(node);

    /// <summary>
    /// Whether a node is the launch of a kernel that a compiler made. Where the profiler was not asked for shapes, such a node has its
    /// name alone (<c>torch/csrc/autograd/profiler_python.cpp</c>, <c>torch/_inductor/runtime/triton_heuristics.py</c>).
    /// </summary>
    internal static bool IsCompiledKernel(TraceNode node) => node.KernelBackend.Length > 0
        || node.Schema is null && node.Children.IsEmpty && node.Name.StartsWith("triton_", StringComparison.Ordinal);

    /// <summary>Whether a node without a schema is a collective.</summary>
    internal static bool IsCollective(TraceNode node) =>
        node.Collective is not null || node.Name == "record_param_comms" || node.Name.StartsWith("nccl:", StringComparison.Ordinal);

    /// <summary>The outermost operators below a node, and what did work without being one, in order.</summary>
    internal static void CollectOutermost(TraceNode node, long firstId, long endId, List<TraceNode> result, UnseenWork unseen) =>
        result.AddRange(OutermostBelow(node, unseen).Where(n => n.Id >= firstId && n.Id < endId));

    /// <inheritdoc cref="CollectOutermost"/>
    internal static IEnumerable<TraceNode> OutermostBelow(TraceNode node, UnseenWork unseen)
    {
        // By hand, for a hostile trace can nest deeper than the call stack.
        var pending = new Stack<TraceNode>();
        Push(node);
        while (pending.TryPop(out var child))
        {
            if (IsOperator(child) || unseen.Contains(child))
                yield return child;
            else
                Push(child);
        }

        void Push(TraceNode parent)
        {
            for (int i = parent.Children.Length - 1; i >= 0; i--)
                pending.Push(parent.Children[i]);
        }
    }
}
