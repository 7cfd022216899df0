using System.Collections.Immutable;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Verification;

namespace Mystique.Tests.Fidelity;

/// <summary>A difference is named where it is above its threshold, not at it; the worst is named first.</summary>
public class FindingRulesTests
{
    /// <summary>A median of 10 ms, all of it in operators of one name.</summary>
    private static Run Run(params (string Name, int Count, double TimeNs, long Bytes)[] groups) => new()
    {
        Name = "run",
        Times = new SampleStatistics([10_000_000]),
        InstrumentedNs = 10_000_000,
        Groups = groups.ToImmutableSortedDictionary(g => g.Name, g => new RunOperatorGroup(g.Count, g.TimeNs, g.Bytes),
            StringComparer.Ordinal),
    };

    private static Run Same => Run(("aten::mm", 10, 9e6, 1_000_000));

    private static FidelityReport Compare(Run original, Run replay) => FidelityComparer.Compare(original, replay);

    private static Finding[] Findings(Run original, Run replay) => [.. Compare(original, replay).Findings];

    [Theory]
    [InlineData(1_049, 0)]
    [InlineData(1_051, 1)]
    [InlineData(951, 0)]
    [InlineData(949, 1)]
    public void MemoryPeak_ByMoreThan5Percent_IsAWarning(long bytes, int count)
    {
        var findings = Findings(Same with { AllocatedBytes = 1_000 }, Same with { AllocatedBytes = bytes });
        Assert.Equal(count, findings.Length);
        Assert.All(findings, f => Assert.Equal((FindingKind.MemoryPeak, FindingSeverity.Warning, 1_000, bytes, 50),
            (f.Kind, f.Severity, f.Original, f.Replay, f.Threshold)));
    }

    /// <summary>Where one side does not know its tensors, the process's memory is named, on both sides.</summary>
    [Fact]
    public void MemoryPeak_WithoutTensorsOnASide_IsOfTheProcess()
    {
        var finding = Assert.Single(Findings(Same with { AllocatedBytes = 7, UsedBytes = 1_000 }, Same with { UsedBytes = 2_000 }));
        Assert.Equal((1_000, 2_000), (finding.Original, finding.Replay));
    }

    [Theory]
    [InlineData(1_010_000, 0)]
    [InlineData(1_010_001, 1)]
    [InlineData(990_000, 0)]
    [InlineData(989_999, 1)]
    public void AllocatedBytes_ByMoreThan1PercentOfAll_AreAWarning(long bytes, int count)
    {
        var findings = Findings(Same, Run(("aten::mm", 10, 9e6, bytes)));
        Assert.Equal(count, findings.Length);
        Assert.All(findings, f => Assert.Equal((FindingKind.AllocatedBytes, "aten::mm", 1_000_000, bytes, 10_000),
            (f.Kind, f.Subject, f.Original, f.Replay, f.Threshold)));
    }

    [Fact]
    public void AllocatedBytes_TheLargestDifferenceIsFirst_AndWhatIsNotKnownIsNoDifference()
    {
        var original = Run(("a", 1, 1, 1_000), ("b", 1, 1, 1_000), ("c", 1, 1, 1_000));
        var replay = Run(("a", 1, 1, 1_100), ("b", 1, 1, 500), ("c", 1, 1, 1_000));
        replay = replay with { Groups = replay.Groups.SetItem("c", new RunOperatorGroup(1, 1, null)) };
        Assert.Equal(["b", "a"], Findings(original, replay).Where(f => f.Kind == FindingKind.AllocatedBytes).Select(f => f.Subject));
    }

    [Theory]
    [InlineData(1_100, 0)] // 100 faults of 1 µs are 1 % of 10 ms.
    [InlineData(1_101, 1)]
    [InlineData(900, 0)]
    [InlineData(899, 1)]
    public void PageFaults_OfMoreThan1PercentOfTheTime_AreAWarning(long faults, int count)
    {
        var system = new SystemMetrics { DurationNs = 10_000_000, MinorFaults = 600, MajorFaults = 400 };
        var findings = Findings(Same with { System = system }, Same with { System = system with { MinorFaults = faults - 400 } });
        Assert.Equal(count, findings.Length);
        Assert.All(findings, f => Assert.Equal((FindingKind.PageFaults, 1_000, faults, 100),
            (f.Kind, f.Original, f.Replay, f.Threshold)));
    }

