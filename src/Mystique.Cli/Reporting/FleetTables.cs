using System.Collections.Immutable;
using System.Globalization;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Drift;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;
using Mystique.Reporting;

namespace Mystique.Cli.Reporting;

/// <summary>Fleets and their suites, for people.</summary>
internal static class FleetTables
{
    private const int MaxRows = 20;

    /// <summary>What is in a catalogue.</summary>
    public static void Write(FleetFolder folder, ImmutableArray<FleetRow> rows)
    {
        var units = FleetUnit.Of(rows, out int unweighted);
        double weight = units.Sum(u => u.Weight);
        bool hasHours = rows.Any(r => r.Weight is not null);
        var table = Terminal.Table(Path.GetFileName(Path.GetFullPath(folder.Path)), "what", "value");
        table.Row("traces, plans", $"{Figures.Number(rows.Length)}, {Figures.Number(units.Length)}");
        table.Row("weight", hasHours
            ? $"{Number(weight)} accelerator-hours{(unweighted > 0 ? $"; {Figures.Number(unweighted)} traces without" : "")}"
            : "not known: each trace counts as one");
        DateOnly[] dates = [.. rows.Select(r => r.Date).OfType<DateOnly>()];
        table.Row("days", dates.Length == 0 ? "not known" : $"{dates.Min():yyyy-MM-dd} to {dates.Max():yyyy-MM-dd}"
            + (dates.Length < rows.Length ? $"; {Figures.Number(rows.Length - dates.Length)} traces without" : ""));
        table.Row("parts, lists of files set aside", $"{Figures.Number(folder.Rows.Length)}, {Figures.Number(folder.Aside.Length)}");
        Terminal.Write(table);
        var families = Terminal.Table("by weight", "family", "share", "traces", "plans", "for example");
        foreach (var family in units.GroupBy(u => FamilyText.Of([u])).OrderByDescending(g => g.Sum(u => u.Weight)).ThenBy(g => g.Key,
            StringComparer.Ordinal).Take(MaxRows))
            families.Row(family.Key, Figures.Percent(family.Sum(u => u.Weight) / weight), Figures.Number(family.Sum(u => u.Rows)),
                Figures.Number(family.Count()), family.MaxBy(u => u.Weight)!.Row.Job);
        Terminal.Write(families);
    }

