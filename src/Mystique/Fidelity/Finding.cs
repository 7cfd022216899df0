namespace Mystique;

/// <summary>How much a finding matters.</summary>
public enum FindingSeverity
{
    /// <summary>It explains a part of a difference.</summary>
    Info,

    /// <summary>A measure differs by more than its threshold.</summary>
    Warning,

    /// <summary>Something else ran than in the original.</summary>
    Error,
}

/// <summary>What a finding is about; the names are those of the field <c>id</c> in documents, in snake case.</summary>
public enum FindingKind
{
    /// <summary>The replay ran on another kind of device than the original: 1 for the original's, 0 for another.</summary>
    OtherDevice,

    /// <summary>Operators of a name run more or less often: numbers of calls in an iteration.</summary>
    OperatorCount,

    /// <summary>A kernel runs more or less often on the device: numbers of calls in an iteration.</summary>
    KernelCount,

    /// <summary>The peak of memory differs: bytes.</summary>
    MemoryPeak,

    /// <summary>Operators of a name allocate more or less: bytes in an iteration.</summary>
    AllocatedBytes,

    /// <summary>Page faults differ: numbers in an iteration.</summary>
    PageFaults,

    /// <summary>Operators start in another order: the share of those that start in the original's order.</summary>
    OperatorOrder,

    /// <summary>Operators of a name take longer or shorter: nanoseconds of an iteration.</summary>
    OperatorTime,

    /// <summary>What is between operators takes longer or shorter: nanoseconds of an iteration.</summary>
    BetweenOperators,

    /// <summary>The device has nothing to do for longer or shorter: nanoseconds of an iteration.</summary>
    DeviceIdle,
}

/// <summary>
/// A difference between a replay and its original that is larger than a threshold. It is data: the sentence that people read is one
/// rendering of it. Immutable.
/// </summary>
public sealed record Finding
{
    /// <summary>What it is about; it tells the unit of the numbers.</summary>
    public required FindingKind Kind { get; init; }

    /// <summary>How much it matters.</summary>
    public required FindingSeverity Severity { get; init; }

    /// <summary>The operator or kernel that it is about; null for what is about all of the iteration.</summary>
    public string? Subject { get; init; }

    /// <summary>The original's number.</summary>
    public required double Original { get; init; }

    /// <summary>The replay's number.</summary>
    public required double Replay { get; init; }

    /// <summary>A difference of more than this, in the unit of the numbers, is a finding.</summary>
    public required double Threshold { get; init; }

    /// <summary>What can be done about it; null where nothing is known.</summary>
    public string? Fix { get; init; }

    /// <summary>By how much the replay's number is larger, of the original's; null where that is 0.</summary>
    public double? Error => Original == 0 ? null : Replay / Original - 1;
}
