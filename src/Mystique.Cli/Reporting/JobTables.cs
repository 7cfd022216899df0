using Mystique.Packaging.Jobs;
using Mystique.Reporting;

namespace Mystique.Cli.Reporting;

/// <summary>The benchmark of a job of several ranks, for people.</summary>
internal static class JobTables
{
    public static void Write(JobBenchmark job)
    {
        Terminal.WriteLine($"{Figures.Number(job.WorldSize)} ranks, {Figures.Number(job.Programs.Length)} "
            + $"{(job.Programs.Length == 1 ? "program" : "programs")}, {Figures.Number(job.Groups.Length)} process "
            + $"{(job.Groups.Length == 1 ? "group" : "groups")}");
        foreach (var (i, program) in job.Programs.Index())
        {
            Terminal.WriteLine($"program {i}, of {RanksReport.Ranges(job.Ranks.Where(r => r.Program == i).Select(r => r.Rank))}: "
                + $"{Figures.Number(program.Plan.Operators.Count(o => o.Collective?.Call is { WaitsFor: null }))} calls between ranks");
            PlanTables.WriteCoverage(program.Plan);
            PlanTables.WriteLevels(program);
        }
        if (job.MadeUp.Any())
            Terminal.WriteLine($"not recorded, and made of others: {RanksReport.Ranges(job.MadeUp.Select(r => r.Rank))}");
        foreach (string note in job.Notes)
            Terminal.WriteLine($"note: {note}");
    }
}
