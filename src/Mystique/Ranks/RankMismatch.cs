using System.Collections.Immutable;

namespace Mystique.Ranks;

/// <summary>What keeps ranks from running together. Immutable.</summary>
/// <param name="Kind">What does not fit.</param>
/// <param name="Group">The process group; null where it is of none.</param>
/// <param name="Place">The number of the call among the group's, from 0; null where it is of no call.</param>
/// <param name="Ranks">The ranks that it is about.</param>
/// <param name="What">What was found, with ranks, nodes and sizes.</param>
internal sealed record RankMismatch(RankMismatchKind Kind, string? Group, long? Place, ImmutableArray<int> Ranks, string What);

/// <summary>Kinds of mismatches.</summary>
internal enum RankMismatchKind
{
    /// <summary>A rank lacks a call that others make.</summary>
    MissingCall,

    /// <summary>Ranks make different calls at the same place.</summary>
    Kinds,

    /// <summary>Ranks reduce in different ways.</summary>
    Reductions,

    /// <summary>Ranks name different roots.</summary>
    Roots,

    /// <summary>Ranks move elements of different types.</summary>
    Types,

    /// <summary>What ranks put in and get does not fit.</summary>
    Sizes,

    /// <summary>Splits do not pair.</summary>
    Splits,

    /// <summary>A send that nobody receives, or the reverse.</summary>
    Unpaired,

    /// <summary>Ranks tell of different groups by one name.</summary>
    Groups,
}
