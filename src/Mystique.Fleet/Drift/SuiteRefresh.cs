using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;

namespace Mystique.Fleet.Drift;

/// <summary>The next edition of a suite.</summary>
internal static class SuiteRefresh
{
    /// <summary>Makes it.</summary>
    /// <param name="rows">The rows that it is to stand for.</param>
    /// <param name="suite">The edition before.</param>
    /// <param name="digest">Its digest.</param>
    /// <param name="advice">What is to be done; something.</param>
    /// <param name="uncovered">Plans that no member is like.</param>
    /// <param name="catalogue">The catalogue, for messages.</param>
    /// <exception cref="MystiqueException">None of its representatives is in the catalogue any more (MYS509).</exception>
    public static SuiteDocument Make(IReadOnlyCollection<FleetRow> rows, SuiteDocument suite, string digest, RefreshAdvice advice,
        IReadOnlyCollection<string> uncovered, string catalogue)
    {
        var units = FleetUnit.Of(rows, out int unweighted);
        int size = suite.Members().Count();
        var request = new SelectionRequest { Size = size, Seed = suite.Seed + suite.Edition };
        if (advice != RefreshAdvice.Reselection)
        {
            var places = units.Index().GroupBy(u => u.Item.Row.PlanDigest).ToDictionary(g => g.Key, g => g.First().Index);
            int[] anchors = [.. suite.Strata.Select(s => s.Members[0].PlanDigest).Where(places.ContainsKey).Select(p => places[p])
                .Distinct()];
            if (anchors.Length == 0)
                throw Problems.FleetEmpty(catalogue, "none of the suite's representatives is in it");
            if (advice == RefreshAdvice.Additions)
                anchors = [.. anchors, .. More(units, uncovered, suite.Strata.Length).Except(anchors)];
            request = request with
            {
                Size = Math.Max(size, 2 * anchors.Length),
                Anchors = anchors,
                Kept = advice == RefreshAdvice.Weights ? [.. suite.Members().Where(m => m.Role == "all" && places.ContainsKey(m.PlanDigest))
                    .Select(m => places[m.PlanDigest]).Except(anchors)] : [],
                Drawn = suite.Members().Where(m => m.Draws > 0 && places.ContainsKey(m.PlanDigest))
                    .GroupBy(m => places[m.PlanDigest]).ToDictionary(g => g.Key, g => g.Sum(m => m.Draws)),
            };
        }
        return SuiteBuilder.DocumentOf(SuiteSelector.Select(units, request), new SuiteOrigin(rows.Count, unweighted,
            rows.Any(r => r.Weight is not null) ? "accelerator_hours" : "traces", SuiteOrigin.DigestOf(rows), suite.Edition + 1, digest));
    }

    /// <summary>Representatives of what is like no member: as many as their share of the weight asks for.</summary>
    private static int[] More(ImmutableArray<FleetUnit> units, IReadOnlyCollection<string> uncovered, int strata)
    {
        var wanted = uncovered.ToHashSet(StringComparer.Ordinal);
        int[] beyond = [.. units.Index().Where(u => wanted.Contains(u.Item.Row.PlanDigest)).Select(u => u.Index)];
        if (beyond.Length == 0)
            return [];
        double share = beyond.Sum(i => units[i].Weight) / units.Sum(u => u.Weight);
        int count = Math.Clamp((int)Math.Ceiling(share * strata), 1, beyond.Length);
        var space = FeatureSpace.Of(units);
        int[] points = [.. beyond.OrderByDescending(i => units[i].Weight).Take(MicroClusters.MaxPoints)];
        return [.. FacilityLocation.Refined(space, points, [.. points.Select(i => units[i].Weight)], count, []).Select(p => points[p])];
    }
}
