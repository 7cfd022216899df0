using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Reporting.Documents;

/// <summary>
/// The file <c>mystique-run</c>, as <c>mystique run --json</c> and <c>run.py --json</c> write it and <c>mystique compare</c> reads it;
/// <c>docs/result-format.md</c> says what each field means, <c>docs/schemas/mystique-run.schema.json</c> what it looks like.
/// </summary>
internal sealed record RunDocument
{
    public const string FormatName = "mystique-run";
    public const int CurrentVersion = 5;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required SourceDocument Source { get; init; }

    public required EngineDocument Engine { get; init; }

    public required ProgramDocument Program { get; init; }

    public required HostDocument Host { get; init; }

    public required RunOptionsDocument Options { get; init; }

    public required CoverageDocument Coverage { get; init; }

    public ReferenceDocument? Reference { get; init; }

    public Baseline? Baseline { get; init; }

    public required SamplesDocument Iterations { get; init; }

    public required long CpuTimeNs { get; init; }

    public required MemoryDocument Memory { get; init; }

    public SystemMetrics? System { get; init; }

    public required ImmutableArray<OperatorGroupDocument> Operators { get; init; }

    public required VerificationDocument Verification { get; init; }

    public PaceDocument? Pace { get; init; }

    public ImmutableArray<NonFiniteDocument>? NonFinite { get; init; }

    /// <summary>Of a rank of a job, the calls between ranks; absent for a rank that is replayed from its own trace.</summary>
    public CommunicationDocument? Communication { get; init; }
}

/// <summary>A rank's calls to other ranks, in one iteration.</summary>
internal sealed record CommunicationDocument
{
    public required int Rank { get; init; }

    public required int WorldSize { get; init; }

    /// <summary>What PyTorch's process groups ran on; empty for a rank that ran alone.</summary>
    public required string Backend { get; init; }

    public required int Calls { get; init; }

    /// <summary>Of these, those that ranks made with each other.</summary>
    public required int Real { get; init; }

    /// <summary>Of these, those that local work stood for.</summary>
    public required int Local { get; init; }

    /// <summary>Of all, those that waited for ranks that were not there.</summary>
    public required int Emulated { get; init; }

    /// <summary>How long the host was in calls and waits for them: the median.</summary>
    public required long BlockedNs { get; init; }

    public required int Groups { get; init; }

    /// <summary>Calls that PyTorch or its backend lacks, and what did their work.</summary>
    public ImmutableArray<OtherFormDocument>? ListForms { get; init; }
}

/// <summary>Calls in another form.</summary>
internal sealed record OtherFormDocument(string Operator, string By, int Count, string Reason);

/// <summary>Where a plan comes from.</summary>
internal sealed record SourceDocument
{
    public required string Trace { get; init; }

    public required string Sha256 { get; init; }

    public required string Schema { get; init; }

    /// <summary>Null where all of the trace was taken.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required long? Iteration { get; init; }
}

/// <summary>What it ran on.</summary>
internal sealed record EngineDocument
{
    public required string Name { get; init; }

    public required string Device { get; init; }

    public required int Threads { get; init; }

    public required ImmutableSortedDictionary<string, string> Versions { get; init; }

    /// <summary>Settings of PyTorch that were set because the original had them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableSortedDictionary<string, string>? Settings { get; init; }

    /// <summary>What the target is not, or does not know, that the original was or knew.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<string>? Notes { get; init; }

    /// <summary>What measured iterations: <c>events</c> of the device, or the <c>host</c>'s clock.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Clock { get; init; }

    /// <summary>What a GPU ran at before and after the measured iterations, where its tools tell.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<ClockDocument>? Clocks { get; init; }
}

/// <summary>A GPU's clock, and why it is not higher (<c>nvidia-smi --help-query-gpu</c>, <c>clocks_event_reasons.active</c>).</summary>
internal sealed record ClockDocument(double SmMegahertz, string Reasons);

/// <summary>What ran: the benchmark's own program, or one that was fitted to the target.</summary>
internal sealed record ProgramDocument
{
    /// <summary><c>torchscript</c>, or <c>eager</c>: operators are called one by one.</summary>
    public required string Form { get; init; }

    /// <summary><c>operator</c> or <c>framework</c>; absent in results of versions that had only the first.</summary>
    public string? Level { get; init; }

    /// <summary>Of the program that ran.</summary>
    public required string Sha256 { get; init; }

    /// <summary>Whether it is another than the benchmark's own, because the target could not run that.</summary>
    public required bool Fitted { get; init; }

    public required ImmutableArray<FitChangeDocument> Changes { get; init; }
}

/// <summary>What was changed for the target, in all operators of a name.</summary>
internal sealed record FitChangeDocument(string Operator, int Count, string Change, string By, string Reason);

/// <summary>The machine.</summary>
internal sealed record HostDocument
{
    public required string Os { get; init; }

    public required string Processor { get; init; }

    public required int Processors { get; init; }

    public required long MemoryBytes { get; init; }

    public required string Runtime { get; init; }

    public static HostDocument Of(HostInfo host) => new()
    {
        Os = host.OperatingSystem,
        Processor = host.Processor,
        Processors = host.Processors,
        MemoryBytes = host.MemoryBytes,
        Runtime = host.Runtime,
    };
}

/// <summary>How it was run.</summary>
internal sealed record RunOptionsDocument(int Iterations, int Warmup, long Seed, string Pace);

/// <summary>What is known of the original's time.</summary>
internal sealed record ReferenceDocument
{
    public required string Source { get; init; }

    public required long IterationNs { get; init; }

    public required long RecordedNs { get; init; }

    public required int LinkedOperators { get; init; }

    public required int UnlinkedOperators { get; init; }

    public required long DeviceNs { get; init; }

    public required long UnexplainedNs { get; init; }
}

/// <summary>Memory, in bytes.</summary>
internal sealed record MemoryDocument
{
    public required long BaselineBytes { get; init; }

    public required long PeakBytes { get; init; }

    public required long UsedBytes { get; init; }

    public required long PlannedPeakBytes { get; init; }

    public long? AllocatedBytes { get; init; }

    public AllocatorUse? Device { get; init; }
}

/// <summary>Operators of a name.</summary>
internal sealed record OperatorGroupDocument
{
    public required string Name { get; init; }

    public required int Count { get; init; }

    /// <summary>Null where they were not timed: autograd ran some of them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required long? TimeNs { get; init; }

    public int? AddedCount { get; init; }

    public required long AllocatedBytes { get; init; }

    public required int OriginalCount { get; init; }

    public long? OriginalNs { get; init; }

    /// <summary>On the device, of a profiled iteration of the replay; absent where that started nothing there.</summary>
    public long? DeviceNs { get; init; }

    /// <summary>Kernels, copies and fillings that they started on the device; absent as above.</summary>
    public int? Kernels { get; init; }

    /// <summary>On the device, of the original's profiled iteration; absent where that has no device.</summary>
    public long? OriginalDeviceNs { get; init; }

    /// <summary>Kernels, copies and fillings that the original's started; absent as above.</summary>
    public int? OriginalKernels { get; init; }
}

/// <summary>How the pace was kept.</summary>
internal sealed record PaceDocument(long Waits, long WaitedNs, long Late, long WorstLateNs);

/// <summary>An operator whose results are not finite.</summary>
internal sealed record NonFiniteDocument(int? Segment, long Node, string Operator, string What);
