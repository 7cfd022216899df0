using System.Collections.Immutable;
using Mystique.Planning.Contents;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// The tensors of a plan while it is made. A tensor is found again by where it lies (storage, offset, type, sizes,
/// strides), not by its id alone: autograd hands the backward pass new tensor objects on the same memory.
/// </summary>
/// <param name="trace">The trace.</param>
/// <param name="isOfObjects">Whether tensors on the same memory are told apart, for autograd sees them (the framework's level).</param>
internal sealed class TensorTable(ExecutionTrace trace, bool isOfObjects = false)
{
    private readonly StrideInference _strides = StrideInference.Of(trace);
    private readonly Dictionary<StorageGeneration, StorageState> _states = [];
    private readonly List<StorageState> _storages = [];
    private readonly List<PlannedTensor> _tensors = [];
    private readonly List<string> _devices = [];
    private readonly Dictionary<string, Slot> _described = [];
    private readonly Dictionary<(StorageId Storage, long TensorId), Slot> _byId = []; // The last of an id.
    private Slot? _undefined;

    /// <summary>Literals that were put back; see <see cref="LostLiterals"/>.</summary>
    public int RestoredEpsilons { get; set; }

    public ImmutableArray<string> Devices => [.. _devices];

    public ImmutableArray<PlannedStorage> Storages =>
        [.. _storages.Select(s => new PlannedStorage(s.SizeBytes, s.Device, s.Initializer, s.IsExternal && s.IsMutated))];

    public ImmutableArray<PlannedTensor> Tensors => [.. _tensors];

    /// <summary>The tensor of a slot.</summary>
    public PlannedTensor this[Slot slot] => _tensors[slot.Index];

    /// <summary>Where a storage of the trace is in the plan; null where it is not.</summary>
    public StorageId? StorageOf(StorageGeneration generation) => _states.TryGetValue(generation, out var state) ? state.Id : null;

    public void SeeDevices(ArgumentValue literal)
    {
        if (literal is DeviceValue device)
            DeviceIndex(device.Name);
    }

    /// <summary>The slot of a tensor that an operator uses. Adds a view where the memory is there but the tensor is not.</summary>
    public Slot Use(StorageGeneration? generation, TensorValue tensor, OperatorId id, bool isWritten,
        ImmutableArray<PlannedOperator>.Builder operators)
    {
        if (generation is null)
            return Undefined();
        if (!_states.TryGetValue(generation, out var state))
            _states.Add(generation, state = AddStorage(generation.Device, Initializer.Default(tensor.Type, tensor.Shape)));
        state.IsMutated |= isWritten;
        if (Find(state, tensor) is { } known)
            return known;
        if (generation.IsOpaque)
            return state.Slots[^1]; // It was resized, in place.
        if (state.IsExternal)
            return AddTensor(state, tensor, isExternal: true);
        if (state.Slots.Where(s => _tensors[s.Index].Type == tensor.Type).Select(s => (Slot?)s).FirstOrDefault() is not { } source)
        {
            // Bytes that no operator of the selection has seen as this type: they are made up.
            var made = AddStorage(generation.Device, Initializer.Default(tensor.Type, tensor.Shape));
            made.IsMutated = isWritten;
            return AddTensor(made, tensor, isExternal: true);
        }
        var slot = AddTensor(state, tensor, isExternal: false);
        operators.Add(AddedOperators.View(id, source, slot, _tensors[slot.Index]));
        return slot;
    }

    /// <summary>The slot of a tensor that an operator returns; null where it is undefined.</summary>
    /// <param name="generation">Its storage; null for an undefined tensor.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="isInput">Whether it is a tensor that the operator was given.</param>
    public Slot? Make(StorageGeneration? generation, TensorValue tensor, bool isInput = false)
    {
        if (generation is null)
            return null;
        if (!_states.TryGetValue(generation, out var state))
            _states.Add(generation, state = AddStorage(generation.Device, initializer: null));
        return (IsToldById(tensor) && !isInput ? null : Find(state, tensor)) ?? AddTensor(state, tensor, isExternal: false);
    }

    /// <summary>Adds a tensor that is there before the iteration, and that the trace does not have.</summary>
    public Slot AddExternal(string device, ScalarType type, ImmutableArray<long> shape, Initializer contents)
    {
        var state = AddStorage(device, contents);
        var strides = TensorLayout.ContiguousStrides(shape);
        state.SizeBytes = TensorLayout.SpanBytes(0, shape, strides, type.SizeBytes());
        return Add(state, new PlannedTensor
        {
            Storage = state.Id,
            Type = type,
            Shape = shape,
            Strides = strides,
            Offset = 0,
            IsExternal = true,
        });
    }

