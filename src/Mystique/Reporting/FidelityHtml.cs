using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Reporting;

/// <summary>A comparison as a page that opens anywhere, without a network.</summary>
internal static class FidelityHtml
{
    private const int MaxKinds = 60;
    private const int Buckets = 40;
    private const int MemoryParts = 500;

    /// <summary>Writes the page.</summary>
    /// <param name="report">The comparison.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(FidelityReport report, Stream stream)
    {
        var (original, replay) = (report.Original, report.Replay);
        var page = new HtmlPage($"{replay.Name} against {original.Name}");
        page.Title(FidelityText.Headline(report));
        page.Table("Measures", ["measure", "original", "replay", "difference"], FidelityText.Rows(report)
            .Select(r => new[] { r.Name, r.Original, r.Replay, r.Difference }));
        page.List("Findings", FindingText.Of(report));
        WriteTimelines(page, original, replay);
        var kinds = report.Groups.Where(k => k.OriginalNs is not null).Take(MaxKinds).ToArray();
        var ordered = kinds.OrderByDescending(k => k.OriginalNs).ToArray();
        page.Bars("Time by kind of operator",
            "Of an iteration, on the host. The original's times are those of the instrumented iteration, scaled to an uninstrumented "
            + "one.", "ms", [.. ordered.Select(k => k.Name)],
            ("original", [.. ordered.Select(k => Rounded(k.OriginalNs!.Value))]),
                ("replay", [.. ordered.Select(k => Rounded(k.ReplayNs!.Value))]));
        page.Bars("Difference by kind of operator", "How much longer the replay takes; what explains most first.", "ms",
            [.. kinds.Select(k => k.Name)],
            ("replay", [.. kinds.Select(k => Rounded(k.DifferenceNs))]));
        WriteDistributions(page, original.Times, replay.Times);
        page.Table("Time by label of the original", ["label", "operators", "original ms", "replay ms", "difference ms"],
            report.Labels.Take(MaxKinds).Select(l => FidelityText.LabelRow(l)));
        page.Lines("Memory of the host's tensors", "What PyTorch's allocators had given out, over an iteration.",
            "share of the iteration", "MB", area: true, MemoryOf("original", original.HostMemory), MemoryOf("replay", replay.HostMemory));
        page.Lines("Memory of the device's tensors", "What PyTorch's allocators had given out, over an iteration.",
            "share of the iteration", "MB", area: true, MemoryOf("original", original.DeviceMemory),
            MemoryOf("replay", replay.DeviceMemory));
        string[] cores = [.. Enumerable.Range(0, Math.Max(original.System?.CoreUtilisation.Length
            ?? 0, replay.System?.CoreUtilisation.Length ?? 0)).Select(i => $"CPU {i}")];
        page.Bars("Utilisation of the machine's logical CPUs", "By whatever ran on them while iterations were measured.", "%", cores,
            ("original", [.. (original.System?.CoreUtilisation ?? []).Select(u => Math.Round(100 * u, 1))]),
                ("replay", [.. (replay.System?.CoreUtilisation ?? []).Select(u => Math.Round(100 * u, 1))]));
        page.Lines("Memory of the plan's tensors", "Live bytes after each operator of an iteration, by the lifetimes of storages.",
            "operator", "MB", area: true,
            ("original", null, 1, [.. original.MemoryCurve.Select(b => Math.Round(b / 1e6, 3))]),
                ("replay", null, 1, [.. replay.MemoryCurve.Select(b => Math.Round(b / 1e6, 3))]));
        if (replay.Coverage is { } coverage)
        {
            page.Table("Coverage", null,
                [["operators selected", Figures.Number(coverage.Selected)], ["as recorded", FidelityText.RecordedOf(coverage)],
                ["verification", coverage.Verification]]);
            page.Table("Not run as recorded", ["operator", "count", "instead", "reason"], coverage.Replaced.Select(r =>
                new[] { r.Name, Figures.Number(r.Count), ReplacedGroup.InsteadOf(r.Remedy, r.By), r.Reason }), [2, 3]);
        }
        page.Table("Kernels whose number differs", ["kernel", "original", "replay"], report.Kernels.Select(k =>
            new[] { k.Name, Figures.Number(k.Original), Figures.Number(k.Replay) }));
        page.List("What could not be compared", report.Notes);
        page.Table("Where it was measured: original", null, original.Provenance.Select(p => new[] { p.Name, p.Value }), [1]);
        page.Table("Where it was measured: replay", null, replay.Provenance.Select(p => new[] { p.Name, p.Value }), [1]);
        page.Write(stream);
    }

    private static (string, double?, double, double[]) MemoryOf(string name, MemoryTimeline? memory) =>
        (name, 0, 1.0 / MemoryParts, [.. (memory?.PeaksIn(MemoryParts) ?? []).Select(b => Math.Round(b / 1e6, 3))]);

    private static double Rounded(double nanoseconds) => Math.Round(nanoseconds / 1e6, 5);

    private static void WriteTimelines(HtmlPage page, Run original, Run replay)
    {
        string[] names = [.. original.Timeline.Concat(replay.Timeline).Select(s => s.Name).Distinct()];
        var places = names.Index().ToDictionary(n => n.Item, n => n.Index);
        page.Timeline("Timelines",
            "Operators on the host, in microseconds of an iteration; zoom with the wheel or the bar. Scaled to uninstrumented "
            + "iterations. A replay that was not instrumented has operators that were timed one by one, laid end to end.",
            names, Row("original", original), Row("replay", replay));

        (string, int[], double[], double[]) Row(string name, Run run) => (name, [.. run.Timeline.Select(s => places[s.Name])],
            [.. run.Timeline.Select(s => Math.Round(s.StartNs / 1e3, 2))],
                [.. run.Timeline.Select(s => Math.Round(s.DurationNs / 1e3, 2))]);
    }

    private static void WriteDistributions(HtmlPage page, SampleStatistics original, SampleStatistics replay)
    {
        if (original.SamplesNs.IsEmpty || replay.SamplesNs.IsEmpty)
            return;
        // From the least to the 99th percentile: a machine that pauses once does not flatten the rest.
        double low = Math.Min(original.Percentile(0), replay.Percentile(0));
        double high = Math.Max(original.Percentile(99), replay.Percentile(99));
        double width = Math.Max(1, (high - low) / Buckets);
        page.Lines("Distribution of iteration times", "Share of the iterations, by their time.", "ms", "%", area: true,
            Series("original", original), Series("replay", replay));

        (string, double?, double, double[]) Series(string name, SampleStatistics samples)
        {
            double[] counts = new double[Buckets + 1];
            foreach (long sample in samples.SamplesNs)
                counts[(int)Math.Clamp((sample - low) / width, 0, Buckets)] += 100.0 / samples.SamplesNs.Length;
            return (name, Rounded(low), width / 1e6, [.. counts.Select(c => Math.Round(c, 2))]);
        }
    }
}
