using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Selection;

namespace Mystique.Packaging;

/// <summary>A benchmark's other level, where the target's autograd makes the backward passes.</summary>
/// <param name="Benchmark">The benchmark; null where there is none.</param>
/// <param name="Reason">Why there is none; empty where there is one.</param>
internal sealed record FrameworkBenchmark(Benchmark? Benchmark, string Reason)
{
    /// <summary>Makes it of what the operators' level was made of.</summary>
    /// <param name="segment">The selection of the operators' level.</param>
    /// <param name="operators">The plan of the operators' level.</param>
    /// <param name="options">What the user decides.</param>
    public static FrameworkBenchmark Of(Segment segment, ReplayPlan operators, PlanningOptions options)
    {
        var (selected, left) = FrameworkSelector.Select(segment);
        if (selected.Passes.IsEmpty)
            return new FrameworkBenchmark(null, left.IsEmpty ? "no backward pass was recorded, and both levels are the same"
                : $"{Subject(left.Length)}: {left[0].Reason}");
        var plan = PortableFit.Of(ReplayPlanner.Plan(selected, options), options);
        plan = plan with
        {
            LeastPeakBytes = PlanMemory.Of(operators).PeakBytes,
            Source = plan.Source with
            {
                Notes = [.. plan.Source.Notes, .. left.GroupBy(l => l.Reason).Select(g => $"{g.Count()} of "
                    + $"{selected.Passes.Length + left.Length} backward passes "
                    + $"{(g.Count() == 1 ? "is" : "are")} replayed operator by operator: {g.Key}")],
            },
        };
        return new FrameworkBenchmark(Mystique.Benchmark.Of(plan) with { Origin = new BenchmarkOrigin(selected, options) }, "");
    }

    private static string Subject(int passes) => passes == 1 ? "autograd could not repeat the backward pass"
        : $"autograd could not repeat any of {passes} backward passes, the first of them";
}
