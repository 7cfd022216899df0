using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Mystique.Reporting.Documents;

/// <summary>The file <c>mystique-doctor</c>, as <c>mystique doctor --json</c> writes it. What is null could not be found out.</summary>
internal sealed record DoctorDocument
{
    public const string FormatName = "mystique-doctor";
    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    /// <summary>The version of this command.</summary>
    public required string Mystique { get; init; }

    public required string System { get; init; }

    public required string Processor { get; init; }

    public required int LogicalProcessors { get; init; }

    public required long MemoryBytes { get; init; }

    /// <summary>The version of the libtorch that is bundled; null where none is.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? BundledLibtorch { get; init; }

    public required ImmutableArray<DoctorPython> Pythons { get; init; }

    /// <summary>Programs that are in <c>PATH</c>, and where; those that are not have no place.</summary>
    public required ImmutableArray<DoctorTool> Tools { get; init; }

    /// <summary>Why hardware counters cannot be read; null where they can.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? NoCounters { get; init; }

    /// <summary><c>/proc/sys/kernel/perf_event_paranoid</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int? PerfEventParanoid { get; init; }

    public required string TemporaryFolder { get; init; }

    /// <summary>Bytes that are free there.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public long? TemporaryFreeBytes { get; init; }

    public required ImmutableArray<DoctorAbility> Abilities { get; init; }
}

/// <summary>A Python.</summary>
internal sealed record DoctorPython
{
    /// <summary>What it was asked for as.</summary>
    public required string Command { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Executable { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Version { get; init; }

    /// <summary>Why it has no PyTorch, or why that is not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Problem { get; init; }

    /// <summary>The version of PyTorch.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Torch { get; init; }

    /// <summary>The version of CUDA that it was built for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Cuda { get; init; }

    /// <summary>The version of ROCm that it was built for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Hip { get; init; }

    /// <summary>Whether it has the observer that writes execution traces.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public bool? Observer { get; init; }

    /// <summary>Whether it has the profiler, Kineto.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public bool? Kineto { get; init; }

    /// <summary>Backends of process groups.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ImmutableArray<string>? Backends { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ImmutableArray<DoctorDevice>? Devices { get; init; }

    /// <summary>The version of Triton.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Triton { get; init; }

    /// <summary>Where its <c>torchrun</c> is.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Torchrun { get; init; }
}

/// <summary>An accelerator that a PyTorch can use.</summary>
internal sealed record DoctorDevice(string Kind, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Name,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] long? MemoryBytes);

/// <summary>A program.</summary>
internal sealed record DoctorTool(string Name, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Path);

/// <summary>What can be done here.</summary>
/// <param name="Name">What.</param>
/// <param name="Able">Whether it can; null where that is not known.</param>
/// <param name="Why">With what, or why not.</param>
internal sealed record DoctorAbility(string Name, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] bool? Able, string Why);
