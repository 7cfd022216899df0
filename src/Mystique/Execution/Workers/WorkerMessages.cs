using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mystique.Fitting;

namespace Mystique.Execution.Workers;

/// <summary>
/// A line of JSON from a worker: progress, a failure, or the answer, as its <c>kind</c> says; of an answer, the request says which
/// one it is (<c>docs/worker-protocol.md</c>).
/// </summary>
internal abstract record WorkerMessage
{
    /// <summary>The value of <see cref="Kind"/> for <see cref="ProgressMessage"/>.</summary>
    public const string Progress = "progress";

    /// <summary>The value of <see cref="Kind"/> for <see cref="FailureMessage"/>.</summary>
    public const string Failure = "failure";

    /// <summary>The value of <see cref="Kind"/> for <see cref="WorkerAnswer"/>.</summary>
    public const string Result = "result";

    /// <summary>What the line is.</summary>
    public abstract string Kind { get; }
}

/// <summary>How far the worker is.</summary>
/// <param name="Done">Parts that are done; of <see cref="ProbeRequest"/>, the operator that runs now, from 1.</param>
/// <param name="Total">All parts; 0 where that is not known.</param>
internal sealed record ProgressMessage(int Done, int Total = 0) : WorkerMessage
{
    /// <inheritdoc/>
    [JsonPropertyOrder(-1)]
    public override string Kind => Progress;
}

/// <summary>It failed; the worker lives on.</summary>
internal sealed record FailureMessage : WorkerMessage
{
    /// <inheritdoc/>
    [JsonPropertyOrder(-1)]
    public override string Kind => Failure;

    /// <summary>Why; null where <see cref="Problem"/> says so.</summary>
    public string? Error { get; init; }

    /// <summary>Of a failure that the user can act on: its id, what, where, the fix, and lines of details. Null for others.</summary>
    public ImmutableArray<string>? Problem { get; init; }

    /// <summary>Of such a failure, the exit code; null where the worker does not say.</summary>
    public int? ExitCode { get; init; }
}

/// <summary>The answer to a request.</summary>
internal abstract record WorkerAnswer : WorkerMessage
{
    /// <inheritdoc/>
    [JsonPropertyOrder(-1)]
    public sealed override string Kind => Result;
}

/// <summary>It is done.</summary>
internal sealed record DoneAnswer : WorkerAnswer;

/// <summary>It is open.</summary>
internal sealed record OpenedAnswer : WorkerAnswer
{
    /// <summary>What it runs on.</summary>
    public required EngineInfo Info { get; init; }
}

/// <summary>Schemas of operators.</summary>
internal sealed record SchemasAnswer : WorkerAnswer
{
    /// <summary>By full name, as PyTorch prints them; what the engine does not know is not in it.</summary>
    public required ImmutableDictionary<string, string> Schemas { get; init; }
}

/// <summary>It is ready to run.</summary>
internal sealed record PreparedAnswer : WorkerAnswer
{
    /// <summary>Resident bytes that belonged to no file when the first tensor had not been made.</summary>
    public required long BaselineBytes { get; init; }
}

/// <summary>What iterations took.</summary>
internal sealed record BlockAnswer : WorkerAnswer
{
    /// <summary>What measured them: <c>events</c> of the device, or the <c>host</c>'s clock, as where this is null.</summary>
    public string? Clock { get; init; }

    /// <summary>Iteration times, in nanoseconds.</summary>
    public required ImmutableArray<long> SamplesNs { get; init; }

    /// <summary>As in <see cref="PreparedAnswer"/>.</summary>
    public required long BaselineBytes { get; init; }

    /// <summary>The most of such bytes while the iterations ran.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>CPU time of all of them, all threads, in nanoseconds.</summary>
    public required long CpuTimeNs { get; init; }

    /// <summary>An <see cref="Measurement.AllocatorUse"/>, as files have it; null for the host, and where it is not known.</summary>
    public JsonElement? Device { get; init; }

    /// <summary>
    /// What the worker did to its machine meanwhile: a <see cref="Measurement.SystemMetrics"/>, as files have it; null where that is
    /// not known.
    /// </summary>
    public JsonElement? System { get; init; }

    /// <summary>How the original's pace was kept; null where it was not asked for.</summary>
    public PaceReport? Pace { get; init; }
}

/// <summary>A profile is recorded.</summary>
internal sealed record ProfiledAnswer : WorkerAnswer
{
    /// <summary>Bytes that the device's allocator had given out when the iteration began; null for the host, or not known.</summary>
    public long? DeviceLiveBytes { get; init; }
}

/// <summary>Operators that failed.</summary>
internal sealed record FailuresAnswer : WorkerAnswer
{
    /// <summary>By their places in the plan.</summary>
    public required ImmutableArray<OperatorFailure> Failures { get; init; }
}

/// <summary>What operators took.</summary>
internal sealed record OperatorTimesAnswer : WorkerAnswer
{
    /// <summary>For each operator of the plan, in nanoseconds.</summary>
    public required ImmutableArray<double> OperatorTimesNs { get; init; }
}
