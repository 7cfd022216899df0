namespace Mystique.Fleet.Drift;

/// <summary>Tests whether two weighted samples are of one distribution.</summary>
internal static class TwoSamples
{
    /// <summary>
    /// Kolmogorov's and Smirnov's test: the largest difference of the weighted distributions, and how likely one as large is by chance. A
    /// weighted sample counts as <c>(Σw)²/Σw²</c> observations (Kish, "Survey Sampling", 1965).
    /// </summary>
    public static (double Difference, double P) KolmogorovSmirnov(IReadOnlyList<(double Value, double Weight)> first,
        IReadOnlyList<(double Value, double Weight)> second)
    {
        double a = first.Sum(v => v.Weight), b = second.Sum(v => v.Weight);
        if (a <= 0 || b <= 0)
            return (0, 1);
        double difference = 0, sum = 0;
        var all = first.Select(v => (v.Value, Step: v.Weight / a)).Concat(second.Select(v => (v.Value, Step: -v.Weight / b)))
            .OrderBy(v => v.Value).ToArray();
        for (int i = 0; i < all.Length; i++)
        {
            sum += all[i].Step;
            if (i + 1 == all.Length || all[i + 1].Value != all[i].Value)
                difference = Math.Max(difference, Math.Abs(sum));
        }
        double n = Effective(first.Select(v => v.Weight)), m = Effective(second.Select(v => v.Weight));
        double size = Math.Sqrt(n * m / (n + m));
        return (difference, Kolmogorov((size + 0.12 + 0.11 / size) * difference));
    }

    /// <summary>How many observations of one weight say as much as weighted ones.</summary>
    public static double Effective(IEnumerable<double> weights)
    {
        double sum = 0, squares = 0;
        foreach (double weight in weights)
            (sum, squares) = (sum + weight, squares + weight * weight);
        return squares > 0 ? sum * sum / squares : 0;
    }

    /// <summary>
    /// Which of several p-values stand out so that at most a share of those is by chance (Benjamini and Hochberg, 1995).
    /// </summary>
    public static bool[] BenjaminiHochberg(IReadOnlyList<double> p, double share)
    {
        int[] order = [.. Enumerable.Range(0, p.Count).OrderBy(i => p[i])];
        int last = Array.FindLastIndex(order, i => p[i] <= share * (Array.IndexOf(order, i) + 1) / p.Count);
        var found = new bool[p.Count];
        for (int k = 0; k <= last; k++)
            found[order[k]] = true;
        return found;
    }

    /// <summary>
    /// The population stability index: the sum of <c>(q - p) ln(q / p)</c> over categories; from 0.1 on something moved, from 0.25 on much
    /// did, as is customary.
    /// </summary>
    public static double StabilityIndex(IReadOnlyList<double> before, IReadOnlyList<double> after)
    {
        const double Least = 1e-4; // Of a category that one side does not have.
        double p = before.Sum(), q = after.Sum();
        return p <= 0 || q <= 0 ? 0 : before.Zip(after, (x, y) =>
        {
            double from = Math.Max(Least, x / p), to = Math.Max(Least, y / q);
            return (to - from) * Math.Log(to / from);
        }).Sum();
    }

    /// <summary>
    /// The energy distance of two weighted samples (Szekely and Rizzo, 2013), and how likely one as large is by chance: of permutations
    /// of the units, with their weights, the share that has as much.
    /// </summary>
    public static (double Distance, double P) Energy(int first, int second, Func<int, int, double> distance, IReadOnlyList<double> weights,
        int permutations, Random random)
    {
        int n = first + second;
        var distances = new double[n, n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++)
                distances[i, j] = distances[j, i] = distance(i, j);
        int[] order = [.. Enumerable.Range(0, n)];
        double Of()
        {
            double a = 0, b = 0, between = 0, withinA = 0, withinB = 0;
            for (int i = 0; i < n; i++)
                if (i < first) a += weights[order[i]];
                else b += weights[order[i]];
            for (int i = 0; i < n; i++)
                for (int j = 0; j < i; j++)
                {
                    double d = weights[order[i]] * weights[order[j]] * distances[order[i], order[j]];
                    if (i < first) withinA += d;
                    else if (j >= first) withinB += d;
                    else between += d;
                }
            return 2 * between / (a * b) - 2 * withinA / (a * a) - 2 * withinB / (b * b);
        }
        double observed = Of();
        int asLarge = 0;
        for (int k = 0; k < permutations; k++)
        {
            random.Shuffle(order);
            asLarge += Of() >= observed ? 1 : 0;
        }
        return (observed, (1.0 + asLarge) / (1 + permutations));
    }

    /// <summary>The chance of a value as large, of Kolmogorov's distribution.</summary>
    private static double Kolmogorov(double x)
    {
        if (x < 0.2)
            return 1;
        double sum = 0;
        for (int k = 1; k <= 100; k++)
        {
            double term = Math.Exp(-2.0 * k * k * x * x);
            sum += k % 2 == 1 ? term : -term;
            if (term < 1e-12)
                break;
        }
        return Math.Clamp(2 * sum, 0, 1);
    }
}
