using System.Globalization;

namespace Mystique.Reporting;

/// <summary>The top of a comparison's page: how good it is, the key figures, what is wrong, and what to do about it.</summary>
internal static class FidelityVerdict
{
    /// <summary>An error of less is close, whatever the noise.</summary>
    private const double Close = 0.05;

    /// <summary>An error of more is far off.</summary>
    private const double Far = 0.15;

    /// <summary>Writes verdict, tiles, findings and fixes.</summary>
    public static void WriteTop(HtmlPage page, FidelityReport report)
    {
        var (level, word, sentence, detail) = Of(report);
        page.Title(sentence, detail, level, word, TilesOf(report));
        Write(page, report, "What is wrong", "Something else ran than in the original.", f => f.Severity == FindingSeverity.Error);
        bool isClose = report.Time is { } time && LevelOf(time.Error, report) == PageLevel.Good;
        bool IsOfTime(Finding f) => f.Severity == FindingSeverity.Info;
        if (!isClose)
            Write(page, report, "What explains the difference in time", "Parts of more than 1 % of the iteration; the share is that of "
                + "the iteration.", IsOfTime);
        Write(page, report, "Worth knowing", "Differences that are no error by themselves.", f =>
            f.Severity == FindingSeverity.Warning || isClose && IsOfTime(f));
        page.List("What to do next", NextOf(report, isClose));
    }

    /// <summary>The colour, the word, the sentence, and what goes beyond time.</summary>
    public static (PageLevel Level, string Word, string Sentence, string? Detail) Of(FidelityReport report)
    {
        int wrong = report.Findings.Count(f => f.Severity == FindingSeverity.Error);
        string? ran = wrong == 0 ? null : wrong == 1 ? "One kind of operator or kernel runs more or less often."
            : string.Create(CultureInfo.InvariantCulture, $"{wrong} kinds of operators or kernels run more or less often.");
        // A time that is close says nothing of what did not run.
        string? lost = report.Replay.Coverage is null ? null : report.LostShare switch
        {
            null => "The replay was not verified: what ran is not known.",
            > 0 and var share => $"The work of {Figures.Percent(Math.Ceiling(share * 1000) / 1000)} of the operators was not done.",
            _ => null,
        };
        ran = lost is null ? ran : ran is null ? lost : $"{lost} {ran}";
        if (report.Time is not { } time)
            return (wrong > 0 ? PageLevel.Bad : PageLevel.None, wrong > 0 ? "differs" : "not comparable",
                "The iteration times cannot be compared.", ran);
        var level = wrong > 0 ? PageLevel.Bad : LevelOf(time.Error, report);
        if (lost is not null && level == PageLevel.Good)
            level = PageLevel.Warn;
        string replay = $"The replay{FidelityText.AtLevel(report)}";
        string sentence = Math.Abs(time.Error) < 0.0005 ? $"{replay} takes as long as the original." : string.Create(
            CultureInfo.InvariantCulture,
            $"{replay} is {Math.Abs(time.Error):0.0 %} {(time.Error < 0 ? "faster" : "slower")} than the original.");
        string word = wrong > 0 ? "differs" : lost is not null ? "incomplete"
            : level switch { PageLevel.Good => "close", PageLevel.Warn => "noticeable", _ => "far off" };
        return (level, word, sentence, ran ?? (report.Findings.IsEmpty ? "Nothing differs noticeably." : null));
    }

    private static PageLevel LevelOf(double error, FidelityReport report) =>
        Math.Abs(error) <= Math.Max(Close, report.NoiseFloor ?? 0) ? PageLevel.Good
        : Math.Abs(error) <= Math.Max(Far, report.NoiseFloor ?? 0) ? PageLevel.Warn : PageLevel.Bad;

