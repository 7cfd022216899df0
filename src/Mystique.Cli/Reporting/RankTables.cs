using Mystique.Ranks;
using Mystique.Reporting;

namespace Mystique.Cli.Reporting;

/// <summary>What is between the ranks of a job, for people.</summary>
internal static class RankTables
{
    private const int MaxMismatches = 20;

    public static void Write(RankJob job, string name)
    {
        Terminal.WriteLine($"{name}: {Figures.Number(job.Ranks.Length)} of {Figures.Number(job.WorldSize)} ranks are recorded, and "
            + $"{Figures.Number(job.Matched.Length)} calls that all recorded members of a group make"
            + (job.Missing.IsEmpty ? "" : $"; not recorded: {RanksReport.Ranges(job.Missing)}"));
        Fill("collectives of an iteration", RanksReport.Kinds, RanksReport.KindRows(job));
        Fill("process groups", RanksReport.Groups, RanksReport.GroupRows(job));
        Fill("ranks", RanksReport.Columns, RanksReport.RankRows(job));
        WriteTraffic(job);
        if (job.Mismatches.IsEmpty)
            return;
        Fill("what does not go together", ["what", "group", "found"], job.Mismatches.Take(MaxMismatches)
            .Select(m => new[] { m.Kind.ToString(), m.Group ?? "", m.What }));
        if (job.Mismatches.Length > MaxMismatches)
            Terminal.WriteLine($"and {Figures.Number(job.Mismatches.Length - MaxMismatches)} more (--json has all)");
    }

    private static void WriteTraffic(RankJob job)
    {
        var traffic = RankTraffic.Of(job);
        int[] ranks = [.. traffic.Keys.SelectMany(k => new[] { k.From, k.To }).Distinct().Order()];
        if (ranks.Length is 0 or > RanksReport.MaxMatrix)
            return;
        Fill("megabytes from a rank (row) to another (column), the least that any algorithm has to move",
            ["from", .. ranks.Select(r => Figures.Number(r))], ranks.Select(from => (string[])[Figures.Number(from),
                .. ranks.Select(to => traffic.TryGetValue((from, to), out long bytes) ? Figures.Megabytes(bytes) : "")]));
    }

    private static void Fill(string title, string[] columns, IEnumerable<string[]> rows)
    {
        var table = Terminal.Table(title, columns);
        foreach (string[] row in rows)
            table.Row(row);
        Terminal.Write(table);
    }
}
