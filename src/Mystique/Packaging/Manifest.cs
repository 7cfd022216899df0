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

    public required ImmutableArray<string> Devices { get; init; }

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

internal sealed record ManifestSource(
    string Trace, string Sha256, string Schema, long? Iteration, int OutermostOperators, int DecomposedOperators, bool HasStrides,
        bool HasBackward,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ImmutableArray<string>? Notes);

internal sealed record ManifestCoverage(int SelectedOperators, int ReplayedOperators, int SubstitutedOperators, int StandIns,
    int MissingOperators, int AddedOperators);

internal sealed record ManifestMemory(long ExternalBytes, long PeakBytes);

internal sealed record ManifestProgram(string File, string Sha256);

internal sealed record ManifestCall(
    string Call,
    int First,
    int Count,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Stream,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ImmutableArray<int>? Wait,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Sync);

internal sealed record ManifestTimes(
    string Source,
    long IterationNs,
    long RecordedNs,
    int Unlinked,
    long DeviceNs,
    long UnexplainedNs,
    ImmutableArray<ManifestTime> Operators,
    ImmutableArray<ManifestKernel> Kernels);

internal sealed record ManifestTime(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Segment,
    long Node,
    long StartNs,
    long DurationNs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Kernels,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] long DeviceNs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Stream,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Sync);

internal sealed record ManifestKernel(string Name, int Count, long DurationNs);

/// <summary>A row of the table of substitutions: the guard is an argument and the number that it must be.</summary>
internal sealed record ManifestSubstitution(
    string Operator,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Argument,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Is,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Always,
    ImmutableArray<ManifestSubstitute> Calls);

/// <summary>A call of such a row; the arguments are pairs of a name, which may be empty, and a text.</summary>
internal sealed record ManifestSubstitute(
    string Operator,
    ImmutableArray<string> Results,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Like,
    ImmutableArray<ImmutableArray<string>> Args);

internal sealed record ManifestReplaced(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Segment,
    long Node,
    string Operator,
    string Remedy,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By,
    string Reason);

internal sealed record ManifestInitializer(
    string Kind,
    string Dtype,
    double Low,
    double High,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] double Parameter,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] byte[]? Data);

internal sealed record ManifestStorage(
    long Bytes,
    int Device,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ManifestInitializer? Init,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Mutated);

internal sealed record ManifestTensor(
    int Storage,
    string Dtype,
    ImmutableArray<long> Shape,
    ImmutableArray<long> Strides,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] long Offset,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool External,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Number);

internal sealed record ManifestOperator(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Segment,
    long Node,
    int Schema,
    ImmutableArray<ManifestArgument> Args,
    ImmutableArray<ImmutableArray<int>> Outs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Role,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Kernel,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ManifestCollective? Collective);

/// <summary>What was recorded of a collective.</summary>
internal sealed record ManifestCollective(
    string Name,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Group,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? GroupSize,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Elements);

/// <summary>A rank that runs the program.</summary>
internal sealed record ManifestRank(
    int Rank,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? WorldSize);

/// <summary>A source of a compiled kernel, in the package's folder <c>kernels</c>.</summary>
internal sealed record ManifestSourceFile(string File, string Sha256);

/// <summary>An argument: <c>t</c> with the slots of tensors (<c>p</c>: prepared), or <c>v</c> with a literal.</summary>
internal sealed record ManifestArgument(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ImmutableArray<int>? T,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ManifestLiteral? V,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool P);
