using System.Collections.Immutable;
using System.Globalization;
using Mystique.Fidelity;
using Mystique.Measurement;

namespace Mystique.Reporting;

/// <summary>How reports put a comparison into words.</summary>
internal static class FidelityText
{
    /// <summary>Which level was replayed, where it is not the operators'.</summary>
    public static string AtLevel(FidelityReport report) =>
        report.Replay.Coverage?.Level == ReplayLevel.Framework ? " at the framework's level" : "";

    /// <summary>The one sentence: how far off, and where it comes from.</summary>
    public static string Headline(FidelityReport report)
    {
        if (report.Time is not { } time)
            return "iteration times cannot be compared";
        string text = string.Create(CultureInfo.InvariantCulture,
            $"the replay{AtLevel(report)} is {Math.Abs(time.Error):0.0 %} {(time.Error < 0 ? "faster" : "slower")} than the original "
                + $"(95 %: {Figures.Difference(time.Low)} to {Figures.Difference(time.High)})");
        if (report.Control is { } control)
            text += $"; the A/A control, a second process of the original, differs by {Figures.Difference(control.Error)} (95 %: "
                + $"{Figures.Difference(control.Low)} to {Figures.Difference(control.High)})";
        else if (report.NoiseFloor is { } noise)
            text += string.Create(CultureInfo.InvariantCulture, $"; the original differs from itself by {noise:0.0 %}");
        if ((report.IdleNs ?? report.BetweenNs) is not { } between || Math.Abs(time.Error) <= (report.NoiseFloor ?? 0))
            return text;
        // The parts that pull in the direction of the whole.
        double all = report.Replay.Times.MedianNs - report.Original.Times.MedianNs;
        string[] parts = [.. report.Groups.Select(k => (k.Name, k.DifferenceNs))
            .Append((report.IsByDevice ? "what the device is idle" : "what is between operators", between.Replay - between.Original))
            .Where(p => Math.Sign(p.Item2) == Math.Sign(all) && Math.Abs(p.Item2) > 0.05 * Math.Abs(all))
                .OrderByDescending(p => Math.Abs(p.Item2)).Take(3)
            .Select(p => $"{p.Item1} ({(p.Item2 / 1e6).ToString("+0.000;-0.000", CultureInfo.InvariantCulture)} ms)")];
        return parts.Length == 0 ? text
            : $"{text}; of {(all / 1e6).ToString("+0.000;-0.000", CultureInfo.InvariantCulture)} ms most is {string.Join(", ", parts)}";
    }

