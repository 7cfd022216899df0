using Mystique.Recordings.Serving;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Inferred;

/// <summary>
/// Opens operators of libraries that the engine does not have: to what is recorded within them, where that does their work; else calls
/// of PyTorch's own that do it are put in the place of what is within them, where such calls are known.
/// </summary>
internal sealed class CustomCalls
{
    /// <summary>Operators within one that are looked at for sizes.</summary>
    private const int MaxWithin = 10_000;

    /// <summary>Calls share out the time of what they stand for.</summary>
    private const long LeastNs = 2;

    private readonly KinetoProfile _profile;
    private readonly HashSet<string> _unknown;
    private readonly CustomOperators _recipes;
    private readonly Dictionary<ProfileNode, int> _work;
    private readonly HashSet<ProfileNode> _workIn = []; // What starts something on the device, not by operators that are known.
    private readonly HashSet<ProfileNode> _knownWork = []; // Within which known ones do more than to allocate and to view.
    private readonly List<(ProfileNode Node, IReadOnlyList<StandInCall> Calls, string Why)> _replaced = [];
    private readonly List<(ProfileNode Node, string Why)> _notRun = [];

    private CustomCalls(KinetoProfile profile, ProfileTree tree, HashSet<string> unknown, CustomOperators recipes)
    {
        (_profile, _unknown, _recipes) = (profile, unknown, recipes);
        _work = tree.WorkOf(profile);
        for (int i = tree.Nodes.Count - 1; i >= 0; i--) // What contains another comes before it.
        {
            var node = tree.Nodes[i];
            if (_work.ContainsKey(node) || node.Children.Any(c => (!c.IsOperator || IsUnknown(c)) && _workIn.Contains(c)))
                _workIn.Add(node);
            if (node.Children.Any(c => c.IsOperator && !IsUnknown(c) && !ProfileTree.IsTrivial(c.Name) || _knownWork.Contains(c)))
                _knownWork.Add(node);
        }
    }

    /// <summary>Rewrites a step.</summary>
    /// <param name="profile">The step.</param>
    /// <param name="engine">What the engine knows.</param>
    /// <param name="label">The step's label; null for none.</param>
    public static CustomStep Rewrite(KinetoProfile profile, IOperatorKnowledge engine, StepLabel? label)
    {
        var tree = ProfileTree.Of(profile);
        var names = tree.Nodes.Where(n => n.IsOperator && IsLibrarys(n.Name)).Select(n => n.Name).ToHashSet(StringComparer.Ordinal);
        const string Attention = "aten::scaled_dot_product_attention";
        var known = names.Count == 0 ? null : engine.OverloadsOf([.. names, Attention]);
        if (known is not null)
            names.RemoveWhere(known.Contains);
        if (names.Count == 0)
            return new CustomStep(profile, [], [], []);
        var calls = new CustomCalls(profile, tree, names, new CustomOperators(label,
            known![Attention].Select(s => s.Arguments.Length).DefaultIfEmpty(0).Max()));
        foreach (var node in tree.Nodes.Where(n => calls.IsUnknown(n) && n.Caller is null))
            calls.Visit(node);
        return calls.Rewritten();
    }

    /// <summary>Whether it is an operator of a library's: neither PyTorch's own, nor a call between ranks.</summary>
    private static bool IsLibrarys(string name) => !name.StartsWith("aten::", StringComparison.Ordinal)
        && !name.StartsWith("prim", StringComparison.Ordinal) && !name.Contains("c10d", StringComparison.Ordinal)
        && !name.EndsWith("::all_reduce", StringComparison.Ordinal) && !name.EndsWith("::all_gather", StringComparison.Ordinal)
        && name != "record_param_comms";

    private bool IsUnknown(ProfileNode node) => node.IsOperator && _unknown.Contains(node.Name);

