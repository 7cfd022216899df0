using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Reporting.Documents;

/// <summary>Times of iterations, in nanoseconds.</summary>
internal sealed record SamplesDocument
{
    public required int Count { get; init; }

    public required long MedianNs { get; init; }

    public required long MeanNs { get; init; }

    public required long P5Ns { get; init; }

    public required long P95Ns { get; init; }

    public required ImmutableArray<long> SamplesNs { get; init; }

    public static SamplesDocument Of(SampleStatistics times) => new()
    {
        Count = times.SamplesNs.Length,
        MedianNs = (long)Math.Round(times.MedianNs),
        MeanNs = (long)Math.Round(times.MeanNs),
        P5Ns = (long)Math.Round(times.P5Ns),
        P95Ns = (long)Math.Round(times.P95Ns),
        SamplesNs = times.SamplesNs,
    };
}

/// <summary>
/// What is planned for the operators of the trace, and, of a replay that was verified, what ran; nothing is said of what nobody saw.
/// </summary>
internal sealed record CoverageDocument
{
    public required int OutermostOperators { get; init; }

    public required int DecomposedOperators { get; init; }

    public required int SelectedOperators { get; init; }

    public required int PlannedOperators { get; init; }

    public required int SubstitutedOperators { get; init; }

    public required int StandIns { get; init; }

    public required int MissingOperators { get; init; }

    public required int AddedOperators { get; init; }

    public required int PreparedInputs { get; init; }

    public required double PlannedShare { get; init; }

    /// <summary>Of a replay that was verified, the operators that ran as recorded.</summary>
    public int? RecordedOperators { get; init; }

    /// <summary>Their share of those that were selected or ran without being planned.</summary>
    public double? Share { get; init; }

    /// <summary>The share of operators that ran as recorded or by substitutes.</summary>
    public double? WorkShare { get; init; }

    /// <summary>The share of the original's time in operators that ran as recorded, where times are known.</summary>
    public double? TimeShare { get; init; }

    public required ImmutableArray<string> Notes { get; init; }

    public required ImmutableArray<ReplacedDocument> Replaced { get; init; }

    /// <summary>Of a plan, and of what the observer saw; null where nobody looked.</summary>
    public static CoverageDocument Of(ReplayPlan plan, OperatorClasses? classes) => new()
    {
        OutermostOperators = plan.Source.OutermostCount,
        DecomposedOperators = plan.Source.DecomposedCount,
        SelectedOperators = plan.SelectedCount,
        PlannedOperators = plan.ReplayedCount,
        SubstitutedOperators = plan.CountOf(Remedy.Substitute),
        StandIns = plan.CountOf(Remedy.StandIn),
        MissingOperators = plan.CountOf(Remedy.Missing),
        AddedOperators = plan.Operators.Count(o => o.Role == OperatorRole.Added),
        PreparedInputs = plan.Operators.Sum(o => o.Arguments.Count(a => a.IsPrepared)),
        PlannedShare = Share6(plan.PlannedShare),
        RecordedOperators = classes?.Exact,
        Share = classes is null ? null : Share6(classes.RecordedShare),
        WorkShare = classes is null ? null : Share6(classes.WorkShare),
        TimeShare = classes?.RecordedTimeShare is { } share ? Share6(share) : null,
        Notes = plan.Source.Notes,
        Replaced = [.. ReplacedGroup.Of(plan).Select(g => new ReplacedDocument(g.Name, g.Count, g.RemedyName, g.By, g.Reason))],
    };

    /// <summary>Six decimals, rounded down: what is not all is never 1.</summary>
    private static double Share6(double share) => Math.Floor(share * 1e6) / 1e6;
}

/// <summary>
/// Operators of one name that do not run as recorded for one reason: <c>substitute</c>, <c>stand_in</c> or <c>missing</c>.
/// </summary>
internal sealed record ReplacedDocument(string Operator, int Count, string Remedy, string By, string Reason);

/// <summary>What the observer saw.</summary>
internal sealed record VerificationDocument
{
    /// <summary><c>exact</c>, <c>different</c> or <c>not_run</c>.</summary>
    public required string Status { get; init; }

    /// <summary>Why nothing was observed, where it was tried.</summary>
    public string? Reason { get; init; }

    public required int ExpectedOperators { get; init; }

    public required int ExactOperators { get; init; }

