using System.Collections.Immutable;
using Mystique.Fleet.Catalogue;

namespace Mystique.Fleet.Selection;

/// <summary>Rows of one plan: in a fleet most traces repeat, and one stands for all.</summary>
/// <param name="Row">The row that stands for them: the heaviest, of those the one with the least id.</param>
/// <param name="Weight">Their accelerator-hours; their number, where none of the fleet is weighed.</param>
/// <param name="Rows">How many they are.</param>
/// <param name="IterationNs">
/// An iteration on the machines that they ran on, weighted by hours, in nanoseconds; null where none is known.
/// </param>
internal sealed record FleetUnit(FleetRow Row, double Weight, int Rows, double? IterationNs)
{
    /// <summary>Folds rows; those without a weight are left out where others have one, and counted.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="unweighted">How many were left out.</param>
    /// <param name="weighted">Whether some have a weight; null where these are all rows that there are.</param>
    public static ImmutableArray<FleetUnit> Of(IReadOnlyCollection<FleetRow> rows, out int unweighted, bool? weighted = null)
    {
        bool isWeighted = weighted ?? rows.Any(r => r.Weight is not null);
        unweighted = isWeighted ? rows.Count(r => r.Weight is null) : 0;
        double WeightOf(FleetRow row) => isWeighted ? row.Weight ?? 0 : 1;
        return [.. rows.Where(r => WeightOf(r) > 0)
            .GroupBy(r => (r.PlanDigest, r.Phase, r.Device, r.Rank.Ranks)).Select(group =>
            {
                var all = group.OrderByDescending(WeightOf).ThenBy(r => r.Id, StringComparer.Ordinal).ToArray();
                var timed = all.Where(r => r.Machine.IterationNs is > 0).ToArray();
                double hours = timed.Sum(WeightOf);
                return new FleetUnit(all[0], all.Sum(WeightOf), all.Length,
                    timed.Length == 0 ? null : timed.Sum(r => WeightOf(r) * r.Machine.IterationNs!.Value) / hours);
            }).OrderBy(u => u.Row.Id, StringComparer.Ordinal)];
    }
}
