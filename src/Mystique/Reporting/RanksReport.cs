using Mystique.Ranks;
using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>What is between the ranks of a job, for machines and as a page.</summary>
internal static class RanksReport
{
    /// <summary>Ranks whose traffic is shown as a matrix.</summary>
    public const int MaxMatrix = 16;

    /// <summary>Writes it as JSON; the fields are in <c>docs/result-format.md</c>.</summary>
    public static void WriteJson(RankJob job, Stream stream) => DocumentContext.Write(RanksDocument.Of(job), stream);

    /// <summary>Writes it as a page that opens anywhere.</summary>
    public static void WriteHtml(RankJob job, string name, Stream stream)
    {
        var page = new HtmlPage(name);
        bool fits = job.Mismatches.IsEmpty;
        page.Title(fits ? "The ranks' calls go together." : $"{Figures.Number(job.Mismatches.Length)} calls do not go together.",
            "As far as the traces tell, before anything runs.", fits ? PageLevel.Good : PageLevel.Bad, fits ? "fits" : "mismatch",
        [
            new("ranks", Figures.Number(job.Ranks.Length), $"of {Figures.Number(job.WorldSize)}"),
            new("process groups", Figures.Number(job.Groups.Length), "that make calls"),
            new("calls", Figures.Number(job.Matched.Length), "that all recorded members make"),
        ]);
        page.Table("What does not go together", ["what", "group", "ranks", "found"], job.Mismatches.Select(m => new[]
        {
            m.Kind.ToString(), m.Group ?? "", string.Join(", ", m.Ranks), m.What,
        }), [3]);
        page.Table("Calls by kind", Kinds, KindRows(job));
        page.Table("Process groups", Groups, GroupRows(job), [3]);
        page.Table("Ranks", Columns, RankRows(job), [7]);
        page.Table("Who gives whom how much", ["from", "to", "bytes"], RankTraffic.Of(job).OrderByDescending(t => t.Value).Take(200)
            .Select(t => new[] { Number(t.Key.From), Number(t.Key.To), Figures.Megabytes(t.Value) }), null,
            "The least that any algorithm has to move, shared out evenly; the 200 largest.");
        page.Write(stream);
    }

    /// <summary>The columns of <see cref="KindRows"/>.</summary>
    public static string[] Kinds { get; } =
        ["collective", "group of", "count", "bytes of a rank, together", "smallest", "largest", "time", "skew", "algbw", "busbw"];

    /// <summary>Calls by kind and size of the group.</summary>
    public static IEnumerable<string[]> KindRows(RankJob job) => RankKinds.Of(job).Select(k => new[]
    {
        CollectiveNames.NameOf(k.Kind), k.GroupSize is { } size ? Number(size) : "not known", Number(k.Count),
        k.Sized == 0 ? "not known" : Figures.Megabytes(k.Bytes) + (k.Sized < k.Count ? $" of {k.Sized}" : ""),
        k.Sized == 0 ? "" : Figures.Megabytes(k.SmallestBytes), k.Sized == 0 ? "" : Figures.Megabytes(k.LargestBytes),
        k.Timed == 0 ? "not known" : FidelityText.Milliseconds(k.TimeNs) + (k.Timed < k.Sized ? $" of {k.Timed}" : ""),
        k.SkewNs is { } skew ? FidelityText.Milliseconds(skew) : "", Bandwidth(k.AlgorithmBandwidth), Bandwidth(k.BusBandwidth),
    });

    /// <summary>The columns of <see cref="GroupRows"/>.</summary>
    public static string[] Groups { get; } = ["group", "for", "backend", "ranks", "calls of a rank"];

    /// <summary>Process groups that make calls.</summary>
    public static IEnumerable<string[]> GroupRows(RankJob job) => job.Groups.Select(g => new[]
    {
        g.Name, g.Description, g.Backend, g.Members.IsDefault ? g.Size is { } size ? $"{size} that are not known" : "not known"
            : Ranges(g.Members), Number(g.Calls.Values.Max(c => c.Length)),
    });

    /// <summary>The columns of <see cref="RankRows"/>.</summary>
    public static string[] Columns { get; } =
        ["rank", "trace", "calls", "that a node waits for", "iteration", "in calls", "exposed", "not known"];

    /// <summary>The recorded ranks.</summary>
    public static IEnumerable<string[]> RankRows(RankJob job) => job.Ranks.Select(r => new[]
    {
        Number(r.Rank), Path.GetFileName(r.Source), Number(r.Calls.Length), Number(r.Calls.Count(c => c.Wait is not null)),
        r.Times.IterationNs is { } iteration ? FidelityText.Milliseconds(iteration) : "not known",
        r.Times.InCallsNs is { } spent ? FidelityText.Milliseconds(spent) : "not known",
        r.Times.ExposedNs is { } exposed ? FidelityText.Milliseconds(exposed) : "not known", string.Join("; ", r.Notes),
    });

    /// <summary>Bytes a second; empty for not known.</summary>
    internal static string Bandwidth(double? bytes) => bytes is { } known
        ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{known / 1e9:0.00} GB/s") : "";

    /// <summary>Ranks in short: 0–7, 16.</summary>
    public static string Ranges(IEnumerable<int> ranks)
    {
        var parts = new List<(int First, int Last)>();
        foreach (int rank in ranks)
            if (parts.Count > 0 && parts[^1].Last + 1 == rank)
                parts[^1] = (parts[^1].First, rank);
            else
                parts.Add((rank, rank));
        string text = string.Join(", ", parts.Take(32).Select(p => p.First == p.Last ? Number(p.First) : $"{p.First}–{p.Last}"));
        return parts.Count > 32 ? text + ", …" : text;
    }

    private static string Number(int value) => Figures.Number(value);
}
