using System.Collections.Immutable;
using System.Globalization;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// Reads the calls between ranks of a trace, and which node waits for each. A call is recorded by nodes within each other: a functional
/// operator, one of <c>c10d</c>, <c>record_param_comms</c>, and the backend's work; each tells what the others do not.
/// </summary>
internal sealed class CollectiveReader
{
    /// <summary>Reductions that <c>torch.distributed</c> has (<c>c10d::ReduceOp</c>).</summary>
    private static readonly HashSet<string> Reductions = [.. "sum avg product min max band bor bxor premul_sum".Split(' ')];

    private readonly ExecutionTrace _trace;
    private readonly ImmutableArray<ProcessGroup> _groups;
    private readonly List<CollectiveCall> _calls = [];
    private readonly List<int> _unmatched = []; // Calls whose work of a backend has not been met yet, by their places.
    private readonly Dictionary<long, string> _pointers = []; // Names of groups that old traces know by address.
    private readonly Dictionary<string, int> _unknown = new(StringComparer.Ordinal);
    private readonly Dictionary<long, int> _numbered = []; // By the number of its label, the place of a call.
    private CallLabel? _ddp; // Of the forward pass that came last.

    private CollectiveReader(ExecutionTrace trace, ImmutableArray<ProcessGroup> groups) => (_trace, _groups) = (trace, groups);

    /// <summary>The calls of a trace's part, in order, and what is not known of them.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="groups">The process groups that it tells of.</param>
    /// <param name="iteration">The part; null for all.</param>
    public static (ImmutableArray<CollectiveCall> Calls, ImmutableArray<string> Notes) Of(ExecutionTrace trace,
        ImmutableArray<ProcessGroup> groups, TraceIteration? iteration = null)
    {
        var reader = new CollectiveReader(trace, groups);
        foreach (var node in trace.Nodes)
            if (iteration is null || node.Id >= iteration.FirstId && node.Id < iteration.EndId)
                reader.Visit(node);
        return ([.. reader._calls], [.. reader.Notes()]);
    }

    private void Visit(TraceNode node)
    {
        _ddp = CallLabel.OfDdp(node) ?? _ddp;
        if (WaitOf(node) is { } waited)
            _calls[waited] = _calls[waited] with { Wait = node };
        else if (KindOf(node) is { } kind && !IsWithinCall(node))
            Add(node, kind);
    }

    /// <summary>The kind of call that a node records; null for another node.</summary>
    private static CollectiveKind? KindOf(TraceNode node)
    {
        if (node.Schema is { } schema)
            return schema.Namespace is "c10d" or "_dtensor" or "symm_mem" || schema.Namespace.StartsWith("_c10d_functional",
                StringComparison.Ordinal) ? CollectiveNames.KindOf(schema.Name) is not CollectiveKind.Unknown and var known ? known
                : null : null;
        if (CallLabel.Of(node) is { } label) // It stands for a call where PyTorch has no operator: then it has the call's tensors.
            return node.Inputs.SelectMany(i => i.Tensors).Any() && label.Kind != CollectiveKind.Unknown ? label.Kind : null;
        if (node.Name == "record_param_comms")
            return PositionalCall.Of(node) is { Name: { } name } && !CollectiveNames.IsLabel(name) ? CollectiveNames.KindOf(name) : null;
        return CallMarks.WorkOf(node) is { } made && CollectiveNames.KindOf(made) is not CollectiveKind.Unknown and var work ? work : null;
    }

    private static bool IsWithinCall(TraceNode node)
    {
        // One of the same name is another call, below which the observer has put it: a call does not make itself.
        return node.Ancestors.Any(a => KindOf(a) is not null && a.Name != node.Name);
    }

