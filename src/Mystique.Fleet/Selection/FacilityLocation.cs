namespace Mystique.Fleet.Selection;

/// <summary>
/// Chooses representatives so that the weighted distance of all to their nearest one is small: facility location by lazy greedy (Minoux
/// 1978; its gain is submodular, so that greedy is within 1 - 1/e of the best gain), then each cluster's medoid again until nothing
/// changes (Park and Jun 2009). One pass gives the answer for every number of representatives.
/// </summary>
internal sealed class FacilityLocation
{
    private const int MaxRounds = 20;

    private readonly FeatureSpace _space;
    private readonly double[] _weights;
    private readonly int[] _points;
    private readonly float[] _distances; // Of all candidates to all points, a row for each candidate; candidates are the points.

    private FacilityLocation(FeatureSpace space, int[] points, double[] weights)
    {
        (_space, _points, _weights) = (space, points, weights);
        int n = points.Length;
        _distances = new float[(long)n * n];
        Parallel.For(0, n, i =>
        {
            for (int j = 0; j < n; j++)
                _distances[(long)i * n + j] = _space.Distance(_points[i], _points[j]);
        });
    }

    /// <summary>Representatives in the order in which they were chosen, and the weighted distance that is left after each.</summary>
    /// <param name="space">The points.</param>
    /// <param name="points">Those that are to be represented, and may represent.</param>
    /// <param name="weights">Their weights.</param>
    /// <param name="count">How many at most.</param>
    /// <param name="forced">Places among the points that are chosen first.</param>
    public static (int[] Chosen, double[] Left) Greedy(FeatureSpace space, int[] points, double[] weights, int count,
        IReadOnlyCollection<int> forced)
    {
        var location = new FacilityLocation(space, points, weights);
        return location.Greedy(count, forced);
    }

    /// <summary>The same for a fixed number, with the medoids refined; forced ones stay.</summary>
    public static int[] Refined(FeatureSpace space, int[] points, double[] weights, int count, IReadOnlyCollection<int> forced)
    {
        var location = new FacilityLocation(space, points, weights);
        return location.Refine(location.Greedy(count, forced).Chosen, forced);
    }

    private ReadOnlySpan<float> Of(int candidate) => _distances.AsSpan(candidate * _points.Length, _points.Length);

    private (int[] Chosen, double[] Left) Greedy(int count, IReadOnlyCollection<int> forced)
    {
        int n = _points.Length;
        // Without a representative each point is as far away as the farthest pair: so the first one is the best of all for one.
        float far = n == 0 ? 0 : _distances.Max();
        var nearest = new float[n];
        Array.Fill(nearest, far);
        var chosen = new List<int>();
        var left = new List<double>();
        void Take(int candidate)
        {
            var distances = Of(candidate);
            double sum = 0;
            for (int i = 0; i < n; i++)
            {
                nearest[i] = Math.Min(nearest[i], distances[i]);
                sum += _weights[i] * nearest[i];
            }
            chosen.Add(candidate);
            left.Add(sum);
        }
        foreach (int one in forced)
            Take(one);
        var queue = new PriorityQueue<(int Candidate, int At), (double, int)>(Enumerable.Range(0, n).Except(forced)
            .Select(c => ((c, -1), (double.NegativeInfinity, c))));
        while (chosen.Count < Math.Min(count, n) && queue.TryDequeue(out var next, out _))
        {
            if (next.At == chosen.Count)
            {
                Take(next.Candidate);
                continue;
            }
            queue.Enqueue((next.Candidate, chosen.Count), (-GainOf(next.Candidate, nearest), next.Candidate));
        }
        return ([.. chosen], [.. left]);
    }

    private double GainOf(int candidate, float[] nearest)
    {
        var distances = Of(candidate);
        double gain = 0;
        for (int i = 0; i < nearest.Length; i++)
            if (distances[i] < nearest[i])
                gain += _weights[i] * (nearest[i] - distances[i]);
        return gain;
    }

    private int[] Refine(int[] chosen, IReadOnlyCollection<int> forced)
    {
        int n = _points.Length;
        for (int round = 0; round < MaxRounds; round++)
        {
            var members = chosen.ToDictionary(c => c, _ => new List<int>());
            for (int i = 0; i < n; i++)
                members[chosen.MinBy(c => (Of(c)[i], c))].Add(i);
            int[] next = [.. chosen.Select(c => forced.Contains(c) || members[c].Count == 0 ? c
                : members[c].MinBy(m => (members[c].Sum(i => _weights[i] * Of(m)[i]), m)))];
            if (next.SequenceEqual(chosen) || next.Distinct().Count() < next.Length)
                break;
            chosen = next;
        }
        return chosen;
    }
}
