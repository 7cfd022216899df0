using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>Which operators of a trace somebody wants: a condition on a node, what is around it, and what the profile says of it.</summary>
internal abstract record NodeFilter
{
    /// <summary>Whether an operator is wanted.</summary>
    public abstract bool Matches(NodeContext node);

    /// <summary>Conditions of this one that name something, for messages.</summary>
    public abstract IEnumerable<NameFilter> Names { get; }

    /// <summary>Both.</summary>
    internal sealed record And(NodeFilter First, NodeFilter Second) : NodeFilter
    {
        public override bool Matches(NodeContext node) => First.Matches(node) && Second.Matches(node);

        public override IEnumerable<NameFilter> Names => First.Names.Concat(Second.Names);
    }

    /// <summary>One of them, or both.</summary>
    internal sealed record Or(NodeFilter First, NodeFilter Second) : NodeFilter
    {
        public override bool Matches(NodeContext node) => First.Matches(node) || Second.Matches(node);

        public override IEnumerable<NameFilter> Names => First.Names.Concat(Second.Names);
    }

    /// <summary>Not it.</summary>
    internal sealed record Not(NodeFilter Inner) : NodeFilter
    {
        public override bool Matches(NodeContext node) => !Inner.Matches(node);

        public override IEnumerable<NameFilter> Names => Inner.Names;
    }

    /// <summary>A number in a range.</summary>
    /// <param name="Of">The number of a node; null where it has none.</param>
    /// <param name="From">The least.</param>
    /// <param name="To">The most.</param>
    internal sealed record Range(Func<NodeContext, long?> Of, long From, long To) : NodeFilter
    {
        public override bool Matches(NodeContext node) => Of(node) is { } number && number >= From && number <= To;

        public override IEnumerable<NameFilter> Names => [];
    }

    /// <summary>One of several kinds.</summary>
    /// <param name="Of">The kind of a node.</param>
    /// <param name="Wanted">The kind that is wanted.</param>
    internal sealed record Kind(Func<NodeContext, string> Of, string Wanted) : NodeFilter
    {
        public override bool Matches(NodeContext node) => Of(node) == Wanted;

        public override IEnumerable<NameFilter> Names => [];
    }
}

/// <summary>A name, with <c>*</c> for any text and <c>?</c> for any character.</summary>
/// <param name="Key"><c>op</c> or <c>label</c>.</param>
/// <param name="Pattern">As it was given.</param>
internal sealed record NameFilter(string Key, string Pattern) : NodeFilter
{
    private readonly Regex _expression = new($"\\A{Regex.Escape(Pattern).Replace("\\*", ".*", StringComparison.Ordinal)
        .Replace("\\?", ".", StringComparison.Ordinal)}\\z",
        RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.Singleline);

    public override IEnumerable<NameFilter> Names => [this];

    /// <summary>Whether a name is one.</summary>
    public bool IsMatch(string name) => _expression.IsMatch(name);

    public override bool Matches(NodeContext node) => Key == "op"
        ? node.Node.Schema is { } schema ? IsMatch(schema.FullName) || IsMatch(schema.QualifiedName) : IsMatch(node.Node.Name)
        : node.Labels.Any(IsMatch);
}

/// <summary>A node, and what is known around it.</summary>
/// <param name="node">The node.</param>
/// <param name="recording">Its recording.</param>
/// <param name="forward">By autograd's sequence number, the forward operator.</param>
/// <param name="isAfterBackward">
/// Whether a node comes after all backward passes of its iteration, in which nothing is labelled an optimizer's.
/// </param>
internal sealed class NodeContext(TraceNode node, Recording recording, IReadOnlyDictionary<long, TraceNode> forward,
    Func<TraceNode, bool> isAfterBackward)
{
    private static readonly ImmutableHashSet<string> Moves = [.. "copy_ clone contiguous _to_copy to cat stack fill_ zero_ zeros empty "
        .Split(' ', StringSplitOptions.RemoveEmptyEntries), "empty_like", "empty_strided", "new_empty", "zeros_like", "resize_", "set_",
        "detach",
            "view", "t",
        "transpose", "permute", "reshape", "expand", "squeeze", "unsqueeze", "select", "slice", "as_strided", "split", "chunk", "alias"];

    /// <summary>The node.</summary>
    public TraceNode Node { get; } = node;

    /// <summary>
    /// The labels that it is within, and of what autograd runs backwards those of its forward operator: the backward pass of a module is
    /// the
    /// module's, too.
    /// </summary>
    public IEnumerable<string> Labels
    {
        get
        {
            foreach (var above in Node.Ancestors.Where(a => a.Schema is null))
                yield return above.Name;
            if (Function is { SequenceId: { } sequence } && forward.TryGetValue(sequence, out var origin))
                foreach (var above in origin.Ancestors.Where(a => a.Schema is null))
                    yield return above.Name;
        }
    }

    /// <summary><c>forward</c>, <c>backward</c>, <c>optimizer</c> or <c>data</c>.</summary>
    public string Phase => Function is not null || Node.Ancestors.Any(a =>
        a.Name.StartsWith("autograd::engine::", StringComparison.Ordinal))
        ? "backward" : Node.Ancestors.Any(a => a.Name.StartsWith("Optimizer.", StringComparison.Ordinal))
            || isAfterBackward(Node) ? "optimizer"
        : Node.Ancestors.Any(a => a.Name.StartsWith("enumerate(DataLoader)", StringComparison.Ordinal)) ? "data" : "forward";

    /// <summary>
    /// <c>communication</c>, <c>memory</c>, <c>host</c> (where a device worked, and it started nothing there) or <c>compute</c>.
    /// </summary>
    public string Category => SegmentSelector.IsCollective(Node)
        || Node.Schema?.Namespace.Contains("c10d", StringComparison.Ordinal) == true
        ? "communication" : Node.Schema is { Namespace: "aten" } schema && Moves.Contains(schema.Name) ? "memory"
        : recording.Profile is { DeviceNs: > 0 } profile && profile.Operators.TryGetValue(Node.Id, out var time) && time.Kernels.IsEmpty
            ? "host"
        : "compute";

    /// <summary>The thread that ran it.</summary>
    public long? Thread => Node.ThreadId;

    /// <summary>The stream of what it started first; null where the profile does not tell.</summary>
    public long? Stream => recording.Profile?.Operators.GetValueOrDefault(Node.Id)?.Stream?.Number;

    /// <summary>The rank.</summary>
    public long Rank => recording.Rank;

    /// <summary>When it started on the host, in nanoseconds; null where the profile does not tell.</summary>
    public long? StartNs => recording.Profile?.Operators.GetValueOrDefault(Node.Id)?.StartNs;

    private TraceNode? Function => Node.Ancestors.Append(Node).FirstOrDefault(a => a.Scope == RecordScope.BackwardFunction);
}
