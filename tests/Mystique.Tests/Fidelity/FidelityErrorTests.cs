using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Measurement;

namespace Mystique.Tests.Fidelity;

/// <summary>What errors are taken from, and when there are none.</summary>
public class FidelityErrorTests
{
    private static Run Run(params long[] times) => new() { Name = "run", Times = new SampleStatistics([.. times]) };

    private static ImmutableArray<MeasuredBlock> Blocks_(params (long TimeNs, double? CpuNs)[] blocks) =>
        [.. blocks.Select(b => new MeasuredBlock(new SampleStatistics([b.TimeNs]), b.CpuNs))];

    private static FidelityReport Compare(Run original, Run replay) => FidelityComparer.Compare(original, replay);

    [Theory]
    [InlineData(100L, 110L, 0.1)]
    [InlineData(100L, 90L, -0.1)]
    [InlineData(0L, 90L, null)]
    [InlineData(100L, 0L, null)]
    [InlineData(null, 90L, null)]
    [InlineData(100L, null, null)]
    public void Errors_AreOfTheOriginal_AndNeedBothSides(long? original, long? replay, double? error)
    {
        var report = Compare(Run() with { DeviceBytes = original, CpuTimeNs = original, UsedBytes = original, AllocatedBytes = original },
            Run() with { DeviceBytes = replay, CpuTimeNs = replay, UsedBytes = replay, AllocatedBytes = replay });
        foreach (double? found in (double?[])[report.DeviceMemoryError, report.CpuTimeError, report.ResidentError, report.MemoryError])
            Assert.Equal(error, found is { } e ? Math.Round(e, 9) : null);
        double? worst = report.WorstError is { } w ? Math.Round(w, 9) : null;
        Assert.Equal(error < 0 ? -error : error, worst);
    }

    /// <summary>What allocators counted on both sides is compared with each other, and never with a profiler's account.</summary>
    [Fact]
    public void DeviceMemory_IsComparedWithWhatWasMeasuredAlike()
    {
        var original = Run() with { DeviceBytes = 100, Device = new AllocatorUse(400, 500) };
        var replay = Run() with { DeviceBytes = 110, Device = new AllocatorUse(300, null) };
        Assert.Equal((400L, 300L), Compare(original, replay).DevicePeak);
        Assert.Equal(-0.25, Compare(original, replay).DeviceMemoryError!.Value, 9);
        Assert.Equal((100L, 110L), Compare(original with { Device = null }, replay).DevicePeak);
        Assert.Null(Compare(original with { DeviceBytes = null }, replay with { Device = null }).DevicePeak);
    }

    /// <summary>The most of several blocks; where one of them does not tell, nothing is known.</summary>
    [Fact]
    public void AllocatorUse_OfSeveralBlocks_IsTheMost()
    {
        Assert.Equal(new AllocatorUse(5, 9), AllocatorUse.MostOf([new(5, 7), new(3, 9)]));
        Assert.Equal(new AllocatorUse(5, null), AllocatorUse.MostOf([new(5, 7), new(3, null)]));
        Assert.Null(AllocatorUse.MostOf([new(5, 7), null]));
        Assert.Null(AllocatorUse.MostOf([]));
    }

    [Fact]
    public void WorstError_IsTheLargestWhateverItsSign()
    {
        var report = Compare(Run(100) with { CpuTimeNs = 100, DeviceBytes = 100 }, Run(110) with { CpuTimeNs = 70, DeviceBytes = 120 });
        Assert.Equal(0.3, report.WorstError!.Value, 9);
    }

