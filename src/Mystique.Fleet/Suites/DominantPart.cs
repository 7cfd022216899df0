using Mystique.Diagnostics;
using Mystique.Reporting;
using Mystique.Selection;

namespace Mystique.Fleet.Suites;

/// <summary>
/// The phase in which an iteration spends most of its time: a benchmark of it alone stands for the iteration, in less time
/// (as simulation points do for a program: T. Sherwood et al., Automatically Characterizing Large Scale Program Behavior, ASPLOS'02).
/// </summary>
/// <param name="Select">The part, in the words of <c>--select</c>.</param>
/// <param name="Share">Its share of the time of the iteration's operators, from 0 to 1.</param>
internal sealed record DominantPart(string Select, double Share)
{
    private static readonly string[] Phases = ["forward", "backward", "optimizer"];

    /// <summary>The phase that takes such a share or more; null where none does, and where no profile tells the times.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="least">The least share, above a half and below 1.</param>
    public static DominantPart? Of(Recording recording, double least)
    {
        if (recording.Profile is null)
            return null;
        var whole = SegmentSelector.Select(recording);
        foreach (string select in Phases.Select(p => $"phase:{p}"))
            try
            {
                // A phase that is all of it is no part.
                if (PartShare.Of(SegmentSelector.Select(recording, new SelectionOptions(Select: select)), whole).Time is { } share
                    && share >= least && share < 1)
                    return new DominantPart(select, share);
            }
            catch (MystiqueException exception) when (exception.Id == "MYS207")
            {
                // It has no such phase.
            }
        return null;
    }
}
