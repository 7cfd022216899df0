using System.Collections.Immutable;

namespace Mystique.Execution.Jobs;

/// <summary>
/// How long calls take in groups of any size, from those of a job: by kind and size of the group a curve over bytes, between whose points
/// logarithms are interpolated (a line of latency and bandwidth is up to 61 % off on Gloo). Between two recorded sizes the logarithm of the
/// size is interpolated; beyond them the part of the bytes grows by the factors of nccl-tests (<c>doc/PERFORMANCE.md</c>) and the rest by
/// the steps of a ring (NVIDIA/nccl, <c>src/graph/tuning.cc</c>).
/// </summary>
internal sealed class CallModel
{
    private readonly Dictionary<(string Kind, int Size), (double Bytes, double Ns)[]> _curves;
    private readonly NetworkModel? _network;

    private CallModel(Dictionary<(string Kind, int Size), (double Bytes, double Ns)[]> curves, NetworkModel? network) =>
        (_curves, _network) = (curves, network);

    /// <summary>By how much recorded calls are off their curve, as shares: what an interval of a projection is made of.</summary>
    public ImmutableArray<double> Residuals { get; private init; } = [];

    /// <summary>The model of calls whose transfer is known; of others a network's, where the user describes one.</summary>
    public static CallModel Of(IEnumerable<JobCallAcross> calls, NetworkModel? network = null)
    {
        var known = calls.Where(c => c is { TransferNs: > 0, Bytes: > 0 }).ToArray();
        var curves = known.GroupBy(c => (c.Kind, c.Size)).ToDictionary(g => g.Key, g => g.GroupBy(c => c.Bytes).OrderBy(b => b.Key)
            .Select(b => ((double)b.Key, Median(b.Select(c => (double)c.TransferNs!.Value)))).ToArray());
        var model = new CallModel(curves, network);
        return new CallModel(curves, network)
        {
            Residuals = [.. known.Select(c => c.TransferNs!.Value / model.TransferNs(c.Kind, c.Size, c.Bytes)!.Value - 1).Order()],
        };
    }

    /// <summary>How long a call takes without anybody being late, in nanoseconds; null where nothing tells.</summary>
    /// <param name="kind">What it does.</param>
    /// <param name="size">The group's number of ranks; 1 takes no time.</param>
    /// <param name="bytes">The message's bytes.</param>
    public double? TransferNs(string kind, int size, double bytes)
    {
        if (size <= 1)
            return 0;
        int[] sizes = [.. _curves.Keys.Where(k => k.Kind == kind).Select(k => k.Size).Order()];
        if (sizes.Length == 0)
            return _network?.TransferNs(kind, size, bytes);
        int below = sizes.LastOrDefault(s => s <= size), above = sizes.FirstOrDefault(s => s >= size);
        if (below == size)
            return At(kind, size, bytes);
        if (below > 0 && above > 0)
            return Interpolate(below, At(kind, below, bytes), above, At(kind, above, bytes), size);
        if (sizes.Length > 1) // The trend of the two nearest sizes, no steeper than the work grows.
        {
            int near = below > 0 ? sizes[^1] : sizes[0], next = below > 0 ? sizes[^2] : sizes[1];
            return Math.Max(0, Interpolate(next, At(kind, next, bytes), near, At(kind, near, bytes), size));
        }
        int from = sizes[0];
        double least = Math.Min(At(kind, from, 1), At(kind, from, bytes)), rest = At(kind, from, bytes) - least;
        return least * NetworkModel.StepsOf(kind, size) / NetworkModel.StepsOf(kind, from)
            + rest * NetworkModel.FactorOf(kind, size) / NetworkModel.FactorOf(kind, from);
    }

    private double At(string kind, int size, double bytes)
    {
        var curve = _curves[(kind, size)];
        if (curve.Length == 1)
            return curve[0].Ns * (bytes > curve[0].Bytes ? bytes / curve[0].Bytes : 1);
        int next = Array.FindIndex(curve, c => c.Bytes >= bytes);
        if (next == 0 || next > 0 && curve[next].Bytes == bytes)
            return curve[next].Ns; // Before the first, the least that a call takes.
        int to = next < 0 ? curve.Length - 1 : next;
        return next < 0 ? curve[^1].Ns * bytes / curve[^1].Bytes // Beyond the largest, by its bandwidth.
            : Interpolate(curve[to - 1].Bytes, curve[to - 1].Ns, curve[to].Bytes, curve[to].Ns, bytes);
    }

    /// <summary>In logarithms of both.</summary>
    private static double Interpolate(double x0, double y0, double x1, double y1, double x) =>
        Math.Exp(Math.Log(y0) + (Math.Log(y1) - Math.Log(y0)) * (Math.Log(x) - Math.Log(x0)) / (Math.Log(x1) - Math.Log(x0)));

    private static double Median(IEnumerable<double> values) => values.Order().ToArray() is var sorted ? sorted[sorted.Length / 2] : 0;
}
