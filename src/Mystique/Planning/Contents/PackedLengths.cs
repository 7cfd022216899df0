using System.Buffers.Binary;
using System.Collections.Immutable;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>
/// The lengths of sequences that are packed: <c>_pack_padded_sequence</c> cuts its input at each of them, and takes as many sequences as
/// go on there (<c>aten/src/ATen/native/PackedSequence.cpp</c>). Their sum and the longest alone leave open what the backward pass does.
/// </summary>
internal static class PackedLengths
{
    /// <summary>Of a batch; a trace can say what it likes.</summary>
    private const int MaxSequences = 1 << 16;

    /// <summary>By node, what the argument <c>lengths</c> held: integers of 64 bits, falling.</summary>
    /// <param name="operators">Operators of a trace, with what they called.</param>
    public static ImmutableDictionary<long, ImmutableArray<byte>> Of(IEnumerable<TraceNode> operators) => operators
        .Where(o => o.Name == "aten::_pack_padded_sequence").Select(o => (o.Id, Data: LengthsOf(o))).Where(o => o.Data is not null)
        .ToImmutableDictionary(o => o.Id, o => o.Data!.ToImmutableArray());

    private static byte[]? LengthsOf(TraceNode node)
    {
        if (node.Inputs is not [_, TensorValue { Type: ScalarType.Long, Shape: [var batch] }, ..] || batch > MaxSequences)
            return null;
        var steps = new List<(long Length, long Count)>();
        foreach (var child in SegmentSelector.OutermostBelow(node, UnseenWork.None).Where(c => c.Name == "aten::slice"))
        {
            if (child.Inputs is not [_, IntValue { Value: var dimension }, IntValue, IntValue { Value: var end }, ..])
                return null;
            if (dimension == 0)
                steps.Add((end, 0));
            else if (steps.Count > 0)
                steps[^1] = (steps[^1].Length, end);
        }
        var lengths = new List<long>();
        foreach (var (length, count) in Enumerable.Reverse(steps))
            while (lengths.Count < count && lengths.Count <= batch)
                lengths.Add(length);
        if (lengths.Count != batch)
            return null;
        byte[] data = new byte[batch * sizeof(long)];
        for (int i = 0; i < lengths.Count; i++)
            BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(i * sizeof(long)), lengths[i]);
        return data;
    }
}