    [Fact]
    public void PageFaults_WithoutTimesOrDuration_AreNotKnown()
    {
        var system = new SystemMetrics { DurationNs = 10_000_000, MinorFaults = 1_000 };
        var other = system with { MinorFaults = 9_000 };
        Assert.Empty(Findings(Same with { System = system }, Same with { System = other with { DurationNs = 0 } }));
        Assert.DoesNotContain(Findings(Same with { System = system }, Same with { System = other, Times = new([]) }),
            f => f.Kind == FindingKind.PageFaults);
    }

    /// <summary>mm takes 9 ms of 10; what it gains or loses is missing or left between operators.</summary>
    [Theory]
    [InlineData(9.1e6, 0)]
    [InlineData(9.11e6, 2)]
    [InlineData(8.9e6, 0)]
    [InlineData(8.89e6, 2)]
    public void Times_OfMoreThan1PercentOfTheIteration_AreNamed(double timeNs, int count)
    {
        var findings = Findings(Same, Run(("aten::mm", 10, timeNs, 1_000_000)));
        Assert.Equal(count, findings.Length);
        Assert.All(findings, f => Assert.Equal((FindingSeverity.Info, 100_000), (f.Severity, f.Threshold)));
        if (count > 0)
        {
            Assert.Equal([FindingKind.OperatorTime, FindingKind.BetweenOperators], findings.Select(f => f.Kind));
            Assert.Equal((9e6, timeNs), (findings[0].Original, Math.Round(findings[0].Replay)));
            Assert.Equal((1e6, 1e7 - timeNs), (findings[1].Original, Math.Round(findings[1].Replay)));
        }
    }

    [Fact]
    public void Times_OfTheFiveThatDifferMost_AreNamed()
    {
        var original = Run([.. Enumerable.Range(0, 8).Select(i => ($"op{i}", 1, 1e6, 1L))]);
        var replay = Run([.. Enumerable.Range(0, 8).Select(i => ($"op{i}", 1, 1e6 + (i + 1) * 0.04e6, 1L))]);
        Assert.Equal(["op7", "op6", "op5", "op4", "op3"],
            Findings(original, replay).Where(f => f.Kind == FindingKind.OperatorTime).Select(f => f.Subject));
    }

    [Fact]
    public void Counts_AreErrors_TheLargestDifferenceFirst_AndNotMoreThan20InAll()
    {
        var original = Run([.. Enumerable.Range(0, 30).Select(i => ($"op{i:00}", 100, 1e5, 1L))]);
        var replay = Run([.. Enumerable.Range(0, 30).Select(i => ($"op{i:00}", 100 + (i % 2 == 0 ? i : -i), 1e5, 1L))]);
        var findings = Findings(original, replay);
        Assert.Equal(20, findings.Length);
        Assert.Equal(["op29", "op28", "op27"], findings.Take(3).Select(f => f.Subject));
        Assert.All(findings, f => Assert.Equal((FindingKind.OperatorCount, FindingSeverity.Error, 0), (f.Kind, f.Severity, f.Threshold)));
        Assert.Equal((100, 71, -0.29), (findings[0].Original, findings[0].Replay, Math.Round(findings[0].Error!.Value, 6)));
    }

    /// <summary>An original that tells of no operators has not run fewer of them.</summary>
    [Fact]
    public void Counts_WithoutOperatorsOnASide_AreNoFinding() => Assert.Empty(Findings(Same with { Groups = Run().Groups }, Same));

    [Fact]
    public void Kernels_ThatDiffer_AreErrors_TheLargestDifferenceFirst()
    {
        var none = ImmutableSortedDictionary<string, (int, long)>.Empty;
        var report = Compare(Same with { Kernels = none.Add("a", (3, 1)).Add("b", (3, 1)).Add("d", (1, 1)) },
            Same with { Kernels = none.Add("a", (2, 1)).Add("b", (9, 1)).Add("c", (1, 1)).Add("d", (1, 5)) });
        Assert.Equal([("b", 3, 9), ("a", 3, 2), ("c", 0, 1)], report.Kernels);
        Assert.Equal([FindingKind.KernelCount], report.Findings.Select(f => f.Kind).Distinct());
        Assert.Equal(["b", "a", "c"], report.Findings.Select(f => f.Subject));
        Assert.Null(report.Findings[2].Error);
        Assert.Empty(Findings(Same with { Kernels = none.Add("a", (3, 1)) }, Same)); // Not known on both sides.
    }

