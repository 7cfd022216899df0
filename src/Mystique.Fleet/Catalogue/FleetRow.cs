using System.Collections.Immutable;

namespace Mystique.Fleet.Catalogue;

/// <summary>A trace in the catalogue: what it is, what it weighs, and what it asks of a machine. Immutable.</summary>
internal sealed record FleetRow
{
    /// <summary>Of the trace, its path, the job, the date and the labels: the same again is the same row. 32 hexadecimal digits.</summary>
    public required string Id { get; init; }

    /// <summary>Where the trace lay when it was added: an absolute path.</summary>
    public required string Path { get; init; }

    /// <summary>The file's size in bytes, and the time of its last change as the file system tells it.</summary>
    public required (long Bytes, long Ticks) Stamp { get; init; }

    /// <summary>SHA-256 of the trace's text.</summary>
    public required string Digest { get; init; }

    /// <summary>
    /// SHA-256 of the operators of an iteration with their shapes, types, strides and arguments: alike plans are one in a suite.
    /// </summary>
    public required string PlanDigest { get; init; }

    /// <summary>The trace's name.</summary>
    public required string Name { get; init; }

    /// <summary>The job; the trace's name where nothing tells.</summary>
    public required string Job { get; init; }

    /// <summary>The rank that left the trace, and how many there were.</summary>
    public required (int Rank, int Ranks) Rank { get; init; }

    /// <summary>When the job ran; null where nothing tells.</summary>
    public required DateOnly? Date { get; init; }

    /// <summary>Accelerator-hours of the job; null where nothing tells.</summary>
    public required double? Weight { get; init; }

    /// <summary>What the user says of it, by name.</summary>
    public required ImmutableSortedDictionary<string, string> Labels { get; init; }

    /// <summary><c>train</c>, <c>inference</c>, <c>prefill</c> or <c>decode</c>.</summary>
    public required string Phase { get; init; }

    /// <summary>The kind of the accelerator that the job ran on (<c>cuda</c>, …); <c>cpu</c> where there was none.</summary>
    public required string Device { get; init; }

    /// <summary>What it asks of any machine.</summary>
    public required PortableFeatures Portable { get; init; }

    /// <summary>What the profile tells of the machine that it ran on.</summary>
    public required MachineFeatures Machine { get; init; }
}

/// <summary>What a trace tells without times. Sums are over an iteration's operators.</summary>
internal sealed record PortableFeatures
{
    /// <summary>FLOPs by class of operator; those of operators that the table of costs does not know are 0, and counted.</summary>
    public required ImmutableArray<double> Flops { get; init; }

    /// <summary>Bytes read and written at least, by class of operator.</summary>
    public required ImmutableArray<double> Bytes { get; init; }

    /// <summary>Operators by class.</summary>
    public required ImmutableArray<double> Counts { get; init; }

    /// <summary>Operators whose FLOPs the table of costs does not know.</summary>
    public required int UnknownFlops { get; init; }

    /// <summary>Bytes by element type, in the order of <see cref="TypeNames"/>.</summary>
    public required ImmutableArray<double> TypeBytes { get; init; }

    /// <summary>FLOPs a byte of operators, weighted by their bytes: the 10th, 50th and 90th percentile.</summary>
    public required ImmutableArray<double> Intensity { get; init; }

    /// <summary>Bytes of calls between ranks, in the order of <see cref="CallNames"/>.</summary>
    public required ImmutableArray<double> CallBytes { get; init; }

    /// <summary>Calls between ranks.</summary>
    public required int Calls { get; init; }

    /// <summary>The size of the group of most calls; 1 without calls.</summary>
    public required int GroupSize { get; init; }

    /// <summary>The most bytes of tensors at one time.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Different operators with their arguments.</summary>
    public required int UniqueOperators { get; init; }

    /// <summary>
    /// Least hashes of the different operators (MinHash; Broder 1997): the share that two traces have in common is the Jaccard index of
    /// their operators.
    /// </summary>
    public required ImmutableArray<ulong> Sketch { get; init; }

    /// <summary>Names of <see cref="TypeBytes"/>.</summary>
    public static IReadOnlyList<string> TypeNames { get; } = ["float32", "float16", "bfloat16", "float64", "float8", "integer", "other"];

    /// <summary>Names of <see cref="CallBytes"/>.</summary>
    public static IReadOnlyList<string> CallNames { get; } =
        ["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "point_to_point", "other"];

    /// <summary>How many least hashes a sketch has.</summary>
    public const int SketchLength = 32;
}

/// <summary>What a profile tells of the machine; null where it does not. Times in nanoseconds.</summary>
internal sealed record MachineFeatures
{
    /// <summary>An iteration: the job's own measurement, else the profile's.</summary>
    public required long? IterationNs { get; init; }

    /// <summary>What the device did, added up over streams.</summary>
    public required long? DeviceNs { get; init; }

    /// <summary>In calls between ranks.</summary>
    public required long? CallNs { get; init; }

    /// <summary>Of this, what no other work covered.</summary>
    public required long? ExposedNs { get; init; }
}
