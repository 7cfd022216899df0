using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Reporting;

/// <summary>A comparison as a page that opens anywhere, without a network.</summary>
internal static class FidelityHtml
{
    private const int MaxLabels = 200;
    private const int Buckets = 40;
    private const int MemoryParts = 500;

    /// <summary>Writes the page.</summary>
    /// <param name="report">The comparison.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(FidelityReport report, Stream stream)
    {
        var (original, replay) = (report.Original, report.Replay);
        var page = new HtmlPage($"{replay.Name} against {original.Name}");
        FidelityVerdict.WriteTop(page, report);
        WriteTimelines(page, original, replay);
        WriteKinds(page, report);
        page.Table("All measures", ["measure", "original", "replay", "difference"], FidelityText.Rows(report)
            .Select(r => new[] { r.Name, r.Original, r.Replay, r.Difference }));
        WriteDistributions(page, original.Times, replay.Times);
        page.Table("Time by label of the original", ["label", "operators", "original ms", "replay ms", "difference ms"],
            report.Labels.Take(MaxLabels).Select(l => FidelityText.LabelRow(l)));
        page.Lines("Memory of the host's tensors", "What PyTorch's allocators had given out, over an iteration.",
            "share of the iteration", "MB", area: true, MemoryOf("original", original.HostMemory), MemoryOf("replay", replay.HostMemory));
        page.Lines("Memory of the device's tensors", "What PyTorch's allocators had given out, over an iteration.",
            "share of the iteration", "MB", area: true, MemoryOf("original", original.DeviceMemory),
            MemoryOf("replay", replay.DeviceMemory));
        string[] cores = [.. Enumerable.Range(0, Math.Max(original.System?.CoreUtilisation.Length
            ?? 0, replay.System?.CoreUtilisation.Length ?? 0)).Select(i => $"CPU {i}")];
        page.Bars("Utilisation of the machine's logical CPUs", "By whatever ran on them while iterations were measured.",
            "logical CPUs", "%", cores, signed: false,
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
        page.Table("Where it was measured: original", null, original.Provenance.Select(p => new[] { p.Name, p.Value }), [1],
            folded: true);
        page.Table("Where it was measured: replay", null, replay.Provenance.Select(p => new[] { p.Name, p.Value }), [1], folded: true);
        page.Write(stream);
    }

    private static (string, double?, double, double[]) MemoryOf(string name, MemoryTimeline? memory) =>
        (name, 0, 1.0 / MemoryParts, [.. (memory?.PeaksIn(MemoryParts) ?? []).Select(b => Math.Round(b / 1e6, 3))]);

    private static double Rounded(double nanoseconds) => Math.Round(nanoseconds / 1e6, 5);

    private static void WriteKinds(HtmlPage page, FidelityReport report)
    {
        string where = report.IsByDevice ? "on the device" : "on the host";
        var kinds = report.Groups.Where(k => k.ComparedNs is not null).ToArray();
        var ordered = kinds.OrderByDescending(k => Math.Max(k.ComparedNs!.Value.Original, k.ComparedNs!.Value.Replay)).ToArray();
        page.Bars("Time by kind of operator",
            report.IsByDevice ? "Milliseconds of a profiled iteration, on the device, of all streams; both sides on one scale."
                : "Milliseconds of an uninstrumented iteration, on the host; both sides on one scale.",
            "kinds of operators", "ms", [.. ordered.Select(k => k.Name)], signed: false,
            ("original", [.. ordered.Select(k => Rounded(k.ComparedNs!.Value.Original))]),
            ("replay", [.. ordered.Select(k => Rounded(k.ComparedNs!.Value.Replay))]));
        page.Bars("Difference by kind of operator", $"Time {where}: to the right, the replay takes longer. What differs most comes first.",
            "kinds of operators", "ms", [.. kinds.Select(k => k.Name)], signed: true,
            ("replay less original", [.. kinds.Select(k => Rounded(k.DifferenceNs))]));
        if (report.IsByDevice)
            page.Table("Kinds of operators, on the device and on the host", FidelityText.GroupHead(report),
                ordered.Select(FidelityText.GroupRow), folded: true);
    }

    private static void WriteTimelines(HtmlPage page, Run original, Run replay)
    {
        string[] names = [.. original.Timeline.Concat(replay.Timeline).Select(s => s.Name).Distinct()];
        var places = names.Index().ToDictionary(n => n.Item, n => n.Index);
        page.Timeline("Timelines",
            "Operators on the host. The grey band is the whole iteration, to the line at its end; what is free of operators is between "
            + "them. Ctrl and the wheel zoom, dragging moves, a double click shows all. Operators that were timed one by one are laid "
            + "end to end.", names, Row("original", original), Row("replay", replay));

        (string, double, int[], double[], double[]) Row(string name, Run run)
        {
            double scale = ScaleOf(run);
            return (name, Math.Round(IterationOf(run) / 1e3, 2), [.. run.Timeline.Select(s => places[s.Name])],
                [.. run.Timeline.Select(s => Math.Round(s.StartNs * scale / 1e3, 2))],
                [.. run.Timeline.Select(s => Math.Round(s.DurationNs * scale / 1e3, 2))]);
        }
    }

    private static double IterationOf(Run run) => run.Times.SamplesNs.IsEmpty ? EndOf(run) : run.Times.MedianNs;

    private static double EndOf(Run run) => run.Timeline.Select(s => s.StartNs + s.DurationNs).DefaultIfEmpty(0).Max();

    /// <summary>
    /// What brings a timeline to the run's own iteration: its spans may be scaled to an iteration that was measured at another time.
    /// The times of the groups tell, which are of the same operators before any scaling.
    /// </summary>
    private static double ScaleOf(Run run)
    {
        double instrumented = run.Groups.Values.Sum(g => g.TimeNs ?? 0), scaled = run.Timeline.Sum(s => s.DurationNs);
        double iteration = IterationOf(run), end = EndOf(run);
        double scale = run.InstrumentedNs is > 0 and { } whole && instrumented > 0 && scaled > 0
            ? iteration / whole * (instrumented / scaled) : 1;
        return end * scale > iteration ? iteration / end : scale;
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
