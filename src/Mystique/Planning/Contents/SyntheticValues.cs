namespace Mystique.Planning.Contents;

/// <summary>
/// The contents that are worked out an element at a time: indices, masks, counts, orders. Each element depends on the
/// initializer, the storage's key and its own place alone.
/// </summary>
/// <param name="rule">The initializer.</param>
/// <param name="key">The storage's key.</param>
/// <param name="elements">Elements of the storage.</param>
internal readonly struct SyntheticValues(Initializer rule, uint key, long elements)
{
    /// <summary>The element at a place.</summary>
    public double At(long place)
    {
        long low = (long)rule.Low;
        long high = (long)rule.High;
        switch (rule.Kind)
        {
            case InitializerKind.Constant:
                return rule.Low;
            case InitializerKind.Uniform:
                return low + (long)Math.BigMul(Random(place), (ulong)Math.Max(1, high - low), out _);
            case InitializerKind.Ramp:
                return low + Part(place, high - low, elements);
            case InitializerKind.Offsets:
                return low + (elements < 2 ? 0 : Part(place, high - low, elements - 1));
            case InitializerKind.Mask:
                return Permute(place, elements, key) < high ? 1 : 0;
            case InitializerKind.CoversRange:
                return high - 1 - Part(Permute(place, elements, key), high, elements);
            case InitializerKind.Partition:
                return Part(place + 1, high, elements) - Part(place, high, elements);
            case InitializerKind.Lengths:
                return LengthAt(place, (long)rule.Parameter, high);
            case InitializerKind.Permutation:
                long row = Math.Max(1, (long)rule.Parameter);
                return Permute(place % row, row, key + (uint)(place / row) * SyntheticData.Step);
            case InitializerKind.Zipf:
                return low + Permute(RankAt(place, high - low), high - low, key);
            default:
                throw new InvalidOperationException($"{rule.Kind} is not worked out an element at a time");
        }
    }

    private ulong Random(long place) => SyntheticData.Hash(key + (uint)place * SyntheticData.Step)
        | ((ulong)SyntheticData.Hash(key ^ ((uint)place * SyntheticData.Step)) << 32);

    /// <summary><c>place * range / count</c>, rounded down, without overflow.</summary>
    private static long Part(long place, long range, long count) => count == 0 ? 0 : (long)((Int128)place * range / count);

    /// <summary>
    /// The lengths of a packed batch: the longest first, the rest of the sum shared as evenly as can be, the longer parts
    /// first.
    /// </summary>
    private long LengthAt(long place, long sum, long longest)
    {
        if (place == 0 || elements < 2)
            return longest;
        long rest = Math.Max(0, sum - longest);
        long others = elements - 1;
        return Math.Min(longest, rest / others + (place - 1 < rest % others ? 1 : 0));
    }

    /// <summary>
    /// A rank from 0 on, drawn by Zipf's law: the inverse of the continuous distribution that has its density,
    /// <c>x^-s</c> on [1, n + 1] (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
    /// distributions", 1996, without the rejection).
    /// </summary>
    private long RankAt(long place, long count)
    {
        double u = (Random(place) >> 11) * (1.0 / (1UL << 53));
        double s = rule.Parameter;
        double top = count + 1.0;
        double x = Math.Abs(s - 1) < 1e-9 ? Math.Pow(top, u) : Math.Pow(1 + u * (Math.Pow(top, 1 - s) - 1), 1 / (1 - s));
        return Math.Clamp((long)x - 1, 0, count - 1);
    }

    /// <summary>
    /// The place of an element after all have been shuffled: a bijection of [0, count), by steps that can be undone (shift
    /// and exclusive or, multiplication by an odd number, addition, all within the next power of two), gone through again
    /// while the result lies outside.
    /// </summary>
    internal static long Permute(long place, long count, uint key)
    {
        if (count < 2)
            return 0;
        int bits = 64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)(count - 1));
        ulong mask = bits == 64 ? ulong.MaxValue : (1UL << bits) - 1;
        int shift = Math.Max(1, bits / 2);
        ulong x = (ulong)place;
        do
        {
            x = (x + key) & mask;
            x ^= x >> shift;
            x = (x * 0x9E3779B97F4A7C15) & mask;
            x ^= x >> shift;
            x = (x * 0xD6E8FEB86659FD93 + (key >> 7)) & mask;
            x ^= x >> shift;
        }
        while (x >= (ulong)count);
        return (long)x;
    }
}