    /// <summary>Three blocks on each side, as many, each with times: else all samples are compared.</summary>
    [Fact]
    public void Blocks_ComparePairwise_WhereThereAreEnough()
    {
        var three = Blocks_((100, 50), (200, 100), (400, 200));
        var slower = Blocks_((110, 60), (220, 120), (440, 240));
        Assert.True(Blocks.Compare(three, slower));
        Assert.False(Blocks.Compare(three[..2], slower[..2]));
        Assert.False(Blocks.Compare(three, slower.Add(slower[0])));
        Assert.False(Blocks.Compare(three, slower.SetItem(1, new MeasuredBlock(new SampleStatistics([]), 1))));
        var report = Compare(Run(1) with { Blocks = three, CpuTimeNs = 1 }, Run(9) with { Blocks = slower, CpuTimeNs = 9 });
        Assert.Equal((0.1, 0.2), (Math.Round(report.Time!.Error, 9), Math.Round(report.CpuTimeError!.Value, 9)));
        report = Compare(Run(1) with { Blocks = three[..2], CpuTimeNs = 1 }, Run(9) with { Blocks = slower[..2], CpuTimeNs = 9 });
        Assert.Equal((8, 8), (report.Time!.Error, report.CpuTimeError!.Value));
    }

    /// <summary>CPU time that one block lacks is not known of any.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData(0.0)]
    public void Blocks_WithoutCpuTime_HaveNone(double? lacking)
    {
        var blocks = Blocks_((100, 50), (200, lacking), (400, 200));
        Assert.Null(Blocks.CpuTimeOf(blocks));
        Assert.Equal(75, Blocks.CpuTimeOf(blocks.SetItem(1, Blocks_((1, 100))[0])[..2]));
        var whole = Blocks_((100, 50), (200, 70), (400, 200));
        Assert.Null(Blocks.CpuTimeErrorOf(blocks, whole));
        Assert.Null(Blocks.CpuTimeErrorOf(whole, blocks));
        Assert.Equal([100L, 200, 400], Blocks.TimesOf(blocks).SamplesNs);
    }

    [Fact]
    public void Unpaced_IsComparedLikeThePacedReplay()
    {
        var original = Run(100) with { Blocks = Blocks_((100, 1), (200, 1), (400, 1)) };
        var replay = Run(100) with { Unpaced = Blocks_((90, 1), (180, 1), (360, 1)) };
        Assert.Equal(-0.1, Compare(original, replay).Unpaced!.Error, 9);
        Assert.Equal(0.8, Compare(Run(100), replay).Unpaced!.Error, 9); // All samples, the median of which is 180.
        Assert.Null(Compare(Run(), replay).Unpaced);
        Assert.Null(Compare(original, Run(100)).Unpaced);
    }

    /// <summary>Half the spread of the original's medians would hide in either side: the whole of it counts.</summary>
    [Fact]
    public void NoiseFloor_IsTheSpreadOfTheOriginalsRepeats()
    {
        static SampleStatistics Of(params long[] times) => new([.. times]);
        Assert.Equal(0.2, Compare(Run(100) with { Repeats = [Of(110), Of(100), Of(120), Of()] }, Run(100)).NoiseFloor!.Value, 9);
        Assert.Null(Compare(Run(100) with { Repeats = [Of(110), Of()] }, Run(100)).NoiseFloor);
        Assert.Equal(0, Compare(Run(100) with { Repeats = [Of(110), Of(110)] }, Run(100)).NoiseFloor);
        Assert.Null(Compare(Run(100), Run(100)).Control);
    }

    /// <summary>What a side did not measure is said once, in order, with why.</summary>
    [Fact]
    public void Notes_NameWhatWasNotMeasured()
    {
        static SystemMetrics Lacking(params (string, string)[] what) => new()
        {
            DurationNs = 1,
            Unavailable = what.ToImmutableSortedDictionary(w => w.Item1, w => w.Item2),
        };
        var notes = Compare(Run(100) with { System = Lacking(("b", "no b"), ("a", "no a")) },
            Run(100) with { System = Lacking(("b", "no b")) }).Notes;
        Assert.Equal(["not measured: a (no a)", "not measured: b (no b)"], notes.Take(2));
        Assert.Equal(3, notes.Length);
    }

    private static ImmutableSortedDictionary<string, RunOperatorGroup> Groups(params (string Name, int Count, double? Ns)[] groups) =>
        groups.ToImmutableSortedDictionary(g => g.Name, g => new RunOperatorGroup(g.Count, g.Ns, 8), StringComparer.Ordinal);

