using Mystique.Reporting;

namespace Mystique.Cli.Reporting;

/// <summary>A comparison, for people.</summary>
internal static class FidelityTables
{
    private const int MaxKinds = 12;

    public static void Write(FidelityReport report)
    {
        var table = Terminal.Table($"{report.Replay.Name} against {report.Original.Name}", "measure", "original", "replay", "difference");
        foreach (var (name, original, replay, difference) in FidelityText.Rows(report))
            table.Row(name, original, replay, difference);
        Terminal.Write(table);
        var kinds = report.Groups.Where(k => k.ComparedNs is not null).Take(MaxKinds).ToArray();
        if (kinds.Length > 0)
        {
            var times = Terminal.Table($"time by kind of operator, {FidelityText.TimeOf(report)}, largest difference first",
                FidelityText.GroupHead(report));
            foreach (var kind in kinds)
                times.Row(FidelityText.GroupRow(kind));
            Terminal.Write(times);
        }
        foreach (string finding in FindingText.Of(report))
            Terminal.WriteLine($"- {finding}");
        foreach (string note in report.Notes)
            Terminal.WriteLine($"note: {note}");
        Terminal.WriteLine(FidelityText.Headline(report));
    }
}
