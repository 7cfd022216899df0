
namespace Mystique.Measurement;

/// <summary>
/// The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): samples are
/// drawn anew from the samples, with replacement, and what is asked for is computed from each draw. The draws depend on
/// nothing but the samples' numbers, so that the same samples give the same interval.
/// </summary>
internal static class Bootstrap
{
    private const int Draws = 2000;
    private const double Tail = 2.5; // Percent on either side.

    /// <summary>The relative difference of two medians, with its interval of 95% confidence.</summary>
    /// <param name="original">What it is relative to; at least one sample.</param>
    /// <param name="replay">The other; at least one sample.</param>
    public static ErrorInterval MedianError(SampleStatistics original, SampleStatistics replay)
    {
        uint state = (uint)(original.SamplesNs.Length * 31 + replay.SamplesNs.Length);
        double[] a = [.. original.SamplesNs];
        double[] b = [.. replay.SamplesNs];
        return Interval(replay.MedianNs / original.MedianNs - 1, () => DrawMedian(b, ref state) / DrawMedian(a, ref state) - 1);
    }

    /// <summary>The median of the rounds' own errors, with its interval of 95% confidence: rounds are drawn, not samples.</summary>
    /// <param name="original">The medians of the blocks of what it is relative to; at least one.</param>
    /// <param name="replay">Those of the other, as many.</param>
    public static ErrorInterval PairedError(IEnumerable<double> original, IEnumerable<double> replay)
    {
        double[] rounds = [.. original.Zip(replay, (a, b) => b / a - 1)];
        uint state = (uint)rounds.Length;
        return Interval(MedianOf([.. rounds]), () => DrawMedian(rounds, ref state));
    }

    /// <summary>
    /// The relative difference of the medians of two figures that rounds have, with its interval of 95% confidence: rounds are drawn, and
    /// with each both of its figures.
    /// </summary>
    /// <param name="original">What it is relative to, by round; at least one.</param>
    /// <param name="replay">The other, as many.</param>
    public static ErrorInterval JointError(IReadOnlyList<double> original, IReadOnlyList<double> replay)
    {
        uint state = (uint)original.Count;
        return Interval(MedianOf([.. replay]) / MedianOf([.. original]) - 1, () =>
        {
            int[] rounds = new int[original.Count];
            for (int i = 0; i < rounds.Length; i++)
                rounds[i] = Next(ref state, rounds.Length);
            return MedianOf([.. rounds.Select(r => replay[r])]) / MedianOf([.. rounds.Select(r => original[r])]) - 1;
        });
    }

    /// <summary>The median; the values are sorted.</summary>
    internal static double MedianOf(double[] values)
    {
        Array.Sort(values);
        return (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }

    private static ErrorInterval Interval(double error, Func<double> draw)
    {
        double[] errors = new double[Draws];
        for (int i = 0; i < Draws; i++)
            errors[i] = draw();
        Array.Sort(errors);
        return new ErrorInterval(error, errors[(int)(Draws * Tail / 100)], errors[(int)(Draws * (100 - Tail) / 100) - 1]);
    }

    /// <summary>A linear congruential generator (Numerical Recipes); its high bits choose.</summary>
    private static int Next(ref uint state, int count)
    {
        state = state * 1664525 + 1013904223;
        return (int)((ulong)state * (ulong)count >> 32);
    }

    private static double DrawMedian(double[] samples, ref uint state)
    {
        double[] draw = new double[samples.Length];
        for (int i = 0; i < draw.Length; i++)
            draw[i] = samples[Next(ref state, draw.Length)];
        return MedianOf(draw);
    }
}
