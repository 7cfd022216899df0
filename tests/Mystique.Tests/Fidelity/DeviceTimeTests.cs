using System.Collections.Immutable;
using System.Text;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Verification;

namespace Mystique.Tests.Fidelity;

/// <summary>Operators are compared by their time on the device where both sides know it.</summary>
public class DeviceTimeTests
{
    /// <summary>Of 10 ms: on the host 2 ms of launching each kind; on the device what is given.</summary>
    private static Run Run(string name, double? mm, double? relu, double iterationMs = 10, int kernels = 10) => new()
    {
        Name = name,
        Times = new SampleStatistics([.. Enumerable.Repeat((long)(iterationMs * 1e6), 20)]),
        InstrumentedNs = 20_000_000,
        Groups = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal,
        [
            Group("aten::mm", 10, mm, kernels), Group("aten::relu", 5, relu, 5),
        ]),
    };

    private static KeyValuePair<string, RunOperatorGroup> Group(string name, int count, double? deviceMs, int kernels) =>
        new(name, new RunOperatorGroup(count, 4e6, 0) { DeviceNs = deviceMs * 1e6, Kernels = deviceMs is null ? null : kernels });

    private static FidelityReport Slower => FidelityComparer.Compare(Run("job", 6, 2), Run("replay", 9, 2, 12, kernels: 20));

    [Fact]
    public void BothSidesHaveKernels_TheDeviceIsCompared()
    {
        var report = Slower;
        Assert.True(report.IsByDevice);
        Assert.Equal(("aten::mm", 3e6), (report.Groups[0].Name, report.Groups[0].DifferenceNs));
        Assert.Equal((6e6, 9e6), (report.Groups[0].OriginalDeviceNs, report.Groups[0].ReplayDeviceNs));
        Assert.Equal((10, 20), (report.Groups[0].OriginalKernels, report.Groups[0].ReplayKernels));
        Assert.Equal((2e6, 2.4e6), (report.Groups[0].OriginalNs, report.Groups[0].ReplayNs)); // The host's beside it, scaled.
        Assert.Equal((2e6, 1e6), report.IdleNs);
        Assert.Empty(report.Notes);
        Assert.Equal(["aten::mm takes +3.000 ms in an iteration (+50.0 % of its own time, +30.0 % of the iteration)",
            "the device is idle -1.000 ms of an iteration (-10.0 % of it)"], FindingText.Of(report));
        Assert.EndsWith("of +2.000 ms most is aten::mm (+3.000 ms)", FidelityText.Headline(report));
    }

    [Theory]
    [InlineData(null, 9.0, "original")]
    [InlineData(6.0, null, "replay")]
    [InlineData(6.0, 0.0, "replay")]
    public void OneSideAlone_TheHostIsCompared_AndTheReportSaysSo(double? original, double? replay, string lacking)
    {
        var report = FidelityComparer.Compare(Run("job", original, original is null ? null : 0),
            Run("replay", replay, replay is null ? null : 0));
        Assert.False(report.IsByDevice);
        Assert.Null(report.IdleNs);
        Assert.Equal((2e6, 2e6, null), (report.Groups[0].OriginalNs, report.Groups[0].ReplayNs, report.Groups[0].OriginalDeviceNs));
        Assert.Equal("operators are compared by their time on the host, on a device mostly that of launching them: no profile of the "
            + $"{lacking} tells what they started there", Assert.Single(report.Notes));
    }

    [Fact]
    public void NoKernelsAnywhere_TheHostIsCompared() =>
        Assert.Empty(FidelityComparer.Compare(Run("job", null, null), Run("replay", null, null)).Notes);

    /// <summary>Streams that work at once fill the device once.</summary>
    [Fact]
    public void Idle_TakesOverlapIntoAccount()
    {
        var original = Run("job", 9, 5) with { Concurrency = new Concurrency(0, 0.5, 0.4) };
        Assert.Equal((2e6, 0.0), FidelityComparer.Compare(original, Run("replay", 9, 5)).IdleNs);
    }

    [Theory]
    [InlineData("events", "host", "events of the device", "the host's clock", true)]
    [InlineData("host", "events", "the host's clock", "events of the device", true)]
    [InlineData("events", "events", "events of the device", "events of the device", false)]
    [InlineData(null, "events", "", "events of the device", false)]
    public void Clocks_AreTold_AndThatTheyDiffer(string? original, string? replay, string first, string second, bool isNoted)
    {
        var report = FidelityComparer.Compare(Run("job", 6, 2) with { Clock = original }, Run("replay", 9, 2) with { Clock = replay });
        Assert.Contains(("iterations measured by", first, second, ""), FidelityText.Rows(report));
        Assert.Equal(isNoted ? [$"the original's iterations were measured by {first}, the replay's by {second}: some tens of microseconds "
            + "of an iteration can be the clocks'"] : Array.Empty<string>(), report.Notes);
        var document = FidelityJson.DocumentOf(report);
        Assert.Equal((original, replay), (document.Original.Clock, document.Replay.Clock));
    }

    [Fact]
    public void Clocks_OfTheHost_AreNotWorthARow() => Assert.DoesNotContain(FidelityText.Rows(FidelityComparer.Compare(
        Run("job", 6, 2) with { Clock = "host" }, Run("replay", 9, 2) with { Clock = "host" })), r => r.Name == "iterations measured by");

    [Fact]
    public void Reports_SayWhichTimeItIs()
    {
        string markdown = FidelityMarkdown.Of(Slower);
        Assert.Contains("### Time by kind of operator, on the device, from the profiles of both sides, what explains most first", markdown);
        Assert.Contains("| aten::mm | 10 | 10 | 10 | 20 | 6.000 | 9.000 | +3.000 | 2.000 | 2.400 |", markdown);
        Assert.Contains("| operators' time on the device, all streams | 8.000 ms | 11.000 ms | +37.5 % |", markdown);
        Assert.Contains("| of it the device is idle | 2.000 ms | 1.000 ms |", markdown);
        var document = FidelityJson.DocumentOf(Slower);
        Assert.Equal(("device", 6_000_000L, 9_000_000L, 10, 20), (document.OperatorsBy, document.Operators[0].OriginalDeviceNs!.Value,
            document.Operators[0].ReplayDeviceNs!.Value, document.Operators[0].OriginalKernels!.Value,
            document.Operators[0].ReplayKernels!.Value));
        Assert.Equal((2_000_000L, 1_000_000L), (document.DeviceIdle!.OriginalNs, document.DeviceIdle.ReplayNs));
        Assert.Contains("on the device", Page(Slower));
        var host = FidelityComparer.Compare(Run("job", null, null), Run("replay", null, null));
        Assert.Contains("### Time by kind of operator, on the host, what explains most first", FidelityMarkdown.Of(host));
        Assert.Equal("host", FidelityJson.DocumentOf(host).OperatorsBy);
        Assert.DoesNotContain("on the device", Page(host));
    }

    private static string Page(FidelityReport report)
    {
        var stream = new MemoryStream();
        FidelityHtml.Write(report, stream);
        string page = Encoding.UTF8.GetString(stream.ToArray());
        int from = page.IndexOf("Time by kind of operator", StringComparison.Ordinal);
        return page[from..page.IndexOf("All measures", from, StringComparison.Ordinal)];
    }
}
