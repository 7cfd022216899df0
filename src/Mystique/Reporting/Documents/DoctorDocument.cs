using System.Collections.Immutable;

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
    public string? BundledLibtorch { get; init; }

    public required ImmutableArray<DoctorPython> Pythons { get; init; }

    /// <summary>Programs that are in <c>PATH</c>, and where; those that are not have no place.</summary>
    public required ImmutableArray<DoctorTool> Tools { get; init; }

    /// <summary>Why hardware counters cannot be read; null where they can.</summary>
    public string? NoCounters { get; init; }

    /// <summary><c>/proc/sys/kernel/perf_event_paranoid</c>.</summary>
    public int? PerfEventParanoid { get; init; }

    public required string TemporaryFolder { get; init; }

    /// <summary>Bytes that are free there.</summary>
    public long? TemporaryFreeBytes { get; init; }

    public required ImmutableArray<DoctorAbility> Abilities { get; init; }
}

/// <summary>A Python.</summary>
internal sealed record DoctorPython
{
    /// <summary>What it was asked for as.</summary>
    public required string Command { get; init; }

    public string? Executable { get; init; }

    public string? Version { get; init; }

    /// <summary>Why it has no PyTorch, or why that is not known.</summary>
    public string? Problem { get; init; }

    /// <summary>The version of PyTorch.</summary>
    public string? Torch { get; init; }

    /// <summary>The version of CUDA that it was built for.</summary>
    public string? Cuda { get; init; }

    /// <summary>The version of ROCm that it was built for.</summary>
    public string? Hip { get; init; }

    /// <summary>Whether it has the observer that writes execution traces.</summary>
    public bool? Observer { get; init; }

    /// <summary>Whether it has the profiler, Kineto.</summary>
    public bool? Kineto { get; init; }

    /// <summary>Backends of process groups.</summary>
    public ImmutableArray<string>? Backends { get; init; }

    public ImmutableArray<DoctorDevice>? Devices { get; init; }

    /// <summary>The version of Triton.</summary>
    public string? Triton { get; init; }

    /// <summary>Where its <c>torchrun</c> is.</summary>
    public string? Torchrun { get; init; }
}

/// <summary>An accelerator that a PyTorch can use.</summary>
internal sealed record DoctorDevice(string Kind, string? Name, long? MemoryBytes);

/// <summary>A program.</summary>
internal sealed record DoctorTool(string Name, string? Path);

/// <summary>What can be done here.</summary>
/// <param name="Name">What.</param>
/// <param name="Able">Whether it can; null where that is not known.</param>
/// <param name="Why">With what, or why not.</param>
internal sealed record DoctorAbility(string Name, bool? Able, string Why);
