using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Verification;

namespace Mystique.Fidelity;

/// <summary>One side of a comparison, wherever it was measured: what is not known of it is empty or 0. Immutable.</summary>
public sealed record ComparedRun
{
    /// <summary>What it is called in reports.</summary>
    public required string Name { get; init; }

    /// <summary>Where it was measured: host, versions, device, threads; in the order in which to show it.</summary>
    public ImmutableArray<(string Name, string Value)> Provenance { get; init; } = [];

    /// <summary>Iteration times.</summary>
    public SampleStatistics Times { get; init; } = new([]);

    /// <summary>
    /// Iteration times of the same thing, measured at another time: what the machine alone does to them. Empty where there are
    /// none.
    /// </summary>
    public ImmutableArray<SampleStatistics> Repeats { get; init; } = [];

    /// <summary>
    /// The turns, where both sides were measured in turn: what drifts on the machine meets a turn of both alike. Else empty.
    /// </summary>
    public ImmutableArray<MeasuredBlock> Turns { get; init; } = [];

    /// <summary>
    /// The processes that had these turns, where there were several: what is between them is no error of a replay. Else empty.
    /// </summary>
    public ImmutableArray<ComparedSide> Processes { get; init; } = [];

    /// <summary>Processor time of an iteration, all threads, in nanoseconds.</summary>
    public double CpuTimeNs { get; init; }

    /// <summary>The most bytes of the host's tensors at one time; 0 where it is not known.</summary>
    public long AllocatedBytes { get; init; }

    /// <summary>The most resident memory of the process over what was there before, in bytes.</summary>
    public long UsedBytes { get; init; }

    /// <summary>The most memory that the allocator gave out on the device, in bytes.</summary>
    public long DeviceBytes { get; init; }

    /// <summary>What it did to its machine while iterations were measured; null where that was not sampled.</summary>
    public SystemMetrics? System { get; init; }

    /// <summary>Operators by name.</summary>
    public ImmutableSortedDictionary<string, RunOperatorGroup> Kinds { get; init; } = ImmutableSortedDictionary<string, RunOperatorGroup>.Empty;

    /// <summary>The time of the iteration that the kinds' times are parts of, in nanoseconds; 0 where their sum is the iteration.</summary>
    public long WatchedNs { get; init; }

    /// <summary>Kernels on the device by name, in an iteration: how often, and for how many nanoseconds.</summary>
    public ImmutableSortedDictionary<string, (int Count, long DurationNs)> Kernels { get; init; } = ImmutableSortedDictionary<string,
        (int, long)>.Empty;

    /// <summary>Operators on the host in an iteration, by their start.</summary>
    public ImmutableArray<TimelineSpan> Timeline { get; init; } = [];

    /// <summary>How much of the work ran at the same time as other work; null where it is not known.</summary>
    public Concurrency? Concurrency { get; init; }

    /// <summary>Bytes of the host's tensors over an iteration; null where they are not known.</summary>
    public MemoryTimeline? HostMemory { get; init; }

    /// <summary>Bytes of the device's tensors over an iteration; null where they are not known.</summary>
    public MemoryTimeline? DeviceMemory { get; init; }

    /// <summary>Bytes of the plan's live storages after each operator.</summary>
    public ImmutableArray<long> MemoryCurve { get; init; } = [];

    /// <summary>
    /// How many operators were replaced by their children: only where both sides did the same do their kinds' counts compare.
    /// </summary>
    public int? OpenedOperators { get; init; }

    /// <summary>What the replay says of itself: its operators, and what became of them. Null for an original.</summary>
    public ComparedCoverage? Coverage { get; init; }
}

/// <summary>An operator in an iteration. Times in nanoseconds of an iteration that nobody watched.</summary>
/// <param name="Name">The full name.</param>
/// <param name="StartNs">Its start.</param>
/// <param name="DurationNs">How long it took on the host.</param>
/// <param name="Id">The operator of the recording; null where it is not known.</param>
/// <param name="Label">The labels of the original that it ran within, outermost first, joined by " / "; empty for none.</param>
public sealed record TimelineSpan(string Name, double StartNs, double DurationNs, OperatorId? Id, string Label);

/// <summary>Operators of a name, in an iteration.</summary>
/// <param name="Count">How many.</param>
/// <param name="TimeNs">Their time, added up, in nanoseconds; null where it is not known.</param>
/// <param name="AllocatedBytes">Bytes of the storages that they make; null where it is not known.</param>
public sealed record RunOperatorGroup(int Count, double? TimeNs, long? AllocatedBytes);

/// <summary>What a replay says of itself.</summary>
/// <param name="Selected">Operators that were selected.</param>
/// <param name="Replayed">Of these, those that run as recorded.</param>
/// <param name="Substituted">Those whose work others do.</param>
/// <param name="Replaced">What does not run as recorded: name, count, remedy, by what, why.</param>
/// <param name="Verification">What the observer saw, in a word.</param>
/// <param name="OriginalKinds">
/// What the replay's package knows of the original's operators, of the same selection; null where it knows nothing.
/// </param>
/// <param name="OriginalWatchedNs">The time of the iteration that these are parts of, in nanoseconds.</param>
public sealed record ComparedCoverage(
    int Selected, int Replayed, int Substituted, ImmutableArray<(string Name, int Count, string Remedy, string By,
        string Reason)> Replaced, string Verification,
    ImmutableSortedDictionary<string, RunOperatorGroup>? OriginalKinds, long OriginalWatchedNs);
