using System.Collections.Immutable;

namespace Mystique.Costs;

/// <summary>What a device can do at most ("Roofline", Williams et al., CACM 2009).</summary>
/// <param name="FlopsPerSecond">Floating-point operations a second, above 0.</param>
/// <param name="BytesPerSecond">Bytes of memory a second, above 0.</param>
internal readonly record struct Roofline(double FlopsPerSecond, double BytesPerSecond)
{
    /// <summary>The least time that operators can take one after the other, and the share of it that memory bounds, 0 to 1.</summary>
    public (double Ns, double ByMemory) BoundOf(ImmutableArray<OperatorCost> costs)
    {
        double total = 0;
        double byMemory = 0;
        foreach (var cost in costs)
        {
            double compute = (cost.Flops ?? 0) / FlopsPerSecond;
            double memory = (cost.Bytes ?? 0) / BytesPerSecond;
            total += Math.Max(compute, memory);
            byMemory += memory > compute ? memory : 0;
        }
        return (1e9 * total, total == 0 ? 0 : byMemory / total);
    }
}
