using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;
using Mystique.Traces;

namespace Mystique.Anonymising;

/// <summary>
/// Contents of integral tensors that were saved, with their distribution and without their values: which index stands where is drawn anew,
/// and which index is which is shuffled. What rises (offsets) and what falls (lengths of packed sequences) does so still.
/// </summary>
internal static class OwnContents
{
    /// <summary>What stands for the contents of an input of a node.</summary>
    /// <param name="trace">The trace that they were saved with.</param>
    public static Func<long, int, ImmutableArray<byte>, ImmutableArray<byte>?> Of(ExecutionTrace trace)
    {
        var known = trace.Operators.ToDictionary(o => o.Id);
        return (node, input, contents) => known.TryGetValue(node, out var op) && op.Inputs.ElementAtOrDefault(input) is TensorValue
        {
            ItemSizeBytes: (1 or 2 or 4 or 8) and var size
        } && contents.Length % size == 0 ? Shuffled(contents, size, HasOrder(op.Schema!.Arguments.ElementAtOrDefault(input)?.Name ?? ""))
            : null;
    }

    /// <summary>
    /// Whether an argument says where things begin, or how long they are: what rises must rise, and what falls must fall.
    /// </summary>
    private static bool HasOrder(string argument) => Ordered.Any(o => argument.Contains(o, StringComparison.OrdinalIgnoreCase));

    private static readonly string[] Ordered = ["offset", "length", "sizes", "splits", "seqlens", "seq_lens", "indptr", "crow_", "ccol_",
        "boundaries", "sorted"];

    /// <summary>Shuffles, as nobody can undo: another call gives other contents.</summary>
    /// <param name="contents">Little-endian integers.</param>
    /// <param name="size">Bytes of one: 1, 2, 4 or 8.</param>
    /// <param name="hasOrder">Whether the order of what rises or falls is kept.</param>
    internal static ImmutableArray<byte> Shuffled(ImmutableArray<byte> contents, int size, bool hasOrder)
    {
        long[] values = new long[contents.Length / size];
        for (int i = 0; i < values.Length; i++)
            values[i] = Read(contents.AsSpan().Slice(i * size, size));
        if (hasOrder && IsRising(values))
        {
            long[] steps = [.. values.Zip(values.Skip(1), (a, b) => b - a)];
            RandomNumberGenerator.Shuffle<long>(steps);
            for (int i = 0; i < steps.Length; i++)
                values[i + 1] = values[i] + steps[i];
        }
        else if (!hasOrder || !values.Zip(values.Skip(1)).All(p => p.First >= p.Second))
        {
            long[] kinds = [.. values.Distinct()];
            var stands = kinds.Zip(Others(kinds)).ToDictionary(k => k.First, k => k.Second);
            for (int i = 0; i < values.Length; i++)
                values[i] = stands[values[i]];
            RandomNumberGenerator.Shuffle<long>(values);
        }
        byte[] result = new byte[contents.Length];
        for (int i = 0; i < values.Length; i++)
            Write(result.AsSpan(i * size, size), values[i]);
        return [.. result];
    }

    /// <summary>As many different values, from 0 or the least on up to the greatest.</summary>
    private static long[] Others(long[] kinds)
    {
        long low = Math.Min(0, kinds.Min()), high = kinds.Max();
        UInt128 range = (UInt128)((Int128)high - low) + 1;
        if (range <= 4 * (UInt128)kinds.Length)
        {
            long[] all = [.. Enumerable.Range(0, (int)range).Select(i => low + i)];
            RandomNumberGenerator.Shuffle<long>(all);
            return all[..kinds.Length];
        }
        var found = new HashSet<long>();
        while (found.Count < kinds.Length)
            found.Add((long)(low + (Int128)(new UInt128(Draw(), Draw()) % range)));
        return [.. found];
    }

    private static ulong Draw() => BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(8));

    private static bool IsRising(long[] values) => values.Zip(values.Skip(1)).All(p => p.First <= p.Second);

    private static long Read(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        1 => (sbyte)bytes[0],
        2 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        4 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
    };

    private static void Write(Span<byte> bytes, long value)
    {
        switch (bytes.Length)
        {
            case 1: bytes[0] = (byte)value; break;
            case 2: BinaryPrimitives.WriteInt16LittleEndian(bytes, (short)value); break;
            case 4: BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)value); break;
            default: BinaryPrimitives.WriteInt64LittleEndian(bytes, value); break;
        }
    }
}
