using Mystique.Execution.Jobs;
using Mystique.Ranks;
using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>What the ranks of a job did together, as a page.</summary>
internal static class JobRunHtml
{
    private const int MaxTimelines = 16;

    /// <summary>Writes it as a page that opens anywhere.</summary>
    public static void Write(JobRunDocument run, JobRun seen, string name, Stream stream)
    {
        var page = new HtmlPage(name);
        var iteration = run.Iteration;
        int different = run.Ranks.Count(r => r.Calls is { } calls && calls.Exact < calls.Recorded);
        bool isObserved = run.Ranks.All(r => r.Calls is not null);
        page.Title(VerdictOf(run, different, isObserved), ModeOf(run), different > 0 ? PageLevel.Bad : isObserved && run.Mode == "together"
            ? PageLevel.Good : PageLevel.Warn, different > 0 ? "different" : run.Mode,
        [
            new("iteration", FidelityText.Milliseconds(iteration.MedianNs), iteration.OriginalNs is { } original
                ? $"original {FidelityText.Milliseconds(original)}" : "the original's is not known"),
            new("ranks", Figures.Number(run.Ranks.Length), $"of {Figures.Number(run.WorldSize)}"),
            new("slowest", $"rank {iteration.SlowestRank}", "most often"),
        ]);
        var shown = (seen.Observed?.Ranks ?? []).Where(r => r.Times.IterationNs is not null).Take(MaxTimelines).ToArray();
        string[] kinds = [.. shown.SelectMany(r => r.Calls).Select(c => CollectiveNames.NameOf(c.Kind)).Distinct()];
        page.Timeline("Calls of each rank",
            "One profiled iteration of the replay: when each rank was in which call. Times are each rank's own.",
            kinds, [.. shown.Select(r => RowOf(r, kinds))]);
        page.Table("Ranks", ["rank", "iteration", "original", "blocked in calls", "calls as recorded", "exposed", "original's"],
            run.Ranks.Select(RowOf));
        if (run.Observed is { } observed)
            page.Table("Calls by kind", ["collective", "group of", "count", "time", "skew"], observed.Kinds.Select(k => new[]
            {
                k.Kind, k.GroupSize is { } size ? Figures.Number(size) : "not known", Figures.Number(k.Count),
                k.TimeNs is { } time ? FidelityText.Milliseconds(time) : "not known",
                k.SkewNs is { } skew ? FidelityText.Milliseconds(skew) : "not known",
            }));
        page.List("Stragglers", [.. Stragglers(run)], "Ranks whose median iteration or arrival is later than the others'.");
        page.List("What differs", [.. run.Ranks.SelectMany(r => (r.Calls?.Differences ?? []).Select(d => $"rank {r.Rank}: {d}"))]);
        page.List("Notes", run.Notes);
        page.Write(stream);
    }

    /// <summary>Ranks that wait least in calls: the others wait for them.</summary>
    internal static IEnumerable<string> Stragglers(JobRunDocument run)
    {
        var blocked = run.Ranks.Where(r => r.Result.Communication is not null).OrderBy(r => r.Result.Communication!.BlockedNs).ToArray();
        if (blocked.Length < 2)
            yield break;
        long least = blocked[0].Result.Communication!.BlockedNs, middle = blocked[blocked.Length / 2].Result.Communication!.BlockedNs;
        if (middle - least > run.Iteration.MedianNs / 20)
            yield return $"rank {blocked[0].Rank} is blocked in calls for {FidelityText.Milliseconds(least)} of an iteration, the middle "
                + $"rank for {FidelityText.Milliseconds(middle)}: the others wait for it";
    }

    private static string VerdictOf(JobRunDocument run, int different, bool isObserved) =>
        different > 0 ? $"{different} of {run.Ranks.Length} ranks made other calls than were recorded."
        : run.Iteration is { Error: { } error } && run.Mode != "alone"
            ? $"An iteration takes {Figures.Difference(error)} against the original's."
        : isObserved ? "All calls between ranks were made as recorded." : "The ranks ran; their calls were not observed.";

    private static string ModeOf(JobRunDocument run) => run switch
    {
        { Emulation: { IsProjection: true } projection } =>
            $"A projection to {projection.WorldSize} ranks: computation ran, calls waited as long as a model has it. No measurement.",
        { Emulation: not null } => "Calls with ranks that are not there waited as long as in the original.",
        { Mode: "alone" } => "Each rank ran alone: local work stands for its calls.",
        _ => "All ranks ran together, and made their calls on PyTorch's process groups.",
    };

    private static (string, double, int[], double[], double[]) RowOf(RankTrace rank, string[] kinds)
    {
        var calls = rank.Calls.Where(c => rank.Times.Calls.ContainsKey(c.Start.Id)).ToArray();
        return ($"rank {rank.Rank}", rank.Times.IterationNs!.Value / 1e6,
            [.. calls.Select(c => Array.IndexOf(kinds, CollectiveNames.NameOf(c.Kind)))],
            [.. calls.Select(c => rank.Times.Calls[c.Start.Id].StartNs / 1e6)],
            [.. calls.Select(c => rank.Times.Calls[c.Start.Id].DurationNs / 1e6)]);
    }

    private static string[] RowOf(JobRankDocument rank)
    {
        var (original, replay) = rank.ExposedShares;
        return
        [
            Figures.Number(rank.Rank) + (rank.MadeOf is { } source ? $" (of {source})" : ""),
            FidelityText.Milliseconds(rank.Result.Iterations.MedianNs),
            rank.Original?.IterationNs is { } known ? FidelityText.Milliseconds(known) : "not known",
            rank.Result.Communication is { } communication ? FidelityText.Milliseconds(communication.BlockedNs) : "not known",
            rank.Calls is { } calls ? $"{calls.Exact} of {calls.Recorded}" : "not observed",
            replay is { } own ? Figures.Percent(own) : "not known", original is { } theirs ? Figures.Percent(theirs) : "not known",
        ];
    }
}