    /// <summary>The measures, a row each: name, original, replay, difference.</summary>
    public static IEnumerable<(string Name, string Original, string Replay, string Difference)> Rows(FidelityReport report)
    {
        var (original, replay) = (report.Original, report.Replay);
        if (report.Time is { } time)
        {
            yield return ("iteration time, median", Milliseconds(original.Times.MedianNs), Milliseconds(replay.Times.MedianNs),
                Figures.Difference(time.Error));
            yield return ("5th percentile", Milliseconds(original.Times.P5Ns), Milliseconds(replay.Times.P5Ns),
                Figures.Difference(replay.Times.P5Ns / original.Times.P5Ns - 1));
            yield return ("95th percentile", Milliseconds(original.Times.P95Ns), Milliseconds(replay.Times.P95Ns),
                Figures.Difference(replay.Times.P95Ns / original.Times.P95Ns - 1));
        }
        if (original.Clock == MeasuringClock.Events || replay.Clock == MeasuringClock.Events)
            yield return ("iterations measured by", MeasuringClock.Describe(original.Clock), MeasuringClock.Describe(replay.Clock), "");
        if (report.Unpaced is { } unpaced)
            yield return ("median, unpaced", "", Milliseconds(Blocks.TimesOf(replay.Unpaced).MedianNs), Figures.Difference(unpaced.Error));
        if (report.Control is { } control)
            yield return ("A/A control, a second process of the original", Milliseconds(Blocks.TimesOf(original.Processes[0]).MedianNs),
                Milliseconds(Blocks.TimesOf(original.Processes[1]).MedianNs), Figures.Difference(control.Error));
        if (report.BetweenNs is { } between)
            yield return ("of it between operators", Milliseconds(between.Original), Milliseconds(between.Replay), "");
        if (report.IdleNs is { } idle)
        {
            yield return DeviceRow(report);
            yield return ("of it the device is idle", Milliseconds(idle.Original), Milliseconds(idle.Replay), "");
        }
        if (report.CpuTimeError is { } cpu)
            yield return ("CPU time of an iteration", Milliseconds(original.CpuTimeNs!.Value), Milliseconds(replay.CpuTimeNs!.Value),
                Figures.Difference(cpu));
        if (report.MemoryError is { } memory && original.AllocatedBytes is { } tensors && replay.AllocatedBytes is { } others)
            yield return ("peak memory of tensors", Figures.Megabytes(tensors), Figures.Megabytes(others),
                Figures.Difference(memory));
        if (report.ResidentError is { } resident)
            yield return ("peak memory of the process, over the start", Figures.Megabytes(original.UsedBytes!.Value),
                Figures.Megabytes(replay.UsedBytes!.Value), Figures.Difference(resident));
        if (report is { DeviceMemoryError: { } device, DevicePeak: { } peak })
            yield return ("peak memory of the device", Figures.Megabytes(peak.Original), Figures.Megabytes(peak.Replay),
                Figures.Difference(device));
        if (original.Device?.ReservedBytes is { } reserved && replay.Device?.ReservedBytes is { } held)
            yield return ("held by its allocator", Figures.Megabytes(reserved), Figures.Megabytes(held), "");
        if (report.InOrder is { } inOrder)
            yield return ("operators that start in the original's order", "", Figures.Percent(inOrder), "");
        if (original.Concurrency is { } a && replay.Concurrency is { } b)
        {
            yield return ("operators' time beside other operators", Figures.Percent(a.HostOverlap), Figures.Percent(b.HostOverlap), "");
            if (a is { DeviceBusy: { } busy, DeviceOverlap: { } overlap }
                && b is { DeviceBusy: { } otherBusy, DeviceOverlap: { } otherOverlap })
            {
                yield return ("device busy", Figures.Percent(busy), Figures.Percent(otherBusy), Figures.Difference(otherBusy / busy - 1));
                yield return ("device's time beside other work there", Figures.Percent(overlap), Figures.Percent(otherOverlap), "");
            }
        }
        foreach (var row in SystemRows(original, replay))
            yield return row;
        if (replay.Coverage is { } coverage)
        {
            yield return ("operators as recorded", "", RecordedOf(coverage), CoverageOf(coverage));
            if (coverage.Classes?.RecordedTimeShare is { } share)
                yield return ("of the original's time, as recorded", "", "", Figures.Share(share));
            yield return ("verification", "", coverage.Verification, "");
        }
    }

    private static (string, string, string, string) DeviceRow(FidelityReport report)
    {
        double original = report.Groups.Sum(k => k.OriginalDeviceNs ?? 0), replay = report.Groups.Sum(k => k.ReplayDeviceNs ?? 0);
        return ("operators' time on the device, all streams", Milliseconds(original), Milliseconds(replay),
            Figures.Difference(replay / original - 1));
    }

    /// <summary>Which time of operators is compared, and where it comes from.</summary>
    public static string TimeOf(FidelityReport report) =>
        report.IsByDevice ? "on the device, from the profiles of both sides" : "on the host";

    /// <summary>The columns of a table of kinds of operators: counts, times, and on a device kernels.</summary>
    public static string[] GroupHead(FidelityReport report) => report.IsByDevice
        ? ["operator", "original", "replay", "original kernels", "replay kernels", "original ms", "replay ms", "difference ms",
            "original host ms", "replay host ms"]
        : ["operator", "original", "replay", "original ms", "replay ms", "difference ms"];

    /// <summary>A kind's row of that table.</summary>
    public static string[] GroupRow(OperatorGroupError group)
    {
        var (original, replay) = group.ComparedNs!.Value;
        string[] counts = [group.Name, Figures.Number(group.OriginalCount), Figures.Number(group.ReplayCount)];
        string[] times = [Figures.InMilliseconds(original), Figures.InMilliseconds(replay),
            Figures.DifferenceInMilliseconds(group.DifferenceNs)];
        return group is { OriginalKernels: { } kernels, ReplayKernels: { } others }
            ? [.. counts, Figures.Number(kernels), Figures.Number(others), .. times, Host(group.OriginalNs), Host(group.ReplayNs)]
            : [.. counts, .. times];

        static string Host(double? time) => time is { } known ? Figures.InMilliseconds(known) : "";
    }

    /// <summary>How many operators ran as recorded.</summary>
    public static string RecordedOf(RunCoverage coverage) => coverage.Classes is { } classes
        ? $"{Figures.Number(classes.Exact)} of {Figures.Number(classes.Selected)}" : NotVerified;

