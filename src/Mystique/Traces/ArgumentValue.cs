using System.Collections.Immutable;

namespace Mystique.Traces;

/// <summary>A recorded argument or result of an operator.</summary>
public abstract record ArgumentValue
{
    private protected ArgumentValue()
    {
    }

    /// <summary>The tensors in this value, those inside lists too, in order.</summary>
    public virtual IEnumerable<TensorValue> Tensors => [];
}

/// <summary>
/// A tensor as the observer saw it: identity, not contents. Format: the 6-tuple (5 in old traces, without the
/// device) of <c>execution_trace_observer.cpp</c>, with the shape, type and strides recorded beside it.
/// </summary>
public sealed record TensorValue : ArgumentValue
{
    /// <summary>The number of the <c>TensorImpl</c>; an address in disguise, never retired. 0 where undefined.</summary>
    public required long TensorId { get; init; }

    /// <summary>The number of the storage; as unreliable as <see cref="TensorId"/>.</summary>
    public required long StorageId { get; init; }

    /// <summary>The first element's place in the storage, in <b>elements</b>.</summary>
    public required long Offset { get; init; }

    /// <summary>Number of elements.</summary>
    public required long ElementCount { get; init; }

    /// <summary>Bytes of an element.</summary>
    public required int ItemSizeBytes { get; init; }

    /// <summary>For example <c>cpu</c> or <c>cuda:0</c>; empty where the trace does not say.</summary>
    public required string Device { get; init; }

    /// <summary>Element type.</summary>
    public required ScalarType Type { get; init; }

    /// <summary>Sizes; empty for a 0-dim tensor.</summary>
    public required ImmutableArray<long> Shape { get; init; }

    /// <summary>Strides in elements; default where the trace has none (before schema 1.1.1).</summary>
    public required ImmutableArray<long> Strides { get; init; }

    /// <summary>Whether it is a tensor without an implementation (<c>at::Tensor()</c>).</summary>
    public bool IsUndefined => Type == ScalarType.Undefined && StorageId == 0 && ItemSizeBytes == 0;

    /// <summary>
    /// Whether it has no storage: it is sparse, nested, a wrapper, or of symbolic shape
    /// (<c>torch/csrc/profiler/standalone/execution_trace_observer.cpp</c>: storage, element size and device are then left out).
    /// </summary>
    internal bool IsOpaque => !IsUndefined && StorageId == 0 && ItemSizeBytes == 0 && Device.Length == 0;

    /// <summary>
    /// What it is found again by: its storage; where there is none, or none of its own (all meta tensors have the null address),
    /// itself.
    /// </summary>
    internal long StorageKey => IsOpaque || Device == "meta" ? ~TensorId : StorageId;

    /// <inheritdoc/>
    public override IEnumerable<TensorValue> Tensors => [this];

    /// <inheritdoc/>
    public bool Equals(TensorValue? other) => other is not null && TensorId == other.TensorId
        && StorageId == other.StorageId && Offset == other.Offset && ElementCount == other.ElementCount
        && ItemSizeBytes == other.ItemSizeBytes && Device == other.Device && Type == other.Type
        && Shape.AsSpan().SequenceEqual(other.Shape.AsSpan())
        && Strides.AsSpan().SequenceEqual(other.Strides.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(TensorId, StorageId, Offset, ElementCount, Type, Shape.Length);
}

/// <summary>A list or tuple of values that are not all integers.</summary>
/// <param name="Items">The elements.</param>
/// <param name="TypeName">The recorded type, for example <c>GenericList[Tensor(float),Tensor(float)]</c>.</param>
internal sealed record ListValue(ImmutableArray<ArgumentValue> Items, string TypeName) : ArgumentValue
{
    /// <inheritdoc/>
    public override IEnumerable<TensorValue> Tensors => Items.SelectMany(i => i.Tensors);

    /// <inheritdoc/>
    public bool Equals(ListValue? other) => other is not null && Items.AsSpan().SequenceEqual(other.Items.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => Items.Length;
}

/// <summary>A list of integers: sizes, strides, dimensions.</summary>
/// <param name="Items">The elements.</param>
internal sealed record IntListValue(ImmutableArray<long> Items) : ArgumentValue
{
    /// <inheritdoc/>
    public bool Equals(IntListValue? other) => other is not null && Items.AsSpan().SequenceEqual(other.Items.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => Items.Length;
}

/// <summary>An integer; also a dtype, layout or memory format, which the observer records as their numbers.</summary>
/// <param name="Value">The value.</param>
internal sealed record IntValue(long Value) : ArgumentValue;

/// <summary>A double. The observer prints six decimals, so a small value may have become 0.</summary>
/// <param name="Value">The value; infinities and NaN are possible.</param>
internal sealed record DoubleValue(double Value) : ArgumentValue;

/// <summary>A boolean.</summary>
/// <param name="Value">The value.</param>
internal sealed record BoolValue(bool Value) : ArgumentValue;

/// <summary>A string.</summary>
/// <param name="Value">The value.</param>
internal sealed record StringValue(string Value) : ArgumentValue;

/// <summary>A device.</summary>
/// <param name="Name">For example <c>cuda:0</c>.</param>
internal sealed record DeviceValue(string Name) : ArgumentValue;

/// <summary>No value.</summary>
internal sealed record NoneValue : ArgumentValue
{
    /// <summary>The one instance.</summary>
    public static NoneValue Instance { get; } = new();
}

/// <summary>A value that the observer names but does not record: a generator, storage, stream or object.</summary>
/// <param name="TypeName">The recorded type, for example <c>Storage</c>.</param>
internal sealed record OpaqueValue(string TypeName) : ArgumentValue;
