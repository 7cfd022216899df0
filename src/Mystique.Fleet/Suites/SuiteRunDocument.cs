using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Diagnostics;

namespace Mystique.Fleet.Suites;

/// <summary>The file <c>mystique-suite-run</c>: what a suite's members took on a machine, and what that says of the fleet.</summary>
internal sealed record SuiteRunDocument
{
    public const string FormatName = "mystique-suite-run";
    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    /// <summary>SHA-256 of <c>suite.json</c>.</summary>
    public required string SuiteDigest { get; init; }

    public required int Edition { get; init; }

    /// <summary>What it ran on, in words.</summary>
    public required string Engine { get; init; }

    public required string Host { get; init; }

    public required ImmutableArray<SuiteMeasurement> Members { get; init; }

    /// <summary>Figures of the fleet; absent while members are missing.</summary>
    public ImmutableArray<ProjectedFigure>? Fleet { get; init; }

    /// <summary>Reads a run.</summary>
    /// <param name="file">Its file.</param>
    /// <exception cref="MystiqueException">There is none, or it is invalid (MYS510).</exception>
    public static SuiteRunDocument Read(string file)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(file), FleetJson.Default.SuiteRunDocument) is
            { Format: FormatName, FormatVersion: CurrentVersion, Members.IsDefault: false } run
                && run.Members.All(m => m is { Name: not null } && (m.MedianNs is null || m.MedianNs > 0 && m.MedianNs < 1e18)
                    && m.PeakBytes is null or >= 0) && run.Members.DistinctBy(m => m.Name).Count() == run.Members.Length ? run
                : throw Problems.SuiteInvalid(file, "it is no run of a suite, or of another version");
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            throw Problems.SuiteInvalid(file, exception.Message);
        }
    }
}

/// <summary>A member that ran, or did not.</summary>
internal sealed record SuiteMeasurement
{
    public required string Name { get; init; }

    /// <summary>Why it did not run; absent where it did.</summary>
    public string? Problem { get; init; }

    /// <summary>The median iteration.</summary>
    public double? MedianNs { get; init; }

    /// <summary>The most memory of the process, or of all ranks together.</summary>
    public long? PeakBytes { get; init; }

    /// <summary>Of an iteration, in calls between ranks; absent for one rank.</summary>
    public double? BlockedNs { get; init; }

    /// <summary>Share of the original's work that was done, 0 to 1.</summary>
    public double? WorkShare { get; init; }

    /// <summary>Whether the observer saw what was planned; absent where it was not asked.</summary>
    public bool? IsExact { get; init; }
}

/// <summary>A figure of the whole fleet.</summary>
internal sealed record ProjectedFigure
{
    /// <summary>
    /// <c>time_ratio</c>: hours on this machine for one on those that the fleet ran on; <c>iteration_ns</c>, where these are not known;
    /// <c>peak_bytes</c>; <c>communication_share</c>.
    /// </summary>
    public required string Name { get; init; }

    public required double Mean { get; init; }

    /// <summary>The 95 % interval; absent where nothing tells of the spread.</summary>
    public double? From { get; init; }

    public double? To { get; init; }

    public double? DesignEffect { get; init; }

    /// <summary>The mean by the members' calibrated weights alone, without a line.</summary>
    public required double Weighted { get; init; }
}
