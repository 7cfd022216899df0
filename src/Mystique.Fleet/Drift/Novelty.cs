using Mystique.Fleet.Selection;

namespace Mystique.Fleet.Drift;

/// <summary>
/// What of a fleet is new: units that lie farther from all old ones than nearly all of the old hours do from each other. The suite was
/// drawn from the old units, so that it stands for nothing that is like none of them; the distance to its few representatives tells less,
/// for sizes vary more within a stratum than families do.
/// </summary>
internal sealed class Novelty
{
    /// <summary>Neighbours of each unit that are known: among so many there is an old one.</summary>
    private const int Neighbours = 32;

    private readonly FeatureSpace _space;
    private readonly double[] _weights;
    private readonly (int Unit, float Distance)[][] _neighbours;
    private readonly double _beyond;

    /// <param name="space">The units.</param>
    /// <param name="weights">By unit, its weight.</param>
    /// <param name="beyond">The share of the old hours that counts as far from the others.</param>
    public Novelty(FeatureSpace space, double[] weights, double beyond)
    {
        (_space, _weights, _beyond) = (space, weights, beyond);
        _neighbours = new (int, float)[weights.Length][];
        Parallel.For(0, weights.Length, i =>
        {
            var nearest = new PriorityQueue<(int, float), float>();
            for (int j = 0; j < weights.Length; j++)
            {
                if (j == i)
                    continue;
                float distance = space.Distance(i, j);
                if (nearest.Count < Neighbours)
                    nearest.Enqueue((j, distance), -distance);
                else
                    nearest.EnqueueDequeue((j, distance), -distance);
            }
            _neighbours[i] = [.. nearest.UnorderedItems.Select(n => n.Element).OrderBy(n => n.Item2)];
        });
    }

    /// <summary>Which units are new, and like none that is old.</summary>
    /// <param name="isNew">By unit, whether it is of the new days.</param>
    public bool[] Beyond(bool[] isNew)
    {
        float[] distances = DistancesOf(isNew);
        float limit = LimitOf(isNew, distances);
        return [.. distances.Select((d, i) => isNew[i] && d > limit)];
    }

    /// <summary>
    /// The share of the new hours that is like nothing old; what it is in the mean where days are dealt out by chance; and how likely it
    /// is to be as large then, by square roots of hours: few jobs have most hours, and by hours alone chance would have too large a part.
    /// </summary>
    public (double Share, double Expected, double P) Test(bool[] isNew, int permutations, Random random)
    {
        var (observed, evidence) = SharesOf(isNew);
        var dealt = (bool[])isNew.Clone();
        double sum = 0;
        int asLarge = 0;
        for (int k = 0; k < permutations; k++)
        {
            random.Shuffle(dealt);
            var (share, roots) = SharesOf(dealt);
            sum += share;
            asLarge += roots >= evidence ? 1 : 0;
        }
        return (observed, sum / permutations, (1.0 + asLarge) / (1 + permutations));
    }

    private (double OfWeight, double OfRoots) SharesOf(bool[] isNew)
    {
        float[] distances = DistancesOf(isNew);
        float limit = LimitOf(isNew, distances);
        double all = 0, beyond = 0, roots = 0, rootsBeyond = 0;
        for (int i = 0; i < isNew.Length; i++)
        {
            if (!isNew[i])
                continue;
            double root = Math.Sqrt(_weights[i]);
            (all, roots) = (all + _weights[i], roots + root);
            if (distances[i] > limit)
                (beyond, rootsBeyond) = (beyond + _weights[i], rootsBeyond + root);
        }
        return (beyond / all, rootsBeyond / roots);
    }

    /// <summary>By unit, the distance to the nearest old one that it is not itself.</summary>
    private float[] DistancesOf(bool[] isNew)
    {
        var distances = new float[isNew.Length];
        for (int i = 0; i < distances.Length; i++)
        {
            distances[i] = float.MaxValue;
            foreach (var (unit, distance) in _neighbours[i])
                if (!isNew[unit])
                {
                    distances[i] = distance;
                    break;
                }
            // Among many new ones an old one may be no neighbour.
            for (int j = 0; distances[i] == float.MaxValue && j < isNew.Length; j++)
                if (j != i && !isNew[j])
                    distances[i] = Enumerable.Range(j, isNew.Length - j).Where(k => k != i && !isNew[k]).Min(k => _space.Distance(i, k));
        }
        return distances;
    }

    /// <summary>The distance that nearly all of the old hours do not exceed.</summary>
    private float LimitOf(bool[] isNew, float[] distances)
    {
        double all = 0, sum = 0;
        for (int i = 0; i < isNew.Length; i++)
            all += isNew[i] ? 0 : _weights[i];
        foreach (int i in Enumerable.Range(0, isNew.Length).Where(i => !isNew[i]).OrderBy(i => distances[i]))
            if ((sum += _weights[i]) >= (1 - _beyond) * all)
                return distances[i];
        return float.MaxValue;
    }
}
