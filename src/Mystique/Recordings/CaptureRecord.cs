using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Mystique.Recordings;

/// <summary>What was done: the file <c>capture.json</c> of a capture folder. Immutable.</summary>
internal sealed record CaptureRecord
{
    /// <summary>What <see cref="Format"/> must be.</summary>
    public const string FormatName = "mystique-capture";

    /// <summary>The version that is written; it rises when a field changes its meaning.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Always <see cref="FormatName"/>.</summary>
    public string Format { get; init; } = FormatName;

    /// <summary>The version.</summary>
    public int FormatVersion { get; init; } = CurrentVersion;

    /// <summary>The version of this tool.</summary>
    public string Mystique { get; init; } = typeof(CaptureRecord).Assembly.GetName().Version!.ToString(3);

    /// <summary>The job's command line; empty where there was none.</summary>
    public ImmutableArray<string> Command { get; init; } = [];

    /// <summary>How it was captured; null where the files were found.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CaptureOptions? Options { get; init; }

    /// <summary>Whether there is a trace.</summary>
    public bool Captured { get; init; }

    /// <summary>What happened, in sentences.</summary>
    public ImmutableArray<string> Account { get; init; } = [];

    /// <summary>The job's exit code; null where there was no job to wait for.</summary>
    public int? ExitCode { get; init; }

    /// <summary>Iterations that the job completed until the hook went quiet.</summary>
    public long Iterations { get; init; }

    /// <summary>The folder's other files.</summary>
    public ImmutableArray<CaptureFile> Files { get; init; } = [];

    /// <summary>Operators in the trace.</summary>
    public int Operators { get; init; }

    /// <summary>What capturing cost; null where it is not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CaptureCost? Cost { get; init; }
}

/// <summary>A file of a capture folder.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its size as it is.</param>
/// <param name="UnpackedBytes">The size of its text.</param>
/// <param name="Sha256">SHA-256 of its text, in hexadecimal.</param>
internal sealed record CaptureFile(string Name, long Bytes, long UnpackedBytes, string Sha256);

/// <summary>What capturing cost the job. Times in nanoseconds.</summary>
/// <param name="StartUpNs">At the job's start.</param>
/// <param name="UninstrumentedNs">At the end of each uninstrumented iteration.</param>
/// <param name="RecordingNs">
/// Once, to start and to end the recording, and to write it down, beside the recorded iterations themselves.
/// </param>
internal sealed record CaptureCost(long StartUpNs, [property: JsonPropertyName("untouched_ns")] long UninstrumentedNs, long RecordingNs);
