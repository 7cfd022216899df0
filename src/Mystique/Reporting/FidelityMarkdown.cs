using System.Globalization;
using System.Text;
using Mystique.Planning;

namespace Mystique.Reporting;

/// <summary>A comparison as Markdown, for pull requests.</summary>
internal static class FidelityMarkdown
{
    private const int MaxKinds = 15;

    /// <summary>The report.</summary>
    /// <param name="report">The comparison.</param>
    public static string Of(FidelityReport report)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"## {MarkdownText.Escape(report.Replay.Name)} against "
                + $"{MarkdownText.Escape(report.Original.Name)}\n\n{MarkdownText.EscapeLine(FidelityText.Headline(report))}.\n\n");
        Table(text, ["measure", "original", "replay", "difference"], FidelityText.Rows(report)
            .Select(r => new[] { r.Name, r.Original, r.Replay, r.Difference }));
        List(text, "Findings", FindingText.Of(report));
        var kinds = report.Groups.Take(MaxKinds).Where(k => k.ComparedNs is not null).ToArray();
        if (kinds.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"### Time by kind of operator, {FidelityText.TimeOf(report)}, what explains most first\n\n");
            Table(text, FidelityText.GroupHead(report), kinds.Select(FidelityText.GroupRow));
        }
        if (!report.Labels.IsEmpty)
        {
            text.Append("### Time by label of the original, what explains most first\n\n");
            Table(text, ["label", "operators", "original ms", "replay ms", "difference ms"], report.Labels.Take(MaxKinds)
                .Select(l => FidelityText.LabelRow(l)));
        }
        if (report.Replay.Coverage is { Replaced: { Length: > 0 } replaced })
        {
            text.Append("### Not run as recorded\n\n");
            Table(text, ["operator", "count", "instead", "reason"], replaced.Select(r =>
                new[] { r.Name, Figures.Number(r.Count), ReplacedGroup.InsteadOf(r.Remedy, r.By), r.Reason }));
        }
        List(text, "What could not be compared", report.Notes);
        text.Append("### Where it was measured\n\n");
        Table(text, ["", "original", "replay"], report.Original.Provenance.Select(p => p.Name)
            .Union(report.Replay.Provenance.Select(p => p.Name))
            .Select(name => new[] { name, ValueOf(report.Original, name), ValueOf(report.Replay, name) }));
        return text.ToString().TrimEnd('\n') + "\n";
    }

    private static string ValueOf(Run run, string name) =>
        string.Join("; ", run.Provenance.Where(p => p.Name == name).Select(p => p.Value));

    private static void List(StringBuilder text, string title, IReadOnlyCollection<string> items)
    {
        if (items.Count == 0)
            return;
        text.Append(CultureInfo.InvariantCulture, $"### {title}\n\n");
        foreach (string item in items)
            text.Append(CultureInfo.InvariantCulture, $"- {MarkdownText.EscapeLine(item)}\n");
        text.Append('\n');
    }

    private static void Table(StringBuilder text, string[] head, IEnumerable<string[]> rows)
    {
        text.Append(CultureInfo.InvariantCulture,
            $"| {string.Join(" | ", head)} |\n| {string.Join(" | ", head.Select((_, i) => i == 0 ? "---" : "---:"))} |\n");
        foreach (string[] row in rows)
            text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", row.Select(MarkdownText.Escape))} |\n");
        text.Append('\n');
    }
}
