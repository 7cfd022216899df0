using System.Collections.Frozen;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>Tells what hooks ran within a backward pass from what functions and the engine did.</summary>
internal static class HookWork
{
    private static readonly FrozenSet<string> OfEngine = FrozenSet.Create("aten::add", "aten::add_", "aten::sum", "aten::view", "aten::to",
        "aten::_to_copy");

    /// <summary>What accumulates a gradient (<c>torch/csrc/autograd/functions/accumulate_grad.h</c>).</summary>
    private static readonly FrozenSet<string> OfAccumulation = FrozenSet.Create("aten::detach", "aten::clone", "aten::add_",
        "aten::new_empty_strided", "aten::empty_like", "aten::empty_strided", "aten::copy_", "aten::_indices", "aten::_values",
        "aten::_sparse_coo_tensor_unsafe", "aten::coalesce", "aten::to");

    /// <summary>The operators that hooks ran around a function.</summary>
    /// <param name="inside">The operators within the function's node, outermost ones.</param>
    /// <param name="function">The engine's node around the function.</param>
    /// <param name="body">The function itself; null where the trace does not have it.</param>
    /// <param name="isAccumulation">Whether it accumulates a gradient.</param>
    /// <param name="isOfPass">Whether a tensor was made within the pass.</param>
    public static IEnumerable<TraceNode> Of(IEnumerable<TraceNode> inside, TraceNode function, TraceNode? body, bool isAccumulation,
        Func<TensorValue, bool> isOfPass) => inside.Where(op => isAccumulation && op.Parent != function
            ? !OfAccumulation.Contains(op.Name) : !IsWithin(op, body) && !IsEngines(op, isOfPass));

    /// <summary>
    /// Whether an operator beside a function is the engine's, which adds gradients up and casts them (<c>InputBuffer::add</c>,
    /// <c>validate_outputs</c> in <c>torch/csrc/autograd/engine.cpp</c>): it adds gradients of the pass, and nothing else.
    /// </summary>
    private static bool IsEngines(TraceNode op, Func<TensorValue, bool> isOfPass) => OfEngine.Contains(op.Name)
        && (op.Name is not ("aten::add" or "aten::add_") || TensorLayout.TensorsOf(op.Inputs).All(isOfPass));

    /// <summary>Whether a node is below another.</summary>
    public static bool IsWithin(TraceNode node, TraceNode? other) => other is not null && node.Ancestors.Contains(other);
}
