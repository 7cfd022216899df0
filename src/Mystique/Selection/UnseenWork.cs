using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// Nodes that did work though they are no operators: they have tensors but no schema, and no operator below them does the work.
/// A collective of a backend (<c>gloo:all_gather</c>), a vendor's kernel, or a function in Python that calls its own kernel.
/// Whoever leaves them out drops work in silence.
/// </summary>
internal sealed partial class UnseenWork
{
    private const int MaxNamed = 5;

    private readonly HashSet<TraceNode> _nodes = [];

    /// <summary>Nothing: of the trace of a replay, which runs operators alone.</summary>
    public static UnseenWork None { get; } = new();

    /// <summary>What the trace leaves open, as sentences: functions without operators in them, which may have done work or none.</summary>
    public ImmutableArray<string> Notes { get; private init; } = [];

    /// <summary>Whether a node is such work.</summary>
    public bool Contains(TraceNode node) => _nodes.Contains(node);

    /// <summary>Finds them in a trace.</summary>
    public static UnseenWork Of(ExecutionTrace trace)
    {
        var unclear = new Dictionary<string, int>();
        var work = new List<TraceNode>();
        int collectives = 0; // Those that started, less the calls of a backend that belong to them.
        foreach (var node in trace.Nodes)
        {
            if (IsCollectiveCall(node))
                collectives++;
            if (SegmentSelector.IsOperator(node) || !HasTensors(node) || IsLabel(node))
                continue;
            var (hasOperators, allocates) = Below(node);
            if (hasOperators)
                continue;
            if (CallMarks.IsLabel(node))
            {
                collectives++;
                work.Add(node);
            }
            else if (BackendCall().IsMatch(node.Name))
            {
                // A process group runs its operator's work on a thread of its own (torch/csrc/distributed/c10d/ProcessGroupGloo.cpp).
                if (--collectives >= 0)
                    continue;
                collectives = 0;
                work.Add(node);
            }
            else if (allocates || node.Name.Contains("::", StringComparison.Ordinal))
                work.Add(node);
            else
                unclear[node.Name] = unclear.GetValueOrDefault(node.Name) + 1;
        }
        var found = new UnseenWork { Notes = NotesOn(unclear) };
        found._nodes.UnionWith(work);
        return found;
    }

    private static ImmutableArray<string> NotesOn(Dictionary<string, int> unclear)
    {
        if (unclear.Count == 0)
            return [];
        var names = unclear.OrderByDescending(u => u.Value).ThenBy(u => u.Key, StringComparer.Ordinal).Select(u => u.Key).ToArray();
        string more = names.Length > MaxNamed ? ", …" : "";
        return
        [
            $"{unclear.Values.Sum()} calls of functions have tensors but no operators in them, so that the trace does not tell whether "
                + $"they did work of their own: {string.Join(", ", names.Take(MaxNamed))}{more}",
        ];
    }

    /// <summary>The outermost call of a collective: an operator of <c>c10d</c>, or what records its parameters without one.</summary>
    private static bool IsCollectiveCall(TraceNode node)
    {
        return Names(node) && !node.Ancestors.Any(Names);

        static bool Names(TraceNode node) => node.Name == "record_param_comms" || node.Schema is not null
            && (node.Name.StartsWith("c10d::", StringComparison.Ordinal)
                || node.Name.Contains("c10d_functional::", StringComparison.Ordinal)
                && !node.Name.EndsWith("::wait_tensor", StringComparison.Ordinal));
    }

    private static bool HasTensors(TraceNode node) => HasTensors(node.Inputs) || HasTensors(node.Outputs);

    private static bool HasTensors(ImmutableArray<ArgumentValue> arguments)
    {
        foreach (var argument in arguments)
            if (argument is TensorValue single ? !single.IsUndefined : argument.Tensors.Any(t => !t.IsUndefined))
                return true;
        return false;
    }

    /// <summary>
    /// Labels of autograd: of a node of its graph that is PyTorch's own (these end in a number), and of what an operator does for
    /// autograd before it works (<c>detach</c> within <c>aten::detach</c>).
    /// </summary>
    private static bool IsLabel(TraceNode node) => node.Name.StartsWith("autograd::", StringComparison.Ordinal)
        || node.Name.StartsWith("torch::autograd::", StringComparison.Ordinal) || Derivative().IsMatch(node.Name)
        || node.Parent?.Name.EndsWith("::" + node.Name, StringComparison.Ordinal) == true;

    private static (bool HasOperators, bool Allocates) Below(TraceNode node)
    {
        bool allocates = false;
        var pending = new Stack<TraceNode>(node.Children);
        while (pending.TryPop(out var child))
        {
            if (SegmentSelector.IsOperator(child) && !OperatorDecomposer.IsAllocation(child.Name)
                || CallMarks.IsLabel(child) && HasTensors(child))
                return (true, allocates);
            allocates |= OperatorDecomposer.IsAllocation(child.Name);
            foreach (var next in child.Children)
                pending.Push(next);
        }
        return (false, allocates);
    }

    /// <summary>Functions of PyTorch's derivatives: <c>MulBackward0</c>.</summary>
    [GeneratedRegex(@"Backward[0-9]+\z")]
    internal static partial Regex Derivative();

    /// <summary>What process groups call their work: <c>gloo:all_reduce</c>, <c>nccl:broadcast</c>, <c>hccl:…</c>.</summary>
    [GeneratedRegex("^[A-Za-z0-9_]+:[A-Za-z0-9_]+$")]
    private static partial Regex BackendCall();
}
