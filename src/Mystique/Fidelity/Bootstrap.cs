using System.Collections.Immutable;
using Mystique.Metrics;

namespace Mystique.Fidelity;

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
        long[] a = new long[original.SamplesNs.Length];
        long[] b = new long[replay.SamplesNs.Length];
        double[] errors = new double[Draws];
        for (int i = 0; i < Draws; i++)
            errors[i] = DrawMedian(replay, b, ref state) / DrawMedian(original, a, ref state) - 1;
        Array.Sort(errors);
        return new ErrorInterval(replay.MedianNs / original.MedianNs - 1, errors[(int)(Draws * Tail / 100)], errors[(int)(Draws * (100 - Tail) / 100) - 1]);
    }

    /// <summary>The median of the turns' own errors, with its interval of 95% confidence: turns are drawn, not samples.</summary>
    /// <param name="original">The turns of what it is relative to.</param>
    /// <param name="replay">The other's turns, as many.</param>
    public static ErrorInterval PairedError(ImmutableArray<SampleStatistics> original, ImmutableArray<SampleStatistics> replay)
    {
        double[] turns = [.. original.Zip(replay, (a, b) => b.MedianNs / a.MedianNs - 1)];
        uint state = (uint)turns.Length;
        double[] errors = new double[Draws];
        double[] draw = new double[turns.Length];
        for (int i = 0; i < Draws; i++)
        {
            for (int j = 0; j < draw.Length; j++)
                draw[j] = turns[Next(ref state, turns.Length)];
            errors[i] = MedianOf(draw);
        }
        Array.Sort(errors);
        return new ErrorInterval(MedianOf([.. turns]), errors[(int)(Draws * Tail / 100)], errors[(int)(Draws * (100 - Tail) / 100) - 1]);
    }

    private static double MedianOf(double[] values)
    {
        Array.Sort(values);
        return (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }

    /// <summary>A linear congruential generator (Numerical Recipes); its high bits choose.</summary>
    private static int Next(ref uint state, int count)
    {
        state = state * 1664525 + 1013904223;
        return (int)((ulong)state * (ulong)count >> 32);
    }

    private static double DrawMedian(SampleStatistics samples, long[] draw, ref uint state)
    {
        for (int i = 0; i < draw.Length; i++)
            draw[i] = samples.SamplesNs[Next(ref state, draw.Length)];
        Array.Sort(draw);
        return (draw[(draw.Length - 1) / 2] + draw[draw.Length / 2]) / 2.0;
    }
}
