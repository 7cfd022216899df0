using Mystique.Fidelity;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Suites;
using Mystique.Tests.Fidelity;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Reporting;

/// <summary>The table of platforms, and its document.</summary>
public sealed class PlatformReportTests
{
    private static readonly HostInfo Host = new("An OS", "A processor", 2, 1 << 30, ".NET");

    private static PlatformReport Report(params string[] levels)
    {
        LevelChange Level(string name, double there, int exact = 10) =>
            new([100, 102, 101], [there, there, there], PlatformChangeTests.Run(name, exact));
        var changed = new LevelChange([100, 102, 101], [30, 31, 32], PlatformChangeTests.Run("operator", standIns: 1) with
        {
            Program = new ReplayedProgram("00ff", true, [new FitChange("aten::new", "stand_in", "", "torch 2.6.0 lacks it")]),
        });
        return new PlatformReport(PlatformList.Parse("p.txt",
            "base: python3\nfast: LIB=/home/me/lib /opt/me/python --threads 2\nslow: python3 --flags target\n"),
        [
            new PlatformOutcome("a|b", [.. levels.Select(l => PlatformChangeTests.Run(l, torch: "1.13"))],
            [
                PlatformChangeTests.Change("fast", [120, 121, 119], [40, 41, 39],
                    [.. levels.Select((l, i) => i == 0 ? changed : Level(l, 40 - i))]),
                PlatformChangeTests.Change("slow", [120, 121, 119], [240, 239, 242], [.. levels.Select((l, i) => Level(l, 200 + i))])
                    with { Threads = 1 },
            ], []),
            new PlatformOutcome("other", [.. levels.Select(l => PlatformChangeTests.Run(l, exact: 9))],
                [PlatformChangeTests.Change("fast", [10, 11, 12], [5, 5.5, 6], [.. levels.Select(l => Level(l, 50))])],
                [("slow", "it ended")]),
        ], [("broken", "nothing was recorded")], Host, 3);
    }

    [Fact]
    public void ToMarkdown_OneLevel_MatchesTheSnapshot() =>
        Snapshot.Match(Report("operator").ToMarkdown("mystique bench x --platforms p.txt --rounds 3"), "platforms.md");

    /// <summary>A level more is four columns more, and a line more of each platform.</summary>
    [Fact]
    public void Head_TwoLevels_HasColumnsOfEach()
    {
        var report = Report("operator", "framework");
        Assert.Equal(["workload", "platform", "original", "operator replay", "operator error", "operator 95 %", "operator verification",
            "framework replay", "framework error", "framework 95 %", "framework verification", "A/A control"], report.Head);
        Assert.All(report.Rows, r => Assert.Equal(report.Head.Length, r.Length));
        Assert.Equal(["a|b", "fast", "3.00x", "3.29x", "+9.7 %"], report.Rows.First()[..5]);
        Assert.Equal("exact: 10 operators; 10 of 11 as recorded", report.Rows.First()[6]);
        Assert.Equal(["2.59x", "-13.7 %"], report.Rows.First()[7..9]);
        Assert.Equal(10, report.NarrowColumns.Length);
        Assert.All(report.Rows.Select(report.NarrowRow), r => Assert.DoesNotContain(r, cell => cell.Contains(':') || cell.Contains(';')));
        Assert.Equal(6, report.Summary.Count(s => s.Contains("replay: median error", StringComparison.Ordinal)));
    }

    [Fact]
    public void Speedup_OfAnySize_HasThreeDigits() => Assert.Equal(["0.061x", "0.999x", "1.00x", "9.99x", "23.6x"],
        new[] { 0.0612, 0.9991, 0.9996, 9.994, 23.62 }.Select(Figures.Speedup));

    /// <summary>What is not there is told, and is in no median.</summary>
    [Fact]
    public void Summary_OfFailures_NamesThem() =>
        Assert.Equal("not measured: other on slow, broken", Report("operator").Summary.Last());

    [Fact]
    public void Write_Document_MatchesTheSnapshotAndItsSchema()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "platforms.json");
        using (var stream = File.Create(path))
            PlatformsJson.Write(Report("operator"), stream);
        DocumentSchema.AssertFits("mystique-platforms", path);
        Snapshot.Match(File.ReadAllText(path), "platforms.json");
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }
}
