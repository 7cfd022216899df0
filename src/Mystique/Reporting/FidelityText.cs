using System.Globalization;
using Mystique.Fidelity;

namespace Mystique.Reporting;

/// <summary>How reports put a comparison into words.</summary>
internal static class FidelityText
{
    /// <summary>The one sentence: how far off, and where it comes from.</summary>
    public static string Headline(FidelityReport report)
    {
        if (report.Time is not { } time)
            return "iteration times cannot be compared";
        string text = string.Create(CultureInfo.InvariantCulture,
            $"the replay is {Math.Abs(time.Error):0.0 %} {(time.Error < 0 ? "faster" : "slower")} than the original (95 %: {Signed(time.Low)} to {Signed(time.High)})");
        if (report.NoiseFloor is { } noise)
            text += string.Create(CultureInfo.InvariantCulture, $"; the original differs from itself by {noise:0.0 %}");
        if (report.BetweenNs is not { } between || Math.Abs(time.Error) <= (report.NoiseFloor ?? 0))
            return text;
        // The parts that pull in the direction of the whole.
        double all = report.Replay.Times.MedianNs - report.Original.Times.MedianNs;
        string[] parts = [.. report.Kinds.Select(k => (k.Name, k.DifferenceNs)).Append(("what is between operators", between.Replay - between.Original))
            .Where(p => Math.Sign(p.Item2) == Math.Sign(all) && Math.Abs(p.Item2) > 0.05 * Math.Abs(all)).OrderByDescending(p => Math.Abs(p.Item2)).Take(3)
            .Select(p => $"{p.Item1} ({(p.Item2 / 1e6).ToString("+0.000;-0.000", CultureInfo.InvariantCulture)} ms)")];
        return parts.Length == 0 ? text : $"{text}; of {(all / 1e6).ToString("+0.000;-0.000", CultureInfo.InvariantCulture)} ms most is {string.Join(", ", parts)}";
    }

    /// <summary>The measures, a row each: name, original, replay, difference.</summary>
    public static IEnumerable<(string Name, string Original, string Replay, string Difference)> Rows(FidelityReport report)
    {
        var (original, replay) = (report.Original, report.Replay);
        if (report.Time is { } time)
        {
            yield return ("iteration time, median", Milliseconds(original.Times.MedianNs), Milliseconds(replay.Times.MedianNs), Signed(time.Error));
            yield return ("5th percentile", Milliseconds(original.Times.P5Ns), Milliseconds(replay.Times.P5Ns), Signed(replay.Times.P5Ns / original.Times.P5Ns - 1));
            yield return ("95th percentile", Milliseconds(original.Times.P95Ns), Milliseconds(replay.Times.P95Ns), Signed(replay.Times.P95Ns / original.Times.P95Ns - 1));
        }
        if (report.BetweenNs is { } between)
            yield return ("of it between operators", Milliseconds(between.Original), Milliseconds(between.Replay), "");
        if (report.CpuTimeError is { } cpu)
            yield return ("processor time of an iteration", Milliseconds(original.CpuTimeNs), Milliseconds(replay.CpuTimeNs), Signed(cpu));
        if (report.MemoryError is { } memory)
            yield return ("peak memory over the start", Megabytes(original.UsedBytes), Megabytes(replay.UsedBytes), Signed(memory));
        if (report.DeviceMemoryError is { } device)
            yield return ("peak memory of the device", Megabytes(original.DeviceBytes), Megabytes(replay.DeviceBytes), Signed(device));
        if (replay.Coverage is { } coverage)
        {
            yield return ("operators", Number(coverage.Selected), Number(coverage.Replayed + coverage.Substituted), Share((double)(coverage.Replayed + coverage.Substituted) / Math.Max(1, coverage.Selected)));
            yield return ("verification", "", coverage.Verification, "");
        }
    }

    public static string Milliseconds(double nanoseconds) => (nanoseconds / 1e6).ToString("N3", CultureInfo.InvariantCulture) + " ms";

    public static string Megabytes(double bytes) => (bytes / 1e6).ToString("N1", CultureInfo.InvariantCulture) + " MB";

    public static string Signed(double share) => share.ToString("+0.0 %;-0.0 %;0.0 %", CultureInfo.InvariantCulture);

    public static string Share(double share) => share.ToString("0.0 %", CultureInfo.InvariantCulture);

    public static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
