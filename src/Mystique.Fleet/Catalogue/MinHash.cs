using System.Collections.Immutable;
using System.Text;

namespace Mystique.Fleet.Catalogue;

/// <summary>Sketches of sets (A. Broder, "On the resemblance and containment of documents", 1997).</summary>
internal static class MinHash
{
    /// <summary>Of each of several hash functions, the least hash of a set's members.</summary>
    public static ImmutableArray<ulong> Of(IEnumerable<string> members)
    {
        var least = new ulong[PortableFeatures.SketchLength];
        Array.Fill(least, ulong.MaxValue);
        foreach (string member in members)
        {
            ulong hash = HashOf(member);
            for (int i = 0; i < least.Length; i++)
            {
                hash = Next(hash + (ulong)i);
                least[i] = Math.Min(least[i], hash);
            }
        }
        return [.. least];
    }

    /// <summary>The estimated share of two sets' members that both have, 0 to 1.</summary>
    public static double Likeness(ImmutableArray<ulong> first, ImmutableArray<ulong> second) =>
        first.Zip(second).Count(p => p.First == p.Second) / (double)first.Length;

    /// <summary>FNV-1a (Fowler, Noll and Vo) of a text's UTF-8: the same in every process.</summary>
    public static ulong HashOf(string text)
    {
        ulong hash = 14695981039346656037;
        foreach (byte b in Encoding.UTF8.GetBytes(text))
            hash = (hash ^ b) * 1099511628211;
        return hash;
    }

    /// <summary>SplitMix64 (Steele, Lea and Flood, 2014).</summary>
    private static ulong Next(ulong state)
    {
        ulong z = state + 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
