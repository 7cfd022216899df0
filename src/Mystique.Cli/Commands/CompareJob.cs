using System.Collections.Immutable;
using System.Globalization;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Packaging.Jobs;
using Mystique.Ranks;
using Mystique.Recordings;
using Mystique.Reporting;
using Mystique.Reporting.Documents;

namespace Mystique.Cli.Commands;

/// <summary>What <c>mystique compare</c> does with a capture of several ranks: their run against it.</summary>
internal static class CompareJob
{
    /// <summary>Whether an original is of several ranks.</summary>
    public static bool IsOfRanks(string original) => RankFiles.Of(original).Length > 1;

    /// <summary>Compares a run's result with the capture.</summary>
    /// <param name="original">The capture.</param>
    /// <param name="replayed">The result, <c>mystique-job-run</c>.</param>
    /// <param name="json">Where the result goes with the capture's times; null for nowhere.</param>
    /// <param name="failAbove">The largest error of the iteration's time that passes; null for any.</param>
    /// <exception cref="MystiqueException">It is no such result (MYS123), or one of another number of ranks (MYS140).</exception>
    public static int Run(string original, string replayed, string? json, double? failAbove)
    {
        var run = ResultReader.ReadJob(replayed);
        var ranks = Inputs.OpenRanks(RankFiles.Of(original), strict: false).ToArray();
        int world = ranks.Max(r => Math.Max(r.Recording.Baseline?.WorldSize ?? 0, r.Rank + 1));
        if (world != run.WorldSize)
            throw Problems.JobsDiffer(replayed, run.WorldSize, world);
        var known = ranks.ToDictionary(r => r.Rank, r => TimesOf(r.Rank, r.Recording));
        ImmutableArray<JobRankDocument> compared = [.. run.Ranks.Select(r => r with { Original = known.GetValueOrDefault(r.Rank) })];
        run = run with
        {
            Ranks = compared,
            Iteration = JobIterationDocument.Of(compared, run.Emulation is null or { IsProjection: false }),
        };
        if (json is not null)
            Terminal.WriteFile(json, stream => DocumentContext.Write(run, stream));
        if (json != Terminal.StandardOutput)
            JobRunTables.Write(run);
        if (failAbove is not { } limit)
            return (int)ExitCode.Done;
        if (run.Iteration.Error is not { } error || run.Mode == "alone" || run.Ranks.Any(r => r.Calls is null && run.Mode == "together"))
        {
            Console.Error.WriteLine("the original's time is not known, or calls were not made or not observed: nothing could be judged");
            return (int)ExitCode.ReplayFailed;
        }
        bool hasLost = run.Ranks.Any(r => r.Calls is { } calls && calls.Exact < calls.Recorded);
        if (Math.Abs(error) > limit || hasLost)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"the iteration's error is {error:0.0 %}, and "
                + $"{(hasLost ? "calls are not as recorded" : "all calls are as recorded")}: allowed is {limit:0.0 %}"));
        return (int)(Math.Abs(error) > limit || hasLost ? ExitCode.TooFarOff : ExitCode.Done);
    }

    private static JobOriginal TimesOf(int rank, Recording recording)
    {
        var times = RankTrace.Of(recording, null, rank).Times;
        return new JobOriginal
        {
            IterationNs = recording.Baseline?.IterationNs,
            ProfiledNs = times.IterationNs,
            InCallsNs = times.InCallsNs,
            ExposedNs = times.ExposedNs,
        };
    }
}
