using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Recordings;
using Mystique.Recordings.Inferred;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique;

/// <summary>
/// What one rank of a job left: its execution trace, the profile of the same iteration, the job's own measurements, and what was
/// odd about them. Every file is read once, when the recording is opened. Immutable.
/// </summary>
public sealed class Recording
{
    private Recording(ExecutionTrace trace) => Trace = trace;

    /// <summary>The execution trace.</summary>
    public ExecutionTrace Trace { get; }

    /// <summary>What it is called: the capture folder's name, or the trace's file name.</summary>
    public string Name { get; private init; } = "";

    /// <summary>The rank that left it; 0 for a job of one process, and where nothing tells.</summary>
    public int Rank => Baseline?.Rank ?? 0;

    /// <summary>The trace's operators in the profile of the same job; null where there is no profile that fits.</summary>
    public LinkedProfile? Profile { get; private init; }

    /// <summary>What was measured of the job itself; null where nothing was.</summary>
    public Baseline? Baseline { get; private init; }

    /// <summary>
    /// The time of an uninstrumented iteration of the job, in nanoseconds: what the user says, else the baseline's; null where
    /// neither is known.
    /// </summary>
    public long? IterationNs { get; private init; }

    /// <summary>What was odd, and what was done about it: sentences for people.</summary>
    public ImmutableArray<string> Warnings { get; private init; } = [];

    /// <summary>What the trace tells of the contents of tensors.</summary>
    internal RecordedRanges Ranges { get; private init; } = RecordedRanges.None;

    /// <summary>Opens what a path names: a trace, or a capture folder; of one with several ranks, the lowest.</summary>
    /// <param name="path">
    /// An execution trace (<c>.json</c> or <c>.json.gz</c>, <c>-</c> for standard input), or a capture folder.
    /// </param>
    /// <param name="options">How to open it; null takes the defaults.</param>
    /// <exception cref="Diagnostics.MystiqueException">
    /// It is neither (MYS1xx), or the profile that the options name is not of the same job (MYS120).
    /// </exception>
    public static Recording Open(string path, RecordingOptions? options = null)
    {
        options ??= new RecordingOptions();
        if (!CaptureFolder.IsCapture(path))
            return Read(path, null, options, []);
        var capture = CaptureFolder.Read(path);
        return Read(capture.TracePath, capture, options, CaptureFolder.RanksOf(path) is { Length: > 1 } ranks
            ? [string.Create(CultureInfo.InvariantCulture, $"{path} has {ranks.Length} ranks; this is rank {capture.Baseline.Rank}. ")
                + $"Name {Path.Combine(path, "rank-N")} for another"]
            : []);
    }

    /// <summary>Opens all ranks of a folder of ranks, by their numbers; of anything else the one recording that it is.</summary>
    /// <param name="path">The path.</param>
    /// <param name="options">How to open it; null takes the defaults.</param>
    /// <exception cref="Diagnostics.MystiqueException">One of them cannot be read (MYS1xx).</exception>
    public static ImmutableArray<Recording> OpenRanks(string path, RecordingOptions? options = null) =>
        CaptureFolder.RanksOf(path) is { Length: > 1 } ranks
            ? [.. ranks.Select(rank => Open(CaptureFolder.RankPath(path, rank), options))] : [Open(path, options)];

    /// <summary>The recording of a trace that was read, or made, without a file.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="profile">Its operators in a profile; null for none.</param>
    /// <param name="baseline">What was measured of the job; null for nothing.</param>
    /// <param name="iterationNs">The time of an uninstrumented iteration, in nanoseconds; null takes the baseline's.</param>
    public static Recording Of(ExecutionTrace trace, LinkedProfile? profile = null, Baseline? baseline = null, long? iterationNs = null) =>
        new(trace)
        {
            Name = Path.GetFileName(trace.Source),
            Profile = profile,
            Baseline = baseline,
            IterationNs = iterationNs ?? baseline?.IterationNs,
            Warnings = trace.Warnings,
            Ranges = RecordedRanges.Of(trace),
        };

