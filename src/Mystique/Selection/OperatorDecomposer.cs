using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// Decomposes composite operators whose inside is used from outside. Autograd saves tensors at the level of the operators
/// that have a derivative; so the backward pass uses, for example, the mean that <c>native_layer_norm</c> made inside
/// <c>layer_norm</c>. Replayed whole, <c>layer_norm</c> would make it and drop it, and the backward pass would run on
/// made-up data. A composite operator does all its work in its children, so its children can stand for it.
/// </summary>
internal sealed class OperatorDecomposer(ExecutionTrace trace, StorageTimeline timeline, IEnumerable<TraceNode> outermost,
    UnseenWork unseen, IReadOnlySet<long> wanted)
{
    private readonly HashSet<TraceNode> _selected = [.. outermost];
    private readonly HashSet<TraceNode> _keptWhole = [];
    private readonly List<TraceNode> _decomposed = [];
    private readonly HashSet<TraceNode> _holders = []; // Wrappers, and the operators that they are within.

    public ImmutableArray<TraceNode> Operators => [.. _selected.OrderBy(n => n.Id)];

    public ImmutableArray<TraceNode> Decomposed => [.. _decomposed.OrderBy(n => n.Id)];

    public void Run()
    {
        foreach (var wrapper in trace.Nodes.Where(IsWrapper))
            for (var node = wrapper; node is not null && _holders.Add(node); node = node.Parent)
                ;
        while (_selected.Where(n => !_keptWhole.Contains(n) && (OperatorAliases.Contains(n.Name) || _holders.Contains(n))).ToArray()
            is { Length: > 0 } wrappers)
            foreach (var node in wrappers)
                Decompose(node);
        while (true)
        {
            var toDecompose = FindEscapes();
            toDecompose.UnionWith(_selected.Where(n => wanted.Contains(n.Id) && !_keptWhole.Contains(n)));
            if (toDecompose.Count == 0)
                return;
            foreach (var node in toDecompose)
                Decompose(node);
        }
    }

    /// <summary>
    /// The outermost operators below a node that does not run, where they do its work: each of its results, and each
    /// argument that it writes to, must be made or written by a child that does more than to allocate, to view or to fill.
    /// </summary>
    public static List<TraceNode> ChildrenInPlaceOf(TraceNode node, StorageTimeline timeline, UnseenWork unseen)
    {
        var children = new List<TraceNode>();
        SegmentSelector.CollectOutermost(node, 0, long.MaxValue, children, unseen);
        if (HasUnseenWork(node, children))
            return [];
        var worked = new HashSet<StorageGeneration?> { null };
        foreach (var child in children.Where(IsWork))
        {
            worked.UnionWith(timeline.OutputsOf(child).ToArray());
            worked.UnionWith(WrittenBy(child, timeline));
        }
        bool isDone = worked.Count > 1 && WrittenBy(node, timeline).All(worked.Contains)
            && timeline.OutputsOf(node).ToArray().All(o => worked.Contains(o) || timeline.InputsOf(node).Contains(o));
        return isDone ? children : [];
    }

    /// <summary>
    /// Whether an operator's children alone cannot stand for it: something in it worked that is no operator, or it is a collective,
    /// whose work is on a thread of its own (<c>c10d::_allgather_base_</c> runs views and copies here, and communicates there).
    /// </summary>
    private static bool HasUnseenWork(TraceNode node, List<TraceNode> children) =>
        node.Name.StartsWith("c10d::", StringComparison.Ordinal) || children.Any(c => c.Schema is null);

    /// <summary>
    /// Whether an operator only hands its work on under a mode that the replay does not have: autocast calls it again with other
    /// types (<c>aten/src/ATen/autocast_mode.h</c>), functional collectives call the collective in place
    /// (<c>torch/csrc/distributed/c10d/Functional.cpp</c>). What is composed of such operators would do without the mode, too.
    /// </summary>
    private static bool IsWrapper(TraceNode node) => node.Schema is { } schema && node.Children.Any(c => c.Schema is { } inner
        && (inner.FullName == schema.FullName || schema.Namespace.EndsWith("c10d_functional", StringComparison.Ordinal)
            && inner.Namespace == "c10d"));

    private static bool IsWork(TraceNode node) => !IsAllocation(node.Name) && node.Name is not ("aten::zero_" or "aten::fill_")
        && node.Schema?.Returns.Any(r => r.Type.Alias is { IsWrite: false }) != true;

    /// <summary>The storages that an operator writes to in place, as its schema says.</summary>
    internal static IEnumerable<StorageGeneration?> WrittenBy(TraceNode node, StorageTimeline timeline)
    {
        if (node.Schema is not { IsMutating: true } schema || schema.Arguments.Length != node.Inputs.Length)
            yield break;
        int tensor = 0;
        for (int i = 0; i < node.Inputs.Length; i++)
        {
            int count = node.Inputs[i].Tensors.Count();
            for (int k = 0; k < count && schema.Arguments[i].Type.Alias is { IsWrite: true }; k++)
                yield return timeline.InputsOf(node)[tensor + k];
            tensor += count;
        }
    }

    private void Decompose(TraceNode node)
    {
        var children = new List<TraceNode>();
        SegmentSelector.CollectOutermost(node, 0, long.MaxValue, children, unseen);
        if (HasUnseenWork(node, children) || !Explain(node, children))
        {
            _keptWhole.Add(node);
            return;
        }
        _selected.Remove(node);
        _selected.UnionWith(children);
        _decomposed.Add(node);
    }

    /// <summary>
    /// Whether the children do all that the operator does, as far as the trace tells: each of its results must be an
    /// argument of its own, or what a child computed. Memory that a child only allocated, and no other child was given,
    /// is filled by the operator itself: such an operator is a kernel, not a composite.
    /// </summary>
    private bool Explain(TraceNode node, List<TraceNode> children)
    {
        var computed = new HashSet<StorageGeneration?> { null };
        computed.UnionWith(timeline.InputsOf(node).ToArray());
        foreach (var child in children)
        {
            computed.UnionWith(timeline.InputsOf(child).ToArray());
            if (!IsAllocation(child.Name))
                computed.UnionWith(timeline.OutputsOf(child).ToArray());
        }
        foreach (var storage in timeline.OutputsOf(node))
            if (!computed.Contains(storage) || storage is { IsOpaque: true } && !IsReturnedWhole(storage, node, children))
                return false;
        return children.Count > 0;
    }

    /// <summary>
    /// Whether a tensor without storage is an operator's own argument, or what a child returns that made it. One that was only
    /// allocated gets its indices and values without an operator (<c>alias_into_sparse</c>, <c>aten/src/ATen/native/sparse</c>).
    /// </summary>
    private bool IsReturnedWhole(StorageGeneration storage, TraceNode node, List<TraceNode> children) =>
        timeline.InputsOf(node).Contains(storage) || children.Any(c => !IsAllocation(c.Name)
            && timeline.OutputsOf(c).Contains(storage) && !timeline.InputsOf(c).Contains(storage));

    /// <summary>Whether an operator returns memory without writing to it.</summary>
    internal static bool IsAllocation(string name) => name is "aten::empty" or "aten::empty_like" or "aten::empty_strided"
        or "aten::new_empty" or "aten::new_empty_strided" or "aten::resize_" or "aten::_empty_affine_quantized";

    /// <summary>The selected operators that hide a tensor that a later selected operator uses.</summary>
    private HashSet<TraceNode> FindEscapes()
    {
        var owners = OwnersOf(_selected, trace.Nodes.Length);
        var visible = new HashSet<LayoutKey>(_selected.Count);
        var visibleStorages = new HashSet<StorageGeneration>(_selected.Count);
        var madeBy = new Dictionary<LayoutKey, TraceNode>(trace.Nodes.Length);
        var escapes = new HashSet<TraceNode>();
        foreach (var node in trace.Nodes)
        {
            owners.TryGetValue(node, out var owner);
            if (owner is null)
                continue;
            if (owner == node)
                FindHiddenInputs(node, owners, visible, visibleStorages, madeBy, escapes);
            // Results count from here on: those of a child too, though its parent still runs; nobody else can ask then.
            int i = 0;
            var storages = timeline.OutputsOf(node);
            foreach (var tensor in TensorLayout.TensorsOf(node.Outputs))
            {
                var storage = storages[i++];
                if (storage is null)
                    continue;
                var key = LayoutKey.Of(storage, tensor);
                madeBy[key] = node;
                if (owner == node)
                {
                    visible.Add(key);
                    visibleStorages.Add(storage);
                }
            }
        }
        escapes.ExceptWith(_keptWhole);
        return escapes;
    }

    private void FindHiddenInputs(TraceNode node, Dictionary<TraceNode, TraceNode> owners, HashSet<LayoutKey> visible,
        HashSet<StorageGeneration> visibleStorages, Dictionary<LayoutKey, TraceNode> madeBy, HashSet<TraceNode> escapes)
    {
        int i = 0;
        var storages = timeline.InputsOf(node);
        foreach (var tensor in TensorLayout.TensorsOf(node.Inputs))
        {
            var storage = storages[i++];
            // A storage from before the selection is there from the start, and so is each view of it.
            // A tensor without elements has no memory to tell it by: all such have the null address for their storage.
            if (storage?.Birth is null || tensor.ElementCount == 0 || !owners.TryGetValue(storage.Birth, out var birthOwner))
                continue;
            var key = LayoutKey.Of(storage, tensor);
            if (!visibleStorages.Contains(storage))
            {
                if (birthOwner != storage.Birth && birthOwner.Id < node.Id)
                    escapes.Add(birthOwner);
            }
            else if (!visible.Contains(key) && madeBy.TryGetValue(key, out var maker)
                && owners.TryGetValue(maker, out var makerOwner) && makerOwner != maker && makerOwner.Id < node.Id)
            {
                escapes.Add(makerOwner);
            }
        }
    }

    /// <summary>For each node at or below one of some operators, that operator; none of them is within another.</summary>
    /// <param name="operators">The operators.</param>
    /// <param name="nodes">How many nodes that may be.</param>
    internal static Dictionary<TraceNode, TraceNode> OwnersOf(IEnumerable<TraceNode> operators, int nodes = 0)
    {
        var owners = new Dictionary<TraceNode, TraceNode>(nodes);
        var pending = new Stack<(TraceNode Node, TraceNode Owner)>(operators.Select(o => (o, o)));
        while (pending.TryPop(out var entry))
        {
            owners[entry.Node] = entry.Owner;
            foreach (var child in entry.Node.Children)
                pending.Push((child, entry.Owner));
        }
        return owners;
    }

    /// <summary>A view: the same elements of the same storage in the same order.</summary>
    private readonly record struct LayoutKey(StorageGeneration Storage, long Offset, ScalarType Type, long Shape, long Strides)
    {
        public static LayoutKey Of(StorageGeneration storage, TensorValue tensor) => new(storage, tensor.Offset, tensor.Type,
            Hash(tensor.Shape), tensor.Strides.IsDefault ? tensor.TensorId : Hash(tensor.Strides));

        private static long Hash(ImmutableArray<long> items)
        {
            ulong hash = (ulong)items.Length + 1;
            foreach (long item in items)
                hash = (hash ^ (ulong)item) * 0x9E3779B97F4A7C15 + (hash >> 31);
            return (long)hash;
        }
    }
}
