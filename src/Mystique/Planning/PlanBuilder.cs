using System.Collections.Immutable;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>A plan that is being changed: its tensors and storages, and more of them.</summary>
internal sealed class PlanBuilder(ReplayPlan plan)
{
    public ImmutableArray<PlannedTensor>.Builder Tensors { get; } = plan.Tensors.ToBuilder();

    public ImmutableArray<PlannedStorage>.Builder Storages { get; } = plan.Storages.ToBuilder();

    public ReplayPlan Plan => plan;

    public PlannedTensor this[Slot slot]
    {
        get => Tensors[slot.Index];
        set => Tensors[slot.Index] = value;
    }

    public PlannedStorage this[StorageId storage]
    {
        get => Storages[storage.Index];
        set => Storages[storage.Index] = value;
    }

    /// <summary>Adds an external tensor of a tensor's shape, type and strides, on a storage of its own.</summary>
    /// <param name="like">The tensor.</param>
    /// <param name="contents">Its contents; null for those that nobody asks for more of.</param>
    public Slot AddPrepared(PlannedTensor like, Initializer? contents) =>
        Add(like with { Offset = 0, IsExternal = true, IsWrappedNumber = false }, contents ?? Initializer.Default(like.Type, like.Shape));

    /// <summary>Adds a tensor that the iteration makes, of a tensor's shape, type and strides, on a storage of its own.</summary>
    public Slot AddIntermediate(PlannedTensor like) => Add(like with { Offset = 0, IsExternal = false, IsWrappedNumber = false }, null);

    /// <summary>Adds a tensor as it is, on a storage.</summary>
    public Slot AddOn(StorageId storage, PlannedTensor tensor)
    {
        Tensors.Add(tensor with { Storage = storage });
        return new Slot(Tensors.Count - 1);
    }

    /// <summary>Makes a tensor external that nothing makes any more.</summary>
    public void MakeExternal(Slot slot)
    {
        var tensor = this[slot];
        this[slot] = tensor with { IsExternal = true };
        if (tensor.Storage is { } id && this[id] is { IsExternal: false } storage)
            this[id] = storage with { Initializer = Initializer.Default(tensor.Type, tensor.Shape), IsMutated = true };
    }

    public ReplayPlan Build(ImmutableArray<PlannedOperator> operators) =>
        plan with { Tensors = Tensors.ToImmutable(), Storages = Storages.ToImmutable(), Operators = operators };

    private Slot Add(PlannedTensor tensor, Initializer? contents)
    {
        int device = tensor.Storage is { } like ? this[like].Device : 0;
        Storages.Add(new PlannedStorage(
            TensorLayout.SpanBytes(0, tensor.Shape, tensor.Strides, Traces.ScalarTypes.SizeBytes(tensor.Type)), device, contents,
                IsMutated: false));
        return AddOn(new StorageId(Storages.Count - 1), tensor);
    }
}
