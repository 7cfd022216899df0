namespace Mystique.Fleet.Selection;

/// <summary>
/// So many units that not all pairs of them can be compared, by fewer of them: seeds far from each other (k-means++; Arthur and
/// Vassilvitskii 2007), each with the weight of the units that are nearest to it.
/// </summary>
internal static class MicroClusters
{
    /// <summary>Points whose pairs are all compared: 25 MB of distances.</summary>
    public const int MaxPoints = 2500;

    /// <summary>The units that stand for others, and the weights of those that they stand for.</summary>
    /// <param name="space">The units as points.</param>
    /// <param name="weights">Their weights.</param>
    /// <param name="forced">Units that stand for themselves in any case.</param>
    /// <param name="random">Draws the seeds.</param>
    /// <param name="max">How many there may be.</param>
    public static (int[] Points, double[] Weights) Of(FeatureSpace space, double[] weights, IReadOnlyCollection<int> forced, Random random,
        int max = MaxPoints)
    {
        int n = weights.Length;
        if (n <= max)
            return ([.. Enumerable.Range(0, n)], weights);
        var nearest = new float[n];
        var owner = new int[n];
        Array.Fill(nearest, float.MaxValue);
        var seeds = new List<int>(max);
        void Take(int seed)
        {
            int place = seeds.Count;
            seeds.Add(seed);
            Parallel.For(0, Environment.ProcessorCount, part =>
            {
                int from = (int)((long)n * part / Environment.ProcessorCount),
                    to = (int)((long)n * (part + 1) / Environment.ProcessorCount);
                for (int i = from; i < to; i++)
                    if (space.Distance(i, seed) is var distance && distance < nearest[i])
                        (nearest[i], owner[i]) = (distance, place);
            });
        }
        foreach (int unit in forced)
            Take(unit);
        if (seeds.Count == 0)
            Take(Array.IndexOf(weights, weights.Max()));
        var sums = new double[n];
        while (seeds.Count < max)
        {
            double sum = 0;
            for (int i = 0; i < n; i++)
                sums[i] = sum += weights[i] * nearest[i] * nearest[i];
            if (sum <= 0)
                break;
            // Several seeds of one draw: the distances of the next ones hardly change.
            int draws = Math.Min(16, max - seeds.Count);
            foreach (int seed in Enumerable.Range(0, draws).Select(_ => PlaceOf(sums, random.NextDouble() * sum)).Distinct().ToArray())
                Take(seed);
        }
        var total = new double[seeds.Count];
        for (int i = 0; i < n; i++)
            total[owner[i]] += weights[i];
        return ([.. seeds], total);
    }

    private static int PlaceOf(double[] sums, double at)
    {
        int place = Array.BinarySearch(sums, at);
        return Math.Min(place < 0 ? ~place : place, sums.Length - 1);
    }
}
