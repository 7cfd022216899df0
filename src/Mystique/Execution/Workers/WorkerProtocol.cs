using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mystique.Measurement;
using Mystique.Fitting;

namespace Mystique.Execution.Workers;

/// <summary>What a worker is asked. The commands and their answers are lines of JSON on its standard input and output.</summary>
/// <param name="Command">One of the constants of this class.</param>
internal sealed record WorkerRequest(string Command)
{
    /// <summary>Opens <see cref="Package"/> or <see cref="Workload"/>; the answer has Info.</summary>
    public const string Open = "open";

    /// <summary>Asks for the schemas of the operators <see cref="Names"/>; the answer has Schemas.</summary>
    public const string Schemas = "schemas";

    /// <summary>Looks for operators whose results are not finite; the answer has Failures.</summary>
    public const string Check = "check";

    /// <summary>From now on, iterations keep the original's pace.</summary>
    public const string Pace = "pace";

    /// <summary>From now on, iterations keep no pace.</summary>
    public const string FlatOut = "flat_out";

    /// <summary>Records a Kineto profile of one iteration into <see cref="Path"/>.</summary>
    public const string Kineto = "kineto";

    /// <summary>Makes ready; the answer has Memory.</summary>
    public const string Start = "start";

    /// <summary>
    /// Runs <see cref="Count"/> iterations, and some that do not count before them; the answer has SamplesNs, Memory and
    /// CpuTimeNs.
    /// </summary>
    public const string Iterate = "iterate";

    /// <summary>Records one iteration into <see cref="Path"/>: a trace, or the capture folder of an original.</summary>
    public const string Observe = "observe";

    /// <summary>Runs each operator on its own; the answer has Failures.</summary>
    public const string Probe = "probe";

    /// <summary>Times each operator over <see cref="Count"/> iterations; the answer has OperatorTimesNs.</summary>
    public const string Profile = "profile";

    public string? Package { get; init; }

    public string? Workload { get; init; }

    public ImmutableArray<string>? Libraries { get; init; }

    public ImmutableArray<string>? Names { get; init; }

    public int Threads { get; init; }

    /// <summary>The device; empty for the engine's choice.</summary>
    public string? Device { get; init; }

    /// <summary>Whether code that came with the trace may run.</summary>
    public bool AllowTraceCode { get; init; }

    public uint Seed { get; init; }

    public int Count { get; init; }

    public string? Path { get; init; }

    /// <summary>
    /// With <see cref="Pace"/>: how long an iteration takes flat out, of one of the original at the same speed of the machine;
    /// 0 for iterations of the time that the package says.
    /// </summary>
    public double Share { get; init; }

    /// <summary>With <see cref="Kineto"/>: where the execution trace of the same iteration goes; null for none.</summary>
    public string? Trace { get; init; }
}

/// <summary>A line from a worker.</summary>
/// <param name="Kind">One of the constants of this class.</param>
internal sealed record WorkerResponse(string Kind)
{
    /// <summary>How far it is: Done of Total.</summary>
    public const string Progress = "progress";

    /// <summary>The answer.</summary>
    public const string Result = "result";

    /// <summary>It failed: Error says why. The worker lives on.</summary>
    public const string Failure = "failure";

    public int Done { get; init; }

    public int Total { get; init; }

    public string? Error { get; init; }

    /// <summary>Of a failure that the user can act on: its id, what, where, the way out, and lines of details.</summary>
    public ImmutableArray<string>? Problem { get; init; }

    /// <summary>Of such a failure, the exit code; 0 where the worker does not say.</summary>
    public int ExitCode { get; init; }

    public PaceReport? Pace { get; init; }

    public EngineInfo? Info { get; init; }

    public ImmutableArray<OperatorFailure>? Failures { get; init; }

    public ImmutableDictionary<string, string>? Schemas { get; init; }

    public ImmutableArray<long>? SamplesNs { get; init; }

    public ImmutableArray<double>? OperatorTimesNs { get; init; }

    public long BaselineBytes { get; init; }

    public long PeakBytes { get; init; }

    public long CpuTimeNs { get; init; }

    /// <summary>
    /// What the worker did to its machine in the iterations: a <see cref="Measurement.SystemMetrics"/>, as files have it; null
    /// where that is not known.
    /// </summary>
    public JsonElement? System { get; init; }

    [JsonIgnore]
    public SystemMetrics? SystemMetrics => System?.Deserialize<SystemMetrics>(SnakeJson.Compact);
}

internal static class WorkerJson
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
    };

    public static string Write<T>(T message) => JsonSerializer.Serialize(message, Options);

    /// <exception cref="JsonException">The line is no message.</exception>
    public static T Read<T>(string line) => JsonSerializer.Deserialize<T>(line, Options) ?? throw new JsonException("null is no message");
}
