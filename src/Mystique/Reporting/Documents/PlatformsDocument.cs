using System.Collections.Immutable;

namespace Mystique.Reporting.Documents;

/// <summary>The file <c>mystique-platforms</c>, as <c>mystique bench --platforms</c> writes it.</summary>
internal sealed record PlatformsDocument
{
    public const string FormatName = "mystique-platforms";
    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required HostDocument Host { get; init; }

    public required int Rounds { get; init; }

    /// <summary>The first is the reference.</summary>
    public required ImmutableArray<PlatformDocument> Platforms { get; init; }

    public required ImmutableArray<PlatformJobDocument> Jobs { get; init; }

    /// <summary>Of all jobs: by level, each platform, and all of them.</summary>
    public required ImmutableArray<PlatformSummaryDocument> Summary { get; init; }
}

/// <summary>A platform, as the list has it; of paths their last parts.</summary>
internal sealed record PlatformDocument
{
    public required string Name { get; init; }

    public required string Python { get; init; }

    public required ImmutableSortedDictionary<string, string> Variables { get; init; }

    public string? Device { get; init; }

    /// <summary><c>recorded</c> or <c>target</c>.</summary>
    public required string Flags { get; init; }
}

/// <summary>A job; one that was not captured, or does not run on the reference, has only <c>why</c>.</summary>
internal sealed record PlatformJobDocument
{
    public required string Name { get; init; }

    public string? Why { get; init; }

    /// <summary>Its replays on the reference.</summary>
    public required ImmutableArray<PlatformRunDocument> Reference { get; init; }

    public required ImmutableArray<PlatformChangeDocument> Changes { get; init; }

    public required ImmutableArray<PlatformFailureDocument> Failures { get; init; }
}

/// <summary>A platform on which a job was not measured.</summary>
internal sealed record PlatformFailureDocument(string Platform, string Why);

/// <summary>A job on a platform. Times are the medians of blocks, a round each.</summary>
internal sealed record PlatformChangeDocument
{
    public required string Platform { get; init; }

    /// <summary>Threads within the original's operators there.</summary>
    public int? Threads { get; init; }

    public required double Speedup { get; init; }

    /// <summary>The A/A control: the second original on the reference as a replay of the first.</summary>
    public required double Control { get; init; }

    public required double ControlLow { get; init; }

    public required double ControlHigh { get; init; }

    public required ImmutableArray<long> ReferenceNs { get; init; }

    public required ImmutableArray<long> OriginalNs { get; init; }

    public required ImmutableArray<long> ControlNs { get; init; }

    public required ImmutableArray<LevelChangeDocument> Levels { get; init; }
}

/// <summary>What a replay predicts: its own speed-up.</summary>
internal sealed record LevelChangeDocument
{
    public required string Level { get; init; }

    public required double Speedup { get; init; }

    /// <summary>Over the original's speed-up, less 1.</summary>
    public required double Error { get; init; }

    public required double ErrorLow { get; init; }

    public required double ErrorHigh { get; init; }

    public required ImmutableArray<long> ReferenceNs { get; init; }

    public required ImmutableArray<long> PlatformNs { get; init; }

    /// <summary>What ran on the platform.</summary>
    public required PlatformRunDocument Run { get; init; }
}

/// <summary>A replay on a platform.</summary>
internal sealed record PlatformRunDocument
{
    public required string Level { get; init; }

    public required string Device { get; init; }

    public required int Threads { get; init; }

    public required ImmutableSortedDictionary<string, string> Versions { get; init; }

    /// <summary>Settings of PyTorch that were set because the original had them.</summary>
    public required ImmutableSortedDictionary<string, string> Settings { get; init; }

    /// <summary>What the target is not, or does not know, that the original was or knew.</summary>
    public required ImmutableArray<string> Notes { get; init; }

    public required ProgramDocument Program { get; init; }

    public required VerificationDocument Verification { get; init; }
}

/// <summary>Errors of predictions of a level, without their signs.</summary>
internal sealed record PlatformSummaryDocument
{
    public required string Level { get; init; }

    /// <summary>Absent for all platforms.</summary>
    public string? Platform { get; init; }

    public required int Count { get; init; }

    /// <summary>Those whose replays ran all as recorded, on the reference and on the platform.</summary>
    public required int Exact { get; init; }

    public required double MedianError { get; init; }

    public required double WorstError { get; init; }

    public required string WorstJob { get; init; }

    public required string WorstPlatform { get; init; }

    public required double MedianControl { get; init; }
}
