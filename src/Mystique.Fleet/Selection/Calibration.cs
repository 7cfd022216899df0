namespace Mystique.Fleet.Selection;

/// <summary>
/// Weights that meet known totals exactly and stay near those of the design: raking as exponential tilting (Deville and Sarndal,
/// "Calibration estimators in survey sampling", 1992), <c>w = d exp(x λ)</c>, by Newton's method.
/// </summary>
internal static class Calibration
{
    private const int MaxSteps = 100;

    /// <summary>A weight is not moved by more than this factor: where totals ask for more, they are given up, the last one first.</summary>
    private const double MaxFactor = 5;

    /// <summary>Calibrates.</summary>
    /// <param name="design">The design's weights.</param>
    /// <param name="values">By known total, what each member adds to it for a weight of one.</param>
    /// <param name="totals">The known totals, the most important first.</param>
    /// <returns>The weights, and how many of the totals they meet.</returns>
    public static (double[] Weights, int Met) Rake(double[] design, IReadOnlyList<double[]> values, IReadOnlyList<double> totals)
    {
        for (int count = totals.Count; count > 0; count--)
            if (TryRake(design, [.. values.Take(count)], [.. totals.Take(count)]) is { } weights)
                return (weights, count);
        return (design, 0);
    }

    private static double[]? TryRake(double[] design, double[][] values, double[] totals)
    {
        int n = design.Length, m = totals.Length;
        double[] scales = [.. values.Zip(totals, (v, t) => Math.Max(Math.Abs(t), v.Max(Math.Abs) * design.Sum()) is > 0 and var s ? s : 1)];
        var lambda = new double[m];
        double[] Weights() => [.. Enumerable.Range(0, n).Select(i => design[i] * Math.Exp(Enumerable.Range(0, m)
            .Sum(k => lambda[k] * values[k][i] * design.Sum() / scales[k])))];
        double[] Residual(double[] w) => [.. Enumerable.Range(0, m).Select(k => (totals[k] - Enumerable.Range(0, n).Sum(i =>
            w[i] * values[k][i])) / scales[k])];
        for (int step = 0; step < MaxSteps; step++)
        {
            var weights = Weights();
            if (weights.Any(w => !double.IsFinite(w)))
                return null;
            double[] left = Residual(weights);
            if (left.All(r => Math.Abs(r) < 1e-12))
                return weights.Zip(design).All(w => w.First <= MaxFactor * w.Second && w.Second <= MaxFactor * w.First) ? weights : null;
            var hessian = new double[m, m];
            for (int a = 0; a < m; a++)
                for (int b = 0; b < m; b++)
                    for (int i = 0; i < n; i++)
                        hessian[a, b] += weights[i] * values[a][i] * values[b][i] * design.Sum() / scales[a] / scales[b];
            for (int a = 0; a < m; a++)
                hessian[a, a] *= 1 + 1e-10;
            if (SymmetricMatrix.Solve(hessian, left) is not { } move)
                return null;
            // Half steps until the residual falls.
            double before = left.Sum(r => r * r);
            double size = 1;
            double[] from = [.. lambda];
            do
            {
                for (int k = 0; k < m; k++)
                    lambda[k] = from[k] + size * move[k];
                size /= 2;
            }
            while (size > 1e-6 && !(Residual(Weights()).Sum(r => r * r) < before));
        }
        return null;
    }
}
