using System.Collections.Immutable;
using System.Text;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Tests.Shared;
using Mystique.Verification;

namespace Mystique.Tests.Fidelity;

/// <summary>A wrong replay is found out, and what is wrong with it is named.</summary>
public sealed class FidelityComparerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Times around a median of 10 ms: 6 ms of matrix products, 3 of additions, 1 between operators.</summary>
    private static Run Run(string name, double factor = 1, Func<string, RunOperatorGroup, RunOperatorGroup?>? change = null)
    {
        var kinds = new Dictionary<string, RunOperatorGroup>
        {
            ["aten::mm"] = new(60, 6e6, 60_000_000),
            ["aten::add_.Tensor"] =
            new(300, 3e6, 0),
            ["aten::relu"] = new(10, 1e3, 20_000_000)
        };
        return new Run
        {
            Name = name,
            Provenance = [("host", "a machine"), ("torch", "2.6")],
            Times = new SampleStatistics([.. Enumerable.Range(0, 50).Select(i => (long)((10e6 + (i * 7919 % 50 - 24.5) * 2e3) * factor))]),
            CpuTimeNs = 11e6 * factor,
            UsedBytes = 200_000_000,
            InstrumentedNs = 10_001_000,
            Groups = kinds.Select(k => (k.Key, Value: change is null ? k.Value : change(k.Key, k.Value))).Where(k => k.Value is not null)
                .ToImmutableSortedDictionary(k => k.Key, k => k.Value!, StringComparer.Ordinal),
        };
    }

    private static Run Original => Run("job") with
    {
        Repeats = [new SampleStatistics([10_000_000]), new SampleStatistics([10_050_000])],
    };

    [Fact]
    public void Compare_Alike_HasNoFindings()
    {
        var report = FidelityComparer.Compare(Original, Run("replay"));
        Assert.Equal(0, report.Time!.Error);
        Assert.InRange(report.Time.Low, -0.004, 0);
        Assert.InRange(report.Time.High, 0, 0.004);
        Assert.Equal(0.005, report.NoiseFloor!.Value, 6);
        Assert.Equal((0.0, 0.0), (report.CpuTimeError, report.MemoryError));
        Assert.Empty(report.Findings);
        Assert.Empty(report.Notes);
        Assert.Equal(0, report.WorstError);
    }

    /// <summary>Products take 30% longer: the iteration takes 18% longer.</summary>
    [Fact]
    public void Compare_KindThatIsSlower_IsNamed()
    {
        var replay = Run("replay", 1.18, (name, kind) => name == "aten::mm" ? kind with { TimeNs = kind.TimeNs * 1.3 }
            : kind) with
        { InstrumentedNs = 11_801_000 };
        var report = FidelityComparer.Compare(Original, replay);
        Assert.Equal(0.18, report.Time!.Error, 3);
        Assert.InRange(report.Time.Low, 0.17, 0.18);
        Assert.Equal("aten::mm", report.Groups[0].Name);
        Assert.Equal("aten::mm takes +1.800 ms in an iteration (+30.0 % of its own time, +18.0 % of the iteration)",
            Assert.Single(FindingText.Of(report)));
        Assert.Equal("the replay is 18.0 % slower than the original (95 %: +17.8 % to +18.2 %); the original differs from itself by 0.5 "
            + "%; of +1.800 ms most is aten::mm (+1.800 ms)", FidelityText.Headline(report));
    }

    [Fact]
    public void Compare_DroppedOperator_IsNamed()
    {
        var report = FidelityComparer.Compare(Original, Run("replay", change: (name, kind) => name == "aten::relu" ? null
            : name == "aten::mm" ? kind with { Count = 59 } : kind));
        Assert.Contains("aten::relu runs 0 times in the replay, 10 in the original", FindingText.Of(report));
        Assert.Contains("aten::mm runs 59 times in the replay, 60 in the original", FindingText.Of(report));
    }

    [Fact]
    public void Compare_LargerAllocation_IsNamed()
    {
        var report = FidelityComparer.Compare(Original, Run("replay", change: (name, kind) => name == "aten::relu"
            ? kind with { AllocatedBytes = 40_000_000 } : kind) with
        { UsedBytes = 220_000_000 });
        Assert.Equal(0.1, report.MemoryError!.Value, 6);
        Assert.Equal(["the peak of memory differs by +10.0 %", "aten::relu allocates 40.0 MB in the replay, 20.0 MB in the original"],
            FindingText.Of(report));
        Assert.Equal(0.1, report.WorstError!.Value, 6);
    }

    /// <summary>What allocators gave out says more than what the process has: the interpreter is in that, too.</summary>
    [Fact]
    public void Compare_TensorsOnBothSides_AreTheMemory()
    {
        var report = FidelityComparer.Compare(Original with { AllocatedBytes = 100 }, Run("replay") with
        {
            AllocatedBytes =
            104,
            UsedBytes = 900_000_000
        });
        Assert.Equal((0.04, 3.5, 0.04), (Math.Round(report.MemoryError!.Value, 6), report.ResidentError,
            Math.Round(report.WorstError!.Value, 6)));
        Assert.Empty(report.Findings);
        Assert.Equal(3.5, FidelityComparer.Compare(Original with { AllocatedBytes = 100 }, Run("replay") with { UsedBytes = 900_000_000 })
            .MemoryError);
    }

    [Fact]
    public void Compare_OtherPageFaults_AreNamed()
    {
        var system = new SystemMetrics { DurationNs = 100_000_000, MinorFaults = 40_000 };
        var report = FidelityComparer.Compare(Original with { System = system },
            Run("replay") with { System = system with { MinorFaults = 10_000, MajorFaults = 10 } });
        Assert.StartsWith("the replay has 1,001 page faults in an iteration, the original 4,000: ", Assert.Single(FindingText.Of(report)));
        Assert.Empty(FidelityComparer.Compare(Original with { System = system },
            Run("replay") with { System = system with { MinorFaults = 40_100 } }).Findings);
    }

    private static ImmutableArray<TimelineSpan> Spans(params (long Node, double Start, double Duration, string Label)[] spans) =>
        [.. spans.Select(s => new TimelineSpan("aten::mm", s.Start, s.Duration, new OperatorId(0, s.Node), s.Label))];

    [Fact]
    public void Compare_Labels_AreThoseOfTheOriginal()
    {
        var report = FidelityComparer.Compare(
            Original with { Timeline = Spans((5, 0, 10, "forward"), (6, 10, 20, "forward"), (7, 30, 5, ""), (9, 40, 5, "backward")) },
            Run("replay") with { Timeline = Spans((5, 0, 10, ""), (6, 10, 35, ""), (7, 50, 4, ""), (0, 60, 100, "")) });
        Assert.Equal([new LabelError("forward", 2, 30, 45), new LabelError("", 1, 5, 4)], report.Labels);
        Assert.Equal(1, report.InOrder);
        Assert.Empty(FidelityComparer.Compare(Original with { Timeline = Spans((5, 0, 10, "")) }, Run("replay") with
        {
            Timeline =
            Spans((5, 0, 10, ""))
        }).Labels);
    }

    [Fact]
    public void Compare_OtherOrder_IsNamed()
    {
        var report = FidelityComparer.Compare(
            Original with { Timeline = Spans((1, 0, 1, ""), (2, 1, 1, ""), (3, 2, 1, ""), (4, 3, 1, "")) },
            Run("replay") with { Timeline = Spans((1, 0, 1, ""), (3, 1, 1, ""), (2, 2, 1, ""), (4, 3, 1, "")) });
        Assert.Equal(0.75, report.InOrder);
        Assert.Equal("25.0 % of the operators start in another order than in the original", Assert.Single(FindingText.Of(report)));
        Assert.Null(FidelityComparer.Compare(Original, Run("replay")).InOrder);
    }

    /// <summary>A machine that gets slower meets a round of both alike: the rounds' own errors are what counts.</summary>
    [Fact]
    public void Compare_Interleaved_TakesTheRoundsOwnErrors()
    {
        var original = Original with { Blocks = BlocksOf(1, 10, 20, 15, 30) };
        var report = FidelityComparer.Compare(original, Run("replay") with { Blocks = BlocksOf(1.02, 10, 20, 15, 30) });
        Assert.Equal((0.02, 0.02), (Math.Round(report.Time!.Error, 6), Math.Round(report.CpuTimeError!.Value, 6)));
        Assert.Equal(0, FidelityComparer.Compare(original, Run("replay") with { Blocks = BlocksOf(1.02, 10, 20) })
            .Time!.Error, 6); // Not as many: all samples.
    }

    /// <summary>Two processes of the original had their blocks: what is between them is what a perfect replay could show.</summary>
    [Fact]
    public void Compare_OriginalAgain_IsTheNoiseFloor()
    {
        var original = Original with
        {
            Processes =
            [BlocksOf(1, 10, 20, 15, 30), [.. BlocksOf(1.01, 10, 20, 15), .. BlocksOf(0.97, 30)]]
        };
        var report = FidelityComparer.Compare(original, Run("replay"));
        Assert.Equal(0.01, report.Control!.Error, 6);
        Assert.Equal(0.03, report.NoiseFloor!.Value, 6);
        var joined = Blocks.Join(original.Processes)[0];
        Assert.Equal((1.005, 1.005), (joined.Times.MedianNs / 1e7, joined.CpuTimeNs!.Value / 1e7));
    }

    private static ImmutableArray<MeasuredBlock> BlocksOf(double factor, params int[] speeds) =>
        [.. speeds.Select(s => new MeasuredBlock(new SampleStatistics([(long)(s * 1_000_000 * factor)]), s * 1_000_000 * factor))];

    [Fact]
    public void Compare_Kernels_AreCounted()
    {
        var kernels = ImmutableSortedDictionary<string, (int, long)>.Empty;
        var report = FidelityComparer.Compare(Original with { Kernels = kernels.Add("gemm", (3, 5)).Add("copy", (1, 1)) },
            Run("replay") with { Kernels = kernels.Add("gemm", (2, 5)).Add("copy", (1, 1)) });
        Assert.Equal([("gemm", 3, 2)], report.Kernels);
        Assert.Contains("the kernel gemm runs 2 times in the replay, 3 in the original", FindingText.Of(report));
    }

    /// <summary>Where the replay had to open operators, its package knows the original's times of what it runs.</summary>
    [Fact]
    public void Compare_OtherOperatorsOpened_TakesTheOriginalsFromThePackage()
    {
        var opened = ImmutableSortedDictionary<string,
            RunOperatorGroup>.Empty.Add("aten::addmm", new RunOperatorGroup(60, 9e6, 60_000_000));
        var replay = Run("replay") with
        {
            Groups = opened,
            DecomposedOperators = 60,
            Coverage = new RunCoverage
            {
                Selected = 60,
                Classes = null,
                Replaced = [],
                Verification = "exact",
                OriginalGroups = opened,
                OriginalInstrumentedNs = 10_000_000,
            },
        };
        var report = FidelityComparer.Compare(Original with { DecomposedOperators = 0 }, replay);
        Assert.Equal(["aten::addmm"], report.Groups.Select(k => k.Name));
        Assert.Empty(report.Findings);
        Assert.Contains("decomposed 60 operators where the trace alone tells 0", Assert.Single(report.Notes));
    }

    [Fact]
    public void Compare_WithoutTimes_SaysSo()
    {
        var report = FidelityComparer.Compare(new Run { Name = "profile" }, Run("replay"));
        Assert.Null(report.Time);
        Assert.Equal("iteration times cannot be compared", FidelityText.Headline(report));
        Assert.Equal(2, report.Notes.Length);
    }

    private static FidelityReport Everything => FidelityComparer.Compare(Original with
    {
        Timeline = Spans((1, 0, 1e6, "step / </script>|"), (2, 2e6, 1e6, "")),
        AllocatedBytes = 100_000_000,
        HostMemory = new MemoryTimeline(90_000_000, [(0.5, 100_000_000), (0.9, 90_000_000)]),
        Concurrency = new Concurrency(0.2, null, null),
    }, Run("replay", 1.1, (name, kind) => name == "aten::mm" ? kind with { TimeNs = kind.TimeNs * 1.3 } : kind) with
    {
        // Names come from traces: they must stay text.
        Name = "</script><script>alert(1)</script>|`[x](y)",
        Timeline = Spans((1, 0, 2e6, ""), (2, 2e6, 1e6, "")),
        AllocatedBytes = 101_000_000,
        HostMemory = new MemoryTimeline(100_000_000, [(0.5, 101_000_000)]),
        Concurrency = new Concurrency(0.25, null, null),
        Coverage = new RunCoverage
        {
            Selected = 370,
            Classes = new OperatorClasses
            {
                Exact = 368,
                Variant = 0,
                Different = 0,
                Substituted = 1,
                StandIn = 1,
                Missing = 0,
                Unplanned = 0,
                RecordedTimeShare = 0.9875,
            },
            Replaced = [("aten::a|b", 1, "substitute", "aten::c", "it\nis <b>not</b> there"), ("aten::d", 1, "stand_in", "", "it failed")],
            Verification = "exact: 368 operators",
        },
    });

    [Fact]
    public void Reports_AreAsTheyWere()
    {
        Snapshot.Match(FidelityMarkdown.Of(Everything), "fidelity.md");
        var stream = new MemoryStream();
        FidelityJson.Write(Everything, stream);
        // The samples are 100 lines.
        string json = string.Join('\n', Encoding.UTF8.GetString(stream.ToArray()).Split('\n')
            .Where(l => !l.Trim(' ', ',').All(char.IsAsciiDigit)));
        Snapshot.Match(json, "fidelity.json");
    }

    [Fact]
    public void Page_HostileName_StaysText()
    {
        var stream = new MemoryStream();
        FidelityHtml.Write(Everything, stream);
        string page = Encoding.UTF8.GetString(stream.ToArray());
        Assert.DoesNotContain("<script>alert", page);
        Assert.Contains("default-src 'none'", page);
        Assert.InRange(page.Length, 10_000, 60_000);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"format\": \"mystique-run\"}")]
    [InlineData("{\"format\": \"mystique-run\", \"format_version\": 99}")]
    [InlineData("{\"format\": \"mystique-run\", \"format_version\": 3, \"coverage\": {}, \"operators\": 7}")]
    [InlineData("{\"format\": \"mystique-run\", \"format_version\": 3, \"coverage\": {\"opened_operators\": 0}, \"operators\": "
        + "[{\"name\": 1}]}")]
    public void ResultReader_NoResult_IsNamed(string text)
    {
        string path = Path.Combine(_folder, "r.json");
        File.WriteAllText(path, text);
        var exception = Assert.Throws<MystiqueException>(() => ResultReader.Read(path));
        Assert.Equal("MYS123", exception.Id);
        Assert.Equal(path, exception.Where);
    }
}
