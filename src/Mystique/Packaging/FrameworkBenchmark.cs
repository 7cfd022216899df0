using Mystique.Diagnostics;
using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Packaging;

/// <summary>A benchmark's other level, where the target's autograd makes the backward passes.</summary>
/// <param name="Benchmark">The benchmark; null where there is none.</param>
/// <param name="Reason">Why there is none; empty where there is one.</param>
internal sealed record FrameworkBenchmark(Benchmark? Benchmark, string Reason)
{
    /// <summary>None, and nothing more is known.</summary>
    public static FrameworkBenchmark None { get; } = new(null, "the package has the operators' level alone");

    /// <summary>Whether it would be no other than the operators' level.</summary>
    public bool IsSame { get; private init; }

    /// <summary>Makes it of what the operators' level was made of.</summary>
    /// <param name="segment">The selection of the operators' level.</param>
    /// <param name="operators">The plan of the operators' level.</param>
    /// <param name="options">What the user decides.</param>
    public static FrameworkBenchmark Of(Segment segment, ReplayPlan operators, PlanningOptions options)
    {
        using var phase = Phase.Start("make the framework's level");
        var (selected, left) = FrameworkSelector.Select(segment);
        if (selected.Passes.IsEmpty)
            return left.IsEmpty ? WithoutPass(segment) : new FrameworkBenchmark(null, $"{Subject(left.Length)}: {left[0].Reason}");
        var plan = PortableFit.Of(ReplayPlanner.Plan(selected, options), selected, options);
        plan = plan with
        {
            LeastPeakBytes = PlanMemory.Of(operators).PeakBytes,
            Source = plan.Source with
            {
                Notes = [.. plan.Source.Notes, .. left.GroupBy(l => l.Reason).Select(g => $"{g.Count()} of "
                    + $"{selected.Passes.Length + left.Length} backward passes "
                    + $"{(g.Count() == 1 ? "is" : "are")} replayed operator by operator: {g.Key}"), .. NotesOn(selected, left.Length)],
            },
        };
        return new FrameworkBenchmark(Mystique.Benchmark.Of(plan) with { Origin = new BenchmarkOrigin(selected, options) }, "");
    }

    /// <summary>What is cut, and what comes in another order for that.</summary>
    private static IEnumerable<string> NotesOn(Segment selected, int left)
    {
        var cut = selected.Passes.Where(p => !p.Parts.IsEmpty).ToArray();
        foreach (var alike in cut.Where(p => p.Pass.WhyNot is not null).GroupBy(p => p.Pass.WhyNot))
            yield return $"{alike.Count()} of {selected.Passes.Length + left} backward passes {(alike.Count() == 1 ? "is" : "are")} cut: "
                + $"calls of autograd ({alike.Sum(p => p.Parts.Length)}), and recorded operators for the rest: {alike.Key}";
        if (cut.Length > 0)
            yield return "gradients are accumulated, and what hooks do then is done, behind the call of autograd that makes them";
    }

    /// <summary>Inference is the same at both levels; an optimizer took gradients from somewhere that was not recorded.</summary>
    private static FrameworkBenchmark WithoutPass(Segment segment) => segment.Outermost.FirstOrDefault(IsOfOptimizer) is { } step
        ? new FrameworkBenchmark(null, $"node {step.Id} ({step.Name}) is an optimizer's, and no backward pass was recorded")
        : new FrameworkBenchmark(null, "no backward pass was recorded, and both levels are the same") { IsSame = true };

    private static bool IsOfOptimizer(TraceNode node) =>
        node.Ancestors.Any(a => a.Name.StartsWith("Optimizer.step#", StringComparison.Ordinal));

    private static string Subject(int passes) => passes == 1 ? "autograd could not repeat the backward pass"
        : $"autograd could not repeat any of {passes} backward passes, the first of them";
}
