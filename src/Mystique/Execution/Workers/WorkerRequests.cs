using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Mystique.Execution.Workers;

/// <summary>
/// What a worker is asked: a line of JSON on its standard input, whose <c>command</c> says which of these it is. Names of commands
/// and fields are a format (<c>docs/worker-protocol.md</c>): <c>run.py</c> reads it too.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "command", UnknownDerivedTypeHandling = JsonUnknownDerivedTypeHandling.FailSerialization)]
[JsonDerivedType(typeof(OpenPackageRequest), "open")]
[JsonDerivedType(typeof(OpenWorkloadRequest), "open_workload")]
[JsonDerivedType(typeof(SchemasRequest), "schemas")]
[JsonDerivedType(typeof(OverloadsRequest), "overloads")]
[JsonDerivedType(typeof(DescribeRequest), "describe")]
[JsonDerivedType(typeof(PrepareRequest), "start")]
[JsonDerivedType(typeof(PaceRequest), "pace")]
[JsonDerivedType(typeof(UnpacedRequest), "unpaced")]
[JsonDerivedType(typeof(IterateRequest), "iterate")]
[JsonDerivedType(typeof(ObserveRequest), "observe")]
[JsonDerivedType(typeof(RecordProfileRequest), "kineto")]
[JsonDerivedType(typeof(ProbeRequest), "probe")]
[JsonDerivedType(typeof(CheckValuesRequest), "check")]
[JsonDerivedType(typeof(TimeOperatorsRequest), "profile")]
internal abstract record WorkerRequest;

/// <summary>A request and what answers it.</summary>
/// <typeparam name="TAnswer">The answer.</typeparam>
internal abstract record WorkerRequest<TAnswer> : WorkerRequest
    where TAnswer : WorkerAnswer;

/// <summary>Opens a package.</summary>
/// <param name="Package">The package's folder.</param>
internal sealed record OpenPackageRequest(string Package) : WorkerRequest<OpenedAnswer>
{
    /// <summary>Threads within operators; 0 takes as many as there are logical CPUs.</summary>
    public required int Threads { get; init; }

    /// <summary>The device; empty for the engine's choice.</summary>
    public required string Device { get; init; }

    /// <summary>Whether code that came with the trace may run.</summary>
    public required bool AllowTraceCode { get; init; }

    /// <summary>Whether PyTorch's settings stay as they are on the target.</summary>
    public bool KeepsSettings { get; init; }

    /// <summary>Settings that the user decides, by name.</summary>
    public ImmutableSortedDictionary<string, string> Pins { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>What the contents of external tensors are drawn from.</summary>
    public required uint Seed { get; init; }

    /// <summary>Files of operator libraries to load first.</summary>
    public required ImmutableArray<string> Libraries { get; init; }
}

/// <summary>Opens an original workload.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="Threads">Threads within operators; 0 takes as many as there are logical CPUs.</param>
internal sealed record OpenWorkloadRequest(string Workload, int Threads = 0) : WorkerRequest<OpenedAnswer>;

/// <summary>Asks for the schemas of operators, before <see cref="PrepareRequest"/>.</summary>
/// <param name="Names">Their full names.</param>
internal sealed record SchemasRequest(ImmutableArray<string> Names) : WorkerRequest<SchemasAnswer>;

/// <summary>Makes ready to run.</summary>
internal sealed record PrepareRequest : WorkerRequest<PreparedAnswer>;

/// <summary>From now on, iterations keep the original's pace.</summary>
/// <param name="Share">
/// How long an unpaced iteration takes, of one of the original at the same speed of the machine; null for iterations of the time that
/// the package says.
/// </param>
internal sealed record PaceRequest(double? Share = null) : WorkerRequest<DoneAnswer>;

/// <summary>From now on, iterations are unpaced.</summary>
internal sealed record UnpacedRequest : WorkerRequest<DoneAnswer>;

/// <summary>Runs iterations, and some before them that do not count.</summary>
/// <param name="Count">How many.</param>
/// <param name="ReleasesCache">Whether the cache of the device's allocator is given back after them.</param>
internal sealed record IterateRequest(int Count, bool ReleasesCache = false) : WorkerRequest<BlockAnswer>;

/// <summary>Records the execution trace of an iteration.</summary>
/// <param name="Path">The trace's file; the capture folder of an original.</param>
internal sealed record ObserveRequest(string Path) : WorkerRequest<DoneAnswer>;

/// <summary>Records a Kineto profile of an iteration.</summary>
/// <param name="Path">The profile's file.</param>
/// <param name="Trace">Where the execution trace of the same iteration goes; null for none.</param>
internal sealed record RecordProfileRequest(string Path, string? Trace = null) : WorkerRequest<ProfiledAnswer>;

/// <summary>Runs each operator on its own. Its place is reported as progress before it runs: it may end the process.</summary>
internal sealed record ProbeRequest : WorkerRequest<FailuresAnswer>;

/// <summary>Looks for operators whose results are not finite.</summary>
internal sealed record CheckValuesRequest : WorkerRequest<FailuresAnswer>;

/// <summary>Times each operator.</summary>
/// <param name="Count">Over how many iterations.</param>
internal sealed record TimeOperatorsRequest(int Count) : WorkerRequest<OperatorTimesAnswer>;