    /// <summary>The same with other contents of tensors.</summary>
    internal Recording With(RecordedRanges ranges) => new(Trace)
    {
        Name = Name,
        Profile = Profile,
        Baseline = Baseline,
        IterationNs = IterationNs,
        Warnings = Warnings,
        Ranges = ranges,
    };

    private static Recording Read(string path, CaptureFolder? capture, RecordingOptions options, ImmutableArray<string> notes)
    {
        var trace = Read(path, options);
        var warnings = notes;
        if (capture?.Baseline.ProfilerNote is { } note)
            warnings = warnings.Add(note);
        var profile = options.Profile is { } named ? ProfileLinker.Link(trace, named)
            : capture?.ProfilePath is { } own ? TryLink(trace, own, ref warnings) : trace.OwnTimes;
        trace = NestingRepair.Apply(trace, profile);
        if (trace is { InferredFrom.Length: > 0, SchemaVersion: not ProfileTrace.SchemaVersion })
            warnings = warnings.Add($"{trace.Source} was inferred from {trace.InferredFrom}, which had no execution trace");
        warnings = warnings.InsertRange(notes.Length, trace.Warnings.Select(w => $"{trace.Source}: {w}"));
        if (profile is { DeviceNs: 0 } && DeviceName.AcceleratorOf(trace) is not null)
            warnings = warnings.Add($"{profile.Source} has no work of the device: the profiler could not see it (no CUPTI, or it is "
                + "another tool's, Nsight's for one; a container without it), so that kernels, streams and waits are not known");
        return new Recording(trace)
        {
            Name = Path.GetFileName(capture is null ? trace.Source : Path.GetFullPath(capture.Directory)),
            Profile = profile,
            Baseline = capture?.Baseline,
            IterationNs = options.IterationNs ?? capture?.Baseline.IterationNs,
            Warnings = warnings,
            Ranges = RecordedRanges.Of(trace),
        };
    }

    private static ExecutionTrace Read(string path, RecordingOptions options)
    {
        try
        {
            return TraceReader.Read(path, new TraceReadOptions(options.Strict));
        }
        catch (MystiqueException exception) when (exception.Id == Problems.KinetoProfileId
            && options is { Knowledge: not null, Profile: null } && File.Exists(path))
        {
            using var knowledge = options.Knowledge();
            return ProfileTrace.Read(path, knowledge, options);
        }
    }

    /// <summary>A capture's own profile is used where it fits: without it there are no times of operators, and all else stays.</summary>
    private static LinkedProfile? TryLink(ExecutionTrace trace, string profile, ref ImmutableArray<string> warnings)
    {
        var linked = ProfileLinker.TryLink(trace, profile, out string why);
        if (linked is null)
            warnings = warnings.Add($"{profile} is not used: {why}");
        return linked;
    }
}

/// <summary>How a recording is opened.</summary>
public sealed record RecordingOptions
{
    /// <summary>Whether to refuse a damaged trace. The default is to read as far as it can be read.</summary>
    public bool Strict { get; init; }

    /// <summary>A Kineto profile of the same job; null, the default, takes the capture folder's, where there is one that fits.</summary>
    public string? Profile { get; init; }

    /// <summary>The time of an uninstrumented iteration of the job, in nanoseconds; null, the default, takes what was measured.</summary>
    public long? IterationNs { get; init; }

    /// <summary>
    /// Of a profile without an execution trace, the step: N of <c>ProfilerStep#N</c>, or of a serving engine's steps its place from 0.
    /// Null, the default, takes the one of the median time.
    /// </summary>
    public long? Iteration { get; init; }

    /// <summary>
    /// Of a serving engine's profile without an execution trace, the folder of the profiles that it took while it captured its graphs.
    /// Null, the default, takes <c>capture_traces</c> beside the profile, where there is one.
    /// </summary>
    public string? CaptureTraces { get; init; }

    /// <summary>What completes a profile without an execution trace, when it is needed; null refuses such a profile.</summary>
    internal Func<IOperatorKnowledge>? Knowledge { get; init; }
}
