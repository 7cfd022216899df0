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
        Terminal.WriteLine($"coverage: {Describe(plan)}");
        if (plan.Operators.Sum(o => o.Arguments.Count(a => a.IsPrepared)) is > 0 and int prepared)
            Terminal.WriteLine($"prepared inputs: {Figures.Number(prepared)} (tensors whose values decide what an operator does, and that "
                + $"the replay would not compute)");
        if (plan.Times is { DeviceNs: > 0 } times)
            Terminal.WriteLine($"device: {Terminal.Milliseconds(times.DeviceNs)} of work in "
                + $"{Figures.Number(times.Kernels.Sum(k => k.Count))} kernels and copies that operators started; "
                + $"{Figures.Percent(times.UnexplainedShare)} of that time belongs to no operator");
        foreach (string note in plan.Source.Notes)
            Terminal.WriteLine($"note: {note}");
        var kinds = ReplacedGroup.Of(plan);
        if (kinds.IsEmpty)
            return;
        var table = Terminal.Table("not run as recorded", "operator", "count").AddColumn("instead").AddColumn("reason");
        foreach (var kind in kinds.Take(MaxReasons))
            table.Row(kind.Name, Figures.Number(kind.Count), kind.Instead, kind.Reason);
        if (kinds.Length > MaxReasons)
            table.Row($"and {kinds.Length - MaxReasons} more kinds", "", "", "");
        Terminal.Write(table);
    }

    /// <summary>How many operators run as recorded, and what becomes of the others.</summary>
    public static string Describe(ReplayPlan plan)
    {
        string text = $"{Figures.Number(plan.ReplayedCount)} of {Figures.Number(plan.SelectedCount)} operators as recorded "
            + $"({Figures.Percent((double)plan.ReplayedCount / Math.Max(1, plan.SelectedCount))})";
        foreach (var (remedy, name) in ((Remedy, string)[])[(Remedy.Substitute, "substituted"), (Remedy.StandIn, "stand-ins"),
            (Remedy.Missing, "missing")])
            if (plan.CountOf(remedy) is > 0 and int count)
                text += $", {Figures.Number(count)} {name}";
        return text;
    }
}
