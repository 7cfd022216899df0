using System.Collections.Immutable;
using Mystique.Recordings;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>Gives external tensors what was recorded of the contents of integral tensors.</summary>
/// <param name="recorded">What was recorded.</param>
/// <param name="lengths">By node, what the lengths of packed sequences were (<see cref="PackedLengths"/>).</param>
internal sealed class RecordedValues(RecordedRanges recorded, IReadOnlyDictionary<long, ImmutableArray<byte>> lengths)
{
    /// <summary>Beyond this a double does not tell whole numbers apart; hashes of 64 bits are drawn from what is within.</summary>
    private const long MaxWhole = 1L << 53;

    /// <summary>Nothing.</summary>
    public static RecordedValues None { get; } = new(RecordedRanges.None, ImmutableDictionary<long, ImmutableArray<byte>>.Empty);

    /// <summary>Gives the external tensors that an operator uses what the trace recorded of them.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="builder">The plan.</param>
    /// <param name="asked">Storages whose contents are settled; more are added.</param>
    public void Apply(PlannedOperator op, PlanBuilder builder, HashSet<StorageId> asked)
    {
        for (int input = 0; input < op.Arguments.Length; input++)
        {
            if (op.Arguments[input].Slots is not [{ } slot]
                || builder[slot] is not { IsExternal: true, Storage: { } id } tensor
                || builder[id] is not { IsMutated: false } storage
                || ContentsOf(op, input, tensor, storage.SizeBytes) is not { } contents)
                continue;
            if (asked.Add(id) || contents.Kind == InitializerKind.Recorded)
                builder[id] = storage with { Initializer = contents };
        }
    }

    /// <summary>What an operator's input held; null where that is not recorded.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="input">The argument's place.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="size">Bytes of its storage.</param>
    public Initializer? ContentsOf(PlannedOperator op, int input, PlannedTensor tensor, long size)
    {
        if (recorded.IsEmpty && lengths.Count == 0 || op.Role != OperatorRole.Recorded || tensor.Type.IsFloating()
            || tensor.Type == ScalarType.Bool)
            return null;
        if (recorded.ContentsOf(op.Id.Node, input, size) is { } data)
            return new Initializer(InitializerKind.Recorded, tensor.Type, 0, 0) { Data = data };
        if (lengths.TryGetValue(op.Id.Node, out var known) && op.Schema.Arguments[input].Name == "lengths" && known.Length == size)
            return new Initializer(InitializerKind.Recorded, tensor.Type, 0, 0) { Data = known };
        return recorded.RangeOf(op.Id.Node, input) is { } range
            ? new Initializer(InitializerKind.Uniform, tensor.Type, Math.Clamp(range.Low, -MaxWhole, MaxWhole - 1),
                Math.Clamp(range.High, -MaxWhole, MaxWhole - 1) + 1)
            : null;
    }
}
