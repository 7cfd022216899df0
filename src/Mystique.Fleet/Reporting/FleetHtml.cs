using System.Collections.Immutable;
using System.Globalization;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;
using Mystique.Reporting;

namespace Mystique.Fleet.Reporting;

/// <summary>A fleet as a page that opens anywhere: its families, a map of it, its operators, and what a suite leaves out.</summary>
internal static class FleetHtml
{
    /// <summary>Units on the map: the heaviest.</summary>
    private const int MaxPoints = 3000;

    private const int MaxFamilies = 8;

    private const int MaxSuite = 100;

    /// <summary>Writes the page.</summary>
    /// <param name="name">The catalogue's name.</param>
    /// <param name="database">The catalogue, with its operators.</param>
    /// <param name="suite">A suite of it; null for none.</param>
    /// <param name="stream">Where to.</param>
    /// <exception cref="Diagnostics.MystiqueException">There is nothing in it (MYS509).</exception>
    public static void Write(string name, FleetDatabase database, SuiteDocument? suite, Stream stream)
    {
        var rows = database.Rows();
        var units = FleetUnit.Of(rows, out int unweighted);
        if (units.IsEmpty)
            throw Diagnostics.Problems.FleetEmpty(name, "it is empty");
        double weight = units.Sum(u => u.Weight);
        bool hasHours = rows.Any(r => r.Weight is not null);
        var page = new HtmlPage(name);
        page.Title($"{Figures.Number(rows.Length)} traces of {Figures.Number(units.Length)} plans.",
            hasHours ? null : "No weights are known: each trace counts as one.", PageLevel.Good, null,
        [
            new(hasHours ? "accelerator-hours" : "traces", weight.ToString("N0", CultureInfo.InvariantCulture)),
            new("plans", Figures.Number(units.Length), "different sequences of operators"),
            new("without a weight", Figures.Number(unweighted), "do not count", unweighted > 0 ? PageLevel.Warn : null),
            .. suite is null ? (PageTile[])[] : [new("members of the suite", Figures.Number(suite.Members().Count()),
                $"±{Figures.Percent(suite.ExpectedHalfWidth)} expected")],
        ]);
        var families = units.GroupBy(u => FamilyText.Of([u])).OrderByDescending(g => g.Sum(u => u.Weight)).ThenBy(g => g.Key,
            StringComparer.Ordinal).ToArray();
        page.Bars("Families by weight", "What most of the work of alike plans is.", "families", hasHours ? "accelerator-hours" : "traces",
            [.. families.Select(f => f.Key)], signed: false, ("original", [.. families.Select(f => Math.Round(f.Sum(u => u.Weight), 3))]));
        WriteMap(page, units, [.. families.Select(f => f.Key)], suite);
        WriteOperators(page, database);
        if (suite is not null)
            WriteSuite(page, suite, units);
        page.Write(stream);
    }

    private static void WriteMap(HtmlPage page, ImmutableArray<FleetUnit> units, string[] families, SuiteDocument? suite)
    {
        var space = FeatureSpace.Of(units);
        var members = suite?.Members().Select(m => m.PlanDigest).ToHashSet(StringComparer.Ordinal) ?? [];
        var numbers = families.Index().ToDictionary(f => f.Item, f => f.Index);
        page.Map("Map of the fleet", "The first two principal components of what plans ask of a machine; area by weight. "
            + "Members of the suite have a rim.", [.. families.Take(MaxFamilies), .. families.Length > MaxFamilies ? (string[])["others"]
                : []],
            [.. Enumerable.Range(0, units.Length).OrderByDescending(i => units[i].Weight).Take(MaxPoints).Select(i =>
                (Round(space[i][0]), space.Dimensions > 1 ? Round(space[i][1]) : 0, Round(units[i].Weight),
                    Math.Min(numbers[FamilyText.Of([units[i]])], MaxFamilies), units[i].Row.Job,
                        members.Contains(units[i].Row.PlanDigest)))]);
    }

    private static double Round(double value) => Math.Round(value, 4);

    private static void WriteOperators(HtmlPage page, FleetDatabase database)
    {
        var rows = new List<string[]>();
        database.Query("""
            WITH plans AS (SELECT plan_digest, sum(coalesce(weight,
                CASE WHEN (SELECT count(weight) FROM rows) = 0 THEN 1 ELSE 0 END)) AS weight
                FROM rows GROUP BY plan_digest)
            SELECT operator, sum(weight) / (SELECT sum(weight) FROM plans) AS share,
                sum(weight * coalesce(calls, 0)) / sum(weight) AS calls,
                sum(kinds) AS kinds
            FROM (SELECT plan_digest, operator, sum(count) AS calls, count(*) AS kinds FROM operators GROUP BY plan_digest, operator)
                JOIN plans USING (plan_digest)
            GROUP BY operator ORDER BY share DESC, calls DESC, operator LIMIT 60
            """, reader =>
        {
            while (reader.Read())
                rows.Add([reader.GetString(0), Figures.Percent(Convert.ToDouble(reader.GetValue(1), CultureInfo.InvariantCulture)),
                    Convert.ToDouble(reader.GetValue(2), CultureInfo.InvariantCulture).ToString("N1", CultureInfo.InvariantCulture),
                    Convert.ToString(reader.GetValue(3), CultureInfo.InvariantCulture)!]);
        });
        page.Table("Operators by weight", ["operator", "share of the weight that has it", "calls in an iteration",
            "with different arguments"],
            rows);
    }

    private static void WriteSuite(HtmlPage page, SuiteDocument suite, ImmutableArray<FleetUnit> units)
    {
        page.Lines("What representatives leave",
            "The weighted distance of all plans to the nearest of so many representatives, as a share of "
            + "that to one.", "representatives", "share", area: true, ("suite", 1, 1, [.. suite.Curve.Take(MaxSuite)]));
        page.Table($"Strata of the suite, edition {suite.Edition}", ["stratum", "share", "plans", "members", "medoid"],
            suite.Strata.Select(s =>
            new[] { s.Name, Figures.Percent(s.Weight / suite.Weight), Figures.Number(s.Units), Figures.Number(s.Members.Length),
                s.Members[0].Job }), [4]);
        var members = suite.Members().Select(m => m.PlanDigest).ToHashSet(StringComparer.Ordinal);
        var names = OperatorClasses.Names;
        double all = units.Sum(u => u.Weight);
        page.Table("Classes of operators that no member has", ["class", "share of the weight that has it"], names.Index().Where(n =>
            units.Any(u => u.Row.Portable.Counts[n.Index] > 0)
            && !units.Any(u => members.Contains(u.Row.PlanDigest) && u.Row.Portable.Counts[n.Index] > 0)).Select(n =>
            new[] { n.Item, Figures.Percent(units.Where(u => u.Row.Portable.Counts[n.Index] > 0).Sum(u => u.Weight) / all) }));
    }
}