    /// <summary>Makes a tensor a leaf of autograd's graph.</summary>
    /// <param name="slot">The tensor.</param>
    /// <param name="gradient">The gradient that it has before the iteration; null for none.</param>
    public void MakeLeaf(Slot slot, Slot? gradient)
    {
        if (!_tensors[slot.Index].IsLeaf)
            _tensors[slot.Index] = _tensors[slot.Index] with { IsLeaf = true, Gradient = gradient };
    }

    /// <summary>A slot that says what a tensor is like, for one that the target makes itself; null for an undefined tensor.</summary>
    public Slot? Describe(TensorValue tensor)
    {
        if (tensor.IsUndefined)
            return null;
        var strides = tensor.IsOpaque ? TensorLayout.ContiguousStrides(tensor.Shape) : _strides.StridesOf(tensor, out _);
        string key = $"{tensor.Type} {tensor.Device} {tensor.IsOpaque} {string.Join(',', tensor.Shape)} {string.Join(',', strides)}";
        if (!_described.TryGetValue(key, out var slot))
            _described.Add(key, slot = AddTensor(AddStorage(tensor.Device, initializer: null), tensor, isExternal: false, offset: 0));
        return slot;
    }

    private Slot Undefined()
    {
        if (_undefined is { } known)
            return known;
        _tensors.Add(PlannedTensor.Undefined);
        var slot = new Slot(_tensors.Count - 1);
        _undefined = slot;
        return slot;
    }

    /// <summary>
    /// A tensor without elements has no memory to tell it by, as all such lie at the null address; and to autograd a view of all of a
    /// tensor (<c>detach</c>) is another one. What tells these apart is the id, as long as they live.
    /// </summary>
    private bool IsToldById(TensorValue tensor) => !tensor.IsOpaque && (isOfObjects || tensor.ElementCount == 0);

    private Slot? FindById(StorageState state, TensorValue tensor) =>
        _byId.TryGetValue((state.Id, tensor.TensorId), out var slot) && FindByLayout([slot], tensor) is { } known ? known : null;

    private Slot? Find(StorageState state, TensorValue tensor) =>
        (IsToldById(tensor) ? FindById(state, tensor) : null) ?? FindByLayout(state.Slots, tensor);

    private Slot? FindByLayout(IReadOnlyList<Slot> slots, TensorValue tensor)
    {
        var strides = _strides.StridesOf(tensor, out bool isGuess);
        Slot? sameShape = null;
        foreach (var slot in slots)
        {
            var known = _tensors[slot.Index];
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
        var state = new StorageState { Id = new StorageId(_storages.Count), Device = DeviceIndex(device), Initializer = initializer };
        _storages.Add(state);
        return state;
    }

    private Slot AddTensor(StorageState state, TensorValue tensor, bool isExternal) => AddTensor(state, tensor, isExternal, tensor.Offset);

    private Slot AddTensor(StorageState state, TensorValue tensor, bool isExternal, long offset)
    {
        var strides = tensor.IsOpaque ? TensorLayout.ContiguousStrides(tensor.Shape) : _strides.StridesOf(tensor, out _);
        state.SizeBytes = Math.Max(state.SizeBytes, TensorLayout.SpanBytes(offset, tensor.Shape, strides, tensor.ItemSizeBytes));
        var slot = Add(state, new PlannedTensor
        {
            Storage = state.Id,
            Type = tensor.Type,
            Shape = tensor.Shape,
            Strides = strides,
            Offset = offset,
            IsExternal = isExternal,
            IsOpaque = tensor.IsOpaque,
        });
        if (IsToldById(tensor))
            _byId[(state.Id, tensor.TensorId)] = slot;
        return slot;
    }

    private Slot Add(StorageState state, PlannedTensor tensor)
    {
        var slot = new Slot(_tensors.Count);
        state.Slots.Add(slot);
        _tensors.Add(tensor);
        return slot;
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
        public required StorageId Id { get; init; }

        public required int Device { get; init; }

        public required Initializer? Initializer { get; init; }

        public bool IsExternal => Initializer is not null;

        public long SizeBytes { get; set; }

        public bool IsMutated { get; set; }

        public List<Slot> Slots { get; } = [];
    }
}
