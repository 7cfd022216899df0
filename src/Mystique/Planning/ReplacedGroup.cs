using System.Collections.Immutable;

namespace Mystique.Planning;

/// <summary>Operators of one name that do not run as recorded for one reason, with one thing in their place.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Remedy">What takes their place.</param>
/// <param name="By">The substitutes' names.</param>
/// <param name="Reason">The reason.</param>
/// <param name="Count">How many.</param>
internal sealed record ReplacedGroup(string Name, Remedy Remedy, string By, string Reason, int Count)
{
    /// <summary>What a plan replaces: what is missing first, then the most frequent.</summary>
    /// <param name="plan">The plan.</param>
    public static ImmutableArray<ReplacedGroup> Of(ReplayPlan plan) =>
        [.. plan.Replaced.GroupBy(r => (r.Name, r.Remedy, r.By, r.Reason), (key, group) =>
            new ReplacedGroup(key.Name, key.Remedy, key.By, key.Reason, group.Count()))
            .OrderBy(k => k.Remedy).ThenByDescending(k => k.Count).ThenBy(k => k.Name, StringComparer.Ordinal)
                .ThenBy(k => k.Reason, StringComparer.Ordinal)];

    /// <summary>What runs instead, in words.</summary>
    public string Instead => InsteadOf(RemedyName, By);

    /// <summary>The same, of what was read back.</summary>
    internal static string InsteadOf(string remedy, string by) => by.Length > 0 ? $"{remedy}: {by}" : remedy.Replace('_', '-');

    /// <summary>The remedy, as documents and manifests name it.</summary>
    public string RemedyName => Remedy switch { Remedy.Substitute => "substitute", Remedy.StandIn => "stand_in", _ => "missing" };
}
