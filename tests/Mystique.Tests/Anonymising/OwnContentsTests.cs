using System.Collections.Immutable;
using System.Runtime.InteropServices;
using CsCheck;
using Mystique.Anonymising;

namespace Mystique.Tests.Anonymising;

public sealed class OwnContentsTests
{
    private static long[] Shuffled(long[] values, bool hasOrder = false) => [.. MemoryMarshal.Cast<byte, long>(OwnContents.Shuffled(
        [.. MemoryMarshal.AsBytes<long>(values)], sizeof(long), hasOrder).AsSpan())];

    private static int[] CountsOf(long[] values) => [.. values.CountBy(v => v).Select(c => c.Value).Order()];

    /// <summary>How often the frequent ones come stays, and all are within the range.</summary>
    [Fact]
    public void Shuffled_Indices_KeepTheirDistribution() => Gen.Long[-1000, 1000].Array[2, 200].Sample(values =>
    {
        long[] shuffled = Shuffled(values);
        Assert.All(shuffled, v => Assert.InRange(v, Math.Min(0, values.Min()), values.Max()));
        Assert.Equal(CountsOf(values), CountsOf(shuffled));
    });

    /// <summary>Whether they rise, fall, or are one: indices are others.</summary>
    [Theory]
    [InlineData(1234_000L, 8765_000L)]
    [InlineData(7777_000L, 5555_000L, 3333_000L)]
    [InlineData(4321_000L)]
    public void Shuffled_FewIndices_AreOthers(params long[] values) =>
        Assert.Contains(Enumerable.Range(0, 20).Select(_ => Shuffled(values)), s => !s.Intersect(values).Any());

    [Fact]
    public void Shuffled_Hashes_AreOthers() => Gen.Long.Array[50].Sample(values =>
    {
        long[] shuffled = Shuffled(values);
        Assert.Equal(CountsOf(values), CountsOf(shuffled));
        Assert.DoesNotContain(shuffled, v => values.Contains(v));
    }, iter: 20);

    /// <summary>Offsets rise by the same steps, in another order.</summary>
    [Fact]
    public void Shuffled_Offsets_RiseByTheSameSteps() => Gen.Long[0, 30].Array[2, 100].Sample(steps =>
    {
        long[] values = [.. steps.Select((_, i) => steps.Take(i).Sum())];
        long[] shuffled = Shuffled(values, hasOrder: true);
        Assert.Equal((values[0], values[^1]), (shuffled[0], shuffled[^1]));
        Assert.Equal(values.Zip(values.Skip(1), (a, b) => b - a).Order(), shuffled.Zip(shuffled.Skip(1), (a, b) => b - a).Order());
    });

    [Fact]
    public void Shuffled_SmallTypes_AreReadAsTheyAre()
    {
        ImmutableArray<byte> bytes = [3, 0, 1, 0, 2, 0];
        short[] shuffled = MemoryMarshal.Cast<byte, short>(OwnContents.Shuffled(bytes, 2, hasOrder: false).AsSpan()).ToArray();
        Assert.All(shuffled, v => Assert.InRange(v, 0, 3));
        Assert.Equal(3, shuffled.Distinct().Count());
    }
}
