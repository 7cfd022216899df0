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
    private readonly KinetoProfile _profile;
    private readonly HashSet<string> _unknown;
    private readonly CustomOperators _recipes;
    private readonly Dictionary<ProfileNode, int> _work;
    private readonly List<(ProfileNode Node, IReadOnlyList<StandInCall> Calls, string Why)> _replaced = [];
    private readonly List<(ProfileNode Node, string Why)> _notRun = [];

    private CustomCalls(KinetoProfile profile, ProfileTree tree, HashSet<string> unknown, CustomOperators recipes)
    {
        (_profile, _unknown, _recipes) = (profile, unknown, recipes);
        _work = tree.WorkOf(profile);
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

    private void Visit(ProfileNode node)
    {
        bool isMeasured = _work.Count > 0;
        if (isMeasured ? WorkIn(node) == 0 : HasKnownWithin(node))
            return; // What is within it does its work.
        var inputs = node.Details?.Inputs?.Inputs ?? [];
        var within = Below(node).Where(n => n.Kind == KinetoKind.Operator).Select(n => n.Details?.Inputs?.Inputs ?? []);
        if (_recipes.CallsOf(node.Name, inputs, within, out string why) is { } calls)
        {
            _replaced.Add((node, calls, why));
            return;
        }
        if (isMeasured ? _work.GetValueOrDefault(node) > 0 : !Below(node).Any(IsUnknown))
            _notRun.Add((node, why));
        foreach (var child in UnknownIn(node))
            Visit(child);
    }

    /// <summary>What an operator started on the device, and operators in it that are no more known; not what known ones did.</summary>
    private int WorkIn(ProfileNode node) => _work.GetValueOrDefault(node) + UnknownIn(node).Sum(WorkIn);

    private bool HasKnownWithin(ProfileNode node) => Below(node).Any(n => n.IsOperator && !IsUnknown(n));

    /// <summary>The outermost operators in one that are as little known as it is, and in none that is known.</summary>
    private IEnumerable<ProfileNode> UnknownIn(ProfileNode node) => node.Children.SelectMany(c => IsUnknown(c) ? [c]
        : c.IsOperator ? [] : UnknownIn(c));

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
