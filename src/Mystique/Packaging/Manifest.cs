using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Recordings;

namespace Mystique.Packaging;

/// <summary>The file <c>benchmark.json</c> as it is on disk; <c>docs/package-format.md</c> says what each field means.</summary>
internal sealed record Manifest
{
    public const string FormatName = "mystique-benchmark";
    public const int CurrentVersion = 3;

    /// <summary>The oldest version that is still read: it has no ranks, and names of its own for some fields.</summary>
    public const int OldestVersion = 2;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required ImmutableArray<ManifestRank> Ranks { get; init; }

    public required ManifestSource Source { get; init; }

    public required ManifestCoverage Coverage { get; init; }

    public required ManifestMemory Memory { get; init; }

    public required ManifestProgram Program { get; init; }

    /// <summary>Of the operators' level, the SHA-256 of the manifest of the framework's; null where there is none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Framework { get; init; }

    public required ImmutableArray<string> Devices { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ManifestSettings? Settings { get; init; }

    public required ImmutableArray<string> Schemas { get; init; }

    public required ImmutableArray<ManifestCall> Schedule { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Baseline? Baseline { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ManifestTimes? Times { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<ManifestSourceFile>? Kernels { get; init; }

    public required ImmutableArray<ManifestSubstitution> Substitutions { get; init; }

    public required ImmutableArray<ManifestReplaced> Replaced { get; init; }

    public required ImmutableArray<ManifestStorage> Storages { get; init; }

    public required ImmutableArray<ManifestTensor> Tensors { get; init; }

    public required ImmutableArray<ManifestOperator> Operators { get; init; }
}

internal sealed record ManifestSource
{
    public required string Trace { get; init; }

    public required string Sha256 { get; init; }

    public required string Schema { get; init; }

    public required long? Iteration { get; init; }

    public required int OutermostOperators { get; init; }

    public required int DecomposedOperators { get; init; }

    public required bool HasStrides { get; init; }

    public required bool HasBackward { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<string>? Notes { get; init; }
}

internal sealed record ManifestCoverage
{
    public required int SelectedOperators { get; init; }

    public required int ReplayedOperators { get; init; }

    public required int SubstitutedOperators { get; init; }

    public required int StandIns { get; init; }

    public required int MissingOperators { get; init; }

    public required int AddedOperators { get; init; }
}

internal sealed record ManifestMemory(long ExternalBytes, long PeakBytes);

internal sealed record ManifestProgram(string File, string Sha256);

internal sealed record ManifestCall
{
    public required string Call { get; init; }

    public required int First { get; init; }

    public required int Count { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Stream { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<int>? Wait { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Sync { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? SyncOn { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long SyncNs { get; init; }
}

internal sealed record ManifestTimes
{
    public required string Source { get; init; }

    public required long IterationNs { get; init; }

    public required long RecordedNs { get; init; }

    public required int Unlinked { get; init; }

    public required long DeviceNs { get; init; }

    public required long UnexplainedNs { get; init; }

    public required ImmutableArray<ManifestTime> Operators { get; init; }

    public required ImmutableArray<ManifestKernel> Kernels { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<ManifestStreamWait>? StreamWaits { get; init; }
}

/// <summary>A wait of one stream for another in the original.</summary>
internal sealed record ManifestStreamWait(long AtNs, long Stream, long RecordedNs, long OnStream);

internal sealed record ManifestTime
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Segment { get; init; }

    public required long Node { get; init; }

    public required long StartNs { get; init; }

    public required long DurationNs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Kernels { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long DeviceNs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Stream { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Sync { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long SyncNs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int SyncSegment { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? SyncNode { get; init; }
}

internal sealed record ManifestKernel(string Name, int Count, long DurationNs);

/// <summary>A row of the table of substitutions: the guard is an argument and the number that it must be.</summary>
internal sealed record ManifestSubstitution
{
    public required string Operator { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Argument { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Is { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<ManifestCondition>? Conditions { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Always { get; init; }

    public required ImmutableArray<ManifestSubstitute> Calls { get; init; }
}

/// <summary>A condition of such a row; one of a number that an argument is equal to stands in the row itself.</summary>
internal sealed record ManifestCondition
{
    public required string Argument { get; init; }

    public required string Of { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Dimension { get; init; }

    public required string Relation { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Number { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Dtype { get; init; }
}

/// <summary>A call of such a row; the arguments are pairs of a name, which may be empty, and a text.</summary>
internal sealed record ManifestSubstitute
{
    public required string Operator { get; init; }

    public required ImmutableArray<string> Results { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Like { get; init; }

    public required ImmutableArray<ImmutableArray<string>> Args { get; init; }
}

internal sealed record ManifestReplaced
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Segment { get; init; }

    public required long Node { get; init; }

    public required string Operator { get; init; }

    public required string Remedy { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? By { get; init; }

    public required string Reason { get; init; }
}

/// <summary>A rank that runs the program.</summary>
internal sealed record ManifestRank(
    int Rank,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? WorldSize = null);

/// <summary>A source of a compiled kernel, in the package's folder <c>kernels</c>.</summary>
internal sealed record ManifestSourceFile(string File, string Sha256);
