using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Traces.Kineto;

namespace Mystique.Planning;

/// <summary>What a user decides about a plan.</summary>
public sealed record PlanningOptions
{
    /// <summary>What tensors must hold, by the operators that use them.</summary>
    public ValueTable Values { get; init; } = ValueTable.BuiltIn;

    /// <summary>What takes the place of operators that the target lacks.</summary>
    public SubstitutionTable Substitutions { get; init; } = SubstitutionTable.BuiltIn;

    /// <summary>The exponent of Zipf's law for indices; 0, the default, spreads them evenly. At least 0.</summary>
    public double IndexSkew { get; init; }

    /// <summary>The trace's operators in a Kineto profile of the same job; null, the default, where there is none.</summary>
    public LinkedProfile? Profile { get; init; }

    /// <summary>What was measured of the original; null, the default, where nothing was.</summary>
    public Baseline? Reference { get; init; }

    /// <summary>
    /// The time of an iteration of the original that nobody watched, in nanoseconds; null, the default, takes it from
    /// <see cref="Reference"/>.
    /// </summary>
    public long? ReferenceNs { get; init; }

    /// <summary>Whether code that came with the trace (the sources of compiled kernels) may be used. The default is no.</summary>
    public bool AllowTraceCode { get; init; }

    /// <summary>
    /// The most bytes that the plan may need at one time; what needs more has its embedding tables cut. Null, the
    /// default, cuts nothing.
    /// </summary>
    public long? MemoryLimitBytes { get; init; }
}
