using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// Takes a part of an iteration. An operator is taken whole where it is wanted, and nothing in it is to be left; else it is opened, and
/// what
/// is in it is looked at. What a part's operators take from others is there from the start.
/// </summary>
internal sealed class PartSelector
{
    private const int MaxNearest = 3;

    private readonly NodeFilter? _select;
    private readonly NodeFilter? _without;
    private readonly Recording _recording;
    private readonly List<(long FirstId, long EndId, long? LastBackward)> _passes;
    private readonly Dictionary<long, TraceNode> _forward = [];
    private readonly HashSet<TraceNode> _holders = []; // Operators within which something is to be left.

    private PartSelector(Recording recording, SelectionOptions options)
    {
        _recording = recording;
        _passes = PassesOf(recording.Trace);
        _select = options.Select is { } select ? NodeFilterParser.Parse(select) : null;
        _without = options.Without is { } without ? NodeFilterParser.Parse(without) : null;
        foreach (var node in recording.Trace.Nodes)
            if (node is { SequenceId: >= 0 and { } sequence, Scope: RecordScope.Function, Schema: not null })
                _forward[sequence] = node; // The last one made the node of autograd's.
        foreach (var node in _without is null ? [] : recording.Trace.Nodes.Where(n => SegmentSelector.IsOperator(n)
            && _without.Matches(Of(n))))
            for (var above = node.Parent; above is not null && _holders.Add(above); above = above.Parent)
                ;
    }

    /// <summary>Those of operators that are wanted, and of others what is wanted in them; by rising id.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="outermost">The iteration's operators.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="unseen">What did work without being an operator.</param>
    /// <exception cref="MystiqueException">The selection is invalid (MYS206), or catches nothing (MYS207).</exception>
    public static List<TraceNode> Of(Recording recording, IReadOnlyList<TraceNode> outermost, SelectionOptions options, UnseenWork unseen)
    {
        var selector = new PartSelector(recording, options);
        var found = new List<TraceNode>();
        var pending = new Stack<TraceNode>(outermost.Reverse());
        while (pending.TryPop(out var node))
        {
            var context = selector.Of(node);
            bool isLeft = selector._without?.Matches(context) == true;
            if (!isLeft && selector._select?.Matches(context) != false && !selector._holders.Contains(node))
                found.Add(node);
            else if (!isLeft)
                foreach (var child in SegmentSelector.OutermostBelow(node, unseen).Reverse())
                    pending.Push(child);
        }
        if (found.Count == 0)
            throw Problems.SelectionOfNothing(recording.Trace.Source,
                string.Join(" without ", ((string?[])[options.Select, options.Without]).OfType<string>()), selector.Nearest(outermost));
        found.Sort((a, b) => a.Id.CompareTo(b.Id));
        return found;
    }

    /// <summary>Whether operators of a selection, or what they are the inside of, are caught by a condition.</summary>
    /// <param name="segment">The selection.</param>
    /// <param name="condition">The condition.</param>
    /// <exception cref="MystiqueException">It is invalid (MYS206), or catches nothing (MYS207).</exception>
    public static Func<TraceNode, bool> MatcherOf(Segment segment, string condition)
    {
        var selector = new PartSelector(segment.Recording, new SelectionOptions(Select: condition));
        bool Matches(TraceNode node) => node.Ancestors.Where(a => a.Schema is not null).Prepend(node)
            .Any(n => selector._select!.Matches(selector.Of(n)));
        return segment.Operators.Any(Matches) ? Matches
            : throw Problems.SelectionOfNothing(segment.Recording.Trace.Source, condition, selector.Nearest(segment.Operators));
    }

    private NodeContext Of(TraceNode node) => new(node, _recording, _forward, IsAfterBackward);

    /// <summary>
    /// Where no label says what an optimizer does (libtorch has none), it is what comes after the backward passes of an iteration.
    /// </summary>
    private bool IsAfterBackward(TraceNode node)
    {
        int place = _passes.BinarySearch((node.Id, 0, null), Comparer<(long FirstId, long, long?)>.Create((a, b) =>
            a.FirstId.CompareTo(b.FirstId)));
        place = place < 0 ? ~place - 1 : place;
        return place >= 0 && _passes[place].LastBackward is { } backward && node.Id > backward && node.Id < _passes[place].EndId;
    }

    /// <summary>
    /// By iteration, where it begins and ends, and the last node of a backward pass; null where it has labels of optimizers.
    /// </summary>
    private static List<(long FirstId, long EndId, long? LastBackward)> PassesOf(ExecutionTrace trace)
    {
        var iterations = SegmentSelector.IterationsOf(trace);
        int next = 0;
        return [.. (iterations.IsEmpty ? [new TraceIteration(0, 0, long.MaxValue)] : iterations).Select(i =>
        {
            var own = new List<TraceNode>(); // Iterations and nodes both rise.
            for (; next < trace.Nodes.Length && trace.Nodes[next].Id < i.EndId; next++)
                if (trace.Nodes[next].Id >= i.FirstId)
                    own.Add(trace.Nodes[next]);
            bool isLabelled = own.Any(n => n.Name.StartsWith("Optimizer.", StringComparison.Ordinal));
            long? last = own.Where(n => n.Scope == RecordScope.BackwardFunction || n.Name.StartsWith("autograd::engine::",
                StringComparison.Ordinal)).Select(n => (long?)n.Id).Max();
            return (i.FirstId, i.EndId, isLabelled ? null : last);
        })];
    }

    /// <summary>Of names that match nothing, the nearest that there are; empty where all match something.</summary>
    private string Nearest(IReadOnlyList<TraceNode> outermost)
    {
        foreach (var wanted in _select?.Names ?? [])
        {
            string[] names = [.. (wanted.Key == "op"
                ? outermost.SelectMany(o => o.Children.Prepend(o)).Select(o => o.Schema?.FullName).OfType<string>()
                : outermost.SelectMany(o => Of(o).Labels)).Distinct()];
            if (!names.Any(wanted.IsMatch))
                return string.Join(", ", names.OrderBy(n => EditDistance.Of(n, wanted.Pattern.Trim('*')))
                    .ThenBy(n => n, StringComparer.Ordinal)
                    .Take(MaxNearest).Select(n => $"{wanted.Key}:{(n.Any(char.IsWhiteSpace) ? $"\"{n}\"" : n)}"));
        }
        return "";
    }
}
