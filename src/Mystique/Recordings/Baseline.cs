using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Measurement;

namespace Mystique.Recordings;

/// <summary>
/// What is known of the original's own speed: the file <c>reference.json</c> of a capture folder, and a part of the
/// packages and results that come of it. <c>docs/collecting.md</c> says what each field means. Immutable.
/// </summary>
public sealed record Baseline
{
    /// <summary>What <see cref="Format"/> must be.</summary>
    public const string FormatName = "mystique-reference";

    /// <summary>The version that is written; it rises when a field changes its meaning.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Always <see cref="FormatName"/>.</summary>
    public string Format { get; init; } = FormatName;

    /// <summary>The version.</summary>
    public int FormatVersion { get; init; } = CurrentVersion;

    /// <summary>The process's rank.</summary>
    public int Rank { get; init; }

    /// <summary>How many ranks the job had.</summary>
    public int WorldSize { get; init; } = 1;

    /// <summary>
    /// What marked the iterations: <c>optimizer</c>, <c>module</c>, <c>profiler</c>, <c>program</c> (it said so itself); empty
    /// where nothing did.
    /// </summary>
    public string Source { get; init; } = "";

    /// <summary>The class of the optimizer or module.</summary>
    public string SourceName { get; init; } = "";

    /// <summary>The number of the recorded iteration, from 1; null where nobody counted.</summary>
    public long? RecordedIteration { get; init; }

    /// <summary>The times of the recorded iterations, in nanoseconds.</summary>
    public ImmutableArray<long> RecordedNs { get; init; } = [];

    /// <summary>Uninstrumented iterations before the recording.</summary>
    public CaptureWindow Before { get; init; } = new();

    /// <summary>Uninstrumented iterations after it.</summary>
    public CaptureWindow After { get; init; } = new();

    /// <summary>
    /// The medians of the iterations in further runs of the job, a process each, in nanoseconds: how far the original is from
    /// itself.
    /// </summary>
    public ImmutableArray<long> RunsNs { get; init; } = [];

    /// <summary>
    /// Resident memory that belongs to no file, in bytes, when PyTorch had been loaded and nothing else had been done; 0 where
    /// nobody looked then.
    /// </summary>
    public long BaselineBytes { get; init; }

    /// <summary>The most that PyTorch's allocator gave out on the device, in bytes; 0 without a device.</summary>
    public long DevicePeakBytes { get; init; }

    /// <summary>The most that it held of the device, in bytes; null without a device, and where PyTorch does not tell.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? DeviceReservedBytes { get; init; }

    /// <summary>Bytes of the host's tensors when the recording started; null where nobody counted.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? LiveBytes { get; init; }

    /// <summary>The same of the device.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? DeviceLiveBytes { get; init; }

    /// <summary>The device's kind (<c>cpu</c>, <c>cuda</c>, …) and name.</summary>
    public CaptureDevice Device { get; init; } = new("cpu", "");

    /// <summary>The machine; null where the trace was found and not captured.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public HostInfo? Host { get; init; }

    /// <summary>Versions of what ran, by name.</summary>
    public ImmutableSortedDictionary<string, string> Versions { get; init; } = Empty;

    /// <summary>PyTorch's threads: <c>intra_op</c>, <c>inter_op</c>.</summary>
    public ImmutableSortedDictionary<string, int> Threads { get; init; } = ImmutableSortedDictionary<string, int>.Empty;

    /// <summary>Settings of PyTorch that change how fast it runs.</summary>
    public ImmutableSortedDictionary<string, string> Settings { get; init; } = Empty;

    /// <summary>Variables of the environment that change how fast it runs; none whose value looks like a path.</summary>
    public ImmutableSortedDictionary<string, string> Environment { get; init; } = Empty;

    /// <summary>The process groups that the rank belongs to.</summary>
    public ImmutableArray<CaptureGroup> ProcessGroups { get; init; } = [];

    private static ImmutableSortedDictionary<string, string> Empty { get; } = ImmutableSortedDictionary.Create<string,
        string>(StringComparer.Ordinal);

    /// <summary>
    /// The uninstrumented iterations that count, in nanoseconds: all of them; on an accelerator those before the recording alone, for the
    /// profiler can stay attached to it (CUPTI), and make launches slower.
    /// </summary>
    [JsonIgnore]
    public SampleStatistics Uninstrumented => new([.. Counted.SelectMany(w => w.SamplesNs)]);

    /// <summary>Whether the job used a device that works on its own.</summary>
    [JsonIgnore]
    internal bool IsOnDevice => Device.Type is not ("cpu" or "");

    private CaptureWindow[] Counted => IsOnDevice && !Before.SamplesNs.IsEmpty ? [Before] : [Before, After];

    /// <summary>What measured the iterations that count; null where that is not known, or not the same for all.</summary>
    [JsonIgnore]
    internal string? Clock =>
        Counted.Where(w => !w.SamplesNs.IsEmpty).Select(w => w.Clock).Distinct().ToArray() is [var clock] ? clock : null;

