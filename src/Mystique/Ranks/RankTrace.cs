using System.Collections.Immutable;
using Mystique.Selection;

namespace Mystique.Ranks;

/// <summary>What a rank's trace tells of the job's communication. Immutable.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Source">The trace's name.</param>
/// <param name="Groups">The process groups that it tells of.</param>
/// <param name="Calls">Its calls in one iteration, in order.</param>
/// <param name="Notes">What is not known of them.</param>
internal sealed record RankTrace(int Rank, string Source, ImmutableArray<ProcessGroup> Groups, ImmutableArray<CollectiveCall> Calls,
    ImmutableArray<string> Notes)
{
    /// <summary>How many ranks the job had, as far as this trace tells: the largest of the capture's word and its groups.</summary>
    public int? WorldSize { get; init; }

    /// <summary>The times of its calls.</summary>
    public CallTimes Times { get; init; } = CallTimes.None;

    /// <summary>Reads it.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="options">Which iteration.</param>
    /// <param name="number">The rank, where its file's name says it; null takes the capture's word.</param>
    public static RankTrace Of(Recording recording, SelectionOptions? options = null, int? number = null) =>
        Of(SegmentSelector.Select(recording, options), number);

    /// <summary>Reads it from what was selected of a recording.</summary>
    /// <param name="segment">The selection.</param>
    /// <param name="number">The rank, where its file's name says it; null takes the capture's word.</param>
    public static RankTrace Of(Segment segment, int? number)
    {
        var recording = segment.Recording;
        int rank = number ?? recording.Rank;
        var (groups, notes) = ProcessGroupReader.Of(recording);
        var (calls, more) = CollectiveReader.Of(recording.Trace, groups, segment.Iteration);
        var sizes = groups.Select(g => g.HasRanks && !g.Ranks.IsEmpty ? g.Ranks.Max() + 1 : g.Size ?? 0)
            .Append(recording.Baseline is { WorldSize: > 1 and var world } ? world : 0).Append(rank + 1);
        return new RankTrace(rank, recording.Trace.Source, groups,
            [.. calls.Select(c => c with { WasOvertaken = CallOrder.WasOvertaken(c, segment) })], [.. notes, .. more])
        {
            WorldSize = sizes.Max(),
            Times = CallTimes.Of(recording, segment, calls),
        };
    }

    /// <summary>A group by its name; null where nothing tells of it.</summary>
    public ProcessGroup? GroupOf(CollectiveCall call) => call.Group is null ? null : Groups.FirstOrDefault(g => g.Name == call.Group);
}
