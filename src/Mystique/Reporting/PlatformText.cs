using System.Globalization;
using Mystique.Fidelity;

namespace Mystique.Reporting;

/// <summary>What is said of replays on platforms.</summary>
internal static class PlatformText
{
    /// <summary>What the observer saw on a platform, and on the reference where not all ran as recorded there.</summary>
    /// <param name="run">The replay on the platform.</param>
    /// <param name="reference">The same on the reference.</param>
    /// <param name="referenceName">The reference's name.</param>
    public static string VerificationOf(LevelRun run, LevelRun reference, string referenceName) =>
        VerificationOf(run) + (reference.IsExact ? "" : $"; on {referenceName}: {VerificationOf(reference)}");

    /// <summary>What ran of a job, by platform: the reference first.</summary>
    public static IEnumerable<string> NotesOf(PlatformOutcome outcome, string referenceName)
    {
        foreach (var run in outcome.Reference)
            foreach (string note in NotesOf(run, referenceName))
                yield return note;
        foreach (var change in outcome.Changes)
        {
            foreach (string note in change.Levels.SelectMany(l => NotesOf(l.Run, change.Platform)))
                yield return note;
            foreach (var run in change.Levels.Select(l => l.Run).Where(r => change.Threads is { } threads && r.Engine.Threads != threads))
                yield return $"{change.Platform}, {run.Level} replay: the original had {change.Threads} threads within operators, the "
                    + $"replay {run.Engine.Threads}: the job sets them itself, or the platform's line does not say how many it has";
        }
        foreach (var (platform, why) in outcome.Failures)
            yield return $"{platform}: not measured: {why}";
    }

    private static IEnumerable<string> NotesOf(LevelRun run, string platform)
    {
        string who = $"{platform}, {run.Level} replay: ";
        string versions = string.Join(", ", run.Engine.Versions.Select(v => $"{v.Key} {v.Value}"));
        yield return who + string.Create(CultureInfo.InvariantCulture,
            $"{versions} on {run.Engine.Device}, {run.Engine.Threads} threads; {VerificationOf(run)}");
        if (run.WhyNotVerified is { } why)
            yield return who + $"not verified: {why}";
        foreach (var change in run.Program.Changes.CountBy(c => (c.Operator, c.Change, c.By, c.Reason)))
            yield return who + $"{change.Key.Operator} ({change.Value}): {change.Key.Change.Replace('_', ' ')}"
                + $"{(change.Key.By.Length > 0 ? $" by {change.Key.By}" : "")}: {change.Key.Reason}";
        foreach (var difference in (run.Verification?.Differences ?? []).CountBy(d => (d.Operator, d.What)).Take(5))
            yield return who + $"{difference.Key.Operator} ({difference.Value}): {difference.Key.What}";
        foreach (string note in run.Engine.Notes)
            yield return who + note;
    }

    private static string VerificationOf(LevelRun run)
    {
        var seen = run.Verification;
        string text = ReplayRun.DescribeVerification(seen);
        return seen is { IsExact: true, Classes: var classes } && !run.IsExact
            ? $"{text}; {Figures.Number(classes.Exact)} of {Figures.Number(classes.Selected)} as recorded" : text;
    }
}
