using System.Collections.Immutable;

namespace Mystique.Fleet.Selection;

/// <summary>Groups of features, each with what it makes of a unit; null where a unit does not have it.</summary>
internal static class FeatureGroups
{
    private static readonly string[] Phases = ["train", "inference", "prefill", "decode"];

    /// <summary>Those that say how jobs take to machines: two fleets differ by the others.</summary>
    public static IReadOnlySet<string> OfMachines { get; } = new HashSet<string> { "work by launch", "time", "rates", "device shares" };

    /// <summary>All, by name.</summary>
    public static IReadOnlyList<(string Name, Func<FleetUnit, double[]?> Of)> All { get; } =
    [
        ("flops by class", u => Roots(u.Row.Portable.Flops)),
        ("bytes by class", u => Roots(u.Row.Portable.Bytes)),
        ("operators by class", u => Roots(u.Row.Portable.Counts)),
        ("element types", u => Roots(u.Row.Portable.TypeBytes)),
        ("size", u => [Log(u.Row.Portable.Flops.Sum()), Log(u.Row.Portable.Bytes.Sum()), Log(u.Row.Portable.PeakBytes)]),
        ("launches", u => [Log(u.Row.Portable.Counts.Sum()), Log(u.Row.Portable.UniqueOperators),
            Log(1e9 * u.Row.Portable.Counts.Sum() / (1 + u.Row.Portable.Flops.Sum()))]),
        ("intensity", u => [.. u.Row.Portable.Intensity.Select(Log)]),
        ("communication", u => [.. u.Row.Portable.CallBytes.Select(b => Log(b) / 10), Log(u.Row.Portable.Calls), Log(u.Row.Rank.Ranks)]),
        ("phase", u => [.. Phases.Select(p => u.Row.Phase == p ? 1.0 : 0)]),
        ("work by launch", u => [Log(u.Row.Portable.Flops.Sum() / Launches(u)), Log(u.Row.Portable.Bytes.Sum() / Launches(u))]),
        ("time", u => u.IterationNs is { } ns ? [Log(ns), Log(ns / Launches(u))] : null),
        ("rates", u => u.IterationNs is { } ns ? [Log(1e3 * u.Row.Portable.Flops.Sum() / ns), Log(1e3 * u.Row.Portable.Bytes.Sum() / ns)]
            : null),
        ("device shares", u => u.Row.Machine is { IterationNs: > 0 and var all, DeviceNs: { } device }
            ? [Math.Min(2, (double)device / all), Math.Min(2, (u.Row.Machine.ExposedNs ?? 0) / (double)all)] : null),
    ];

    private static double Launches(FleetUnit unit) => Math.Max(1, unit.Row.Portable.Counts.Sum());

    private static double[] Roots(ImmutableArray<double> values)
    {
        double sum = values.Sum();
        return [.. values.Select(v => sum > 0 ? Math.Sqrt(v / sum) : 0)];
    }

    private static double Log(double value) => Math.Log(1 + Math.Max(0, value));

    private static double Log(long value) => Log((double)value);

    private static double Log(int value) => Log((double)value);
}
