using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>The tensors that there are, found by their sizes.</summary>
internal sealed class LiveTensors
{
    private readonly Dictionary<ShapeKey, List<LiveTensor>> _byShape = [];
    private long _tensors;
    private long _storages;

    /// <summary>How many were there before the first operator.</summary>
    public int Externals { get; private set; }

    /// <summary>Adds a tensor.</summary>
    /// <param name="layout">Its type, shape, strides and offset.</param>
    /// <param name="maker">What made it; null for what was there before.</param>
    /// <param name="storage">Its memory; null for memory of its own.</param>
    public LiveTensor Add(TensorValue layout, ProfileNode? maker, LiveStorage? storage = null)
    {
        Externals += maker is null ? 1 : 0;
        var tensor = new LiveTensor(++_tensors, storage ?? new LiveStorage(++_storages), layout) { Maker = maker };
        Index(tensor);
        return tensor;
    }

    /// <summary>Changes what a tensor looks like.</summary>
    public void Change(LiveTensor tensor, TensorValue layout)
    {
        _byShape[ShapeKey.Of(tensor.Layout)].Remove(tensor);
        tensor.Layout = layout with { TensorId = tensor.Id, StorageId = tensor.Storage.Id };
        Index(tensor);
    }

    /// <summary>The tensors of a shape that are alive, those made last first.</summary>
    /// <param name="wanted">The shape; of an undefined element type, any type; without strides, any strides.</param>
    /// <param name="atNs">When they have to be alive.</param>
    /// <param name="anyStrides">Whether strides may differ.</param>
    public IEnumerable<LiveTensor> Like(TensorValue wanted, long atNs, bool anyStrides = false)
    {
        if (!_byShape.TryGetValue(ShapeKey.Of(wanted), out var all))
            yield break;
        for (int i = all.Count - 1; i >= 0; i--)
        {
            if (all[i].Storage.FreedNs <= atNs)
                all.RemoveAt(i); // Times only go on.
            else if (Fits(all[i], wanted, anyStrides))
                yield return all[i];
        }
    }

    /// <summary>Whether a tensor looks as wanted.</summary>
    public static bool Fits(LiveTensor tensor, TensorValue wanted, bool anyStrides = false) =>
        (wanted.Type == ScalarType.Undefined || tensor.Layout.Type == wanted.Type)
        && TensorLayout.IsSameShape(tensor.Layout, wanted)
        && (anyStrides || wanted.Strides.IsDefault || tensor.Layout.Strides.IsDefault || SameStrides(tensor.Layout, wanted));

    /// <summary>Strides of dimensions of one element say nothing, and no strides do where there are no elements.</summary>
    private static bool SameStrides(TensorValue a, TensorValue b)
    {
        for (int i = 0; i < a.Shape.Length; i++)
            if (a.Shape[i] > 1 && a.Strides[i] != b.Strides[i])
                return a.Shape.Contains(0);
        return true;
    }

    private void Index(LiveTensor tensor)
    {
        var key = ShapeKey.Of(tensor.Layout);
        if (!_byShape.TryGetValue(key, out var all))
            _byShape.Add(key, all = []);
        all.Add(tensor);
    }

    private readonly struct ShapeKey(ImmutableArray<long> shape) : IEquatable<ShapeKey>
    {
        private readonly ImmutableArray<long> _shape = shape;

        public static ShapeKey Of(TensorValue tensor) => new(tensor.Shape);

        public bool Equals(ShapeKey other) => _shape.AsSpan().SequenceEqual(other._shape.AsSpan());

        public override bool Equals(object? obj) => obj is ShapeKey other && Equals(other);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            foreach (long size in _shape)
                hash.Add(size);
            return hash.ToHashCode();
        }
    }
}
