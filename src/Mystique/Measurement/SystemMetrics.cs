using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Mystique.Measurement;

/// <summary>
/// What a process did to its machine in measured iterations, told by the system itself, to originals and replays alike. What a machine
/// does not offer is null, and named in <see cref="Unavailable"/>. Immutable.
/// </summary>
public sealed record SystemMetrics
{
    /// <summary>How long was measured, in nanoseconds.</summary>
    public long DurationNs { get; init; }

    /// <summary>Processor time of all threads, in nanoseconds (getrusage(2)).</summary>
    public long CpuTimeNs { get; init; }

    /// <summary>By processor, the share of the time that it was busy, with whatever, 0 to 1 (<c>/proc/stat</c>).</summary>
    public ImmutableArray<double> CoreUtilisation { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Page faults that needed no input: memory that was new to the process.</summary>
    public long MinorFaults { get; init; }

    /// <summary>Page faults that needed input.</summary>
    public long MajorFaults { get; init; }

    /// <summary>How often a thread gave its processor up to wait.</summary>
    public long VoluntarySwitches { get; init; }

    /// <summary>How often a thread lost its processor to another.</summary>
    public long InvoluntarySwitches { get; init; }

    /// <summary>Instructions in user mode (perf_event_open(2)).</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Instructions { get; init; }

    /// <summary>Cycles in user mode.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Cycles { get; init; }

    /// <summary>Misses of the last cache in user mode.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? CacheMisses { get; init; }

    /// <summary>Energy of the processor packages, with whatever ran on them, in microjoules (powercap).</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? PackageEnergyMicrojoules { get; init; }

    /// <summary>The machine's GPUs, with whatever ran on them, as the vendors' tools tell; empty where nothing was sampled.</summary>
    public ImmutableArray<GpuMetrics> Gpus { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>What this machine does not offer: by name, the reason.</summary>
    public ImmutableSortedDictionary<string, string> Unavailable { get; init => field = value ?? None; } = None;

    private static readonly ImmutableSortedDictionary<string, string> None = ImmutableSortedDictionary.Create<string,
        string>(StringComparer.Ordinal);

    /// <summary>Instructions for each cycle; null where either is not known.</summary>
    [JsonIgnore]
    public double? InstructionsPerCycle => Instructions is { } instructions && Cycles is > 0 and { } cycles
        ? (double)instructions / cycles : null;
}

/// <summary>A GPU, on average over the samples; null for what nothing tells.</summary>
/// <param name="Index">Its number, as the vendor's tool counts.</param>
public sealed record GpuMetrics(int Index)
{
    /// <summary>
    /// Its UUID, with the vendor's prefix (<c>GPU-</c>); null where the tool does not tell, and from a file: it is of one machine, and
    /// packages are handed on.
    /// </summary>
    [JsonIgnore]
    public string? Uuid { get; init; }

    /// <summary>Whether it is partitioned (MIG): then memory and power are the whole GPU's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsPartitioned { get; init; }

    /// <summary>Share of the time that a kernel ran, 0 to 1.</summary>
    public double? Utilisation { get; init; }

    /// <summary>The most memory in use, in bytes.</summary>
    public long? PeakMemoryBytes { get; init; }

    /// <summary>Power, in watts.</summary>
    public double? PowerWatts { get; init; }

    /// <summary>The multiprocessors' clock, in MHz.</summary>
    public double? ClockMegahertz { get; init; }

    /// <summary>Share of the time, over all multiprocessors, that a warp was there, 0 to 1 (DCGM_FI_PROF_SM_ACTIVE).</summary>
    public double? SmActivity { get; init; }

    /// <summary>Share of the time that the memory moved data, 0 to 1 (DCGM_FI_PROF_DRAM_ACTIVE).</summary>
    public double? MemoryActivity { get; init; }
}
