using System.Collections.Immutable;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique;

/// <summary>The operators of a recording that are to be replayed, in order. Immutable.</summary>
public sealed record Segment
{
    internal Segment(Recording recording, TraceIteration? iteration, ImmutableArray<TraceNode> outermost, StorageTimeline timeline,
        UnseenWork unseen, IReadOnlySet<long> wanted)
    {
        (Recording, Iteration, Outermost, Timeline, Unseen) = (recording, iteration, outermost, timeline, unseen);
        var decomposer = new OperatorDecomposer(recording.Trace, timeline, outermost, unseen, wanted);
        decomposer.Run();
        (Operators, Decomposed) = (decomposer.Operators, decomposer.Decomposed);
        _wanted = wanted;
        _byId = new(() => Operators.ToDictionary(o => o.Id));
    }

    /// <summary>Where they are from.</summary>
    public Recording Recording { get; }

    /// <summary>The iteration; null where all of the trace was taken.</summary>
    public TraceIteration? Iteration { get; }

    /// <summary>The outermost operator of each call tree, by rising id.</summary>
    public ImmutableArray<TraceNode> Outermost { get; }

    /// <summary>The operators to replay, by rising id: the outermost ones, some of them decomposed.</summary>
    public ImmutableArray<TraceNode> Operators { get; }

    /// <summary>
    /// Operators that were replaced by their recorded children, because a later operator uses a tensor that only the
    /// inside of them made (what autograd saved), or because their children were asked for.
    /// </summary>
    public ImmutableArray<TraceNode> Decomposed { get; }

    internal StorageTimeline Timeline { get; }

    internal UnseenWork Unseen { get; }

    /// <summary>Whether it is a part of what it is of, which somebody chose.</summary>
    internal bool IsPart { get; init; }

    /// <summary>Backward passes that are left to the target's autograd; none at the operators' level.</summary>
    internal ImmutableArray<FrameworkPass> Passes { get; init; } = [];

    private readonly Lazy<Dictionary<long, TraceNode>> _byId;

    private readonly IReadOnlySet<long> _wanted;

    /// <summary>The same operators with some of them replaced by their recorded children, where these do all that they do.</summary>
    /// <param name="nodes">Node ids of the operators to decompose.</param>
    internal Segment Decompose(IReadOnlySet<long> nodes) => new(Recording, Iteration, Outermost, Timeline, Unseen,
        new HashSet<long>(_wanted.Concat(nodes)))
    {
        Passes = Passes,
        IsPart = IsPart,
    };

    /// <summary>Whether another part of the same iteration comes after all of this one.</summary>
    internal bool Precedes(Segment other) => IsPart && other.IsPart && ReferenceEquals(Recording, other.Recording)
        && Iteration == other.Iteration && Outermost[^1].Id < other.Outermost[0].Id;

    /// <summary>Both, with what the first makes and the second uses.</summary>
    /// <param name="other">A part that this one precedes.</param>
    internal Segment Join(Segment other) => new(Recording, Iteration, [.. Outermost, .. other.Outermost], Timeline, Unseen,
        new HashSet<long>(_wanted.Concat(other._wanted)))
    { IsPart = true };

    /// <summary>The recorded children that can take an operator's place; empty where they do not do its work.</summary>
    /// <param name="node">The operator's node id.</param>
    internal IReadOnlyList<TraceNode> ChildrenInPlaceOf(long node) =>
        _byId.Value.TryGetValue(node, out var op) ? OperatorDecomposer.ChildrenInPlaceOf(op, Timeline, Unseen) : [];
}
