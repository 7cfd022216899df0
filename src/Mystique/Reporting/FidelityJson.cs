using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>Writes comparisons for machines; the fields are in <c>docs/result-format.md</c>.</summary>
internal static class FidelityJson
{
    /// <summary>Writes the comparison.</summary>
    /// <param name="report">The comparison.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(FidelityReport report, Stream stream) => DocumentContext.Write(DocumentOf(report), stream);

    /// <summary>The comparison as a document.</summary>
    internal static FidelityDocument DocumentOf(FidelityReport report) => new()
    {
        Format = FidelityDocument.FormatName,
        FormatVersion = FidelityDocument.CurrentVersion,
        Headline = FidelityText.Headline(report),
        Original = SideOf(report.Original),
        Replay = SideOf(report.Replay),
        Unpaced = report.Replay.Unpaced.IsEmpty ? null : SamplesDocument.Of(Fidelity.Blocks.TimesOf(report.Replay.Unpaced)),
        Errors = new ErrorsDocument
        {
            Time = Share(report.Time?.Error),
            TimeLow = Share(report.Time?.Low),
            TimeHigh = Share(report.Time?.High),
            TimeUnpaced = Share(report.Unpaced?.Error),
            Control = Share(report.Control?.Error),
            NoiseFloor = Share(report.NoiseFloor),
            CpuTime = Share(report.CpuTimeError),
            Memory = Share(report.MemoryError),
            ResidentMemory = Share(report.ResidentError),
            DeviceMemory = Share(report.DeviceMemoryError),
        },
        OperatorsBy = report.IsByDevice ? "device" : "host",
        Operators = [.. report.Groups.Select(k => new GroupErrorDocument
        {
            Name = k.Name,
            OriginalCount = k.OriginalCount,
            ReplayCount = k.ReplayCount,
            OriginalNs = Rounded(k.OriginalNs),
            ReplayNs = Rounded(k.ReplayNs),
            OriginalDeviceNs = Rounded(k.OriginalDeviceNs),
            ReplayDeviceNs = Rounded(k.ReplayDeviceNs),
            OriginalKernels = k.OriginalKernels,
            ReplayKernels = k.ReplayKernels,
            OriginalBytes = k.OriginalBytes,
            ReplayBytes = k.ReplayBytes,
        })],
        BetweenOperators = PairOf(report.BetweenNs),
        DeviceIdle = PairOf(report.IdleNs),
        InOrder = Share(report.InOrder),
        Labels = [.. report.Labels.Select(l =>
            new LabelErrorDocument(l.Label, l.Count, (long)Math.Round(l.OriginalNs), (long)Math.Round(l.ReplayNs)))],
        Kernels = [.. report.Kernels.Select(k => new KernelCountDocument(k.Name, k.Original, k.Replay))],
        Findings = [.. report.Findings.Select(f => new FindingDocument
        {
            Id = JsonNamingPolicy.SnakeCaseLower.ConvertName(f.Kind.ToString()),
            Severity = f.Severity.ToString().ToLowerInvariant(),
            Subject = f.Subject,
            Original = Math.Round(f.Original, 6),
            Replay = Math.Round(f.Replay, 6),
            Threshold = Math.Round(f.Threshold, 6),
            Text = FindingText.Of(f, report.Original.Times.MedianNs),
            Fix = f.Fix,
        })],
        Notes = report.Notes,
    };

    private static SideDocument SideOf(Run run) => new()
    {
        Name = run.Name,
        Iterations = SamplesDocument.Of(run.Times),
        Clock = run.Clock,
        Blocks = run.Blocks.IsEmpty ? null : run.Blocks.Length,
        RepeatsMedianNs = [.. run.Repeats.Select(r => (long)Math.Round(r.MedianNs))],
        CpuTimeNs = Rounded(run.CpuTimeNs),
        AllocatedBytes = run.AllocatedBytes,
        UsedBytes = run.UsedBytes,
        DeviceBytes = run.DeviceBytes,
        Device = run.Device,
        Concurrency = run.Concurrency,
        System = run.System,
        Verification = run.Coverage?.Verification,
        Provenance = run.Provenance.GroupBy(p => p.Name)
            .ToImmutableSortedDictionary(g => g.Key, g => string.Join("; ", g.Select(p => p.Value)), StringComparer.Ordinal),
    };

    private static PairDocument? PairOf((double Original, double Replay)? times) =>
        times is { } both ? new PairDocument((long)Math.Round(both.Original), (long)Math.Round(both.Replay)) : null;

    private static double? Share(double? share) => share is { } value ? Math.Round(value, 6) : null;

    private static long? Rounded(double? value) => value is { } number ? (long)Math.Round(number) : null;
}
