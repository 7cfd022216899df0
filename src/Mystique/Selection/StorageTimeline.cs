using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>A storage between its allocation and its death: what a storage id stands for at one time.</summary>
/// <param name="index">Its number in the timeline.</param>
/// <param name="birth">The innermost operator that made it; null where it existed before the trace or was made unseen.</param>
/// <param name="bornAt">When: the timeline's clock.</param>
internal sealed class StorageGeneration(int index, TraceNode? birth, int bornAt)
{
    private ulong _types; // A bit for each; there are fewer than 64.
    private long? _tensorId; // Most have one: no set for it.
    private HashSet<long>? _otherTensorIds;

    public int Index { get; } = index;

    public TraceNode? Birth { get; } = birth;

    public int BornAt { get; } = bornAt;

    /// <summary>Bytes that the furthest view seen so far needs.</summary>
    public long Bytes { get; private set; }

    public string Device { get; private set; } = "";

    /// <summary>Whether it stands for a tensor without storage.</summary>
    public bool IsOpaque { get; private set; }

    public void See(TensorValue tensor)
    {
        _types |= BitOf(tensor.Type);
        IsOpaque = tensor.IsOpaque;
        _tensorId ??= tensor.TensorId;
        if (_tensorId != tensor.TensorId)
            (_otherTensorIds ??= []).Add(tensor.TensorId);
        Bytes = Math.Max(Bytes, TensorLayout.SpanBytes(tensor));
        if (Device.Length == 0)
            Device = tensor.Device;
    }

    /// <summary>
    /// Whether a tensor with this storage's id can really be a view of it. Ids are addresses, so the id may belong to
    /// a newer storage by now: another device or dtype (a change of dtype is an operator, which would have been seen),
    /// a larger extent than the allocation, or a Python scalar, which is wrapped in a new tensor each time.
    /// </summary>
    public bool CanHold(TensorValue tensor)
    {
        bool hasType = (_types & BitOf(tensor.Type)) != 0;
        if (hasType && (_tensorId == tensor.TensorId || _otherTensorIds?.Contains(tensor.TensorId) == true))
            return Birth is null || TensorLayout.SpanBytes(tensor) <= Bytes;
        if (!hasType || (tensor.Device.Length > 0 && Device.Length > 0 && tensor.Device != Device))
            return false;
        if (tensor.Shape.IsEmpty && tensor.Type is ScalarType.Double or ScalarType.Long or ScalarType.Bool or ScalarType.ComplexDouble)
            return false;
        return Birth is null || TensorLayout.SpanBytes(tensor) <= Bytes;
    }

    /// <summary>By its number, of which each timeline has each once.</summary>
    public override int GetHashCode() => Index;

    private static ulong BitOf(ScalarType type) => 1UL << (type - ScalarType.Undefined);
}

/// <summary>
/// Tells reused ids apart: goes through all nodes in the order in which they ran, and gives each tensor of each node
/// its <see cref="StorageGeneration"/>. An operator's result on a storage that is none of its inputs' is a new storage.
/// </summary>
internal sealed class StorageTimeline
{
    private static readonly StorageGeneration[] None = [];

    private readonly Dictionary<TraceNode, Seen> _byNode;
    private readonly Dictionary<long, StorageGeneration> _current = [];
    private readonly List<TensorValue> _inputs = []; // Used again for each node.
    private readonly List<TensorValue> _outputs = [];
    private int _clock;
    private int _count;

    private StorageTimeline(int nodes) => _byNode = new(nodes);

    public static StorageTimeline Of(ExecutionTrace trace)
    {
        var timeline = new StorageTimeline(trace.Nodes.Length);
        timeline.Run(trace);
        return timeline;
    }

    /// <summary>The storages of a node's input tensors, in the order of <see cref="TensorLayout.TensorsOf"/>.</summary>
    public ReadOnlySpan<StorageGeneration?> InputsOf(TraceNode node) => _byNode.TryGetValue(node, out var found) ? found.Inputs : None;

    /// <summary>The storages of a node's output tensors.</summary>
    public ReadOnlySpan<StorageGeneration?> OutputsOf(TraceNode node) => _byNode.TryGetValue(node, out var found) ? found.Outputs : None;

    /// <summary>
    /// Ids rise in the order of starting, threads interleaved; a node ends when its thread goes on with a node that is
    /// not below it.
    /// </summary>
    private void Run(ExecutionTrace trace)
    {
        var running = new Dictionary<long, Stack<TraceNode>>(); // Threads are numbered from 1; 0 is for nodes without one.
        foreach (var node in trace.Nodes)
        {
            if (!running.TryGetValue(node.ThreadId ?? 0, out var stack))
                running.Add(node.ThreadId ?? 0, stack = new Stack<TraceNode>());
            while (stack.TryPeek(out var top) && top != node.Parent)
                End(stack.Pop());
            Start(node);
            stack.Push(node);
        }
        foreach (var stack in running.Values)
            while (stack.TryPop(out var node))
                End(node);
    }

    private void Start(TraceNode node)
    {
        int started = ++_clock;
        if (node.Inputs.IsEmpty && node.Outputs.IsEmpty)
            return;
        Collect(node.Inputs, _inputs);
        var inputs = _inputs.Count == 0 ? None : new StorageGeneration?[_inputs.Count];
        for (int i = 0; i < inputs.Length; i++)
        {
            var tensor = _inputs[i];
            if (tensor.IsUndefined)
                continue;
            if (!_current.TryGetValue(tensor.StorageKey, out var storage) || !storage.CanHold(tensor))
                storage = Open(tensor.StorageKey, null);
            storage.See(tensor);
            inputs[i] = storage;
        }
        _byNode[node] = new Seen(inputs, None, started);
    }

    private void End(TraceNode node)
    {
        if (node.Outputs.IsEmpty || !_byNode.TryGetValue(node, out var seen))
            return;
        Collect(node.Outputs, _outputs);
        if (_outputs.Count == 0)
            return;
        Collect(node.Inputs, _inputs);
        var outputs = new StorageGeneration?[_outputs.Count];
        for (int i = 0; i < outputs.Length; i++)
        {
            var tensor = _outputs[i];
            if (tensor.IsUndefined)
                continue;
            int input = _inputs.FindIndex(t => !t.IsUndefined && t.StorageKey == tensor.StorageKey);
            if (input >= 0)
                outputs[i] = seen.Inputs[input];
            else if (_current.TryGetValue(tensor.StorageKey, out var inner) && inner.BornAt > seen.StartedAt)
                outputs[i] = inner;
            else
                outputs[i] = Open(tensor.StorageKey, node);
            outputs[i]!.See(tensor);
        }
        _byNode[node] = seen with { Outputs = outputs };
    }

    private static void Collect(ImmutableArray<ArgumentValue> arguments, List<TensorValue> tensors)
    {
        tensors.Clear();
        foreach (var argument in arguments)
            if (argument is TensorValue single)
                tensors.Add(single);
            else
                tensors.AddRange(argument.Tensors);
    }

    private StorageGeneration Open(long key, TraceNode? birth) => _current[key] = new StorageGeneration(_count++, birth, ++_clock);

    /// <summary>A node's storages, and when it started.</summary>
    private readonly record struct Seen(StorageGeneration?[] Inputs, StorageGeneration?[] Outputs, int StartedAt);
}
