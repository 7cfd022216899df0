using Mystique.Planning;
using Mystique.Reporting;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>What of a plan runs, and why the rest does not.</summary>
internal static class PlanTables
{
    private const int MaxReasons = 20;

    public static void WriteCoverage(ReplayPlan plan)
    {
        Terminal.Out.WriteLine($"coverage: {Terminal.Number(plan.ReplayedCount)} of {Terminal.Number(plan.SelectedCount)} operators ({Terminal.Percent(plan.Coverage)})");
        var reasons = SkippedKind.Of(plan);
        if (reasons.IsEmpty)
            return;
        var table = Terminal.Table("left out", "operator", "count").AddColumn("reason");
        foreach (var kind in reasons.Take(MaxReasons))
            table.Row(kind.Name, Terminal.Number(kind.Count), kind.Reason);
        if (reasons.Length > MaxReasons)
            table.Row($"and {reasons.Length - MaxReasons} kinds more", "", "");
        Terminal.Out.Write(table);
    }
}
