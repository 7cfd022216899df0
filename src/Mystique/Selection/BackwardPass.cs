using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>A run of autograd's engine in a trace (<c>torch/csrc/autograd/engine.cpp</c>): a call of <c>backward</c>. Immutable.</summary>
internal sealed record BackwardPass
{
    /// <summary>Its functions, in the order in which they ran.</summary>
    public required ImmutableArray<BackwardFunction> Steps { get; init; }

    /// <summary>The nodes of its functions, <c>autograd::engine::evaluate_function: …</c>, in the order in which they ran.</summary>
    public ImmutableArray<TraceNode> Functions => [.. Steps.Select(s => s.Node)];

    /// <summary>
    /// The forward operator whose result it starts from: the last one with the sequence number of the first function; null where the trace
    /// does not have it.
    /// </summary>
    public required TraceNode? Root { get; init; }

    /// <summary>
    /// The gradient that it starts from, as the caller gave it; null where autograd made it (ones, for a result with one element).
    /// </summary>
    public required TensorValue? StartGradient { get; init; }

    /// <summary>The gradient that the first function got, whoever made it; null where the trace does not tell.</summary>
    public required StoredTensor? FirstGradient { get; init; }

    /// <summary>The first function after it that got a gradient which no function of the pass made; null where there is none.</summary>
    public required TraceNode? OtherStart { get; init; }

    /// <summary>The first operator that a hook ran: neither a function nor the engine did; null where there is none.</summary>
    public required TraceNode? OfHook { get; init; }

    /// <summary>The forward operators of the selection that made its functions.</summary>
    public required ImmutableHashSet<TraceNode> Creators { get; init; }

    /// <summary>The gradients that leaves got, in the order in which they were accumulated.</summary>
    public required ImmutableArray<AccumulatedGradient> Accumulated { get; init; }

    /// <summary>Whether it goes on after the selection.</summary>
    public bool IsCut { get; init; }

    /// <summary>Whether it ran within a function of another one (checkpointing does that).</summary>
    public required bool IsNested { get; init; }

    /// <summary>The operators that its functions ran, outermost ones, each with what it ran inside.</summary>
    public required int OperatorCount { get; init; }

    /// <summary>The first function that no forward operator of the selection made; null where there is none.</summary>
    public required TraceNode? Unmade { get; init; }

    /// <summary>The first function of the job's own (<c>torch.autograd.Function</c>); null where there is none.</summary>
    public required TraceNode? OfTheJob { get; init; }

    /// <summary>
    /// The first operator within it that made a function itself: a recomputation (checkpointing), or a graph of the backward pass; null
    /// where there is none.
    /// </summary>
    public required TraceNode? Making { get; init; }

    /// <summary>Why the framework could not run it as recorded, in one call; null where nothing stands against it.</summary>
    public string? WhyNot => IsCut ? "it goes on after the iteration's end"
        : IsNested ? "it runs within another backward pass"
        : OfTheJob is not null ? $"node {OfTheJob.Id} ({OfTheJob.Name}) is a function of the job's own"
        : Making is not null ? $"node {Making.Id} ({Making.Name}) within it makes a graph: a recomputation, or gradients of gradients"
        : OfHook is not null ? $"node {OfHook.Id} ({OfHook.Name}) within it is a hook's"
        : OtherStart is not null && Root is not null
            ? $"it starts from several results: node {OtherStart.Id} ({OtherStart.Name}) is another"
        : Unmade is not null && Root is not null ? $"no forward operator of the selection made node {Unmade.Id} ({Unmade.Name})"
        : Root is null ? "no forward operator of the selection has the sequence number of its first function"
        : Accumulated.IsEmpty ? "it accumulates no gradient"
        : Accumulated.FirstOrDefault(a => a.Leaf is null) is { } unbound
            ? $"the leaf of the gradient that node {unbound.Node.Id} accumulates is not known: {unbound.Reason}" : null;

