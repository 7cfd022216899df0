using System.Numerics;

namespace Mystique.Fleet.Selection;

/// <summary>
/// Units as points: shares as square roots, so that Euclid's distance is Hellinger's; sizes as logarithms; each group of features scaled
/// to one total variance, so that groups, not columns, have equal say; then principal components to 95 % of the variance.
/// </summary>
internal sealed class FeatureSpace
{
    private const double Kept = 0.95;

    /// <summary>What a group needs of units that have it: machine-bound features are not recorded everywhere.</summary>
    private const double EnoughKnown = 0.95;

    private readonly float[] _points;

    private FeatureSpace(float[] points, int dimensions, string[] groups) => (_points, Dimensions, Groups) = (points, dimensions, groups);

    /// <summary>Principal components of each point.</summary>
    public int Dimensions { get; }

    /// <summary>The groups of features that vary.</summary>
    public IReadOnlyList<string> Groups { get; }

    /// <summary>How many points there are.</summary>
    public int Count => _points.Length / Math.Max(1, Dimensions);

    /// <summary>A point.</summary>
    public ReadOnlySpan<float> this[int unit] => _points.AsSpan(unit * Dimensions, Dimensions);

    /// <summary>Euclid's distance of two points.</summary>
    public float Distance(int first, int second)
    {
        ReadOnlySpan<float> a = this[first], b = this[second];
        var sums = Vector<float>.Zero;
        int i = 0;
        for (; i + Vector<float>.Count <= a.Length; i += Vector<float>.Count)
        {
            var difference = new Vector<float>(a[i..]) - new Vector<float>(b[i..]);
            sums += difference * difference;
        }
        float sum = Vector.Sum(sums);
        for (; i < a.Length; i++)
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        return MathF.Sqrt(sum);
    }

    /// <summary>Makes points of units.</summary>
    /// <param name="units">The units.</param>
    /// <param name="isPortable">Whether features count that the machine has no part in alone.</param>
    public static FeatureSpace Of(IReadOnlyList<FleetUnit> units, bool isPortable = false)
    {
        double total = units.Sum(u => u.Weight);
        var columns = new List<double[]>();
        var names = new List<string>();
        foreach (var (name, of) in FeatureGroups.All)
        {
            if (isPortable && FeatureGroups.OfMachines.Contains(name) || units.Count(u => of(u) is not null) < EnoughKnown * units.Count)
                continue;
            int width = of(units.First(u => of(u) is not null))!.Length;
            var group = Enumerable.Range(0, width).Select(_ => new double[units.Count]).ToArray();
            var known = new bool[units.Count];
            for (int i = 0; i < units.Count; i++)
            {
                if (of(units[i]) is not { } values)
                    continue;
                known[i] = true;
                for (int c = 0; c < width; c++)
                    group[c][i] = values[c];
            }
            double variance = group.Sum(column => Center(column, units, known));
            if (variance / total <= 1e-12)
                continue;
            double scale = 1 / Math.Sqrt(variance / total);
            foreach (double[] column in group)
                for (int i = 0; i < column.Length; i++)
                    column[i] *= scale;
            columns.AddRange(group);
            names.Add(name);
        }
        return Project(columns, units, total, [.. names]);
    }

    /// <summary>Takes the weighted mean off; units that do not have the feature lie at the mean. The weighted sum of squares.</summary>
    private static double Center(double[] column, IReadOnlyList<FleetUnit> units, bool[] known)
    {
        double weight = 0, sum = 0, squares = 0;
        for (int i = 0; i < column.Length; i++)
            if (known[i])
                (weight, sum) = (weight + units[i].Weight, sum + units[i].Weight * column[i]);
        for (int i = 0; i < column.Length; i++)
        {
            column[i] = known[i] ? column[i] - sum / weight : 0;
            squares += units[i].Weight * column[i] * column[i];
        }
        return squares;
    }

    private static FeatureSpace Project(List<double[]> columns, IReadOnlyList<FleetUnit> units, double total, string[] names)
    {
        int width = columns.Count;
        if (width == 0)
            return new FeatureSpace(new float[units.Count], 1, names);
        var covariance = new double[width, width];
        Parallel.For(0, width, a =>
        {
            for (int b = a; b < width; b++)
            {
                double sum = 0;
                for (int i = 0; i < units.Count; i++)
                    sum += units[i].Weight * columns[a][i] * columns[b][i];
                covariance[a, b] = covariance[b, a] = sum / total;
            }
        });
        var (values, vectors) = SymmetricMatrix.Decompose(covariance);
        int dimensions = 0;
        for (double sum = 0, all = values.Sum(); dimensions < width && sum < Kept * all; dimensions++)
            sum += values[dimensions];
        dimensions = Math.Max(1, dimensions);
        var points = new float[units.Count * dimensions];
        Parallel.For(0, units.Count, i =>
        {
            for (int d = 0; d < dimensions; d++)
            {
                double sum = 0;
                for (int c = 0; c < width; c++)
                    sum += columns[c][i] * vectors[c, d];
                points[i * dimensions + d] = (float)sum;
            }
        });
        return new FeatureSpace(points, dimensions, names);
    }
}