    private void Add(TraceNode node, CollectiveKind kind)
    {
        var parts = PartsOf(node);
        bool isBackends = node.Schema is null && node.Name != "record_param_comms" && CallLabel.Of(node) is null;
        if (isBackends && CallOf(kind) is { } at)
        {
            _calls[at] = _calls[at] with { Work = node }; // A process group runs its operator's work beside it, or on its own thread.
            return;
        }
        var work = parts.FirstOrDefault(CallMarks.IsWork);
        if (work is null)
            _unmatched.Add(_calls.Count);
        var positional = parts.Select(PositionalCall.Of).FirstOrDefault(p => p is { Name: { } name } && !CollectiveNames.IsLabel(name));
        string name = node.Schema is null && positional?.Name is { } recorded ? recorded : node.Schema?.QualifiedName ?? node.Name;
        if (kind == CollectiveKind.Unknown)
            _unknown[name] = _unknown.GetValueOrDefault(name) + 1;
        var info = parts.Select(p => p.Collective).FirstOrDefault(i => i is not null);
        var label = LabelOf(node);
        var call = new CollectiveCall
        {
            Kind = kind,
            Name = name,
            Start = node,
            Work = work,
            Sequence = positional?.Sequence,
            GroupSize = info is { GroupSize: > 0 and <= int.MaxValue } ? (int)info.GroupSize
                : positional?.GroupSize ?? label?.GroupSize,
            IsFromAny = name.Contains("any", StringComparison.OrdinalIgnoreCase),
            // A word that is no reduction is as good as none: SUM stands for it, and it is counted.
            Reduction = (TextOf(parts, "reduce_op")?.ToLowerInvariant() ?? label?.Reduction) is { } reduction
                && Reductions.Contains(reduction) ? reduction : null,
            IsAsynchronous = label?.IsAsynchronous ?? FlagOf(parts, "async_op") ?? FlagOf(parts, "asyncOp") ?? info?.IsAsynchronous
                ?? positional?.IsAsynchronous
                ?? (parts[0].Schema?.Namespace.Contains("functional", StringComparison.Ordinal) == true ? true : null),
            RecordedInputElements = info is { InputElements: > 0 } ? info.InputElements : null,
        };
        call = CallLabel.Of(node) is not null ? CallTensors.AddOfLabel(call) : CallTensors.AddTo(call, parts, positional);
        call = call with { Root = IsRooted(kind) ? RootOf(parts, call) ?? label?.Root ?? positional?.Rank : null };
        if (label?.Number is { } number)
            _numbered[number] = _calls.Count;
        _calls.Add(call with { Group = label?.Group ?? GroupOf(parts, info, positional, call) });
    }

    /// <summary>The label around a call, or that of the forward pass whose gradients DDP's reducer exchanges.</summary>
    private CallLabel? LabelOf(TraceNode node) => node.Ancestors.Prepend(node).Select(CallLabel.Of).FirstOrDefault(l => l is not null)
        ?? (CallOrder.IsOfAccumulation(node) ? _ddp : null);

    /// <summary>The call that a backend's work of a kind belongs to; Gloo makes a reduce-scatter of an all-reduce.</summary>
    private int? CallOf(CollectiveKind kind)
    {
        int found = _unmatched.FindIndex(i => _calls[i].Kind == kind
            || kind == CollectiveKind.AllReduce && _calls[i].Kind == CollectiveKind.ReduceScatter);
        if (found < 0)
            return null;
        int call = _unmatched[found];
        _unmatched.RemoveAt(found);
        return call;
    }

    /// <summary>A call's nodes that tell of it: itself, and those within it that are calls, too.</summary>
    private static List<TraceNode> PartsOf(TraceNode node)
    {
        List<TraceNode> parts = [node];
        var pending = new Stack<TraceNode>(node.Children.Reverse());
        while (pending.TryPop(out var child))
        {
            if (KindOf(child) is not null)
                parts.Add(child);
            foreach (var next in child.Children.Reverse())
                pending.Push(next);
        }
        return parts;
    }

    private static bool IsRooted(CollectiveKind kind) => kind is CollectiveKind.Broadcast or CollectiveKind.Reduce or CollectiveKind.Gather
        or CollectiveKind.Scatter or CollectiveKind.Send or CollectiveKind.Receive;

