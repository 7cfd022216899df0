using System.Numerics;
using System.Runtime.InteropServices;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Replay;

/// <summary>
/// The contents of external storages. Element <c>i</c> of storage <c>n</c> depends on the seed, <c>n</c> and <c>i</c>
/// alone, so that any host makes the same data in any order: a 32-bit integer hash of the index (C. Wellons,
/// "Prospecting for Hash Functions", 2018, the function lowbias32), whose upper 24 bits are the fraction between the
/// bounds.
/// </summary>
internal static class SyntheticData
{
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
            if (initializer.Kind == InitializerKind.Constant || initializer.Type.IsFloating())
                Fill(span, initializer, key + (uint)first * Step);
            else
                FillIntegers(span, initializer, key, first, elements);
        }
    }

    private const uint Step = 0x9E3779B1;

    private static void Fill(Span<byte> bytes, Initializer rule, uint key)
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
            case >= ScalarType.Float8E5M2 and <= ScalarType.Float8E4M3Fnuz:
                // Between one half and two in each of the four formats: exponent bits fixed, mantissa bits drawn.
                for (int i = 0; i < bytes.Length; i++)
                    bytes[i] = (byte)(0x38 | (Hash(key + (uint)i * Step) & 3));
                break;
            case ScalarType.Long or ScalarType.UInt64:
                MemoryMarshal.Cast<byte, long>(bytes).Fill((long)rule.Low);
                break;
            case ScalarType.Int or ScalarType.UInt32 or ScalarType.QInt32:
                MemoryMarshal.Cast<byte, int>(bytes).Fill((int)rule.Low);
                break;
            case ScalarType.Short or ScalarType.UInt16:
                MemoryMarshal.Cast<byte, short>(bytes).Fill((short)rule.Low);
                break;
            default:
                bytes.Fill((byte)rule.Low);
                break;
        }
    }

    /// <summary>Indices: drawn, or evenly spaced. They have 32 or 64 bits in PyTorch's operators; narrower ones are truncated.</summary>
    private static void FillIntegers(Span<byte> bytes, Initializer rule, uint key, long first, long elements)
    {
        int size = rule.Type.SizeBytes();
        long low = (long)rule.Low;
        ulong range = (ulong)Math.Max(1, (long)rule.High - low);
        for (int i = 0; i < bytes.Length / size; i++)
        {
            ulong part = rule.Kind == InitializerKind.Ramp
                ? (ulong)((UInt128)(ulong)(first + i) * range / (ulong)elements)
                : Math.BigMul(Hash(key + (uint)(first + i) * Step) | ((ulong)Hash(key ^ ((uint)(first + i) * Step)) << 32), range, out _);
            long value = low + (long)part;
            for (int b = 0; b < size; b++)
                bytes[i * size + b] = (byte)(value >> (8 * b));
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

    private static uint Hash(uint x)
    {
        x ^= x >> 16;
        x *= 0x7FEB352D;
        x ^= x >> 15;
        x *= 0x846CA68B;
        return x ^ (x >> 16);
    }
}
