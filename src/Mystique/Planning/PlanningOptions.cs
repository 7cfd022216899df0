using System.Collections.Immutable;
using Mystique.Planning.Contents;

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

    /// <summary>Whether code that came with the trace (the sources of compiled kernels) may be used. The default is no.</summary>
    public bool AllowTraceCode { get; init; }

    /// <summary>
    /// The most bytes that the plan may need at one time; what needs more has its embedding tables cut. Null, the
    /// default, cuts nothing.
    /// </summary>
    public long? MemoryLimitBytes { get; init; }

    /// <summary>
    /// What if operators took no time: which, in the words of <see cref="BenchmarkOptions.Select"/>. Their results are there from the
    /// start,
    /// and the benchmark has the operators' level alone. Null, the default, drops none.
    /// </summary>
    public string? Drop { get; init; }

    /// <summary>
    /// What if operators computed in another type; the benchmark has the operators' level alone. Null, the default, leaves them as they
    /// are.
    /// </summary>
    public DtypeChange? Dtype { get; init; }

    /// <summary>By the node that starts it, each call that ranks which run together make; null where a rank is replayed alone.</summary>
    internal ImmutableDictionary<long, RankCall>? Calls { get; init; }
}
