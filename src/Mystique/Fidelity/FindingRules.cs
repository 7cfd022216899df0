namespace Mystique.Fidelity;

/// <summary>Finds what is worth naming in a comparison, the worst first.</summary>
internal static class FindingRules
{
    private const int MaxFindings = 20;

    /// <summary>An allocation, or the time of a group, must differ by so much of the whole to be named.</summary>
    private const double Noticeable = 0.01;

    /// <summary>
    /// About what a page fault takes, with the page that it clears, in nanoseconds; in virtual machines it takes several times
    /// as long.
    /// </summary>
    private const double FaultNs = 1000;

    /// <summary>A peak of memory must differ by so much to be named.</summary>
    private const double NoticeableMemory = 0.05;

    /// <summary>Groups whose times are named.</summary>
    private const int MaxTimes = 5;

    /// <summary>The findings of a comparison.</summary>
    /// <param name="report">The comparison.</param>
    /// <param name="countsCompare">Whether both sides count the same operators.</param>
    public static IEnumerable<Finding> Of(FidelityReport report, bool countsCompare) =>
        Device(report).Concat(Counts(report, countsCompare)).Concat(Memory(report)).Concat(Times(report)).Take(MaxFindings);

    private static IEnumerable<Finding> Device(FidelityReport report)
    {
        if (report.Original.DeviceKind is { } original && report.Replay.DeviceKind is { } replay && original != replay)
            yield return new Finding
            {
                Kind = FindingKind.OtherDevice,
                Severity = FindingSeverity.Error,
                Subject = $"{replay} instead of {original}",
                Original = 1,
                Replay = 0,
                Threshold = 0,
                Fix = $"replay it on {original}: `--engine python --device {original}`",
            };
    }

    private static IEnumerable<Finding> Counts(FidelityReport report, bool countsCompare)
    {
        foreach (var group in report.Groups.Where(k => countsCompare && k.OriginalCount != k.ReplayCount)
            .OrderByDescending(k => Math.Abs(k.ReplayCount - k.OriginalCount)))
            yield return new Finding
            {
                Kind = FindingKind.OperatorCount,
                Severity = FindingSeverity.Error,
                Subject = group.Name,
                Original = group.OriginalCount,
                Replay = group.ReplayCount,
                Threshold = 0,
                Fix = "`mystique run` lists what does not run as recorded, and why",
            };
        foreach (var (name, original, replay) in report.Kernels)
            yield return new Finding
            {
                Kind = FindingKind.KernelCount,
                Severity = FindingSeverity.Error,
                Subject = name,
                Original = original,
                Replay = replay,
                Threshold = 0,
                Fix = "run both on the same versions, device and settings",
            };
    }

    private static IEnumerable<Finding> Memory(FidelityReport report)
    {
        var (original, replay) = (report.Original, report.Replay);
        if (report.MemoryError is { } error && Math.Abs(error) > NoticeableMemory)
        {
            var (a, b) = original.AllocatedBytes is { } x && replay.AllocatedBytes is { } y ? (x, y)
                : (original.UsedBytes!.Value, replay.UsedBytes!.Value);
            yield return new Finding
            {
                Kind = FindingKind.MemoryPeak,
                Severity = FindingSeverity.Warning,
                Original = a,
                Replay = b,
                Threshold = NoticeableMemory * a,
            };
        }
        double allocated = report.Groups.Sum(k => (double)(k.OriginalBytes ?? 0));
        foreach (var group in report.Groups.Where(k => k is { OriginalBytes: not null, ReplayBytes: not null }
            && Math.Abs(k.ReplayBytes.Value - k.OriginalBytes.Value) > Noticeable * allocated)
            .OrderByDescending(k => Math.Abs(k.ReplayBytes!.Value - k.OriginalBytes!.Value)))
            yield return new Finding
            {
                Kind = FindingKind.AllocatedBytes,
                Severity = FindingSeverity.Warning,
                Subject = group.Name,
                Original = group.OriginalBytes!.Value,
                Replay = group.ReplayBytes!.Value,
                Threshold = Noticeable * allocated,
            };
        if (FaultsOf(original) is { } faults && FaultsOf(replay) is { } others
            && Math.Abs(others - faults) * FaultNs > Noticeable * original.Times.MedianNs)
            yield return new Finding
            {
                Kind = FindingKind.PageFaults,
                Severity = FindingSeverity.Warning,
                Original = faults,
                Replay = others,
                Threshold = Noticeable * original.Times.MedianNs / FaultNs,
                Fix = "run both with the same allocator settings: `mystique bench` does",
            };
    }

    private static IEnumerable<Finding> Times(FidelityReport report)
    {
        if (report.InOrder is { } inOrder and < 1 - Noticeable)
            yield return new Finding
            {
                Kind = FindingKind.OperatorOrder,
                Severity = FindingSeverity.Warning,
                Original = 1,
                Replay = inOrder,
                Threshold = Noticeable,
            };
        if ((report.IdleNs ?? report.BetweenNs) is not { } between || report.Original.Times.SamplesNs.IsEmpty
            || report.Replay.Times.SamplesNs.IsEmpty)
            yield break;
        double noticeable = Noticeable * report.Original.Times.MedianNs;
        foreach (var group in report.Groups.Where(k => Math.Abs(k.DifferenceNs) > noticeable).Take(MaxTimes))
            yield return new Finding
            {
                Kind = FindingKind.OperatorTime,
                Severity = FindingSeverity.Info,
                Subject = group.Name,
                Original = group.ComparedNs!.Value.Original,
                Replay = group.ComparedNs!.Value.Replay,
                Threshold = noticeable,
            };
        if (Math.Abs(between.Replay - between.Original) > noticeable)
            yield return new Finding
            {
                Kind = report.IsByDevice ? FindingKind.DeviceIdle : FindingKind.BetweenOperators,
                Severity = FindingSeverity.Info,
                Original = between.Original,
                Replay = between.Replay,
                Threshold = noticeable,
                Fix = "`--pace recorded` waits where the original did",
            };
    }

    private static double? FaultsOf(Run run) => run.System is { DurationNs: > 0 } system && !run.Times.SamplesNs.IsEmpty
        ? (system.MinorFaults + system.MajorFaults) * run.Times.MedianNs / system.DurationNs : null;
}
