using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>A storage between its allocation and its death: what a storage id stands for at one time.</summary>
/// <param name="index">Its number in the timeline.</param>
/// <param name="birth">The innermost operator that made it; null where it existed before the trace or was made unseen.</param>
internal sealed class StorageGeneration(int index, TraceNode? birth)
{
    private readonly HashSet<ScalarType> _types = [];
    private readonly HashSet<long> _tensorIds = [];

    public int Index { get; } = index;

    public TraceNode? Birth { get; } = birth;

    /// <summary>Bytes that the furthest view seen so far needs.</summary>
    public long Bytes { get; private set; }

    public string Device { get; private set; } = "";

    /// <summary>Whether it stands for a tensor without storage.</summary>
    public bool IsOpaque { get; private set; }

    public void See(TensorValue tensor)
    {
        _types.Add(tensor.Type);
        IsOpaque = tensor.IsOpaque;
        _tensorIds.Add(tensor.TensorId);
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
        if (_tensorIds.Contains(tensor.TensorId) && _types.Contains(tensor.Type))
            return Birth is null || TensorLayout.SpanBytes(tensor) <= Bytes;
        if (!_types.Contains(tensor.Type) || (tensor.Device.Length > 0 && Device.Length > 0 && tensor.Device != Device))
            return false;
        if (tensor.Shape.IsEmpty && tensor.Type is ScalarType.Double or ScalarType.Long or ScalarType.Bool or ScalarType.ComplexDouble)
            return false;
        return Birth is null || TensorLayout.SpanBytes(tensor) <= Bytes;
    }
}

/// <summary>
/// Tells reused ids apart: goes through all nodes in the order in which they ran, and gives each tensor of each node
/// its <see cref="StorageGeneration"/>. An operator's result on a storage that is none of its inputs' is a new storage.
/// </summary>
internal sealed class StorageTimeline
{
    private static readonly StorageGeneration[] None = [];

    private readonly Dictionary<TraceNode, (StorageGeneration?[] Inputs, StorageGeneration?[] Outputs)> _byNode = [];
    private readonly Dictionary<long, StorageGeneration> _current = [];
    private readonly Dictionary<StorageGeneration, int> _bornAt = [];
    private readonly Dictionary<TraceNode, int> _startedAt = [];
    private int _clock;
    private int _count;

    private StorageTimeline()
    {
    }

    public static StorageTimeline Of(ExecutionTrace trace)
    {
        var timeline = new StorageTimeline();
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
        _startedAt[node] = ++_clock;
        if (node.Inputs.IsEmpty && node.Outputs.IsEmpty)
            return;
        var inputs = new List<StorageGeneration?>();
        foreach (var tensor in TensorLayout.TensorsOf(node.Inputs))
        {
            if (tensor.IsUndefined)
            {
                inputs.Add(null);
                continue;
            }
            if (!_current.TryGetValue(tensor.StorageKey, out var storage) || !storage.CanHold(tensor))
                storage = Open(tensor.StorageKey, null);
            storage.See(tensor);
            inputs.Add(storage);
        }
        _byNode[node] = ([.. inputs], []);
    }

    private void End(TraceNode node)
    {
        if (!_byNode.TryGetValue(node, out var seen))
            return;
        var tensors = TensorLayout.TensorsOf(node.Outputs).ToArray();
        if (tensors.Length == 0)
            return;
        var inputTensors = TensorLayout.TensorsOf(node.Inputs).ToArray();
        var outputs = new StorageGeneration?[tensors.Length];
        for (int i = 0; i < tensors.Length; i++)
        {
            var tensor = tensors[i];
            if (tensor.IsUndefined)
                continue;
            int input = Array.FindIndex(inputTensors, t => !t.IsUndefined && t.StorageKey == tensor.StorageKey);
            if (input >= 0)
                outputs[i] = seen.Inputs[input];
            else if (_current.TryGetValue(tensor.StorageKey, out var inner) && _bornAt[inner] > _startedAt[node])
                outputs[i] = inner;
            else
                outputs[i] = Open(tensor.StorageKey, node);
            outputs[i]!.See(tensor);
        }
        _byNode[node] = (seen.Inputs, outputs);
    }

    private StorageGeneration Open(long key, TraceNode? birth)
    {
        var storage = new StorageGeneration(_count++, birth);
        _current[key] = storage;
        _bornAt[storage] = ++_clock;
        return storage;
    }
}