    private void Visit(ProfileNode first)
    {
        var pending = new Stack<ProfileNode>([first]);
        while (pending.TryPop(out var node))
        {
            // What is within it does its work.
            if (_work.Count > 0 ? !_workIn.Contains(node) : _knownWork.Contains(node))
                continue;
            var inputs = node.Details?.Inputs?.Inputs ?? [];
            var within = Below(node).Where(n => n.Kind == KinetoKind.Operator).Take(MaxWithin).Select(n => n.Details?.Inputs?.Inputs ?? []);
            string why = "it took no time, so that nothing can stand for it";
            var calls = node.EndNs - node.StartNs < LeastNs ? null : _recipes.CallsOf(node.Name, inputs, within, out why);
            if (calls?.Count < node.EndNs - node.StartNs)
            {
                _replaced.Add((node, calls, why));
                continue;
            }
            if (_work.Count > 0 ? _work.ContainsKey(node) : !UnknownIn(node).Any())
                _notRun.Add((node, why));
            foreach (var child in UnknownIn(node))
                pending.Push(child);
        }
    }

    /// <summary>The outermost operators in one that are as little known as it is, and in none that is known.</summary>
    private IEnumerable<ProfileNode> UnknownIn(ProfileNode node)
    {
        var pending = new Stack<ProfileNode>(node.Children);
        while (pending.TryPop(out var at))
            if (IsUnknown(at))
                yield return at;
            else if (!at.IsOperator)
                at.Children.ForEach(pending.Push);
    }

    /// <summary>All within a node, in order.</summary>
    private static IEnumerable<ProfileNode> Below(ProfileNode node)
    {
        var pending = new Stack<ProfileNode>(Enumerable.Reverse(node.Children));
        while (pending.TryPop(out var at))
        {
            yield return at;
            for (int i = at.Children.Count - 1; i >= 0; i--)
                pending.Push(at.Children[i]);
        }
    }

    /// <summary>The step with the calls in the place of what was within the operators.</summary>
    private CustomStep Rewritten()
    {
        var dropped = _replaced.SelectMany(r => Below(r.Node)).Select(n => n.Place).ToHashSet();
        var places = new Dictionary<int, int>();
        var events = new List<KinetoEvent>(_profile.Events.Length);
        for (int i = 0; i < _profile.Events.Length; i++)
            if (!dropped.Contains(i))
            {
                places[i] = events.Count;
                events.Add(_profile.Events[i]);
            }
        var standIns = new Dictionary<int, string>();
        foreach (var (node, calls, _) in _replaced)
        {
            var whole = _profile.Events[node.Place];
            for (int i = 0; i < calls.Count; i++)
            {
                long start = whole.StartNs + whole.DurationNs * i / calls.Count;
                long end = whole.StartNs + whole.DurationNs * (i + 1) / calls.Count;
                standIns[events.Count] = node.Name;
                events.Add(new KinetoEvent
                {
                    Kind = KinetoKind.Operator,
                    Name = calls[i].Name,
                    StartNs = start,
                    DurationNs = end - start,
                    Thread = whole.Thread,
                    Process = whole.Process,
                    Details = calls[i].Details(),
                });
            }
        }
        return new CustomStep(_profile.With([.. events], _profile.Allocations, _profile.StreamWaits), standIns,
            _replaced.ToDictionary(n => places[n.Node.Place], n => n.Why), _notRun.ToDictionary(n => places[n.Node.Place], n => n.Why));
    }
}

/// <summary>A step whose operators of libraries are opened; all by the places of their events.</summary>
/// <param name="Profile">Its events.</param>
/// <param name="StandIns">What calls stand for.</param>
/// <param name="Replaced">Why operators that calls stand for do not run themselves.</param>
/// <param name="NotRun">Why operators' own work is not done.</param>
internal sealed record CustomStep(KinetoProfile Profile, Dictionary<int, string> StandIns, Dictionary<int, string> Replaced,
    Dictionary<int, string> NotRun);