    [Theory]
    [InlineData(100, 0)] // One of 100 is 1 %.
    [InlineData(99, 1)]
    public void Order_IsNamedWhereMoreThan1PercentMoved(int count, int findings)
    {
        TimelineSpan Span(int node, double start) => new("x", start, 1, new OperatorId(0, node), "");
        var original = Same with { Timeline = [.. Enumerable.Range(0, count).Select(i => Span(i, i))] };
        var replay = Same with { Timeline = [.. Enumerable.Range(0, count).Select(i => Span(i, i == 0 ? count : i))] };
        Assert.Equal(findings, Findings(original, replay).Count(f => f.Kind == FindingKind.OperatorOrder));
        Assert.Equal((count - 1.0) / count, Compare(original, replay).InOrder!.Value, 9);
    }

    /// <summary>What starts at the same moment is in order; what only one side has is not counted.</summary>
    [Fact]
    public void Order_OfWhatStartsTogether_IsKept()
    {
        ImmutableArray<TimelineSpan> Spans(params double[] starts) =>
            [.. starts.Select((s, i) => new TimelineSpan("x", s, 1, new OperatorId(0, i), ""))];
        Assert.Equal(1, Compare(Same with { Timeline = Spans(0, 1, 2) }, Same with { Timeline = Spans(5, 5, 5) }).InOrder);
        Assert.Equal(0.5, Compare(Same with { Timeline = Spans(0, 1) }, Same with { Timeline = Spans(3, 2, 1) }).InOrder);
    }

    [Theory]
    [InlineData("cuda", "cpu", true)]
    [InlineData("cuda", "cuda", false)]
    [InlineData(null, "cpu", false)]
    [InlineData("cuda", null, false)]
    public void OtherDevice_IsTheFirstFinding(string? original, string? replay, bool isFound)
    {
        var findings = Findings(Same with { DeviceKind = original }, Run(("aten::mm", 9, 9e6, 1_000_000)) with { DeviceKind = replay });
        Assert.Equal(isFound ? [FindingKind.OtherDevice, FindingKind.OperatorCount] : [FindingKind.OperatorCount],
            findings.Select(f => f.Kind));
        if (isFound)
            Assert.Equal((FindingSeverity.Error, "cpu instead of cuda", 1, 0), (findings[0].Severity, findings[0].Subject,
                findings[0].Original, findings[0].Replay));
    }

    /// <summary>On other devices or versions kernels have other names: their numbers and times are told.</summary>
    [Fact]
    public void Kernels_OfAnotherOrigin_AreSummed()
    {
        var none = ImmutableSortedDictionary<string, (int, long)>.Empty;
        var original = Same with { KernelOrigin = "A", Kernels = none.Add("a", (3, 1_500_000)).Add("b", (2, 500_000)) };
        var report = Compare(original, Same with { KernelOrigin = "B", Kernels = none.Add("c", (4, 3_000_000)) });
        Assert.Empty(report.Kernels);
        Assert.Equal("kernels are not compared by name: A in the original, B in the replay; 5 in 2.000 ms there, 4 in 3.000 ms here",
            Assert.Single(report.Notes));
        report = Compare(original, original with { Kernels = none.Add("a", (1, 1)).Add("b", (9, 1)) });
        Assert.Equal([("b", 2, 9), ("a", 3, 1)], report.Kernels);
        report = Compare(original with { Kernels = none.Add("a", (90, 1)).Add("b", (2, 1)).Add("ncclX", (1, 1)) },
            original with { Kernels = none.Add("a", (91, 1)).Add("b", (4, 1)) });
        Assert.Equal([("b", 2, 4), ("a", 90, 91)], report.Kernels);
    }

    [Fact]
    public void LostShare_IsWhatTheWorkLacks()
    {
        var classes = new OperatorClasses
        {
            Exact = 2,
            Variant = 0,
            Different = 0,
            Substituted = 1,
            StandIn = 1,
            Missing = 0,
            Unplanned = 0,
        };
        var coverage = new RunCoverage { Selected = 4, Classes = classes, Replaced = [], Verification = "" };
        Assert.Equal(0.25, Compare(Same, Same with { Coverage = coverage }).LostShare);
        Assert.Null(Compare(Same, Same with { Coverage = coverage with { Classes = null } }).LostShare);
        Assert.Null(Compare(Same, Same).LostShare);
    }
}
