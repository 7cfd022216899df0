namespace Mystique.Fleet.Suites;

/// <summary>A figure of the whole fleet, from a suite that was measured.</summary>
/// <param name="Mean">The weighted mean over the fleet.</param>
/// <param name="HalfWidth">Half its 95 % interval; null where nothing tells of the spread.</param>
/// <param name="DesignEffect">Its variance over that of as many units drawn from the whole fleet; null where it is not known.</param>
internal sealed record FleetEstimate(double Mean, double? HalfWidth, double? DesignEffect)
{
    /// <summary>The lower end of the interval; null where there is none.</summary>
    public double? From => Mean - HalfWidth;

    /// <summary>The upper end.</summary>
    public double? To => Mean + HalfWidth;
}

/// <summary>
/// Projects a figure: block kriging over the coordinates, from all members; what was drawn by chance audits it. Where it differs from what
/// the others say of it by more than chance, the estimate is corrected by as much as stands out (the difference estimator of survey
/// sampling, held back as Stein's is), and the interval counts both.
/// </summary>
internal static class Projection
{
    /// <summary>Projects.</summary>
    /// <param name="suite">The suite.</param>
    /// <param name="measured">By member, the figure; all of the suite's members.</param>
    public static FleetEstimate Of(SuiteDocument suite, IReadOnlyDictionary<string, double> measured)
    {
        SuiteEntry[] members = [.. suite.Members()];
        double[] y = [.. members.Select(m => measured[m.Name])];
        if (suite.Points.IsEmpty)
            return new FleetEstimate(members.Select((m, i) => m.UnitWeight * y[i]).Sum() / suite.Weight, 0, 0);
        if (members.Length < 3)
            return new FleetEstimate(members.Select((m, i) => m.DesignWeight * y[i]).Sum() / members.Sum(m => m.DesignWeight), null, null);
        var kriging = Kriging.Fit([.. members.Select(m => m.At.ToArray())], y);
        var (sum, variance) = kriging.SumOver([.. suite.Points.Select(p => (p.At.ToArray(), p.Weight, p.Squares))],
            [.. members.Select(m => m.UnitWeight)]);
        double mean = sum / suite.Weight;
        variance /= suite.Weight * suite.Weight;
        var leftOut = kriging.LeftOut();
        var (correction, spread) = Audit(suite, members, [.. leftOut.Select(l => l.Difference)]);
        // The length and the nugget are fitted, too.
        variance *= Surprise(members, leftOut) * (members.Length - 1) / Math.Max(1, members.Length - 3);
        double kept = correction == 0 ? 0 : Math.Max(0, 1 - 4 * spread / (correction * correction)); // Beyond two standard errors.
        mean += kept * correction;
        variance += kept * kept * spread;
        return new FleetEstimate(mean, StudentT.Quantile975(Math.Max(1, members.Sum(m => m.Draws) - 1)) * Math.Sqrt(variance),
            DesignEffectOf(members, y, variance));
    }

    /// <summary>
    /// What the drawn members differ from what the others say of them, over all that they were drawn from; and its variance.
    /// </summary>
    private static (double Correction, double Variance) Audit(SuiteDocument suite, SuiteEntry[] members, double[] leftOut)
    {
        var differences = members.Index().ToDictionary(m => m.Item.Name, m => leftOut[m.Index]);
        double correction = 0, shares = 0;
        int all = 0;
        foreach (var stratum in suite.Strata)
        {
            var drawn = stratum.Members.Where(m => m.Draws > 0).ToArray();
            int draws = drawn.Sum(m => m.Draws);
            if (draws == 0)
                continue;
            double rest = Math.Max(0, stratum.Weight - stratum.Members.Where(m => m.Draws == 0).Sum(m => m.UnitWeight)) / suite.Weight;
            correction += rest * drawn.Sum(m => m.Draws * differences[m.Name]) / draws;
            shares += rest * rest / draws;
            all += draws;
        }
        // One or two of a stratum say little about its spread: the differences of all do.
        double mean = members.Sum(m => m.Draws * differences[m.Name]) / Math.Max(1, all);
        double spread = members.Sum(m => m.Draws * Math.Pow(differences[m.Name] - mean, 2)) / Math.Max(1, all - 1);
        return all < 2 ? (0, 0) : (correction, shares * spread);
    }

    /// <summary>
    /// How much more the drawn members differ from what the others say of them than these expect, as a ratio of variances; 1 where they do
    /// not.
    /// </summary>
    private static double Surprise(SuiteEntry[] members, (double Difference, double Variance)[] leftOut)
    {
        int draws = members.Sum(m => m.Draws);
        return draws < 2 ? 1 : Math.Max(1, members.Select((m, i) => m.Draws * leftOut[i].Difference * leftOut[i].Difference
            / leftOut[i].Variance).Sum() / (draws - 1));
    }

    private static double? DesignEffectOf(SuiteEntry[] members, double[] y, double variance)
    {
        double weight = members.Sum(m => m.DesignWeight);
        double mean = members.Select((m, i) => m.DesignWeight * y[i]).Sum() / weight;
        double all = members.Select((m, i) => m.DesignWeight * Math.Pow(y[i] - mean, 2)).Sum() / weight;
        return all > 0 ? variance / (all / members.Length) : null;
    }
}
