using CsCheck;
using Mystique.Recordings.Serving;

namespace Mystique.Tests.Recordings.Serving;

public sealed class CommonSequenceTests
{
    private static readonly Gen<string[]> Names = Gen.Int[0, 3].Select(i => "abcd"[i].ToString()).Array[0, 30];

    [Fact]
    public void Of_AnyLists_PairsTheSameNamesInOrder() => Gen.Select(Names, Names).Sample((first, second) =>
    {
        var pairs = CommonSequence.Of(first, second);
        Assert.All(pairs, p => Assert.Equal(first[p.First], second[p.Second]));
        Assert.All(pairs.Zip(pairs.Skip(1)), p => Assert.True(p.First.First < p.Second.First && p.First.Second < p.Second.Second));
    });

    /// <summary>What is left of a list when some names are taken out is found whole.</summary>
    [Fact]
    public void Of_APartOfAList_IsAllOfThePart() => Gen.Select(Names, Gen.Int[0, 1 << 30]).Sample((all, mask) =>
    {
        string[] part = [.. all.Where((_, i) => (mask >> i & 1) == 1)];
        Assert.Equal(part.Length, CommonSequence.Of(all, part).Count);
        Assert.Equal(part.Length, CommonSequence.Of(part, all).Count);
    });
}
