using System.Collections.Immutable;
using Mystique.Planning.Contents;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// The tensors of a plan while it is made. A tensor is found again by where it lies (storage, offset, type, sizes,
/// strides), not by its id alone: autograd hands the backward pass new tensor objects on the same memory.
/// </summary>
internal sealed class TensorTable(ExecutionTrace trace)
{
    private readonly StrideInference _strides = StrideInference.Of(trace);
    private readonly Dictionary<StorageGeneration, StorageState> _states = [];
    private readonly List<StorageState> _storages = [];
    private readonly List<PlannedTensor> _tensors = [];
    private readonly List<string> _devices = [];
    private int _undefined = -1;

    /// <summary>Literals that were put back; see <see cref="LostLiterals"/>.</summary>
    public int RestoredEpsilons { get; set; }

    public ImmutableArray<string> Devices => [.. _devices];

    public ImmutableArray<PlannedStorage> Storages =>
        [.. _storages.Select(s => new PlannedStorage(s.SizeBytes, s.Device, s.Initializer, s.IsExternal && s.IsMutated))];

    public ImmutableArray<PlannedTensor> Tensors => [.. _tensors];

    public void SeeDevices(ArgumentValue literal)
    {
        if (literal is DeviceValue device)
            DeviceIndex(device.Name);
    }

    /// <summary>The slot of a tensor that an operator uses. Adds a view where the memory is there but the tensor is not.</summary>
    public int Use(StorageGeneration? generation, TensorValue tensor, OperatorId id, bool isWritten,
        ImmutableArray<PlannedOperator>.Builder operators)
    {
        if (generation is null)
            return Undefined();
        if (!_states.TryGetValue(generation, out var state))
            _states.Add(generation, state = AddStorage(generation.Device, Initializer.Default(tensor.Type, tensor.Shape)));
        state.IsMutated |= isWritten;
        int slot = Find(state, tensor);
        if (slot >= 0)
            return slot;
        if (generation.IsOpaque)
            return state.Slots[^1]; // It was resized, in place.
        if (state.IsExternal)
            return AddTensor(state, tensor, isExternal: true);
        int source = state.Slots.FindIndex(s => _tensors[s].Type == tensor.Type);
        if (source < 0)
        {
            // Bytes that no operator of the selection has seen as this type: they are made up.
            var made = AddStorage(generation.Device, Initializer.Default(tensor.Type, tensor.Shape));
            made.IsMutated = isWritten;
            return AddTensor(made, tensor, isExternal: true);
        }
        slot = AddTensor(state, tensor, isExternal: false);
        operators.Add(AddedOperators.View(id, state.Slots[source], slot, _tensors[slot]));
        return slot;
    }

    /// <summary>The slot of a tensor that an operator returns; -1 where it is undefined.</summary>
    public int Make(StorageGeneration? generation, TensorValue tensor)
    {
        if (generation is null)
            return -1;
        if (!_states.TryGetValue(generation, out var state))
            _states.Add(generation, state = AddStorage(generation.Device, initializer: null));
        int slot = Find(state, tensor);
        return slot >= 0 ? slot : AddTensor(state, tensor, isExternal: false);
    }

    /// <summary>Adds a tensor that is there before the iteration, and that the trace does not have.</summary>
    public int AddExternal(string device, ScalarType type, ImmutableArray<long> shape, Initializer contents)
    {
        var state = AddStorage(device, contents);
        var strides = TensorLayout.ContiguousStrides(shape);
        state.SizeBytes = TensorLayout.SpanBytes(0, shape, strides, type.SizeBytes());
        state.Slots.Add(_tensors.Count);
        _tensors.Add(new PlannedTensor
        {
            Storage = state.Index,
            Type = type,
            Shape = shape,
            Strides = strides,
            Offset = 0,
            IsExternal = true,
        });
        return _tensors.Count - 1;
    }

    private int Undefined()
    {
        if (_undefined < 0)
        {
            _undefined = _tensors.Count;
            _tensors.Add(PlannedTensor.Undefined);
        }
        return _undefined;
    }

    private int Find(StorageState state, TensorValue tensor)
    {
        var strides = _strides.StridesOf(tensor, out bool isGuess);
        int sameShape = -1;
        foreach (int slot in state.Slots)
        {
            var known = _tensors[slot];
            if (known.Offset != tensor.Offset || known.Type != tensor.Type || !known.Shape.AsSpan().SequenceEqual(tensor.Shape.AsSpan()))
                continue;
            if (tensor.IsOpaque || known.Strides.AsSpan().SequenceEqual(strides.AsSpan()))
                return slot;
            // Strides of elements that are alone in their dimension, or of none at all, say nothing.
            if (isGuess || IsSameLayout(known.Shape, known.Strides, strides))
                sameShape = slot;
        }
        return sameShape;
    }

    private static bool IsSameLayout(ImmutableArray<long> shape, ImmutableArray<long> a, ImmutableArray<long> b)
    {
        for (int i = 0; i < shape.Length; i++)
            if (shape[i] != 1 && a[i] != b[i])
                return shape.Contains(0);
        return true;
    }

    private StorageState AddStorage(string device, Initializer? initializer)
    {
        var state = new StorageState { Index = _storages.Count, Device = DeviceIndex(device), Initializer = initializer };
        _storages.Add(state);
        return state;
    }

    private int AddTensor(StorageState state, TensorValue tensor, bool isExternal)
    {
        var strides = tensor.IsOpaque ? TensorLayout.ContiguousStrides(tensor.Shape) : _strides.StridesOf(tensor, out _);
        state.SizeBytes = Math.Max(state.SizeBytes, TensorLayout.SpanBytes(tensor.Offset, tensor.Shape, strides, tensor.ItemSizeBytes));
        state.Slots.Add(_tensors.Count);
        _tensors.Add(new PlannedTensor
        {
            Storage = state.Index,
            Type = tensor.Type,
            Shape = tensor.Shape,
            Strides = strides,
            Offset = tensor.Offset,
            IsExternal = isExternal,
            IsOpaque = tensor.IsOpaque,
        });
        return _tensors.Count - 1;
    }

    private int DeviceIndex(string device)
    {
        string name = device.Length == 0 ? "cpu" : device;
        int index = _devices.IndexOf(name);
        if (index >= 0)
            return index;
        _devices.Add(name);
        return _devices.Count - 1;
    }

    private sealed class StorageState
    {
        public required int Index { get; init; }

        public required int Device { get; init; }

        public required Initializer? Initializer { get; init; }

        public bool IsExternal => Initializer is not null;

        public long SizeBytes { get; set; }

        public bool IsMutated { get; set; }

        public List<int> Slots { get; } = [];
    }
}