    /// <summary>The share that ran as recorded.</summary>
    public static string CoverageOf(RunCoverage coverage) =>
        coverage.Classes is { } classes ? Figures.Share(classes.RecordedShare) : NotVerified;

    private const string NotVerified = "not verified";

    /// <summary>System-level metrics that both sides have: of an iteration, by its median and the time that was sampled.</summary>
    private static IEnumerable<(string, string, string, string)> SystemRows(Run original, Run replay)
    {
        if (original.System is not { DurationNs: > 0 } a || replay.System is not { DurationNs: > 0 } b)
            yield break;
        double forA = original.Times.MedianNs / a.DurationNs, forB = replay.Times.MedianNs / b.DurationNs;
        yield return Row("logical CPUs busy with it", (double)a.CpuTimeNs / a.DurationNs, (double)b.CpuTimeNs / b.DurationNs, "0.00");
        yield return Row("logical CPUs busy, of the machine", a.CoreUtilisation.Sum(), b.CoreUtilisation.Sum(), "0.00");
        yield return Row("page faults of an iteration", (a.MinorFaults + a.MajorFaults) * forA, (b.MinorFaults + b.MajorFaults) * forB,
            "N1");
        yield return Row("context switches of an iteration", (a.VoluntarySwitches + a.InvoluntarySwitches) * forA,
            (b.VoluntarySwitches + b.InvoluntarySwitches) * forB, "N1");
        if (a.Instructions is { } instructions && b.Instructions is { } others)
            yield return Row("instructions of an iteration, millions", instructions * forA / 1e6, others * forB / 1e6, "N1");
        if (a.InstructionsPerCycle is { } ipc && b.InstructionsPerCycle is { } other)
            yield return Row("instructions per cycle", ipc, other, "0.00");
        if (a.CacheMisses is { } misses && b.CacheMisses is { } otherMisses)
            yield return Row("cache misses of an iteration, thousands", misses * forA / 1e3, otherMisses * forB / 1e3, "N1");
        if (a.PackageEnergyMicrojoules is { } energy && b.PackageEnergyMicrojoules is { } otherEnergy)
            yield return Row("package energy of an iteration, mJ", energy * forA / 1e3, otherEnergy * forB / 1e3, "N1");
        foreach (var (x, y) in Pairs(a.Gpus, b.Gpus))
        {
            foreach (var (name, a1, b1, format) in new[]
            {
                ("share of the time", x.Utilisation, y.Utilisation, "0.000"),
                    ("memory in use, MB", x.PeakMemoryBytes / 1e6, y.PeakMemoryBytes / 1e6, "N0"),
                ("power, W", x.PowerWatts, y.PowerWatts, "N1"), ("clock, MHz", x.ClockMegahertz, y.ClockMegahertz, "N0"),
                ("multiprocessors active", x.SmActivity, y.SmActivity, "0.000"),
                    ("memory active", x.MemoryActivity, y.MemoryActivity, "0.000"),
            })
                if (a1 is { } left && b1 is { } right)
                    yield return Row($"GPU {x.Index}, {name}", left, right, format);
        }

        // Where both know the GPU that they used, there is one of each, and it may be another one.
        static IEnumerable<(GpuMetrics, GpuMetrics)> Pairs(ImmutableArray<GpuMetrics> ours, ImmutableArray<GpuMetrics> theirs) =>
            ours.Length == 1 && theirs.Length == 1 ? [(ours[0], theirs[0])]
            : ours.Concat(theirs).All(g => g.Uuid is not null) ? ours.Join(theirs, g => g.Uuid, g => g.Uuid, (x, y) => (x, y))
            : ours.Join(theirs, g => g.Index, g => g.Index, (x, y) => (x, y));

        static (string, string, string, string) Row(string name, double x, double y, string format) =>
            (name, x.ToString(format, CultureInfo.InvariantCulture), y.ToString(format, CultureInfo.InvariantCulture), x > 0
                ? Figures.Difference(y / x - 1) : "");
    }

    /// <summary>A label in a table: name, operators, milliseconds of both sides, and the difference.</summary>
    public static string[] LabelRow(LabelError label) =>
        [label.Label.Length == 0 ? "(none)" : label.Label, Figures.Number(label.Count), Figures.InMilliseconds(label.OriginalNs),
        Figures.InMilliseconds(label.ReplayNs),
        Figures.DifferenceInMilliseconds(label.DifferenceNs)];

    public static string Milliseconds(double nanoseconds) => Figures.InMilliseconds(nanoseconds) + " ms";
}
