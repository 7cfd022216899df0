using System.Collections.Immutable;

namespace Mystique.Fleet.Suites;

/// <summary>What a suite that was measured says of the fleet.</summary>
internal static class FleetFigures
{
    /// <summary>
    /// By member, how long it takes here for an hour of the fleet; the time of an iteration, where some have no reference.
    /// </summary>
    public static (string Name, Dictionary<string, double> Of) TimesOf(SuiteDocument suite, IReadOnlyDictionary<string,
        SuiteMeasurement> run)
    {
        bool isRatio = suite.Members().All(m => m.ReferenceNs is > 0);
        // A part that took twice its recorded time stands for an iteration that takes twice its own.
        return (isRatio ? "time_ratio" : "iteration_ns", suite.Members().ToDictionary(m => m.Name, m =>
            run[m.Name].MedianNs!.Value / (m.PartShare ?? 1) / (isRatio ? m.ReferenceNs!.Value : 1)));
    }

    /// <summary>All figures; all members have to be measured.</summary>
    public static ImmutableArray<ProjectedFigure> Of(SuiteDocument suite, IReadOnlyDictionary<string, SuiteMeasurement> run)
    {
        var (name, times) = TimesOf(suite, run);
        var figures = ImmutableArray.CreateBuilder<ProjectedFigure>();
        figures.Add(Of(suite, name, times));
        if (run.Values.All(m => m.PeakBytes is not null) && suite.Members().All(m => m.Part is null)) // A part's peak is not the whole's.
            figures.Add(Of(suite, "peak_bytes", run.ToDictionary(m => m.Key, m => (double)m.Value.PeakBytes!.Value)));
        if (suite.Members().Any(m => m.Ranks > 1))
            figures.Add(Of(suite, "communication_share", run.ToDictionary(m => m.Key, m =>
                (m.Value.BlockedNs ?? 0) / m.Value.MedianNs!.Value)));
        return figures.ToImmutable();
    }

    private static ProjectedFigure Of(SuiteDocument suite, string name, Dictionary<string, double> measured)
    {
        var estimate = Projection.Of(suite, measured);
        double weight = suite.Members().Sum(m => m.Weight);
        return new ProjectedFigure
        {
            Name = name,
            Mean = estimate.Mean,
            From = estimate.From,
            To = estimate.To,
            DesignEffect = estimate.DesignEffect,
            Weighted = suite.Members().Sum(m => m.Weight * measured[m.Name]) / weight,
        };
    }
}

/// <summary>Two runs of a suite: how much longer the fleet takes on the second one's side.</summary>
/// <param name="Ratio">Of times, by weight: the second over the first.</param>
/// <param name="From">The lower end of the 95 % interval; null where nothing tells of the spread.</param>
/// <param name="To">The upper end.</param>
/// <param name="Strata">
/// By stratum, its share of the weight, its ratio, and what it adds to the difference from 1; what drives it first.
/// </param>
internal sealed record SuiteComparison(double Ratio, double? From, double? To,
    ImmutableArray<(string Name, double Share, double Ratio, double Part)> Strata)
{
    /// <summary>Compares.</summary>
    /// <param name="suite">The suite of both.</param>
    /// <param name="first">The first run; all members measured.</param>
    /// <param name="second">The second run.</param>
    public static SuiteComparison Of(SuiteDocument suite, SuiteRunDocument first, SuiteRunDocument second)
    {
        var (a, b) = (first.Members.ToDictionary(m => m.Name), second.Members.ToDictionary(m => m.Name));
        // A ratio of totals, linearised (Taylor): the spread is that of b - R a.
        var (_, before) = FleetFigures.TimesOf(suite, a);
        var (_, after) = FleetFigures.TimesOf(suite, b);
        double all = Projection.Of(suite, before).Mean;
        double ratio = Projection.Of(suite, after).Mean / all;
        var rest = Projection.Of(suite, before.ToDictionary(m => m.Key, m => (after[m.Key] - ratio * m.Value) / all));
        return new SuiteComparison(ratio, ratio - rest.HalfWidth, ratio + rest.HalfWidth, [.. suite.Strata.Select(s =>
        {
            double weight = s.Members.Sum(m => m.Weight);
            double old = s.Members.Sum(m => m.Weight * before[m.Name]) / weight,
                now = s.Members.Sum(m => m.Weight * after[m.Name]) / weight;
            double share = s.Weight / suite.Weight;
            return (s.Name, share, now / old, share * (now - old) / all);
        }).OrderByDescending(s => Math.Abs(s.Item4))]);
    }
}
