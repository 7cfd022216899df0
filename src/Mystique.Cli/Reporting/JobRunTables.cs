using Mystique.Reporting;
using Mystique.Reporting.Documents;

namespace Mystique.Cli.Reporting;

/// <summary>What the ranks of a job did together, for people.</summary>
internal static class JobRunTables
{
    private const int MaxRanks = 32;

    public static void Write(JobRunDocument run)
    {
        var iteration = run.Iteration;
        string mode = run.Mode switch
        {
            "alone" => ", each alone: local work stands for calls",
            "emulated" => "; the others are emulated by waits",
            _ => "",
        };
        Terminal.WriteLine($"iteration of {Figures.Number(run.Ranks.Length)} of {Figures.Number(run.WorldSize)} ranks{mode}: "
            + $"{Terminal.Milliseconds(iteration.MedianNs)}" + (iteration is { OriginalNs: { } original, Error: { } error }
                ? $"; the original's: {Terminal.Milliseconds(original)} ({Figures.Difference(error)} here)" : "")
            + (run.Ranks.Length > 1 ? $"; rank {iteration.SlowestRank} is the slowest most often" : ""));
        if (run.Emulation is { } emulation)
            Terminal.WriteLine($"emulated: calls with ranks that are not there wait, {Figures.Number(emulation.FromRecording)} as long as "
                + $"recorded, {Figures.Number(emulation.FromModel)} as long as a model has it"
                + (emulation.IsProjection ? $"; a projection to {Figures.Number(emulation.WorldSize)} ranks, not a measurement" : "")
                + (emulation.IntervalNs is [var low, var high] ? $"; by the model's interval {Terminal.Milliseconds(low)} to "
                    + Terminal.Milliseconds(high) : ""));
        WriteRanks(run);
        if (run.Observed is { } observed)
            WriteKinds(observed);
        foreach (string straggler in JobRunHtml.Stragglers(run))
            Terminal.WriteLine($"straggler: {straggler}");
        foreach (string note in run.Notes.Concat(run.Ranks.SelectMany(r => r.Result.Engine.Notes ?? [])).Distinct())
            Terminal.WriteLine($"note: {note}");
        if (run.MadeUpRanks.Length > 0)
            Terminal.WriteLine($"not recorded, and made of others: {RanksReport.Ranges(run.MadeUpRanks)}");
        foreach (var form in run.Ranks.SelectMany(r => r.Result.Communication?.ListForms ?? []).DistinctBy(f => f.Operator))
            Terminal.WriteLine($"in another form: {form.Operator} by {form.By} ({form.Count} in an iteration of a rank): {form.Reason}");
        foreach (var (rank, what) in run.Ranks.SelectMany(r => (r.Calls?.Differences ?? []).Take(3).Select(d => (r.Rank, d))))
            Terminal.WriteLine($"differs: rank {rank}, {what}");
    }

    private static void WriteRanks(JobRunDocument run)
    {
        var table = Terminal.Table("ranks", "rank", "iteration", "original", "operators as recorded", "calls as recorded", "blocked",
            "in calls, exposed", "original's");
        foreach (var rank in run.Ranks.Take(MaxRanks))
        {
            var (coverage, calls) = (rank.Result.Coverage, rank.Calls);
            table.Row(Figures.Number(rank.Rank) + (rank.MadeOf is { } source ? $" (of {source})" : ""),
                Terminal.Milliseconds(rank.Result.Iterations.MedianNs),
                rank.Original?.IterationNs is { } original ? Terminal.Milliseconds(original) : "not known",
                coverage.Share is { } share ? Figures.Share(share) : "not verified",
                calls is null ? "not observed" : $"{calls.Exact} of {calls.Recorded}"
                    + (calls.Made > calls.Recorded ? $", {calls.Made} made" : ""),
                rank.Result.Communication is { } communication ? Terminal.Milliseconds(communication.BlockedNs) : "",
                Times(rank.Profiled), Times(rank.Original));
        }
        Terminal.Write(table);
        if (run.Ranks.Length > MaxRanks)
            Terminal.WriteLine($"and {run.Ranks.Length - MaxRanks} more ranks (--json has all)");
    }

    private static string Times(Packaging.Jobs.JobOriginal? times) => times is { InCallsNs: { } spent, ExposedNs: { } exposed }
        ? $"{Terminal.Milliseconds(spent)}, {Terminal.Milliseconds(exposed)}"
            + (times.ProfiledNs is > 0 and { } whole ? $" ({Figures.Percent((double)exposed / whole)})" : "") : "not known";

    private static void WriteKinds(RanksDocument observed)
    {
        var table = Terminal.Table("calls between ranks, in one iteration of the replay", "collective", "group of", "count", "time", "skew",
            "algbw", "busbw");
        foreach (var kind in observed.Kinds)
            table.Row(kind.Kind, kind.GroupSize is { } size ? Figures.Number(size) : "not known", Figures.Number(kind.Count),
                kind.TimeNs is { } time ? Terminal.Milliseconds(time) : "not known",
                kind.SkewNs is { } skew ? Terminal.Milliseconds(skew) : "",
                RanksReport.Bandwidth(kind.AlgorithmBandwidth), RanksReport.Bandwidth(kind.BusBandwidth));
        Terminal.Write(table);
    }
}