    /// <summary>Instruments make all operators longer: their times are scaled to an iteration that nobody watched.</summary>
    [Fact]
    public void Groups_AreScaledToAnUnwatchedIteration()
    {
        var report = Compare(Run(100) with { Groups = Groups(("a", 1, 120), ("b", 1, 40)), InstrumentedNs = 200 },
            Run(100) with { Groups = Groups(("a", 1, 150), ("c", 1, 250)), InstrumentedNs = 300 });
        Assert.Equal([("c", null, 62.5), ("a", 60, 37.5), ("b", 20, null)], report.Groups.Select(g => (g.Name,
            (double?)(g.OriginalNs > 0 ? Math.Round(g.OriginalNs!.Value, 6) : null),
            (double?)(g.ReplayNs > 0 ? Math.Round(g.ReplayNs!.Value, 6) : null))));
        Assert.Equal((20, 0), (Math.Round(report.BetweenNs!.Value.Original, 6), Math.Round(report.BetweenNs.Value.Replay, 6)));
        Assert.Equal([(0, 1), (1, 1), (1, 0)], report.Groups.Select(g => (g.OriginalCount, g.ReplayCount)));
        Assert.Equal([null, 8L, 8L], report.Groups.Select(g => g.OriginalBytes));
        var unknown = Compare(Run(100) with { Groups = Groups(("a", 1, null)) }, Run(100) with { Groups = Groups(("a", 1, 5)) });
        Assert.Null(unknown.BetweenNs);
        Assert.Equal((null, null), (unknown.Groups[0].OriginalNs, unknown.Groups[0].ReplayNs));
        Assert.Equal(0, unknown.Groups[0].DifferenceNs);
    }

    /// <summary>An original that tells no operators, a profile, takes them from what the replay's package knows of it.</summary>
    [Fact]
    public void Groups_OfAnOriginalWithout_AreThoseOfThePackage()
    {
        var coverage = new RunCoverage
        {
            Selected = 1,
            Classes = null,
            Replaced = [],
            Verification = "",
            OriginalGroups = Groups(("a", 3, 50)),
            OriginalInstrumentedNs = 100,
        };
        var replay = Run(100) with { Groups = Groups(("a", 2, 50)), InstrumentedNs = 100, Coverage = coverage, DecomposedOperators = 1 };
        var report = Compare(Run(100) with { DecomposedOperators = 1 }, replay);
        Assert.Equal((3, 2, 50.0), (report.Groups[0].OriginalCount, report.Groups[0].ReplayCount, report.Groups[0].OriginalNs));
        Assert.Equal(FindingKind.OperatorCount, Assert.Single(report.Findings).Kind);
        Assert.Empty(report.Notes);
        // The same number was decomposed on both sides: the original's own are the ones.
        var own = Compare(Run(100) with { DecomposedOperators = 1, Groups = Groups(("a", 2, 70)), InstrumentedNs = 100 }, replay);
        Assert.Equal((2, 70.0), (own.Groups[0].OriginalCount, own.Groups[0].OriginalNs));
        Assert.Empty(own.Notes);
    }

    [Fact]
    public void Labels_ThatExplainMost_AreFirst()
    {
        static ImmutableArray<TimelineSpan> Spans(params (string Label, double Ns)[] spans) =>
            [.. spans.Select((s, i) => new TimelineSpan("x", i, s.Ns, new OperatorId(0, i), s.Label))];
        var labels = Compare(Run(1) with { Timeline = Spans(("a", 10), ("b", 10), ("c", 10), ("b", 5)) },
            Run(1) with { Timeline = Spans(("", 12), ("", 3), ("", 8), ("", 5)) }).Labels;
        Assert.Equal([("b", 2, -7.0), ("a", 1, 2), ("c", 1, -2)], labels.Select(l => (l.Label, l.Count, l.DifferenceNs)));
    }
}
