using Mystique.Planning;
using Mystique.Reporting;
using Mystique.Verification;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>What of a plan runs, and why the rest does not.</summary>
internal static class PlanTables
{
    private const int MaxReasons = 20;

    /// <param name="plan">The plan.</param>
    /// <param name="verification">What of it ran; null where nobody looked.</param>
    /// <param name="hasRun">Whether it ran at all.</param>
    public static void WriteCoverage(ReplayPlan plan, VerificationResult? verification = null, bool hasRun = false)
    {
        Terminal.WriteLine(verification is not null ? $"coverage: {Describe(verification.Classes)}"
            : hasRun ? $"coverage: not verified; {Describe(plan)}" : $"coverage: {Describe(plan)}");
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

    /// <summary>What the framework's level of a benchmark leaves to autograd, or why there is none.</summary>
    public static void WriteLevels(Benchmark benchmark)
    {
        if (benchmark.Framework is not { Plan: var plan })
        {
            Terminal.WriteLine($"levels: operator; {benchmark.WhyNoFramework}");
            return;
        }
        int calls = plan.Operators.Count(o => !o.Backward.IsEmpty);
        Terminal.WriteLine($"levels: operator, framework ({Figures.Number(plan.Operators.Sum(o => o.Backward.Length))} backward operators "
            + $"left to autograd, in {calls} call{(calls == 1 ? "" : "s")})");
        foreach (string note in plan.Source.Notes.Except(benchmark.Plan.Source.Notes))
            Terminal.WriteLine($"note: {note}");
    }

    /// <summary>How many operators are planned to run as recorded, and what is planned for the others.</summary>
    private static string Describe(ReplayPlan plan) =>
        $"{Figures.Number(plan.ReplayedCount)} of {Figures.Number(plan.SelectedCount)} operators planned as recorded "
        + $"({Figures.Share(plan.PlannedShare)})" + Others([(plan.CountOf(Remedy.Substitute), "substituted"),
            (plan.CountOf(Remedy.StandIn), "stand-ins"), (plan.CountOf(Remedy.Missing), "missing")]);

    /// <summary>How many operators ran as recorded, and what became of the others.</summary>
    public static string Describe(OperatorClasses classes) =>
        $"{Figures.Number(classes.Exact)} of {Figures.Number(classes.Selected)} operators as recorded "
        + $"({Figures.Share(classes.RecordedShare)}"
        + (classes.RecordedTimeShare is { } time ? $"; {Figures.Share(time)} of the original's time in operators)" : ")")
        + Others([(classes.OtherImplementation, "done another way by the device"),
            (classes.TargetsOwn, "in the target's own backward passes"), (classes.TargetsMore, "more in those"),
            (classes.Variant, "with other strides or overloads"), (classes.Different, "with other shapes or types"),
            (classes.Substituted, "substituted"), (classes.StandIn, "stand-ins"), (classes.Missing, "missing"),
            (classes.Unplanned, "unplanned")]);

    private static string Others((int Count, string Name)[] others) =>
        string.Concat(others.Where(o => o.Count > 0).Select(o => $", {Figures.Number(o.Count)} {o.Name}"));
}
