using System.Collections.Immutable;
using Mystique.Measurement;
using Mystique.Verification;

namespace Mystique.Reporting.Documents;

/// <summary>
/// The file <c>mystique-fidelity</c>, as <c>mystique compare --json</c>, <c>demo --json</c> and <c>bench --json</c> write it.
/// </summary>
internal sealed record FidelityDocument
{
    public const string FormatName = "mystique-fidelity";
    public const int CurrentVersion = 3;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required string Headline { get; init; }

    public required SideDocument Original { get; init; }

    public required SideDocument Replay { get; init; }

    /// <summary>The replay without the original's pace, where both were measured.</summary>
    public SamplesDocument? Unpaced { get; init; }

    public required ErrorsDocument Errors { get; init; }

    /// <summary>Which time of operators is compared: <c>device</c> or <c>host</c>.</summary>
    public required string OperatorsBy { get; init; }

    public required ImmutableArray<GroupErrorDocument> Operators { get; init; }

    public PairDocument? BetweenOperators { get; init; }

    /// <summary>Where operators are compared by their time on the device: how long it had nothing to do.</summary>
    public PairDocument? DeviceIdle { get; init; }

    public double? InOrder { get; init; }

    public required ImmutableArray<LabelErrorDocument> Labels { get; init; }

    public required ImmutableArray<KernelCountDocument> Kernels { get; init; }

    public required ImmutableArray<FindingDocument> Findings { get; init; }

    public required ImmutableArray<string> Notes { get; init; }
}

/// <summary>One side of a comparison; what is not known of it is absent.</summary>
internal sealed record SideDocument
{
    public required string Name { get; init; }

    public required SamplesDocument Iterations { get; init; }

    /// <summary>What measured iterations: <c>events</c> of the device, or the <c>host</c>'s clock.</summary>
    public string? Clock { get; init; }

    /// <summary>Blocks of an interleaved measurement.</summary>
    public int? Blocks { get; init; }

    public required ImmutableArray<long> RepeatsMedianNs { get; init; }

    public long? CpuTimeNs { get; init; }

    public long? AllocatedBytes { get; init; }

    public long? UsedBytes { get; init; }

    public long? DeviceBytes { get; init; }

    public AllocatorUse? Device { get; init; }

    public Concurrency? Concurrency { get; init; }

    public SystemMetrics? System { get; init; }

    public string? Verification { get; init; }

    public required ImmutableSortedDictionary<string, string> Provenance { get; init; }
}

/// <summary>Errors: replay over original, less 1; those that are not known are absent.</summary>
internal sealed record ErrorsDocument
{
    public double? Time { get; init; }

    public double? TimeLow { get; init; }

    public double? TimeHigh { get; init; }

    public double? TimeUnpaced { get; init; }

    /// <summary>The A/A control: a second process of the original, as a replay of the first.</summary>
    public double? Control { get; init; }

    public double? NoiseFloor { get; init; }

    public double? CpuTime { get; init; }

    public double? Memory { get; init; }

    public double? ResidentMemory { get; init; }

    public double? DeviceMemory { get; init; }
}

/// <summary>Operators of a name on both sides.</summary>
internal sealed record GroupErrorDocument
{
    public required string Name { get; init; }

    public required int OriginalCount { get; init; }

    public required int ReplayCount { get; init; }

    public long? OriginalNs { get; init; }

    public long? ReplayNs { get; init; }

    public long? OriginalDeviceNs { get; init; }

    public long? ReplayDeviceNs { get; init; }

    public int? OriginalKernels { get; init; }

    public int? ReplayKernels { get; init; }

    public long? OriginalBytes { get; init; }

    public long? ReplayBytes { get; init; }
}

/// <summary>A time on both sides, in nanoseconds.</summary>
internal sealed record PairDocument(long OriginalNs, long ReplayNs);

/// <summary>Operators within a label.</summary>
internal sealed record LabelErrorDocument(string Label, int Count, long OriginalNs, long ReplayNs);

/// <summary>A kernel whose number differs.</summary>
internal sealed record KernelCountDocument(string Name, int OriginalCount, int ReplayCount);

/// <summary>A finding: its numbers and the threshold that made it one, and a sentence of them.</summary>
internal sealed record FindingDocument
{
    public required string Id { get; init; }

    public required string Severity { get; init; }

    public string? Subject { get; init; }

    public double? Original { get; init; }

    public double? Replay { get; init; }

    public double? Threshold { get; init; }

    public required string Text { get; init; }

    public string? Fix { get; init; }
}
