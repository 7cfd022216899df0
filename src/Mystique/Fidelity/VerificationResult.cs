using System.Collections.Immutable;

namespace Mystique.Fidelity;

/// <summary>What a replay ran, compared with what was planned.</summary>
/// <param name="ExpectedCount">Operators that should have run, added views among them.</param>
/// <param name="ExactCount">Operators that ran with the same name, overload, shapes, types and strides.</param>
/// <param name="Differences">What differed, in order.</param>
/// <param name="StridesCompared">Whether the trace records strides, so that they could be compared.</param>
public sealed record VerificationResult(
    int ExpectedCount, int ExactCount, ImmutableArray<OperatorDifference> Differences, bool StridesCompared)
{
    /// <summary>Whether all ran, and nothing else.</summary>
    public bool IsExact => Differences.IsEmpty && ExactCount == ExpectedCount;
}

/// <summary>An operator that ran differently.</summary>
/// <param name="NodeId">The operator's node in the original trace; 0 for one that ran without being planned.</param>
/// <param name="Operator">The planned operator's full name; for an unplanned one, its own.</param>
/// <param name="What">What differs.</param>
public sealed record OperatorDifference(long NodeId, string Operator, string What);