    /// <summary>What iterations after the recording say of the profiler: null where they differ by no more than 2 %.</summary>
    [JsonIgnore]
    internal string? ProfilerNote
    {
        get
        {
            double before = new SampleStatistics(Before.SamplesNs).MedianNs, after = new SampleStatistics(After.SamplesNs).MedianNs;
            return !IsOnDevice || before <= 0 || after <= 0 || Math.Abs(after / before - 1) <= 0.02 ? null
                : string.Create(System.Globalization.CultureInfo.InvariantCulture,
                    $"iterations took {after / before - 1:+0.0 %;-0.0 %} after the recording: the profiler (CUPTI, on CUDA) may have "
                    + $"stayed attached, or the device's clocks changed; those before it count");
        }
    }

    /// <summary>Processor time of an uninstrumented iteration, in nanoseconds; 0 where it was not measured.</summary>
    [JsonIgnore]
    public double CpuTimeNs => Counted.Sum(w => w.SamplesNs.Length) is > 0 and var count
        ? Counted.Sum(w => (double)w.CpuTimeNs * w.SamplesNs.Length) / count : 0;

    /// <summary>
    /// The most memory of the process in uninstrumented iterations, over <see cref="BaselineBytes"/>; 0 where it was not measured.
    /// </summary>
    [JsonIgnore]
    public long UsedBytes => BaselineBytes == 0 ? 0 : Math.Max(0, Math.Max(Before.PeakBytes, After.PeakBytes) - BaselineBytes);

    /// <summary>
    /// The time of an iteration to compare with: the median of the uninstrumented ones, else of the recorded ones; null where
    /// nothing was measured.
    /// </summary>
    [JsonIgnore]
    public long? IterationNs => !Uninstrumented.SamplesNs.IsEmpty ? (long)Uninstrumented.MedianNs : !RecordedNs.IsEmpty
        ? (long)new SampleStatistics(RecordedNs).MedianNs : null;

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="FormatException">A field is invalid.</exception>
    internal Baseline Checked()
    {
        if (Format != FormatName || FormatVersion != CurrentVersion)
            throw new FormatException($"its format is not {FormatName}, version {CurrentVersion}");
        string? bad = Rank < 0 ? "rank" : WorldSize < 1 ? "world_size" : BaselineBytes < 0 ? "baseline_bytes" : DevicePeakBytes < 0
            ? "device_peak_bytes" : DeviceReservedBytes < 0 ? "device_reserved_bytes" : LiveBytes < 0 ? "live_bytes"
            : DeviceLiveBytes < 0 ? "device_live_bytes" : Device is null ? "device"
            : Source is null ? "source" : RecordedNs.IsDefault || RecordedNs.Any(t => t <= 0) ? "recorded_ns" : RunsNs.IsDefault
                || RunsNs.Any(t => t <= 0) ? "runs_ns" : Before is not { IsSound: true } ? "before" : After is not { IsSound: true }
                ? "after" : null;
        if (bad is not null)
            throw new FormatException($"{bad} is missing or out of its range");
        return this;
    }
}

/// <summary>Iterations that ran while nobody watched.</summary>
public sealed record CaptureWindow
{
    /// <summary>Their times, in nanoseconds; on a device that works on its own, by its events.</summary>
    public ImmutableArray<long> SamplesNs { get; init; } = [];

    /// <summary>Processor time of one of them, all threads, in nanoseconds.</summary>
    public long CpuTimeNs { get; init; }

    /// <summary>
    /// What measured them: <c>events</c> of the device, or the <c>host</c>'s clock; null in captures of versions that did not tell.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Clock { get; init; }

    /// <summary>The most resident memory that belongs to no file, in bytes.</summary>
    public long PeakBytes { get; init; }

    /// <summary>
    /// What PyTorch's allocator had of the device meanwhile; null on the host, and of a job that was not ours to hold: its peaks are its
    /// own.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public AllocatorUse? Device { get; init; }

    /// <summary>What the process did to its machine meanwhile; null where that is not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SystemMetrics? System { get; init; }

    internal bool IsSound => !SamplesNs.IsDefault && SamplesNs.All(t => t > 0) && CpuTimeNs >= 0 && PeakBytes >= 0
        && Clock is null or MeasuringClock.Host or MeasuringClock.Events;
}

/// <summary>A device.</summary>
/// <param name="Type">Its kind, as PyTorch names it.</param>
/// <param name="Name">Its name; empty for the CPU.</param>
public sealed record CaptureDevice(string Type, string Name);

/// <summary>A process group, with the fields of PyTorch's <c>## process_group:init ##</c> (<c>torch/profiler/profiler.py</c>).</summary>
/// <param name="PgName">Its name.</param>
/// <param name="BackendConfig">Its backend.</param>
/// <param name="Ranks">Its ranks.</param>
/// <param name="GroupSize">How many.</param>
public sealed record CaptureGroup(string PgName, string BackendConfig, ImmutableArray<int> Ranks, int GroupSize);
