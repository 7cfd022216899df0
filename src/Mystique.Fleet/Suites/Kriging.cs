using Mystique.Fleet.Selection;

namespace Mystique.Fleet.Suites;

/// <summary>
/// The mean of a figure over a fleet, from what was measured at some of its points: block kriging (Cressie, "Statistics for Spatial Data",
/// 1993, 3.4; a Gaussian process with a constant mean). What lies near a member takes after it, what lies far from all takes after their
/// mean, and says so by its variance.
/// </summary>
internal sealed class Kriging
{
    private static readonly double[] Lengths = [0.25, 0.5, 1, 2, 4];
    private static readonly double[] Nuggets = [0.01, 0.03, 0.1, 0.3, 1];

    private readonly double[][] _at;
    private readonly double[] _y;
    private readonly double _length;
    private readonly double _nugget;
    private readonly double[,] _inverse;
    private readonly double _mean;
    private readonly double _sill;
    private readonly double _ones; // The sum of the inverse's elements.
    private readonly double[] _weights; // The inverse times what is above the mean.

    private Kriging(double[][] at, double[] y, double length, double nugget)
    {
        (_at, _y, _length, _nugget) = (at, y, length, nugget);
        int n = y.Length;
        var covariance = new double[n, n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                covariance[i, j] = Kernel(at[i], at[j]) + (i == j ? nugget : 0);
        (_inverse, double logDeterminant) = SymmetricMatrix.Invert(covariance);
        double ones = 0, sum = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                (ones, sum) = (ones + _inverse[i, j], sum + _inverse[i, j] * y[j]);
        (_ones, _mean) = (ones, sum / ones);
        _weights = [.. Enumerable.Range(0, n).Select(i => Enumerable.Range(0, n).Sum(j => _inverse[i, j] * (y[j] - _mean)))];
        _sill = Math.Max(1e-18, Enumerable.Range(0, n).Sum(i => _weights[i] * (y[i] - _mean)) / Math.Max(1, n - 1));
        // The restricted likelihood, up to constants.
        Likelihood = -0.5 * ((n - 1) * Math.Log(_sill) + logDeterminant + Math.Log(ones));
    }

    private double Likelihood { get; }

    /// <summary>Fits the length over which points are alike, and how much even near ones differ, by restricted likelihood.</summary>
    /// <param name="at">Coordinates of what was measured; two at least.</param>
    /// <param name="y">The figures.</param>
    public static Kriging Fit(double[][] at, double[] y)
    {
        double[] distances = [.. at.SelectMany((a, i) => at.Skip(i + 1).Select(b => Math.Sqrt(Square(a, b)))).Where(d => d > 0).Order()];
        double middle = distances.Length == 0 ? 1 : distances[distances.Length / 2];
        return Lengths.SelectMany(l => Nuggets.Select(g => new Kriging(at, y, l * middle, g))).MaxBy(k => k.Likelihood)!;
    }

    /// <summary>The sum over points by weight, and its variance.</summary>
    /// <param name="points">
    /// Points that were not measured: coordinates, weights, and sums of the squared weights of what lies there.
    /// </param>
    /// <param name="measuredWeights">The weights of what was measured, which is known.</param>
    public (double Sum, double Variance) SumOver(IReadOnlyList<(double[] At, double Weight, double Squares)> points,
        double[] measuredWeights)
    {
        int n = _y.Length;
        var to = new double[n]; // The covariance of the sum with each that was measured.
        double weight = 0, own = 0, alone = 0;
        foreach (var (at, w, squares) in points)
        {
            weight += w;
            alone += squares;
            for (int i = 0; i < n; i++)
                to[i] += w * Kernel(at, _at[i]);
        }
        for (int i = 0; i < points.Count; i++)
            for (int j = 0; j <= i; j++)
                own += (i == j ? 1 : 2) * points[i].Weight * points[j].Weight * Kernel(points[i].At, points[j].At);
        double sum = weight * _mean + Enumerable.Range(0, n).Sum(i => to[i] * _weights[i] + measuredWeights[i] * _y[i]);
        double explained = 0, trend = weight;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
            {
                explained += to[i] * _inverse[i, j] * to[j];
                trend -= to[i] * _inverse[i, j];
            }
        double variance = own + _nugget * alone - explained + trend * trend / _ones;
        return (sum, _sill * Math.Max(0, variance));
    }

    /// <summary>
    /// What each that was measured differs from what the others say of it, and the variance that they expect of that (Dubrule, 1983).
    /// </summary>
    public (double Difference, double Variance)[] LeftOut() => [.. _weights.Select((w, i) =>
    {
        double precision = _inverse[i, i] - Math.Pow(Enumerable.Range(0, _y.Length).Sum(j => _inverse[i, j]), 2) / _ones;
        return (w / precision, _sill / precision);
    })];

    private double Kernel(double[] a, double[] b) => Math.Exp(-Square(a, b) / (2 * _length * _length));

    private static double Square(double[] a, double[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        return sum;
    }
}
