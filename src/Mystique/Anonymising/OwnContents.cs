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
        var sizes = trace.Operators.ToDictionary(o => o.Id, o => o.Inputs.Select(i => i is TensorValue t ? t.ItemSizeBytes : 0).ToArray());
        return (node, input, contents) => sizes.TryGetValue(node, out int[]? own) && input < own.Length
            && own[input] is 1 or 2 or 4 or 8 && contents.Length % own[input] == 0 ? Shuffled(contents, own[input]) : null;
    }

    /// <summary>Shuffles, as nobody can undo: another call gives other contents.</summary>
    /// <param name="contents">Little-endian integers.</param>
    /// <param name="size">Bytes of one: 1, 2, 4 or 8.</param>
    internal static ImmutableArray<byte> Shuffled(ImmutableArray<byte> contents, int size)
    {
        long[] values = new long[contents.Length / size];
        for (int i = 0; i < values.Length; i++)
            values[i] = Read(contents.AsSpan().Slice(i * size, size));
        if (IsRising(values))
        {
            long[] steps = [.. values.Zip(values.Skip(1), (a, b) => b - a)];
            RandomNumberGenerator.Shuffle<long>(steps);
            for (int i = 0; i < steps.Length; i++)
                values[i + 1] = values[i] + steps[i];
        }
        else if (!values.Zip(values.Skip(1)).All(p => p.First >= p.Second))
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

    /// <summary>As many different values of the same range.</summary>
    private static long[] Others(long[] kinds)
    {
        long low = kinds.Min(), high = kinds.Max();
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
