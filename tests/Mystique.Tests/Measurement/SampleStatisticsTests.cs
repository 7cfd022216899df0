using Mystique.Measurement;

namespace Mystique.Tests.Measurement;

public class SampleStatisticsTests
{
    [Fact]
    public void Percentiles_AreInterpolated()
    {
        var statistics = new SampleStatistics([40, 10, 30, 20]);
        Assert.Equal(25, statistics.MedianNs);
        Assert.Equal(25, statistics.MeanNs);
        Assert.Equal(11.5, statistics.P5Ns, 9);
        Assert.Equal(38.5, statistics.P95Ns, 9);
        Assert.Equal([40L, 10, 30, 20], statistics.SamplesNs);
    }

    [Fact]
    public void NoSamples_AreZero() => Assert.Equal(0, new SampleStatistics([]).MedianNs);
}
