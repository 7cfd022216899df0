using Mystique.Measurement;

namespace Mystique.Tests.Measurement;

/// <summary>Errors of medians with their intervals, and what the vendors' tools tell.</summary>
public class BootstrapTests
{
    private static SampleStatistics Of(params long[] samples) => new([.. samples]);

    [Fact]
    public void MedianOf_EvenAndOddNumbers_IsTheirMiddle()
    {
        Assert.Equal(2, Bootstrap.MedianOf([3, 1, 2]));
        Assert.Equal(2.5, Bootstrap.MedianOf([4, 1, 3, 2]));
        Assert.Equal(7, Bootstrap.MedianOf([7]));
    }

    [Fact]
    public void MedianError_OfSamplesThatDoNotVary_HasNoWidth() =>
        Assert.Equal(new ErrorInterval(0.1, 0.1, 0.1), Rounded(Bootstrap.MedianError(Of(100, 100, 100), Of(110, 110, 110))));

    /// <summary>The interval is of the error's own draws: it holds the error, and is within the largest and the least ratio.</summary>
    [Fact]
    public void MedianError_OfSamplesThatVary_HoldsTheErrorWithin95Percent()
    {
        var interval = Bootstrap.MedianError(Of([.. Enumerable.Range(0, 41).Select(i => 1_000L + i)]),
            Of([.. Enumerable.Range(0, 41).Select(i => 1_100L + 5 * i)]));
        Assert.Equal(1_200.0 / 1_020 - 1, interval.Error, 9);
        Assert.InRange(interval.Low, 0.1, 0.165);
        Assert.InRange(interval.High, 0.19, 0.25);
        Assert.Equal(interval, Bootstrap.MedianError(Of([.. Enumerable.Range(0, 41).Select(i => 1_000L + i)]),
            Of([.. Enumerable.Range(0, 41).Select(i => 1_100L + 5 * i)]))); // The same samples, the same interval.
    }

    /// <summary>Of ten errors from 0 to 9 %, the tails of 2.5 % on either side are left out.</summary>
    [Fact]
    public void PairedError_IsTheMedianOfTheTurnsErrors()
    {
        var interval = Bootstrap.PairedError(Enumerable.Repeat(100.0, 10), Enumerable.Range(0, 10).Select(i => 100.0 + i));
        Assert.Equal(0.045, interval.Error, 9);
        Assert.InRange(interval.Low, 0.005, 0.03);
        Assert.InRange(interval.High, 0.06, 0.085);
        Assert.Equal(new ErrorInterval(-0.5, -0.5, -0.5), Bootstrap.PairedError([10, 20], [5, 10]));
    }

    /// <summary>Rounds are drawn with both of their figures: where the ratio of these is the same in all, the error has no width.</summary>
    [Fact]
    public void JointError_IsOfTheMediansOfBoth()
    {
        Assert.Equal(new ErrorInterval(0.1, 0.1, 0.1), Rounded(Bootstrap.JointError([100, 300, 200], [110, 330, 220])));
        var interval = Bootstrap.JointError([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]);
        Assert.Equal(0, interval.Error);
        Assert.InRange(interval.Low, -0.99, -0.3);
        Assert.InRange(interval.High, 0.3, 4);
    }

    private static ErrorInterval Rounded(ErrorInterval interval) =>
        new(Math.Round(interval.Error, 9), Math.Round(interval.Low, 9), Math.Round(interval.High, 9));

    [Fact]
    public void Percentile_AtTheEnds_IsTheLeastAndTheLargest()
    {
        Assert.Equal((10, 40), (Of(40, 10, 30).Percentile(0), Of(40, 10, 30).Percentile(100)));
        Assert.Equal(5, Of(5).Percentile(95));
        Assert.Equal(0, Of().MeanNs);
    }

