using System.Collections.Immutable;

namespace Mystique.Verification;

/// <summary>What a replay ran, compared with what was planned.</summary>
/// <param name="ExpectedCount">Operators that should have run, those among them that the plan added.</param>
/// <param name="ExactCount">
/// Operators that ran with the same name, overload, shapes, types and strides; of substitutes, the name alone.
/// </param>
/// <param name="Differences">What differed, in order; then what started another number of kernels.</param>
/// <param name="StridesCompared">Whether the trace records strides, so that they could be compared.</param>
/// <param name="Classes">What became of the trace's operators; the shares are there.</param>
public sealed record VerificationResult(
    int ExpectedCount, int ExactCount, ImmutableArray<OperatorDifference> Differences, bool StridesCompared, OperatorClasses Classes)
{
    /// <summary>
    /// Compiled kernels that the plan launches. No observer sees them: that they were launched without an error is all that is known,
    /// and they count as run as recorded.
    /// </summary>
    public int UnobservedKernels { get; init; }

    /// <summary>
    /// At the framework's level, what the target's autograd ran in backward passes beside what the original's did; null at the operators'.
    /// </summary>
    public BackwardComparison? Backward { get; init; }

    /// <summary>Whether all ran, and nothing else.</summary>
    public bool IsExact => Differences.IsEmpty && ExactCount == ExpectedCount && Backward is not { IsExact: false };
}

/// <summary>What autograd ran in the backward passes of a replay at the framework's level, beside the recording.</summary>
/// <param name="RecordedCount">Operators that the original ran in them.</param>
/// <param name="RanCount">Operators that the target ran in them.</param>
/// <param name="ExactCount">Of these, operators that are the same with the same shapes, types and strides, in order.</param>
/// <param name="OnlyRecorded">By name, how many more the original ran; the most first.</param>
/// <param name="OnlyRan">By name, how many more the target ran; the most first.</param>
public sealed record BackwardComparison(int RecordedCount, int RanCount, int ExactCount,
    ImmutableArray<(string Name, int Count)> OnlyRecorded, ImmutableArray<(string Name, int Count)> OnlyRan)
{
    /// <summary>How many more operators the target ran than were recorded; below 0 for fewer.</summary>
    internal int MoreCount => RanCount - RecordedCount;

    /// <summary>Whether both ran the same.</summary>
    public bool IsExact => RecordedCount == RanCount && ExactCount == RanCount;
}

/// <summary>How an operator's run differs from its plan; the worse comes later.</summary>
public enum DifferenceKind
{
    /// <summary>It ran without being planned.</summary>
    Unplanned,

    /// <summary>
    /// The same operator on the same tensors, done on the device by another operator within it, or with another number of kernels.
    /// </summary>
    OtherImplementation,

    /// <summary>An operator of a backward pass: the target's autograd did its work by operators of its own.</summary>
    TargetsOwn,

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
