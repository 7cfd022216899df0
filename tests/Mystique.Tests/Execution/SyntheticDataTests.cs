using System.Runtime.InteropServices;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Tests.Execution;

public class SyntheticDataTests
{
    private static unsafe byte[] Fill(Initializer initializer, int bytes, uint seed = 1, int storage = 0, int threads = 1)
    {
        byte[] data = new byte[bytes];
        fixed (byte* first = data)
            SyntheticData.Fill((nint)first, bytes, initializer, storage, seed, threads);
        return data;
    }

    [Fact]
    public void Fill_Floats_AreInRangeAndSpread()
    {
        var floats = MemoryMarshal.Cast<byte, float>(Fill(new Initializer(InitializerKind.Uniform, ScalarType.Float, -2, 6), 400_000))
            .ToArray();
        Assert.All(floats, f => Assert.InRange(f, -2f, 6f));
        Assert.InRange(floats.Average(), 1.97, 2.03); // The mean of 100,000 draws from [-2, 6) is 2 within 0.03: four standard errors.
        Assert.True(floats.Distinct().Count() > 99_000);
    }

    [Fact]
    public void Fill_AnyThreadsAndChunks_GivesTheSame()
    {
        var rule = new Initializer(InitializerKind.Uniform, ScalarType.Float, 0, 1);
        byte[] one = Fill(rule, 1_000_004);
        Assert.Equal(one, Fill(rule, 1_000_004, threads: 2));
        Assert.Equal(one[..999], Fill(rule, 1000)[..999]); // An element depends on its index, not on the size.
    }

    [Fact]
    public void Fill_OtherSeedOrStorage_GivesOtherData()
    {
        var rule = new Initializer(InitializerKind.Uniform, ScalarType.Float, 0, 1);
        Assert.NotEqual(Fill(rule, 64), Fill(rule, 64, seed: 2));
        Assert.NotEqual(Fill(rule, 64), Fill(rule, 64, storage: 1));
    }

    [Theory]
    [InlineData(ScalarType.Double)]
    [InlineData(ScalarType.Half)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.ComplexFloat)]
    [InlineData(ScalarType.Float8E4M3Fn)]
    public void Fill_EachFloatType_IsNeitherZeroNorConstant(ScalarType type)
    {
        byte[] data = Fill(new Initializer(InitializerKind.Uniform, type, 0.5, 1.5), 4096);
        int size = type == ScalarType.ComplexFloat ? 4 : type.SizeBytes();
        Assert.True(data.Chunk(size).Select(Convert.ToHexString).Distinct().Count() > 3);
        Assert.DoesNotContain(data.Chunk(size), c => c.All(b => b == 0));
        if (type == ScalarType.Double)
            Assert.All(MemoryMarshal.Cast<byte, double>(data).ToArray(), d => Assert.InRange(d, 0.5, 1.5));
        if (type == ScalarType.Half)
            Assert.All(MemoryMarshal.Cast<byte, Half>(data).ToArray(), h => Assert.InRange((double)h, 0.5, 1.5));
    }

    [Fact]
    public void Fill_Integers_AreTheConstant()
    {
        Assert.All(MemoryMarshal.Cast<byte, long>(Fill(new Initializer(InitializerKind.Constant, ScalarType.Long, 7, 7), 80))
            .ToArray(), i => Assert.Equal(7, i));
        Assert.All(Fill(new Initializer(InitializerKind.Constant, ScalarType.Bool, 1, 1), 10), b => Assert.Equal(1, b));
    }
}
