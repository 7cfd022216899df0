using Mystique.Planning;

namespace Mystique.Verification;

/// <summary>
/// What became of the operators of a trace that were selected, as an observer saw the replay: each is in one class. All shares
/// that a report gives are defined here. Immutable.
/// </summary>
public sealed record OperatorClasses
{
    /// <summary>Ran as recorded.</summary>
    public required int Exact { get; init; }

    /// <summary>
    /// Ran as recorded, but the device did it another way: by another operator within it, or with another number of kernels.
    /// </summary>
    public int OtherImplementation { get; init; }

    /// <summary>
    /// Was run by autograd in a backward pass of the original; the target's autograd did that work by operators of its own (the framework's
    /// level).
    /// </summary>
    public int TargetsOwn { get; init; }

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

    /// <summary>Ran though the trace does not have it: work that the original did not do.</summary>
    public required int Unplanned { get; init; }

    /// <summary>Operators that the target's autograd ran in backward passes beyond as many as were recorded.</summary>
    public int TargetsMore { get; init; }

    /// <summary>
    /// Of the original's time in selected operators, the share of those that ran as recorded, 0 to 1: time on the device where the
    /// profile has any, else on the host. Null where no times are known.
    /// </summary>
    public double? RecordedTimeShare { get; init; }

    /// <summary>Operators of the trace that were selected, run or not.</summary>
    public int Selected => Exact + OtherImplementation + TargetsOwn + Variant + Different + Substituted + StandIn + Missing;

    /// <summary>
    /// The coverage: of what was selected, and what ran without being planned, the share that ran as recorded, 0 to 1. It is 1 only
    /// where nothing differs.
    /// </summary>
    public double RecordedShare => Selected == 0 ? 0 : (double)Exact / (Selected + Unplanned + TargetsMore);

    /// <summary>The same, with the operators whose work others did, or the device or autograd did another way.</summary>
    public double WorkShare => ShareOf(Done);

    /// <summary>Operators whose work was done, whatever did it.</summary>
    internal int Done => Exact + OtherImplementation + TargetsOwn + Substituted;

    private double ShareOf(int count) => Selected == 0 ? 0 : (double)count / (Selected + Unplanned);

    internal static OperatorClasses Of(ReplayPlan plan, IReadOnlyList<OperatorDifference> differences)
    {
        var worst = differences.Where(d => d.Id is not null).GroupBy(d => d.Id!.Value).ToDictionary(g => g.Key, g => g.Max(d => d.Kind));
        var recorded = plan.Observed.Where(o => o.Role == OperatorRole.Recorded).ToArray();
        // Work that takes the place of an operator does not do so where it differs.
        var substituted = plan.Replaced.Where(r => r.Remedy == Remedy.Substitute).Select(r => r.Id).ToArray();
        var classed = recorded.Select(o => o.Id).Concat(substituted).ToHashSet();
        int Count(DifferenceKind kind) => recorded.Count(o => worst.TryGetValue(o.Id, out var found) && found == kind);
        int lost = substituted.Count(worst.ContainsKey);
        int otherwise = Count(DifferenceKind.OtherImplementation);
        int own = Count(DifferenceKind.TargetsOwn);
        int variant = Count(DifferenceKind.Variant);
        int different = Count(DifferenceKind.Different);
        int missing = Count(DifferenceKind.Missing);
        return new OperatorClasses
        {
            Exact = recorded.Length - otherwise - own - variant - different - missing,
            OtherImplementation = otherwise,
            TargetsOwn = own,
            Variant = variant,
            Different = different,
            Substituted = substituted.Length - lost,
            StandIn = plan.CountOf(Remedy.StandIn),
            Missing = plan.CountOf(Remedy.Missing) + missing + lost,
            Unplanned = differences.Count(d => d.Id is not { } id || !classed.Contains(id)),
            RecordedTimeShare = TimeShareOf(plan.Times, recorded.Select(o => o.Id).Where(i => !worst.ContainsKey(i))),
        };
    }

    private static double? TimeShareOf(PlanTimes? times, IEnumerable<OperatorId> exact)
    {
        if (times is null)
            return null;
        bool isOnDevice = times.Operators.Values.Any(t => t.DeviceNs > 0);
        double TimeOf(PlannedTime time) => isOnDevice ? time.DeviceNs : time.DurationNs;
        double all = times.Operators.Values.Sum(TimeOf);
        return all <= 0 ? null : exact.Sum(i => times.Operators.TryGetValue(i, out var time) ? TimeOf(time) : 0) / all;
    }
}