    /// <summary>
    /// Why it could not run in several calls either, around what the framework could not run; null where nothing stands against it.
    /// </summary>
    public string? WhyNotCut => OfTheJob is null && OfHook is null && OtherStart is null || IsCut || IsNested ? WhyNot
        : Making is not null ? $"node {Making.Id} ({Making.Name}) within it makes a graph: a recomputation, or gradients of gradients"
        : Unmade is not null ? $"no forward operator of the selection made node {Unmade.Id} ({Unmade.Name})"
        : Steps.FirstOrDefault(s => s is { IsOfTheJob: false, IsAccumulation: false } && s.Hooks.Any(h => h.Id > s.Body.Id)) is { } hooked
            ? $"a hook ran behind node {hooked.Body.Id} ({hooked.Name})"
        // Its number is of no operator, so nobody knows what it belongs to.
        : Steps.FirstOrDefault(s => s.Name == "torch::autograd::CopySlices") is { } slices
            ? $"node {slices.Body.Id} ({slices.Name}) is of a write into a view, and the pass would have to be cut" : null;
}

/// <summary>A function that autograd ran.</summary>
/// <param name="Node">The engine's node around it.</param>
/// <param name="Body">The function itself; the engine's node where the trace does not have it.</param>
/// <param name="Creator">The forward operator that made it; null where the trace does not tell.</param>
internal sealed record BackwardFunction(TraceNode Node, TraceNode Body, TraceNode? Creator)
{
    /// <summary>Whether it is the job's own (<c>torch.autograd.Function</c>).</summary>
    public bool IsOfTheJob { get; init; }

    /// <summary>Whether it accumulates a gradient.</summary>
    public bool IsAccumulation { get; init; }

    /// <summary>Of one of the job's own, the node of the call that made it; null where the trace does not tell.</summary>
    public TraceNode? Call { get; init; }

    /// <summary>The operators that hooks ran around it.</summary>
    public required ImmutableArray<TraceNode> Hooks { get; init; }

    /// <summary>Its name.</summary>
    public string Name => Node.Name[BackwardReader.Prefix.Length..];
}

/// <summary>A gradient that autograd added to a leaf's (<c>torch/csrc/autograd/functions/accumulate_grad.cpp</c>).</summary>
/// <param name="Node">The node of <c>torch::autograd::AccumulateGrad</c>.</param>
/// <param name="Gradient">The gradient; null where the trace does not tell.</param>
/// <param name="Leaf">The leaf, as a forward operator takes it; null where it is not known.</param>
/// <param name="Reason">Why it is not known; empty where it is.</param>
internal sealed record AccumulatedGradient(TraceNode Node, TensorValue? Gradient, Leaf? Leaf, string Reason)
{
    /// <summary>What is the leaf's gradient afterwards; null where the trace does not tell.</summary>
    public StoredTensor? Result { get; init; }

    /// <summary>The gradient that the leaf had before, and that this one was added to in place; null where it had none.</summary>
    public StoredTensor? Existing { get; init; }
}

/// <summary>A leaf of the graph: a tensor that requires a gradient, and that no operator of the selection made.</summary>
/// <param name="User">The forward operator that takes it, whose derivative made the gradient.</param>
/// <param name="Argument">The argument's place in the operator's schema.</param>
/// <param name="Tensor">The tensor.</param>
/// <param name="Storage">Its storage.</param>
internal sealed record Leaf(TraceNode User, int Argument, TensorValue Tensor, StorageGeneration Storage);

/// <summary>A tensor, and which storage its id stands for.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Storage">The storage.</param>
internal sealed record StoredTensor(TensorValue Tensor, StorageGeneration Storage)
{
    /// <summary>The first tensor that is defined, of the inputs or outputs of a node.</summary>
    public static StoredTensor? FirstOf(ImmutableArray<ArgumentValue> values, ReadOnlySpan<StorageGeneration?> storages)
    {
        foreach (var (place, tensor) in TensorLayout.TensorsOf(values).Index())
            if (!tensor.IsUndefined)
                return place < storages.Length && storages[place] is { } storage ? new StoredTensor(tensor, storage) : null;
        return null;
    }
}
