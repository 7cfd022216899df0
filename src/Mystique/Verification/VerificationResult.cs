using System.Collections.Immutable;
using Mystique.Planning;

namespace Mystique.Verification;

/// <summary>What a replay ran, compared with what was planned.</summary>
/// <param name="ExpectedCount">Operators that should have run, those among them that the plan added.</param>
/// <param name="ExactCount">
/// Operators that ran with the same name, overload, shapes, types and strides; of substitutes, the name alone.
/// </param>
/// <param name="Differences">What differed, in order.</param>
/// <param name="StridesCompared">Whether the trace records strides, so that they could be compared.</param>
/// <param name="Classes">What became of the trace's operators.</param>
public sealed record VerificationResult(
    int ExpectedCount, int ExactCount, ImmutableArray<OperatorDifference> Differences, bool StridesCompared, OperatorClasses Classes)
{
    /// <summary>Whether all ran, and nothing else.</summary>
    public bool IsExact => Differences.IsEmpty && ExactCount == ExpectedCount;
}

/// <summary>What became of the operators of a trace that were selected: each is in one class.</summary>
public sealed record OperatorClasses
{
    /// <summary>Ran as recorded.</summary>
    public required int Exact { get; init; }

    /// <summary>Ran as the same operator, with another overload or other strides.</summary>
    public required int Variant { get; init; }

    /// <summary>Ran with another shape or element type.</summary>
    public required int Different { get; init; }

    /// <summary>Other operators ran in its place, which do its work on this target.</summary>
    public required int Substituted { get; init; }

    /// <summary>Its results were there from the start; no work was done.</summary>
    public required int StandIn { get; init; }

    /// <summary>It did not run, and nothing took its place.</summary>
    public required int Missing { get; init; }

    internal static OperatorClasses Of(ReplayPlan plan, IReadOnlyList<OperatorDifference> differences)
    {
        var byNode = differences.Where(d => d.Id is not null).GroupBy(d => d.Id!.Value).ToDictionary(g => g.Key, g => g.Max(d => d.Kind));
        int Count(DifferenceKind kind) =>
            plan.Operators.Count(o => o.Role == OperatorRole.Recorded && byNode.TryGetValue(o.Id, out var found) && found == kind);
        int lost = plan.Replaced.Count(r => r.Remedy == Remedy.Substitute && byNode.TryGetValue(r.Id, out var found)
            && found == DifferenceKind.Missing);
        int variant = Count(DifferenceKind.Variant);
        int different = Count(DifferenceKind.Different);
        int missing = Count(DifferenceKind.Missing);
        return new OperatorClasses
        {
            Exact = plan.ReplayedCount - variant - different - missing,
            Variant = variant,
            Different = different,
            Substituted = plan.CountOf(Remedy.Substitute) - lost,
            StandIn = plan.CountOf(Remedy.StandIn),
            Missing = plan.CountOf(Remedy.Missing) + missing + lost,
        };
    }
}

/// <summary>How an operator's run differs from its plan; the worse comes later.</summary>
public enum DifferenceKind
{
    /// <summary>It ran without being planned.</summary>
    Unplanned,

    /// <summary>The same operator, with another overload or other strides.</summary>
    Variant,

    /// <summary>The same operator, with another number of tensors, shape or element type.</summary>
    Different,

    /// <summary>It did not run.</summary>
    Missing,
}

/// <summary>An operator that ran differently.</summary>
/// <param name="Id">The operator of the recording; null for one that ran without being planned.</param>
/// <param name="Operator">The planned operator's full name; for an unplanned one, its own.</param>
/// <param name="Kind">How it differs.</param>
/// <param name="What">What differs.</param>
public sealed record OperatorDifference(OperatorId? Id, string Operator, DifferenceKind Kind, string What);
