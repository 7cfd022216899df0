using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Strides for traces that do not record them (before schema 1.1.1). <c>aten::as_strided</c>, which most views end in,
/// has them as an argument; its result is, by its id, the result of the operators around it. All else is contiguous.
/// </summary>
internal sealed class StrideInference
{
    // Ids are reused: of one pair of them, tensors of several shapes are known.
    private readonly Dictionary<(long Tensor, long Storage), List<(ImmutableArray<long> Shape, ImmutableArray<long> Strides)>> _known = [];

    public static StrideInference Of(ExecutionTrace trace)
    {
        var inference = new StrideInference();
        if (trace.HasStrides)
            return inference;
        foreach (var node in trace.Operators)
        {
            if (node.Name == "aten::as_strided" && node.Inputs is [_, IntListValue shape, IntListValue strides, ..]
                && node.Outputs is [TensorValue result] && shape.Items.Length == strides.Items.Length)
                inference.Note((result.TensorId, result.StorageId), shape.Items, strides.Items);
        }
        return inference;
    }

    private void Note((long, long) ids, ImmutableArray<long> shape, ImmutableArray<long> strides)
    {
        if (!_known.TryGetValue(ids, out var known))
            _known.Add(ids, known = []);
        known.RemoveAll(k => k.Shape.AsSpan().SequenceEqual(shape.AsSpan())); // The last one stands.
        known.Add((shape, strides));
    }

    /// <summary>The strides of a tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="isGuess">Whether nothing in the trace tells, so that contiguous ones were assumed.</param>
    public ImmutableArray<long> StridesOf(TensorValue tensor, out bool isGuess)
    {
        isGuess = false;
        if (!tensor.Strides.IsDefault)
            return tensor.Strides;
        foreach (var known in _known.GetValueOrDefault((tensor.TensorId, tensor.StorageId)) ?? [])
            if (known.Shape.AsSpan().SequenceEqual(tensor.Shape.AsSpan()))
                return known.Strides;
        isGuess = true;
        return TensorLayout.ContiguousStrides(tensor.Shape);
    }
}
