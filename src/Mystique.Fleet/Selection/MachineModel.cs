using Mystique.Fleet.Catalogue;

namespace Mystique.Fleet.Selection;

/// <summary>
/// A machine by three figures, to see beforehand how a suite would project others: each class of operators takes the longer of computing
/// and moving (Williams et al., "Roofline", 2009), each operator a launch, each byte between ranks its link.
/// </summary>
/// <param name="FlopsPerSecond">Operations a second.</param>
/// <param name="BytesPerSecond">Bytes of memory a second.</param>
/// <param name="LaunchSeconds">Seconds for each operator.</param>
/// <param name="LinkBytesPerSecond">Bytes between ranks a second.</param>
internal readonly record struct MachineModel(double FlopsPerSecond, double BytesPerSecond, double LaunchSeconds, double LinkBytesPerSecond)
{
    /// <summary>The machine that others are compared with, and others with more of one thing each.</summary>
    private static readonly MachineModel Reference = new(2e13, 1e12, 5e-6, 5e10);

    private static readonly MachineModel[] Others =
    [
        Reference with { FlopsPerSecond = 8e13 }, Reference with { BytesPerSecond = 3e12 }, Reference with { LaunchSeconds = 2e-6 },
        Reference with { LinkBytesPerSecond = 2e11 },
    ];

    /// <summary>By unit, how much longer each of several machines takes than the one of reference.</summary>
    public static IReadOnlyList<double[]> Ratios(IReadOnlyList<FleetUnit> units) =>
        [.. Others.Select(o => units.Select(u => o.Seconds(u.Row.Portable) / Reference.Seconds(u.Row.Portable)).ToArray())];

    /// <summary>Seconds of an iteration.</summary>
    public double Seconds(PortableFeatures features)
    {
        double seconds = LaunchSeconds * Math.Max(1, features.Counts.Sum()) + features.CallBytes.Sum() / LinkBytesPerSecond;
        for (int i = 0; i < features.Flops.Length; i++)
            seconds += Math.Max(features.Flops[i] / FlopsPerSecond, features.Bytes[i] / BytesPerSecond);
        return seconds;
    }
}