    /// <summary>What is in a suite.</summary>
    public static void Write(SuiteDocument suite)
    {
        var table = Terminal.Table($"suite, edition {suite.Edition}", "stratum", "share", "plans", "members", "medoid");
        foreach (var stratum in suite.Strata)
            table.Row(stratum.Name, Figures.Percent(stratum.Weight / suite.Weight), Figures.Number(stratum.Units),
                Figures.Number(stratum.Members.Length), stratum.Members[0].Job);
        Terminal.Write(table);
        Terminal.WriteLine($"{Figures.Number(suite.Members().Count())} members for {Figures.Number(suite.Units)} plans of "
            + $"{Figures.Number(suite.Rows)} traces; expected 95 % interval of a projection: ±{Figures.Percent(suite.ExpectedHalfWidth)}");
        Terminal.WriteLine($"weights meet the fleet's {(suite.Totals.IsEmpty ? "total alone" : string.Join(", ", suite.Totals))}");
        if (suite.Members().Count(m => m.Part is not null) is > 0 and var parts)
            Terminal.WriteLine($"{Figures.Number(parts)} members are parts of their iteration: {string.Join(", ", suite.Members()
                .Where(m => m.Part is not null).Take(MaxRows).Select(m => $"{m.Name} {m.Part} {Figures.Percent(m.PartShare!.Value)}"))}");
        if (suite.Unweighted > 0)
            Terminal.WriteLine($"{Figures.Number(suite.Unweighted)} traces have no weight, and do not count");
    }

    /// <summary>What a suite took, and says of the fleet.</summary>
    public static void Write(SuiteDocument suite, SuiteRunDocument run)
    {
        var table = Terminal.Table($"{run.Engine} on {run.Host}", "member", "weight", "iteration, ms", "reference, ms", "peak memory",
            "verification");
        var measured = run.Members.ToDictionary(m => m.Name);
        foreach (var member in suite.Members())
            if (measured.GetValueOrDefault(member.Name) is { } m)
                table.Row(member.Part is { } part ? $"{member.Name}, {part}" : member.Name,
                    Figures.Percent(member.Weight / suite.Members().Sum(x => x.Weight)), m.MedianNs is { } ns
                    ? Figures.InMilliseconds(ns) : "did not run", member.ReferenceNs * (member.PartShare ?? 1) is { } reference
                    ? Figures.InMilliseconds(reference)
                    : "not known", m.PeakBytes is { } peak ? Figures.Megabytes(peak) : "", m.IsExact switch
                    {
                        true => "exact",
                        false => "different",
                        _ => ""
                    });
        Terminal.Write(table);
        if (run.Fleet is not { } figures)
            return;
        var fleet = Terminal.Table("the fleet on this machine", "figure", "estimate", "95 % interval", "design effect");
        foreach (var figure in figures)
            fleet.Row(figure.Name switch
            {
                "time_ratio" => "hours here for an hour of the fleet",
                "iteration_ns" => "iteration, ms, weighted mean",
                "peak_bytes" => "peak memory, MB, weighted mean",
                _ => "share of iterations in calls between ranks",
            }, Value(figure.Name, figure.Mean), figure is { From: { } from, To: { } to }
                ? $"{Value(figure.Name, from)} to {Value(figure.Name, to)}"
                : "not known", figure.DesignEffect is { } effect ? Number(effect) : "not known");
        Terminal.Write(fleet);
    }

    /// <summary>How a fleet has moved.</summary>
    public static void Write(FleetDrift drift)
    {
        var table = Terminal.Table($"drift since {drift.Since:yyyy-MM-dd}", "what", "value");
        table.Row("hours before, since", $"{Number(drift.OldWeight)}, {Number(drift.NewWeight)}"
            + (drift.Undated > 0 ? $"; {Figures.Number(drift.Undated)} traces without a day" : ""));
        table.Row("new hours that are like nothing before; by chance", $"{Figures.Percent(drift.Uncovered)}; "
            + $"{Figures.Percent(drift.ByChance.Expected)}, p {P(drift.ByChance.P)}");
        table.Row("features that moved", drift.Groups.Where(g => g.StandsOut).Select(g => $"{g.Group} ({Number(g.Difference)}, p {P(g.P)})")
            .DefaultIfEmpty("none").Aggregate((a, b) => $"{a}, {b}"));
        table.Row("shares that moved (stability index)", string.Join(", ", drift.Shares.Select(s => $"{s.Of} {Number(s.Index)}")));
        table.Row("energy distance", $"{Number(drift.Energy.Distance)}, p {P(drift.Energy.P)}");
        table.Row("advice", drift.Advice switch
        {
            RefreshAdvice.None => "none: the suite stands for the fleet",
            RefreshAdvice.Weights => "new weights",
            RefreshAdvice.Additions => "members more, for what is new",
            _ => "choose the suite again",
        });
        Terminal.Write(table);
        foreach (string change in drift.Changes)
            Terminal.WriteLine(change);
    }

    /// <summary>Two machines by a suite.</summary>
    public static void Write(SuiteComparison comparison, SuiteRunDocument first, SuiteRunDocument second, double link)
    {
        var table = Terminal.Table("B against A", "stratum", "share", "B / A", "adds to the difference");
        foreach (var (name, share, ratio, part) in comparison.Strata)
            table.Row(name, Figures.Percent(share), Number(ratio), part.ToString("+0.0 %;-0.0 %;0.0 %", CultureInfo.InvariantCulture));
        Terminal.Write(table);
        Terminal.WriteLine($"A: {first.Engine} on {first.Host}");
        Terminal.WriteLine($"B: {second.Engine} on {second.Host}");
        Terminal.WriteLine($"the fleet takes {Number(comparison.Ratio)} times as long on B as on A"
            + (comparison is { From: { } from, To: { } to } ? $" (95 %: {Number(from)} to {Number(to)})" : ""));
        if (link != 1)
            Terminal.WriteLine($"chained to earlier editions: {Number(link * comparison.Ratio)}");
    }

    private static string Value(string figure, double value) => figure switch
    {
        "iteration_ns" => Figures.InMilliseconds(value),
        "peak_bytes" => (value / 1e6).ToString("N0", CultureInfo.InvariantCulture),
        "communication_share" => Figures.Percent(value),
        _ => Number(value),
    };

    private static string Number(double value) => value.ToString(Math.Abs(value) < 100 ? "0.###" : "N0", CultureInfo.InvariantCulture);

    private static string P(double p) => p < 0.001 ? "< 0.001" : p.ToString("0.000", CultureInfo.InvariantCulture);
}
