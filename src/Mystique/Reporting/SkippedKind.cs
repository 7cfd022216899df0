using System.Collections.Immutable;
using Mystique.Planning;

namespace Mystique.Reporting;

/// <summary>Operators of one name that were left out for one reason.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Reason">The reason.</param>
/// <param name="Count">How many.</param>
public sealed record SkippedKind(string Name, string Reason, int Count)
{
    /// <summary>What a plan leaves out, the most frequent first.</summary>
    /// <param name="plan">The plan.</param>
    public static ImmutableArray<SkippedKind> Of(ReplayPlan plan) =>
        [.. plan.Skipped.GroupBy(s => (s.Name, s.Reason), (key, group) => new SkippedKind(key.Name, key.Reason, group.Count()))
            .OrderByDescending(k => k.Count).ThenBy(k => k.Name, StringComparer.Ordinal).ThenBy(k => k.Reason, StringComparer.Ordinal)];
}
