using System.Numerics;
using System.Runtime.InteropServices;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>
/// The contents of external storages. Element <c>i</c> of storage <c>n</c> depends on the seed, <c>n</c> and <c>i</c>
/// alone, so that any host makes the same data in any order: a 32-bit integer hash of the index (C. Wellons,
/// "Prospecting for Hash Functions", 2018, the function lowbias32), whose upper 24 bits are the fraction between the
/// bounds.
/// </summary>
internal static class SyntheticData
{
    internal const uint Step = 0x9E3779B1;
    private const int ChunkElements = 1 << 16;
    private const float Fraction = 1f / (1 << 24);

    /// <summary>Fills a storage's memory.</summary>
    /// <param name="data">Its first byte.</param>
    /// <param name="bytes">How many bytes it has.</param>
    /// <param name="initializer">The rule.</param>
    /// <param name="storage">The storage's place in the plan.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="threads">Threads to use, at least 1.</param>
    public static unsafe void Fill(nint data, long bytes, Initializer initializer, int storage, uint seed, int threads)
    {
        if (initializer.Kind == InitializerKind.Recorded)
        {
            initializer.Data.AsSpan()[..(int)Math.Min(bytes, initializer.Data.Length)].CopyTo(new Span<byte>((void*)data, (int)bytes));
            return;
        }
        int size = Math.Max(1, initializer.Type.SizeBytes());
        long elements = bytes / size;
        uint key = Hash(seed ^ Hash((uint)storage + 0x9E3779B9));
        long chunks = (elements + ChunkElements - 1) / ChunkElements;
        if (chunks <= 1 || threads == 1)
        {
            for (long chunk = 0; chunk < chunks; chunk++)
                FillChunk(chunk);
            return;
        }
        Parallel.For(0, chunks, new ParallelOptions { MaxDegreeOfParallelism = threads }, FillChunk);

        void FillChunk(long chunk)
        {
            long first = chunk * ChunkElements;
            int count = (int)Math.Min(ChunkElements, elements - first);
            var span = new Span<byte>((byte*)data + first * size, count * size);
            if (initializer is { Kind: InitializerKind.Constant, Low: 0 })
                span.Clear();
            else if (initializer.Kind is InitializerKind.Uniform or InitializerKind.DiagonallyDominant && initializer.Type.IsFloating())
                FillFractions(span, initializer, key + (uint)first * Step);
            else
            {
                if (initializer.Type is ScalarType.ComplexHalf or ScalarType.ComplexFloat or ScalarType.ComplexDouble)
                    span.Clear(); // What is worked out is the real part.
                FillValues(span, initializer.Type, new SyntheticValues(initializer, key, elements), first);
            }
            if (initializer.Kind == InitializerKind.DiagonallyDominant)
                SetDiagonals(span, initializer, first);
        }
    }

    private static void FillFractions(Span<byte> bytes, Initializer rule, uint key)
    {
        float low = (float)rule.Low;
        float range = (float)(rule.High - rule.Low);
        switch (rule.Type)
        {
            case ScalarType.Float or ScalarType.ComplexFloat:
                FillFloats(MemoryMarshal.Cast<byte, float>(bytes), key, low, range);
                break;
            case ScalarType.Double or ScalarType.ComplexDouble:
                var doubles = MemoryMarshal.Cast<byte, double>(bytes);
                for (int i = 0; i < doubles.Length; i++)
                    doubles[i] = low + range * ToFraction(key + (uint)i * Step);
                break;
            case ScalarType.Half or ScalarType.ComplexHalf:
                var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (int i = 0; i < halves.Length; i++)
                    halves[i] = (Half)(low + range * ToFraction(key + (uint)i * Step));
                break;
            case ScalarType.BFloat16:
                var brains = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (int i = 0; i < brains.Length; i++)
                    brains[i] = (ushort)(BitConverter.SingleToUInt32Bits(low + range * ToFraction(key + (uint)i * Step)) >> 16);
                break;
            case ScalarType.Float8E8M0Fnu:
                // One half and one: the byte is the exponent, and there is no zero.
                for (int i = 0; i < bytes.Length; i++)
                    bytes[i] = (byte)(0x7E | (Hash(key + (uint)i * Step) & 1));
                break;
            case ScalarType.Float4E2M1FnX2:
                // Two numbers of 0.5 or 1 each (0001 and 0010).
                for (int i = 0; i < bytes.Length; i++)
                    bytes[i] = (byte)(0x11 + (Hash(key + (uint)i * Step) & 0x11));
                break;
            default:
                // 8-bit floats, between one half and two in each of the four formats: exponent bits fixed, mantissa bits drawn.
                for (int i = 0; i < bytes.Length; i++)
                    bytes[i] = (byte)(0x38 | (Hash(key + (uint)i * Step) & 3));
                break;
        }
    }

