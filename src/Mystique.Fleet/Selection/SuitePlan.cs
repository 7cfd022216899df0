using System.Collections.Immutable;

namespace Mystique.Fleet.Selection;

/// <summary>What is in a suite, and what it stands for. Immutable.</summary>
internal sealed record SuitePlan
{
    /// <summary>The units, of which members are places.</summary>
    public required ImmutableArray<FleetUnit> Units { get; init; }

    /// <summary>The units as points.</summary>
    public required FeatureSpace Space { get; init; }

    /// <summary>The strata, the heaviest first.</summary>
    public required ImmutableArray<Stratum> Strata { get; init; }

    /// <summary>The seed of what was drawn.</summary>
    public required int Seed { get; init; }

    /// <summary>Known totals that the members' weights meet, by name.</summary>
    public required ImmutableArray<string> Totals { get; init; }

    /// <summary>
    /// The weighted distance to the nearest representative, as a share of that to one for all; by number of representatives, from 1.
    /// </summary>
    public required ImmutableArray<double> Curve { get; init; }

    /// <summary>
    /// Half the 95 % interval that the projection of a machine's time is expected to have, relative: the largest of those for machines with
    /// more computing, memory, launches or links (<see cref="MachineModel"/>).
    /// </summary>
    public required double ExpectedHalfWidth { get; init; }

    /// <summary>All members, by stratum.</summary>
    public IEnumerable<SuiteMember> Members => Strata.SelectMany(s => s.Members);
}

/// <summary>Units that are alike.</summary>
/// <param name="Units">Their places.</param>
/// <param name="Weight">Their weight.</param>
/// <param name="Radius">Within it lie 95 % of their weight, from the medoid on.</param>
/// <param name="Members">The medoid first, then what was drawn.</param>
internal sealed record Stratum(ImmutableArray<int> Units, double Weight, double Radius, ImmutableArray<SuiteMember> Members);

/// <summary>A unit in a suite.</summary>
/// <param name="Unit">Its place.</param>
/// <param name="Role">Why it is there.</param>
/// <param name="Draws">How often it was drawn; 0 for one that stands for itself.</param>
/// <param name="Weight">What it stands for: the design's weight, calibrated to known totals.</param>
/// <param name="DesignWeight">Before that.</param>
internal sealed record SuiteMember(int Unit, MemberRole Role, int Draws, double Weight, double DesignWeight);

/// <summary>Why a unit is in a suite.</summary>
internal enum MemberRole
{
    /// <summary>It is in the middle of its stratum.</summary>
    Medoid,

    /// <summary>The user wants it: it is the medoid of a stratum.</summary>
    Must,

    /// <summary>It was drawn, with a chance that grows with its weight.</summary>
    Random,

    /// <summary>It weighs so much that it stands for itself, or its stratum has so few units that all are there.</summary>
    All,
}
