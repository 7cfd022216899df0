using System.Collections.Immutable;
using Mystique.Fleet.Selection;

namespace Mystique.Fleet.Suites;

/// <summary>A figure of the whole fleet, from a suite that was measured.</summary>
/// <param name="Mean">The weighted mean over the fleet.</param>
/// <param name="HalfWidth">Half its 95 % interval; null where nothing that was drawn tells of the spread.</param>
/// <param name="DegreesOfFreedom">Of the interval (Satterthwaite).</param>
/// <param name="DesignEffect">Its variance over that of as many units drawn from the whole fleet; null where it is not known.</param>
internal sealed record FleetEstimate(double Mean, double? HalfWidth, double DegreesOfFreedom, double? DesignEffect)
{
    /// <summary>The lower end of the interval; null where there is none.</summary>
    public double? From => Mean - HalfWidth;

    /// <summary>The upper end.</summary>
    public double? To => Mean + HalfWidth;
}

/// <summary>
/// The generalised regression estimator over strata (GREG; Sarndal, Swensson and Wretman, "Model Assisted Survey Sampling", 1992): a
/// line over the coordinates, fitted to what was measured, is known for all of the fleet; what was drawn corrects it. Whatever the
/// line, the estimate is right in the mean; a good one makes the interval narrow.
/// </summary>
internal static class Projection
{
    /// <summary>Measurements for each coordinate that the line may have.</summary>
    private const int MembersPerCoordinate = 5;

    /// <summary>How much a coefficient of a coordinate with unit variance is held back, in members.</summary>
    private const double Ridge = 1;

    /// <summary>Projects a figure.</summary>
    /// <param name="suite">The suite.</param>
    /// <param name="measured">By member, the figure; all of the suite's members.</param>
    public static FleetEstimate Of(SuiteDocument suite, IReadOnlyDictionary<string, double> measured)
    {
        SuiteEntry[] members = [.. suite.Members()];
        var line = Line.Fit(members, suite, measured);
        double mean = line.At(suite.Mean), variance = 0, squares = 0, spread = 0;
        var residuals = members.ToDictionary(m => m.Name, m => measured[m.Name] - line.At(m.At));
        var pooled = new List<(double Residual, double Weight)>();
        var open = new List<double>();
        foreach (var stratum in suite.Strata)
        {
            var own = stratum.Members.Where(m => m.Draws == 0).ToArray();
            var drawn = stratum.Members.Where(m => m.Draws > 0).ToArray();
            mean += own.Sum(m => m.UnitWeight * residuals[m.Name]) / suite.Weight;
            if (drawn.Length == 0)
                continue;
            double rest = Math.Max(0, stratum.Weight - own.Sum(m => m.UnitWeight)) / suite.Weight;
            int draws = drawn.Sum(m => m.Draws);
            double average = drawn.Sum(m => m.Draws * residuals[m.Name]) / draws;
            mean += rest * average;
            if (draws < 2)
            {
                open.Add(rest * rest);
                continue;
            }
            double deviation = drawn.Sum(m => m.Draws * Math.Pow(residuals[m.Name] - average, 2)) / (draws - 1) * line.Inflation;
            pooled.AddRange(drawn.Select(m => (Math.Pow(residuals[m.Name] - average, 2), (double)m.Draws)));
            double part = rest * rest * deviation / draws;
            variance += part;
            squares += part * part / (draws - 1);
            spread += rest;
        }
        // A stratum that one was drawn of has the spread of the others.
        if (open.Count > 0 && pooled.Count > 1)
            variance += open.Sum() * pooled.Sum(p => p.Residual * p.Weight) / Math.Max(1, pooled.Sum(p => p.Weight) - 1);
        bool isWhole = suite.Strata.All(s => s.Members.All(m => m.Draws == 0));
        if (!isWhole && spread == 0)
            return new FleetEstimate(mean, null, 0, null);
        double freedom = squares > 0 ? Math.Clamp(variance * variance / squares, 1, 1e6) : 1e6;
        return new FleetEstimate(mean, StudentT.Quantile975(freedom) * Math.Sqrt(variance), freedom,
            DesignEffectOf(members, suite, measured, variance));
    }

    private static double? DesignEffectOf(SuiteEntry[] members, SuiteDocument suite, IReadOnlyDictionary<string, double> measured,
        double variance)
    {
        double weight = members.Sum(m => m.DesignWeight);
        double mean = members.Sum(m => m.DesignWeight * measured[m.Name]) / weight;
        double all = members.Sum(m => m.DesignWeight * Math.Pow(measured[m.Name] - mean, 2)) / weight;
        return all > 0 ? variance / (all / members.Length) : null;
    }

    /// <summary>A line over the first coordinates.</summary>
    private sealed record Line(double Constant, double[] Slopes, double Inflation)
    {
        public double At(ImmutableArray<double> coordinates) => Constant + Slopes.Select((s, i) => s * coordinates[i]).Sum();

        /// <summary>Least squares by weight, with slopes held back as for coordinates of unit variance.</summary>
        public static Line Fit(SuiteEntry[] members, SuiteDocument suite, IReadOnlyDictionary<string, double> measured)
        {
            int count = Math.Min(suite.Mean.Length, members.Length / MembersPerCoordinate);
            double total = members.Sum(m => m.DesignWeight);
            double[] shares = [.. members.Select(m => members.Length * m.DesignWeight / total)];
            double mean = members.Select((m, i) => shares[i] * measured[m.Name]).Sum() / members.Length;
            double[] centre = [.. Enumerable.Range(0, count).Select(k => members.Select((m, i) => shares[i] * m.At[k]).Sum() / members.Length)];
            var a = new double[count, count];
            var b = new double[count];
            foreach (var (i, member) in members.Index())
                for (int p = 0; p < count; p++)
                {
                    b[p] += shares[i] * (member.At[p] - centre[p]) * (measured[member.Name] - mean);
                    for (int q = 0; q < count; q++)
                        a[p, q] += shares[i] * (member.At[p] - centre[p]) * (member.At[q] - centre[q]);
                }
            for (int p = 0; p < count; p++)
                a[p, p] += Ridge * Math.Max(a[p, p] / members.Length, 1e-12);
            double[] slopes = count == 0 ? [] : SymmetricMatrix.Solve(a, b) ?? new double[count];
            return new Line(mean - slopes.Select((s, k) => s * centre[k]).Sum(), slopes,
                (double)members.Length / Math.Max(1, members.Length - 1 - count));
        }
    }
}
