using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique;

/// <summary>How a replay is run.</summary>
public sealed record ReplayOptions
{
    /// <summary>
    /// Iterations that are measured, in each block of an interleaved measurement. By default 20, on a device at least a second's worth,
    /// and in blocks as many as fit into one.
    /// </summary>
    public int? Iterations { get; init; }

    /// <summary>Iterations before that, which are not. By default 3, on a device as many as it takes until times are steady.</summary>
    public int? Warmup { get; init; }

    /// <summary>Iterations that are measured on the host, where the user does not say.</summary>
    internal const int HostIterations = 20;

    /// <summary>Iterations before that on the host, where the user does not say.</summary>
    internal const int HostWarmup = 3;

    /// <summary>Iterations of the pass that times each operator; 0 leaves it out. The default is 3.</summary>
    public int ProfileIterations { get; init; } = 3;

    /// <summary>Whether one iteration is observed and compared with the plan. The default is yes.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Whether the machine's GPUs are sampled while iterations are measured. The default is no.</summary>
    public bool GpuMetrics { get; init; }

    /// <summary>Whether to refuse a replay that leaves an operator out.</summary>
    public bool Strict { get; init; }

    /// <summary>Whether results are checked for values that are not finite, after the measured iterations. The default is no.</summary>
    public bool CheckValues { get; init; }

    /// <summary>Whether iterations keep the original's pace. By default they are unpaced.</summary>
    public ReplayPace Pace { get; init; }

    /// <summary>Where to write a Kineto profile of one iteration, which is recorded last; null for none.</summary>
    public string? KinetoFile { get; init; }

    /// <summary>
    /// What is replayed; null, the default, for what predicts best: the operators' level on the version of PyTorch and the kind of device
    /// of the recording, and where these are not known; else the framework's, where there is one.
    /// </summary>
    public ReplayLevel? Level { get; init; }

    /// <summary>How plans are changed that do not fit the target.</summary>
    public PlanningOptions Planning { get; init; } = new();

    /// <summary>What the contents of external tensors are drawn from.</summary>
    public uint Seed { get; init; } = 1;
}

/// <summary>How long iterations of a replay are meant to take.</summary>
public enum ReplayPace
{
    /// <summary>Unpaced: each call starts when the one before it is done.</summary>
    None,

    /// <summary>
    /// As long as the original's: the time that an unpaced iteration lacks is waited between calls, in proportion to the original's
    /// gaps between operators. Longer where the replay is slower (MYS413 without times).
    /// </summary>
    Recorded,
}

/// <summary>The outcome of a replay. Immutable.</summary>
public sealed record ReplayResult
{
    /// <summary>What was run, without what turned out not to run.</summary>
    public required ReplayPlan Plan { get; init; }

    /// <summary>How.</summary>
    public required ReplayOptions Options { get; init; }

    /// <summary>On what.</summary>
    public required EngineInfo Engine { get; init; }

    /// <summary>Where.</summary>
    public required HostInfo Host { get; init; }

    /// <summary>The times of the measured iterations.</summary>
    public required SampleStatistics Iterations { get; init; }

    /// <summary>What measured them: <c>events</c> of the device, or the <c>host</c>'s clock.</summary>
    internal string Clock { get; init; } = MeasuringClock.Host;

    /// <summary>Time by operators of a name, from a separate pass, the longest first; empty where there was none.</summary>
    public ImmutableArray<OperatorGroupTime> OperatorGroups { get; init; } = [];

    /// <summary>Memory.</summary>
    public required MemoryUse Memory { get; init; }

    /// <summary>CPU time of an iteration, all threads, in nanoseconds; restoring state is in it.</summary>
    public required double CpuTimeNs { get; init; }

    /// <summary>What the observer saw; null where nobody looked.</summary>
    public VerificationResult? Verification { get; init; }

    /// <summary>Why nobody looked though it was asked for: the observer of this PyTorch would crash; null for no such reason.</summary>
    public string? WhyNotVerified { get; init; }

    /// <summary>Operators whose results are not finite; null where nobody looked.</summary>
    public ImmutableArray<OperatorFailure>? NonFinite { get; init; }

    /// <summary>How the original's pace was kept in the measured iterations; null where it was not asked for.</summary>
    public PaceReport? Pace { get; init; }

    /// <summary>What ran.</summary>
    public required ReplayedProgram Program { get; init; }

    /// <summary>The times of the plan's operators, each called alone, in nanoseconds; empty where they were not timed.</summary>
    public ImmutableArray<double> OperatorTimesNs { get; init; } = [];

    /// <summary>
    /// An instrumented iteration, as the original's was when it was captured; null where there was none, or where it does not
    /// fit.
    /// </summary>
    public InstrumentedIteration? Instrumented { get; init; }

    /// <summary>What the worker did to its machine in the measured iterations; null where that is not known.</summary>
    public SystemMetrics? System { get; init; }
}

/// <summary>What ran: the benchmark's own program, or another that was fitted to the target.</summary>
/// <param name="Digest">The SHA-256 of the program that ran, in hexadecimal.</param>
/// <param name="IsFitted">Whether it is another than the benchmark's own, because the target could not run that.</param>
/// <param name="Changes">What was changed, and why.</param>
public sealed record ReplayedProgram(string Digest, bool IsFitted, ImmutableArray<FitChange> Changes);

/// <summary>Time of all operators of a kind in one iteration.</summary>
/// <param name="Name">The full name, for example <c>aten::add.Tensor</c>.</param>
/// <param name="Count">How many there are.</param>
/// <param name="TimeNs">Their time, in nanoseconds.</param>
public sealed record OperatorGroupTime(string Name, int Count, double TimeNs);

/// <summary>Memory of the worker's process: resident bytes that belong to no file.</summary>
/// <param name="BaselineBytes">What it had before anything was allocated for the replay.</param>
/// <param name="PeakBytes">The most that it had while iterations were measured.</param>
/// <param name="PlannedPeakBytes">The most that the plan's tensors have at one time.</param>
public sealed record MemoryUse(long BaselineBytes, long PeakBytes, long PlannedPeakBytes)
{
    /// <summary>What PyTorch's allocator had of the device meanwhile; null on the host, and where it is not known.</summary>
    public AllocatorUse? Device { get; init; }

    /// <summary>The peak without the baseline.</summary>
    public long UsedBytes => Math.Max(0, PeakBytes - BaselineBytes);
}
