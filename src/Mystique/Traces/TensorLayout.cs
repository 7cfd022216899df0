using System.Collections.Immutable;

namespace Mystique.Traces;

/// <summary>Where a tensor's elements lie in its storage.</summary>
internal static class TensorLayout
{
    /// <summary>The tensors among arguments, those in lists too, in order.</summary>
    public static IEnumerable<TensorValue> TensorsOf(ImmutableArray<ArgumentValue> arguments)
    {
        foreach (var argument in arguments)
        {
            if (argument is TensorValue single)
            {
                yield return single; // By far the most are: no sequence for one.
                continue;
            }
            foreach (var tensor in argument.Tensors)
                yield return tensor;
        }
    }

    /// <summary>A tensor by its looks alone: its ids are 0, and it has no device.</summary>
    public static TensorValue TensorOf(ScalarType type, ImmutableArray<long> shape, ImmutableArray<long> strides, long offset = 0) => new()
    {
        TensorId = 0,
        StorageId = 0,
        Offset = offset,
        ElementCount = shape.Aggregate(1L, SaturatingMultiply),
        ItemSizeBytes = type.SizeBytes(),
        Device = "",
        Type = type,
        Shape = shape,
        Strides = strides,
    };

    /// <summary>Whether two tensors have the same sizes.</summary>
    public static bool IsSameShape(TensorValue a, TensorValue b) => a.Shape.AsSpan().SequenceEqual(b.Shape.AsSpan());

    /// <summary>The strides of a contiguous tensor, in elements (<c>c10::contiguous_strides</c>: a size of 0 counts as 1).</summary>
    public static ImmutableArray<long> ContiguousStrides(ImmutableArray<long> shape)
    {
        var strides = new long[shape.Length];
        long stride = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride = SaturatingMultiply(stride, Math.Max(shape[i], 1));
        }
        return System.Runtime.InteropServices.ImmutableCollectionsMarshal.AsImmutableArray(strides);
    }

    /// <summary>
    /// Bytes from the storage's start to the end of the tensor's furthest element:
    /// <c>(offset + sum((size - 1) * stride) + 1) * itemsize</c>; 0 for a tensor without elements. Saturates.
    /// </summary>
    public static long SpanBytes(TensorValue tensor) =>
        SpanBytes(tensor.Offset, tensor.Shape, tensor.Strides, tensor.ItemSizeBytes);

    /// <inheritdoc cref="SpanBytes(TensorValue)"/>
    public static long SpanBytes(long offset, ImmutableArray<long> shape, ImmutableArray<long> strides, int itemSizeBytes)
    {
        if (strides.IsDefault)
            strides = ContiguousStrides(shape);
        long last = 0;
        for (int i = 0; i < shape.Length; i++)
        {
            if (shape[i] == 0)
                return 0;
            last = SaturatingAdd(last, SaturatingMultiply(shape[i] - 1, Math.Max(strides[i], 0)));
        }
        return SaturatingMultiply(SaturatingAdd(SaturatingAdd(offset, last), 1), itemSizeBytes);
    }

    /// <summary>A product of two numbers that are not negative, or <see cref="long.MaxValue"/> where it does not fit.</summary>
    public static long SaturatingMultiply(long a, long b)
    {
        var product = (Int128)a * b;
        return product > long.MaxValue ? long.MaxValue : (long)product;
    }

    /// <summary>A sum of two numbers that are not negative, or <see cref="long.MaxValue"/> where it does not fit.</summary>
    public static long SaturatingAdd(long a, long b) => a > long.MaxValue - b ? long.MaxValue : a + b;
}