    private static int? RootOf(List<TraceNode> parts, CollectiveCall call) => call.IsFromAny ? null
        : (NumberOf(parts, "root_rank") ?? NumberOf(parts, "dst") ?? NumberOf(parts, "src")) is { } root
            and >= 0 and <= int.MaxValue ? (int)root : null;

    /// <summary>
    /// The group: by its name, or by its address in old traces; where only an object is recorded, the one group that there is, or the only
    /// one of the size that the call's tensors have.
    /// </summary>
    private string? GroupOf(List<TraceNode> parts, CollectiveInfo? info, PositionalCall? positional, CollectiveCall call)
    {
        if (TextOf(parts, "group_name") is { Length: > 0 } named)
            return named;
        if (info is { GroupName.Length: > 0 })
            return info.GroupName;
        if (positional?.Group is { Length: > 0 } group)
            return group;
        if (positional?.GroupPointer is { } pointer and not 0)
            return _pointers.TryGetValue(pointer, out string? known) ? known
                : _pointers[pointer] = string.Create(CultureInfo.InvariantCulture, $"@{_pointers.Count}");
        if (_groups is [var single])
            return single.Name;
        int? size = call.GroupSize ?? CallTensors.GroupSizeOf(call);
        var fitting = _groups.Where(g => size is null || g.Size == size).Take(2).ToArray();
        return fitting is [var only] ? only.Name : null;
    }

    /// <summary>The call that a node waits for, by its place; null where it is no wait, or nothing is known to be waited for.</summary>
    private int? WaitOf(TraceNode node)
    {
        if (CallLabel.WaitedBy(node) is { } number)
            return _numbered.TryGetValue(number, out int place) && _calls[place].Wait is null ? place : null;
        if (node.Schema is { Name: "wait_tensor" } && node.Inputs is [TensorValue tensor, ..])
            return LastCall(c => c.Outputs.Any(o => o.StorageKey == tensor.StorageKey));
        if (node.Name != "record_param_comms" || PositionalCall.Of(node) is not { Sequence: { } sequence } wait
            || !string.Equals(wait.Name, "wait", StringComparison.OrdinalIgnoreCase))
            return null;
        // A wait may carry no group: then the sequence alone finds its call.
        return LastCall(c => c.Sequence == sequence && (wait.Group is not { Length: > 0 } group || c.Group == group));
    }

    private int? LastCall(Func<CollectiveCall, bool> isIt)
    {
        int found = _calls.FindLastIndex(c => c.Wait is null && isIt(c));
        return found >= 0 ? found : null;
    }

    private IEnumerable<string> Notes()
    {
        foreach (var (name, count) in _unknown.OrderBy(u => u.Key, StringComparer.Ordinal))
            yield return $"{count} calls of {name}, a collective that this version does not know";
        int groupless = _calls.Count(c => c.Group is null);
        if (groupless > 0)
            yield return $"{groupless} collectives whose process group {_trace.Source} does not tell: it records an object";
        int reductions = _calls.Count(c => c.Reduction is null
            && c.Kind is CollectiveKind.AllReduce or CollectiveKind.Reduce or CollectiveKind.ReduceScatter);
        if (reductions > 0)
            yield return $"{reductions} reductions are not recorded: SUM stands for them";
    }

    private static ArgumentValue? ArgumentOf(List<TraceNode> parts, string name)
    {
        foreach (var part in parts)
            if (part.Schema is { } schema && CallArguments.PlaceOf(schema, name) is { } place && place < part.Inputs.Length)
                return part.Inputs[place];
        return null;
    }

    private static string? TextOf(List<TraceNode> parts, string name) => (ArgumentOf(parts, name) as StringValue)?.Value;

    private static bool? FlagOf(List<TraceNode> parts, string name) => (ArgumentOf(parts, name) as BoolValue)?.Value;

    private static long? NumberOf(List<TraceNode> parts, string name) => (ArgumentOf(parts, name) as IntValue)?.Value;
}