    /// <summary>The last tenth against the one before it, of three samples at least each.</summary>
    [Fact]
    public void IsSteady_WhereTheLastTenthsAgreeWithin1Percent()
    {
        Assert.True(SampleStatistics.IsSteady([1_000, 1_000, 1_000, 1_010, 1_010, 1_010]));
        Assert.True(SampleStatistics.IsSteady([1_000, 1_000, 1_000, 990, 990, 990]));
        Assert.False(SampleStatistics.IsSteady([1_000, 1_000, 1_000, 1_011, 1_011, 1_011]));
        Assert.False(SampleStatistics.IsSteady([1_000, 1_000, 1_000, 989, 989, 989]));
        Assert.False(SampleStatistics.IsSteady([1_000, 1_000, 1_000, 1_000, 1_000]));
        Assert.True(SampleStatistics.IsSteady([9_000, 9_000, 9_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]));
        var hundred = Enumerable.Repeat(9_000L, 80).Concat(Enumerable.Repeat(1_000L, 20));
        Assert.True(SampleStatistics.IsSteady([.. hundred]));
        Assert.False(SampleStatistics.IsSteady([.. hundred.Take(89), .. Enumerable.Repeat(1_200L, 11)]));
    }

    [Fact]
    public void InstructionsPerCycle_NeedsBoth()
    {
        var metrics = new SystemMetrics { Instructions = 30, Cycles = 20 };
        Assert.Equal(1.5, metrics.InstructionsPerCycle);
        Assert.Null((metrics with { Cycles = 0 }).InstructionsPerCycle);
        Assert.Null((metrics with { Cycles = null }).InstructionsPerCycle);
        Assert.Null((metrics with { Instructions = null }).InstructionsPerCycle);
    }

    [Fact]
    public void NvidiaSmi_Line_IsRead()
    {
        var one = new GpuMetrics(3) { Utilisation = 0.98, PeakMemoryBytes = 2L << 20, PowerWatts = 412.5, ClockMegahertz = 1980 };
        Assert.Equal([one with { Uuid = "GPU-5d" }], GpuTools.OfNvidiaSmi("3, GPU-5d, Disabled, 98, 2, 412.5, 1980"));
        Assert.Equal([one with { IsPartitioned = true }], GpuTools.OfNvidiaSmi("3, [N/A], Enabled, 98, 2, 412.5, 1980"));
        Assert.Equal([new GpuMetrics(1023)], GpuTools.OfNvidiaSmi("1023, x, [N/A], [N/A], nan, inf, x"));
        Assert.Empty(GpuTools.OfNvidiaSmi("1024, GPU-5d, Disabled, 98, 2, 412.5, 1980"));
        Assert.Empty(GpuTools.OfNvidiaSmi("3, GPU-5d, Disabled, 98, 2, 412.5, 1980, 7"));
        Assert.Equal(0, Assert.Single(GpuTools.OfNvidiaSmi("0, GPU-5d, Disabled, 1, 1, 1, 1")).Index);
    }

    [Theory]
    [InlineData("GPU 0 0.731 0.402", 0, 0.731, 0.402)]
    [InlineData("GPU 1023   N/A 0.5", 1023, null, 0.5)]
    public void Dcgm_Line_IsRead(string text, int index, double? sm, double? memory) =>
        Assert.Equal([new GpuMetrics(index) { SmActivity = sm, MemoryActivity = memory }], GpuTools.OfDcgm(text));

    [Theory]
    [InlineData("GPU 1024 0.1 0.2")]
    [InlineData("GPU 0 0.1")]
    [InlineData("GPU 0 0.1 0.2 0.3")]
    [InlineData("CPU 0 0.1 0.2")]
    [InlineData("GPU -1 0.1 0.2")]
    public void Dcgm_OtherLines_TellNothing(string text) => Assert.Empty(GpuTools.OfDcgm(text));

    /// <summary>Newer versions name power in another way; cards that are none, or whose values are no texts, tell nothing.</summary>
    [Fact]
    public void RocmSmi_Cards_AreRead()
    {
        Assert.Equal([new GpuMetrics(2) { PowerWatts = 90, Utilisation = 0.5 },
            new GpuMetrics(5) { PowerWatts = 80, ClockMegahertz = 1700 }], GpuTools.OfRocmSmi("""
                {"card2": {"Current Socket Graphics Package Power (W)": "90", "GPU use (%)": "50", "VRAM Total Used Memory (B)": 5},
                 "card5": {"Average Graphics Package Power (W)": "80", "Current Socket Graphics Package Power (W)": "90",
                  "sclk clock speed:": "(1700MHZ)"}, "card1024": {}, "card-1": {}, "cardx": {}, "card7": [], "system": {}}
                """));
        Assert.Empty(GpuTools.OfRocmSmi("7"));
    }
}