    private static IEnumerable<PageTile> TilesOf(FidelityReport report)
    {
        var (original, replay) = (report.Original, report.Replay);
        if (report.Time is { } time)
            yield return new("iteration time", Figures.Difference(time.Error),
                $"{FidelityText.Milliseconds(original.Times.MedianNs)} → {FidelityText.Milliseconds(replay.Times.MedianNs)}; "
                + $"95 %: {Figures.Difference(time.Low)} to {Figures.Difference(time.High)}", LevelOf(time.Error, report));
        if (report.Control is { } control)
            yield return new("A/A control", Figures.Difference(control.Error), "a second process of the original");
        else if (report.NoiseFloor is { } noise)
            yield return new("noise floor", Figures.Percent(noise), "the original against itself");
        if (report.CpuTimeError is { } cpu)
            yield return new("CPU time", Figures.Difference(cpu),
                $"{FidelityText.Milliseconds(original.CpuTimeNs!.Value)} → {FidelityText.Milliseconds(replay.CpuTimeNs!.Value)}",
                LevelOf(cpu, report));
        if (report.MemoryError is { } memory)
        {
            bool isOfTensors = original.AllocatedBytes is not null && replay.AllocatedBytes is not null;
            double a = isOfTensors ? original.AllocatedBytes!.Value : original.UsedBytes!.Value;
            double b = isOfTensors ? replay.AllocatedBytes!.Value : replay.UsedBytes!.Value;
            yield return new(isOfTensors ? "peak memory of tensors" : "peak memory", Figures.Difference(memory),
                $"{Figures.Megabytes(a)} → {Figures.Megabytes(b)}", LevelOf(memory, report));
        }
        if (report is { DeviceMemoryError: { } device, DevicePeak: { } peak })
            yield return new("peak memory of the device", Figures.Difference(device),
                $"{Figures.Megabytes(peak.Original)} → {Figures.Megabytes(peak.Replay)}",
                LevelOf(device, report));
        if (replay.Coverage is not { } coverage)
            yield break;
        yield return new("operators as recorded", FidelityText.CoverageOf(coverage), FidelityText.RecordedOf(coverage)
            + (coverage.Classes is { Substituted: > 0 and var others } ? $"; {Figures.Number(others)} substituted" : ""),
            coverage.Classes?.WorkShare switch { null => null, >= 1 => PageLevel.Good, >= 0.99 => PageLevel.Warn, _ => PageLevel.Bad });
        int end = coverage.Verification.IndexOfAny([':', ',', ';']);
        string word = end < 0 ? coverage.Verification : coverage.Verification[..end];
        yield return new("verification", word, end < 0 ? null : coverage.Verification[(end + 1)..].Trim(),
            word == "exact" ? PageLevel.Good : null);
    }

    private static void Write(HtmlPage page, FidelityReport report, string heading, string hint, Func<Finding, bool> isIn) =>
        page.Table(heading, ["what", "original", "replay", "difference"], report.Findings.Where(isIn).Select(f => RowOf(f, report)),
            hint: hint);

    /// <summary>A finding's numbers, in its unit.</summary>
    private static string[] RowOf(Finding finding, FidelityReport report)
    {
        var (a, b) = (finding.Original, finding.Replay);
        string share = finding.Error is { } error ? Figures.Difference(error) : "";
        string ofIteration = string.Create(CultureInfo.InvariantCulture,
            $"{Figures.DifferenceInMilliseconds(b - a)} ms ({Figures.Difference((b - a) / report.Original.Times.MedianNs)})");
        (string what, string left, string right, string difference) = finding.Kind switch
        {
            FindingKind.OtherDevice => ("device", report.Original.DeviceKind ?? "", report.Replay.DeviceKind ?? "", ""),
            FindingKind.OperatorCount => ($"calls of {finding.Subject}", Count(a), Count(b), Signed(b - a)),
            FindingKind.KernelCount => ($"calls of the kernel {finding.Subject}", Count(a), Count(b), Signed(b - a)),
            FindingKind.MemoryPeak => ("peak memory", Figures.Megabytes(a), Figures.Megabytes(b), share),
            FindingKind.AllocatedBytes => ($"bytes that {finding.Subject} allocates", Figures.Megabytes(a), Figures.Megabytes(b), share),
            FindingKind.PageFaults => ("page faults of an iteration", Count(a), Count(b), share),
            FindingKind.OperatorOrder => ("operators in the original's order", "", Figures.Percent(b), ""),
            FindingKind.OperatorTime => ($"time of {finding.Subject}{(report.IsByDevice ? " on the device" : "")}",
                FidelityText.Milliseconds(a), FidelityText.Milliseconds(b), ofIteration),
            FindingKind.BetweenOperators => ("time between operators", FidelityText.Milliseconds(a), FidelityText.Milliseconds(b),
                ofIteration),
            FindingKind.DeviceIdle => ("time of the idle device", FidelityText.Milliseconds(a), FidelityText.Milliseconds(b),
                ofIteration),
            _ => (finding.Kind.ToString(), Count(a), Count(b), share),
        };
        return [what, left, right, difference];

        static string Count(double value) => value.ToString("N0", CultureInfo.InvariantCulture);
        static string Signed(double value) => value.ToString("+#,0;-#,0;0", CultureInfo.InvariantCulture);
    }

    /// <summary>The findings' fixes, each once, the worst finding's first; a time that is close needs none.</summary>
    private static string[] NextOf(FidelityReport report, bool isClose) =>
    [
        .. report.Findings.Where(f => f.Fix is not null && !(isClose && f.Severity == FindingSeverity.Info))
            .OrderByDescending(f => f.Severity).GroupBy(f => f.Fix!)
            .Select(g => $"{g.Key} (for {For(g.First())}{(g.Count() > 1 ? $", and {g.Count() - 1} more" : "")})"),
        .. report is { Time: not null, NoiseFloor: null } ? (string[])["`mystique capture --noise 5` measures the original's own spread, "
            + "which tells what of a difference is chance"] : [],
    ];

    private static string For(Finding finding) => finding.Subject ?? finding.Kind switch
    {
        FindingKind.MemoryPeak => "the peak of memory",
        FindingKind.PageFaults => "page faults",
        FindingKind.OperatorOrder => "the order of operators",
        FindingKind.DeviceIdle => "the time of the idle device",
        _ => "the time between operators",
    };
}
