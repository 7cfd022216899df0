using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Strides for traces that do not record them (before schema 1.1.1). <c>aten::as_strided</c>, which most views end in,
/// has them as an argument; its result is, by its id, the result of the operators around it. All else is contiguous.
/// </summary>
internal sealed class StrideInference
{
    private readonly Dictionary<(long TensorId, long StorageId), (ImmutableArray<long> Shape, ImmutableArray<long> Strides)> _known = [];

    public static StrideInference Of(ExecutionTrace trace)
    {
        var inference = new StrideInference();
        if (trace.HasStrides)
            return inference;
        foreach (var node in trace.Operators)
        {
            if (node.Name == "aten::as_strided" && node.Inputs is [_, IntListValue shape, IntListValue strides, ..]
                && node.Outputs is [TensorValue result] && shape.Items.Length == strides.Items.Length)
                inference._known[(result.TensorId, result.StorageId)] = (shape.Items, strides.Items);
        }
        return inference;
    }

    /// <summary>The strides of a tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="isGuess">Whether nothing in the trace tells, so that contiguous ones were assumed.</param>
    public ImmutableArray<long> StridesOf(TensorValue tensor, out bool isGuess)
    {
        isGuess = false;
        if (!tensor.Strides.IsDefault)
            return tensor.Strides;
        if (_known.TryGetValue((tensor.TensorId, tensor.StorageId), out var known)
            && known.Shape.AsSpan().SequenceEqual(tensor.Shape.AsSpan()))
            return known.Strides;
        isGuess = true;
        return TensorLayout.ContiguousStrides(tensor.Shape);
    }
}
