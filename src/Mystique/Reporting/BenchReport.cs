using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Measurement;

namespace Mystique.Reporting;

/// <summary>Comparisons of many workloads as one table (<c>docs/fidelity.md</c> has one).</summary>
internal static class BenchReport
{
    /// <summary>The table's head.</summary>
    public static ImmutableArray<string> Head { get; } =
        ["workload", "level", "operators", "coverage", "original ms", "replay ms", "error", "95 %", "A/A control", "unpaced",
        "CPU time", "memory", "verification"];

    /// <summary>A row.</summary>
    /// <param name="name">The workload.</param>
    /// <param name="report">Its comparison.</param>
    public static ImmutableArray<string> Row(string name, FidelityReport report)
    {
        var coverage = report.Replay.Coverage!;
        return
        [
            name, coverage.Level.Word(), Figures.Number(coverage.Selected), FidelityText.CoverageOf(coverage),
            Figures.InMilliseconds(report.Original.Times.MedianNs), Figures.InMilliseconds(report.Replay.Times.MedianNs),
                Signed(report.Time?.Error),
            report.Time is { } time ? $"{Figures.Difference(time.Low)} to {Figures.Difference(time.High)}"
                : "", Signed(report.Control?.Error), Signed(report.Unpaced?.Error),
            Signed(report.CpuTimeError), Signed(report.MemoryError), coverage.Verification,
        ];
    }

    /// <summary>The table, the findings for each workload, the machine and the command, as Markdown.</summary>
    /// <param name="outcomes">The comparisons, by workload.</param>
    /// <param name="changes">Pairs of workloads, of which the second is the first with something changed.</param>
    /// <param name="failures">Workloads that could not be compared, and why.</param>
    /// <param name="host">The machine.</param>
    /// <param name="rounds">Blocks of each process.</param>
    /// <param name="command">The command that makes it.</param>
    public static string ToMarkdown(IReadOnlyList<(string Name, FidelityReport Outcome)> outcomes,
        IReadOnlyList<(string From, string To)> changes, IReadOnlyList<(string Name, string Why)> failures, HostInfo host, int rounds,
        string command)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"# Fidelity\n\nMade by {MarkdownText.Code(command)} on {MarkdownText.Escape(host.Processor)}, {host.Processors} logical CPUs, "
                + $"{MarkdownText.Escape(host.OperatingSystem)}; {rounds} rounds, interleaved: in each, two processes of the original, "
                + $"the unpaced replay, and the replay at the original's pace run a block. Errors are medians over the rounds, each of "
                + $"a block's median, relative to the original; the A/A control is the error of the original's second process, as if it "
                + $"were a replay of the first. At the original's pace, replays wait between operators for the time that they lack; "
                + $"unpaced, the same replay does not wait. Memory is the most bytes of tensors at one time. Operators in findings are "
                + $"from one instrumented iteration of each side, with the machine's noise in it.\n\n");
        text.Append(CultureInfo.InvariantCulture,
            $"| {string.Join(" | ", Head)} |\n| {string.Join(" | ", Head.Select((_, i) => i == 0 ? "---" : "---:"))} |\n");
        foreach (var (name, outcome) in outcomes)
            text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", Row(name, outcome).Select(MarkdownText.Escape))} |\n");
        double[] errors = [.. outcomes.Where(r => r.Outcome.Time is not null).Select(r => Math.Abs(r.Outcome.Time!.Error))
            .Order()];
        if (errors.Length > 0)
            text.Append(CultureInfo.InvariantCulture,
                $"\nMedian error of the iteration time {Figures.Percent(Bootstrap.MedianOf(errors))}, largest "
                + $"{Figures.Percent(errors[^1])}.\n");
        WriteChanges(text, outcomes.ToDictionary(o => o.Name, o => o.Outcome), changes);
        foreach (var (name, outcome) in outcomes)
        {
            var report = outcome;
            text.Append(CultureInfo.InvariantCulture,
                $"\n## {MarkdownText.Escape(name)}\n\n{MarkdownText.EscapeLine(FidelityText.Headline(report))}.\n");
            foreach (string finding in FindingText.Of(report).Take(5))
                text.Append(CultureInfo.InvariantCulture, $"- {MarkdownText.EscapeLine(finding)}\n");
        }
        foreach (var (name, why) in failures)
            text.Append(CultureInfo.InvariantCulture, $"\n## {MarkdownText.Escape(name)}\n\nNot compared: {MarkdownText.Escape(why)}\n");
        return text.ToString();
    }

    /// <summary>How a change moves the original, and how it moves its replay: by how much the medians differ.</summary>
    private static void WriteChanges(StringBuilder text, Dictionary<string, FidelityReport> outcomes,
        IReadOnlyList<(string From, string To)> changes)
    {
        var known = changes.Where(c => outcomes.ContainsKey(c.From) && outcomes.ContainsKey(c.To)).ToArray();
        if (known.Length == 0)
            return;
        text.Append("\n## Sensitivity\n\nHow a change of the job moves the original's iteration time, and the replays': each replay is "
            + "of its own capture.\n\n| from | to | original | replay | replay unpaced |\n| --- | --- | ---: | ---: | ---: |\n");
        foreach (var (from, to) in known)
        {
            var (a, b) = (outcomes[from], outcomes[to]);
            double change = b.Original.Times.MedianNs / a.Original.Times.MedianNs;
            text.Append(CultureInfo.InvariantCulture,
                $"| {MarkdownText.Escape(from)} | {MarkdownText.Escape(to)} | {Figures.Difference(change - 1)} | "
                    + $"{Replayed(a.Time?.Error, b.Time?.Error)} | {Replayed(a.Unpaced?.Error, b.Unpaced?.Error)} |\n");

            // The two originals were measured at different times; the error of each replay is against its own, interleaved.
            string Replayed(double? errorFrom, double? errorTo) => Signed(change * (1 + errorTo) / (1 + errorFrom) - 1);
        }
    }

    private static string Signed(double? share) => share is { } value ? Figures.Difference(value) : "";
}
