using System.Buffers.Binary;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>
/// Where an operator splits a tensor, when a tensor says so: the sizes of its results tell what that held
/// (<c>aten/src/ATen/native/TensorShape.cpp</c>).
/// </summary>
internal static class SplitPlaces
{
    /// <summary>What the argument held; null for any other operator, and where the results do not tell.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="argument">The argument's name.</param>
    /// <param name="tensor">The argument.</param>
    /// <param name="tensors">The plan's tensors.</param>
    public static Initializer? ContentsOf(PlannedOperator op, string argument, PlannedTensor tensor, IReadOnlyList<PlannedTensor> tensors)
    {
        bool isPlaces = op.Schema.FullName == "aten::tensor_split.tensor_indices_or_sections" && argument == "tensor_indices_or_sections";
        bool isSizes = op.Schema.FullName == "aten::split_with_sizes.Tensor" && argument == "split_sizes";
        if (!isPlaces && !isSizes || tensor.Type != ScalarType.Long || op.Results is not [{ Slots: { Length: > 0 } parts }])
            return null;
        if (op.Schema.PlaceOf("dim") is not { } dim || op.Arguments[dim].Literal is not IntValue { Value: var along }
            || parts.Any(s => s is null))
            return null;
        var shapes = parts.Select(s => tensors[s!.Value.Index].Shape).ToArray();
        if (shapes.Any(s => along < -s.Length || along >= s.Length))
            return null;
        long[] sizes = [.. shapes.Select(s => s[(int)(along < 0 ? along + s.Length : along)])];
        long[] values = isSizes ? sizes : tensor.Shape.IsEmpty ? [sizes.Length] : [.. PlacesOf(sizes)];
        if (values.Length != tensor.ElementCount)
            return null;
        byte[] data = new byte[values.Length * sizeof(long)];
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(i * sizeof(long)), values[i]);
        return new Initializer(InitializerKind.Recorded, tensor.Type, 0, 0) { Data = [.. data] };
    }

    private static IEnumerable<long> PlacesOf(long[] sizes)
    {
        long place = 0;
        foreach (long size in sizes[..^1])
            yield return place += size;
    }
}