    /// <summary>Fills with numbers that are worked out one at a time, in whatever type they are kept.</summary>
    private static void FillValues(Span<byte> bytes, ScalarType type, SyntheticValues values, long first)
    {
        int size = type.SizeBytes();
        for (int i = 0; i < bytes.Length / size; i++)
            Write(bytes.Slice(i * size, size), type, values.At(first + i));
    }

    /// <summary>Puts onto the diagonals what outweighs the rest of a row.</summary>
    private static void SetDiagonals(Span<byte> bytes, Initializer rule, long first)
    {
        int size = rule.Type.SizeBytes();
        long rows = Math.Max(1, (long)rule.Parameter);
        for (int i = 0; i < bytes.Length / size; i++)
            if ((first + i) % (rows * rows) % (rows + 1) == 0)
                Write(bytes.Slice(i * size, size), rule.Type, 1 + rule.High * rows);
    }

    private static void Write(Span<byte> bytes, ScalarType type, double value)
    {
        switch (type)
        {
            case ScalarType.Float or ScalarType.ComplexFloat:
                BitConverter.TryWriteBytes(bytes, (float)value);
                break;
            case ScalarType.Double or ScalarType.ComplexDouble:
                BitConverter.TryWriteBytes(bytes, value);
                break;
            case ScalarType.Half or ScalarType.ComplexHalf:
                BitConverter.TryWriteBytes(bytes, (Half)value);
                break;
            case ScalarType.BFloat16:
                BitConverter.TryWriteBytes(bytes, (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16));
                break;
            case >= ScalarType.Float8E5M2 and <= ScalarType.Float8E4M3Fnuz:
                bytes[0] = value == 0 ? (byte)0 : (byte)0x38;
                break;
            case ScalarType.Float8E8M0Fnu:
                bytes[0] = value == 0 ? (byte)0 : (byte)0x7F;
                break;
            case ScalarType.Float4E2M1FnX2:
                bytes[0] = value == 0 ? (byte)0 : (byte)0x22;
                break;
            default:
                long whole = (long)value;
                for (int b = 0; b < bytes.Length; b++)
                    bytes[b] = (byte)(whole >> (8 * b));
                break;
        }
    }

    private static void FillFloats(Span<float> floats, uint key, float low, float range)
    {
        int lanes = Vector<uint>.Count;
        int i = 0;
        if (floats.Length >= lanes)
        {
            var offsets = Vector<uint>.Indices * new Vector<uint>(Step) + new Vector<uint>(key);
            var advance = new Vector<uint>((uint)lanes * Step);
            var scale = new Vector<float>(range * Fraction);
            var bias = new Vector<float>(low);
            for (; i <= floats.Length - lanes; i += lanes)
            {
                var x = offsets;
                x ^= x >>> 16;
                x *= new Vector<uint>(0x7FEB352D);
                x ^= x >>> 15;
                x *= new Vector<uint>(0x846CA68B);
                x ^= x >>> 16;
                var values = Vector.ConvertToSingle((x >>> 8).As<uint, int>()) * scale + bias;
                values.CopyTo(floats[i..]);
                offsets += advance;
            }
        }
        for (; i < floats.Length; i++)
            floats[i] = (Hash(key + (uint)i * Step) >> 8) * (range * Fraction) + low;
    }

    private static float ToFraction(uint x) => (Hash(x) >> 8) * Fraction;

    internal static uint Hash(uint x)
    {
        x ^= x >> 16;
        x *= 0x7FEB352D;
        x ^= x >> 15;
        x *= 0x846CA68B;
        return x ^ (x >> 16);
    }
}