    /// <summary>Compiled kernels that were launched; no observer sees them.</summary>
    public required int UnobservedKernels { get; init; }

    public ClassesDocument? Classes { get; init; }

    public required bool StridesCompared { get; init; }

    /// <summary>
    /// At the framework's level, what autograd ran in backward passes beside what was recorded; absent at the operators'.
    /// </summary>
    public BackwardDocument? Backward { get; init; }

    public required ImmutableArray<DifferenceDocument> Differences { get; init; }

    public static VerificationDocument Of(VerificationResult? verification) => new()
    {
        Status = verification switch { null => "not_run", { IsExact: true } => "exact", _ => "different" },
        ExpectedOperators = verification?.ExpectedCount ?? 0,
        ExactOperators = verification?.ExactCount ?? 0,
        UnobservedKernels = verification?.UnobservedKernels ?? 0,
        Classes = verification?.Classes is { } c
            ? new ClassesDocument
            {
                Exact = c.Exact,
                OtherImplementation = c.OtherImplementation,
                TargetsOwn = c.TargetsOwn,
                TargetsMore = c.TargetsMore,
                Variant = c.Variant,
                Different = c.Different,
                Substituted = c.Substituted,
                StandIn = c.StandIn,
                Missing = c.Missing,
                Unplanned = c.Unplanned,
                TimeShare = c.RecordedTimeShare,
            } : null,
        StridesCompared = verification?.StridesCompared ?? false,
        Backward = verification?.Backward is { } b ? new BackwardDocument(b.RecordedCount, b.RanCount, b.ExactCount,
            [.. b.OnlyRecorded.Select(k => new BackwardKindDocument(k.Name, k.Count))],
            [.. b.OnlyRan.Select(k => new BackwardKindDocument(k.Name, k.Count))]) : null,
        Differences = [.. (verification?.Differences ?? []).Select(DifferenceDocument.Of)],
    };
}

/// <summary>What autograd ran in backward passes beside the recording: how many operators, and by name what only one of them ran.</summary>
internal sealed record BackwardDocument(int RecordedOperators, int RanOperators, int ExactOperators,
    ImmutableArray<BackwardKindDocument> OnlyRecorded, ImmutableArray<BackwardKindDocument> OnlyRan);

/// <summary>How many more operators of a name one of them ran.</summary>
internal sealed record BackwardKindDocument(string Operator, int Count);

/// <summary>What became of the operators of the trace, each in one class.</summary>
internal sealed record ClassesDocument
{
    public required int Exact { get; init; }

    /// <summary>Done by the device another way; absent in results of versions that did not tell.</summary>
    public int? OtherImplementation { get; init; }

    /// <summary>In backward passes, done by operators of the target's own; absent in results of versions that did not tell.</summary>
    public int? TargetsOwn { get; init; }

    /// <summary>Operators of backward passes beyond as many as were recorded; absent as above.</summary>
    public int? TargetsMore { get; init; }

    public required int Variant { get; init; }

    public required int Different { get; init; }

    public required int Substituted { get; init; }

    public required int StandIn { get; init; }

    public required int Missing { get; init; }

    public required int Unplanned { get; init; }

    /// <summary>Of the original's time in selected operators, the share of the exact ones; absent where times are not known.</summary>
    public double? TimeShare { get; init; }

    public OperatorClasses ToClasses() => new()
    {
        Exact = Exact,
        OtherImplementation = OtherImplementation ?? 0,
        TargetsOwn = TargetsOwn ?? 0,
        TargetsMore = TargetsMore ?? 0,
        Variant = Variant,
        Different = Different,
        Substituted = Substituted,
        StandIn = StandIn,
        Missing = Missing,
        Unplanned = Unplanned,
        RecordedTimeShare = TimeShare,
    };
}

/// <summary>An operator that ran differently; it has no node where it ran without being planned.</summary>
internal sealed record DifferenceDocument
{
    public int? Segment { get; init; }

    public long? Node { get; init; }

    public required string Operator { get; init; }

    public required string Kind { get; init; }

    public required string What { get; init; }

    public static DifferenceDocument Of(OperatorDifference difference) => new()
    {
        Segment = difference.Id is { Segment: > 0 and int segment } ? segment : null,
        Node = difference.Id?.Node,
        Operator = difference.Operator,
        Kind = JsonNamingPolicy.SnakeCaseLower.ConvertName(difference.Kind.ToString()),
        What = difference.What,
    };
}
