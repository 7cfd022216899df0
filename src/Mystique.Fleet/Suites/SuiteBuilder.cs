using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;

namespace Mystique.Fleet.Suites;

/// <summary>What a suite was selected from.</summary>
/// <param name="Rows">Rows of the catalogue that count.</param>
/// <param name="Unweighted">Rows that were left out, for they have no weight.</param>
/// <param name="WeightUnit"><c>accelerator_hours</c> or <c>traces</c>.</param>
/// <param name="FleetDigest">The catalogue's digest.</param>
/// <param name="Edition">Which edition it is, from 1.</param>
/// <param name="Previous">The digest of the one before; null for none.</param>
internal sealed record SuiteOrigin(int Rows, int Unweighted, string WeightUnit, string FleetDigest, int Edition, string? Previous)
{
    /// <summary>SHA-256 of the ids and weights of rows.</summary>
    public static string DigestOf(IEnumerable<FleetRow> rows) => Benchmark.DigestOf(Encoding.UTF8.GetBytes(
        string.Join('\n', rows.OrderBy(r => r.Id, StringComparer.Ordinal)
            .Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.Id} {r.Weight:R}")))));
}

/// <summary>Writes what was selected as a document.</summary>
internal static class SuiteBuilder
{
    private const int MaxPoints = 500;

    /// <summary>The document, with empty digests of benchmarks.</summary>
    public static SuiteDocument DocumentOf(SuitePlan plan, SuiteOrigin origin)
    {
        double weight = plan.Units.Sum(u => u.Weight);
        var mean = new double[plan.Space.Dimensions];
        for (int i = 0; i < plan.Units.Length; i++)
            for (int d = 0; d < mean.Length; d++)
                mean[d] += plan.Units[i].Weight * plan.Space[i][d] / weight;
        int number = 0;
        return new SuiteDocument
        {
            Format = SuiteDocument.FormatName,
            FormatVersion = SuiteDocument.CurrentVersion,
            Edition = origin.Edition,
            Previous = origin.Previous,
            FleetDigest = origin.FleetDigest,
            Seed = plan.Seed,
            Rows = origin.Rows,
            Units = plan.Units.Length,
            Weight = weight,
            WeightUnit = origin.WeightUnit,
            Unweighted = origin.Unweighted,
            Totals = plan.Totals,
            ExpectedHalfWidth = plan.ExpectedHalfWidth,
            Curve = plan.Curve,
            Mean = [.. mean],
            Points = PointsOf(plan),
            Strata = [.. plan.Strata.Select(s => new SuiteStratum
            {
                Name = FamilyText.Of([.. s.Units.Select(u => plan.Units[u])]),
                Weight = s.Weight,
                Units = s.Units.Length,
                Radius = s.Radius,
                Members = [.. s.Members.Select(m =>
                {
                    var unit = plan.Units[m.Unit];
                    return new SuiteEntry
                    {
                        Name = string.Create(CultureInfo.InvariantCulture, $"{++number:000}-{NameOf(unit.Row.Job)}"),
                        Role = m.Role.ToString().ToLowerInvariant(),
                        Weight = m.Weight,
                        DesignWeight = m.DesignWeight,
                        UnitWeight = unit.Weight,
                        Draws = m.Draws,
                        At = [.. Coordinates(plan, m.Unit)],
                        BenchmarkDigest = "",
                        PlanDigest = unit.Row.PlanDigest,
                        Trace = unit.Row.Path,
                        TraceDigest = unit.Row.Digest,
                        Job = unit.Row.Job,
                        Ranks = unit.Row.Rank.Ranks,
                        ReferenceNs = unit.IterationNs,
                    };
                })],
            })],
        };
    }

    /// <summary>Units that are no members, by the nearest of at most so many of them.</summary>
    private static ImmutableArray<SuitePoint> PointsOf(SuitePlan plan)
    {
        var members = plan.Members.Select(m => m.Unit).ToHashSet();
        double[] weights = [.. plan.Units.Select((u, i) => members.Contains(i) ? 0 : u.Weight)];
        var (seeds, _) = MicroClusters.Of(plan.Space, weights, [], new Random(plan.Seed), MaxPoints);
        var sums = seeds.ToDictionary(s => s, _ => (Weight: 0.0, Squares: 0.0));
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] == 0)
                continue;
            int seed = sums.ContainsKey(i) ? i : seeds.MinBy(s => plan.Space.Distance(i, s));
            sums[seed] = (sums[seed].Weight + weights[i], sums[seed].Squares + weights[i] * weights[i]);
        }
        return [.. seeds.Where(s => sums[s].Weight > 0).Select(s =>
            new SuitePoint([.. Coordinates(plan, s)], sums[s].Weight, sums[s].Squares))];
    }

    private static IEnumerable<double> Coordinates(SuitePlan plan, int unit) => plan.Space[unit].ToArray().Select(f => (double)f);

    /// <summary>A job's name as a folder's: letters, digits and dashes.</summary>
    private static string NameOf(string job)
    {
        string name = string.Concat(job.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-')).Trim('-');
        return name.Length == 0 ? "job" : name[..Math.Min(name.Length, 40)].Trim('-');
    }
}
