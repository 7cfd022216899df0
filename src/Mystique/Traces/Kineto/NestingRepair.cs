using System.Globalization;
using Mystique.Traces.PyTorch;

namespace Mystique.Traces.Kineto;

/// <summary>
/// Puts nodes below the node that was running when they started. PyTorch's observer keeps a stack for each thread, and takes off whatever
/// lies on top when anything ends (<c>torch/csrc/profiler/standalone/execution_trace_observer.cpp</c>): the label of a process group's work
/// begins on the caller's thread and ends when the work has, on another. From then on, and until then, nodes are recorded below others that
/// ended before them.
/// </summary>
internal static class NestingRepair
{
    /// <summary>The trace with its nodes where they were called; the same trace where it records no such label.</summary>
    /// <remarks>
    /// PyTorch writes a node when it ends: so the order of the file tells what was running when a node began. Where another program sorted
    /// the nodes, the profile's times tell. Without them, what cannot be below a node is put above it: whatever comes after the backend's
    /// label, the last thing in a call, and a function of autograd's engine right below another one.
    /// </remarks>
    /// <param name="trace">The trace.</param>
    /// <param name="profile">Its times; null for none.</param>
    public static ExecutionTrace Apply(ExecutionTrace trace, LinkedProfile? profile)
    {
        if (!trace.Nodes.Any(CallMarks.IsWork))
            return trace;
        var repair = new Repair(trace, profile is { Labels.IsEmpty: false } ? profile : null);
        return repair.Apply();
    }

    private sealed class Repair(ExecutionTrace trace, LinkedProfile? profile)
    {
        private const string Engine = "autograd::engine::evaluate_function: ";

        private readonly Dictionary<long, TraceNode> _parents = []; // As repaired.
        private readonly Dictionary<TraceNode, long> _labelOf = []; // By call, its backend's first label.
        private readonly Dictionary<long, List<TraceNode>> _open = []; // By thread, what is running, the innermost last.
        private readonly Dictionary<long, TraceNode> _last = []; // By thread, the call that came last, if its backend's label has not.
        private readonly bool _isInOrderOfEnds = trace.Nodes.Any(n => n.Parent is { } parent && n.FilePlace < parent.FilePlace);

        public ExecutionTrace Apply()
        {
            foreach (var node in trace.Nodes)
                if (CallMarks.IsWork(node) && node.Parent is { } call)
                    _labelOf.TryAdd(call, node.Id);
            int moved = 0;
            foreach (var node in trace.Nodes)
            {
                if (node.Parent is null)
                    continue;
                var parent = ParentOf(node);
                _parents.Add(node.Id, parent);
                moved += parent == node.Parent ? 0 : 1;
            }
            return moved == 0 ? trace : Relink(moved);
        }

        private TraceNode ParentOf(TraceNode node)
        {
            // A label's end says nothing of the caller: it is of the last call of its thread that has none yet.
            if (_isInOrderOfEnds && CallMarks.IsWork(node) && _last.Remove(node.ThreadId ?? 0, out var started))
                return started;
            if (node.Schema is { Namespace: "c10d" } || CallMarks.IsLabel(node))
                _last[node.ThreadId ?? 0] = node;
            var lifted = node.Parent!;
            while (lifted.Parent is not null && HasEnded(lifted, node))
                lifted = _parents[lifted.Id];
            if (!Tells(node) || _isInOrderOfEnds && CallMarks.IsWork(node))
                return lifted;
            if (!_open.TryGetValue(node.ThreadId ?? 0, out var open))
                _open.Add(node.ThreadId ?? 0, open = []);
            open.RemoveAll(o => HasEnded(o, node));
            var innermost = open.Count > 0 ? open[^1] : null;
            if (!CallMarks.IsWork(node))
                open.Add(node);
            // Nodes of which nothing tells the end lie between: what they are below of decides.
            return innermost is null || IsWithin(lifted, innermost) ? lifted : innermost;
        }

        /// <summary>Whether it is known when a node ended. The roots of threads are written last of all, in any order.</summary>
        private bool Tells(TraceNode node) => !TraceLinker.IsFrame(node) && (_isInOrderOfEnds || TimeOf(node) is not null);

        /// <summary>Whether a node had ended when another one of its thread began.</summary>
        private bool HasEnded(TraceNode node, TraceNode before)
        {
            if (CallMarks.IsWork(node))
                return true; // Its work is on a thread of its own: what the caller does is never within it.
            if (_isInOrderOfEnds && CallMarks.IsWork(before))
                return false;
            if (Tells(node) && Tells(before) && node.ThreadId == before.ThreadId)
                return _isInOrderOfEnds ? node.FilePlace < before.FilePlace : EndOf(node) <= TimeOf(before)!.StartNs;
            if (Tells(node))
                return false;
            return _labelOf.TryGetValue(node, out long label) && before.Id > label && before.ThreadId == node.ThreadId
                || IsOfEngine(node) && IsOfEngine(before);
        }

        private bool IsWithin(TraceNode node, TraceNode ancestor)
        {
            for (var above = node; above is not null; above = above.Parent is null ? null : _parents[above.Id])
                if (above == ancestor)
                    return true;
            return false;
        }

        private static bool IsOfEngine(TraceNode node) => node.Name.StartsWith(Engine, StringComparison.Ordinal);

        private OperatorTime? TimeOf(TraceNode node) => profile is null ? null
            : profile.Operators.TryGetValue(node.Id, out var time) || profile.Labels.TryGetValue(node.Id, out time) ? time : null;

        private long EndOf(TraceNode node) => TimeOf(node) is { } time ? time.StartNs + time.DurationNs : long.MaxValue;

        private ExecutionTrace Relink(int moved)
        {
            List<TraceNode> nodes = [.. trace.Nodes.Select(n => n.Under(_parents.TryGetValue(n.Id, out var parent) ? parent.Id : n.Id))];
            var places = nodes.Index().ToDictionary(n => n.Item.Id, n => n.Index);
            int root = places[trace.Root.Id];
            TraceLinker.LinkChildren(nodes, [.. nodes.Select(n => places[n.ParentId])], root);
            return trace with
            {
                Nodes = [.. nodes],
                Root = nodes[root],
                Warnings = trace.Warnings.Add(string.Create(CultureInfo.InvariantCulture,
                    $"{moved} nodes were recorded below others that had ended, for a process group's work ended on another thread; they "
                    + $"are put where they were called, {(_isInOrderOfEnds ? "by the order in which they ended"
                        : profile is null ? "as far as the trace alone tells" : "by the profile's times")}")),
            };
        }
    }
}
