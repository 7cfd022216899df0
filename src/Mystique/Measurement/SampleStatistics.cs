using System.Collections.Immutable;

namespace Mystique.Measurement;

/// <summary>Iteration times and their spread, all in nanoseconds.</summary>
/// <param name="SamplesNs">The times in the order in which they were measured.</param>
public sealed record SampleStatistics(ImmutableArray<long> SamplesNs)
{
    private readonly long[] _sorted = [.. SamplesNs.Order()];

    /// <summary>The median.</summary>
    public double MedianNs => Percentile(50);

    /// <summary>The 5th percentile.</summary>
    public double P5Ns => Percentile(5);

    /// <summary>The 95th percentile.</summary>
    public double P95Ns => Percentile(95);

    /// <summary>The arithmetic mean.</summary>
    public double MeanNs => _sorted.Length == 0 ? 0 : _sorted.Average();

    /// <summary>Whether the medians of the last two tenths of samples, of three at least each, agree within 1 %.</summary>
    /// <param name="samples">Times in the order in which they were measured.</param>
    internal static bool IsSteady(IReadOnlyList<long> samples)
    {
        int tenth = Math.Max(3, samples.Count / 10);
        if (samples.Count < 2 * tenth)
            return false;
        double last = new SampleStatistics([.. samples.TakeLast(tenth)]).MedianNs;
        double before = new SampleStatistics([.. samples.Skip(samples.Count - 2 * tenth).Take(tenth)]).MedianNs;
        return Math.Abs(last - before) <= before / 100;
    }

    /// <summary>A percentile, with linear interpolation between the two nearest ranks (the definition of NumPy's default).</summary>
    /// <param name="percent">0 to 100.</param>
    /// <returns>Nanoseconds; 0 without samples.</returns>
    public double Percentile(double percent)
    {
        if (_sorted.Length == 0)
            return 0;
        double rank = percent / 100 * (_sorted.Length - 1);
        int below = (int)rank;
        int above = Math.Min(below + 1, _sorted.Length - 1);
        return _sorted[below] + (_sorted[above] - _sorted[below]) * (rank - below);
    }
}
