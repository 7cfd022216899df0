using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Mystique.Packaging.Jobs;

/// <summary>The file <c>job.json</c> as it is on disk; <c>docs/package-format.md</c> says what each field means.</summary>
internal sealed record JobManifest
{
    public const string FormatName = "mystique-job";
    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required int WorldSize { get; init; }

    public required ImmutableArray<JobManifestGroup> Groups { get; init; }

    public required ImmutableArray<JobManifestRank> Ranks { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<string>? Notes { get; init; }
}

/// <summary>A process group.</summary>
internal sealed record JobManifestGroup(
    string Name,
    ImmutableArray<int> Ranks,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Description = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Backend = null);

/// <summary>A rank, and the package that it runs.</summary>
internal sealed record JobManifestRank
{
    public required int Rank { get; init; }

    public required string Package { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? MadeOf { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JobOriginal? Original { get; init; }

    public required ImmutableArray<JobManifestCall> Calls { get; init; }
}

/// <summary>A rank's part of a call: what the package does not say of it.</summary>
internal sealed record JobManifestCall
{
    public required long Node { get; init; }

    public required int Group { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Root { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<long>? InputSplits { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<long>? OutputSplits { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? DurationNs { get; init; }
}
