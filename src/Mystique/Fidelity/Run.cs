using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Verification;

namespace Mystique;

/// <summary>One side of a comparison, wherever it was measured: what is not known of it is null, or empty. Immutable.</summary>
public sealed record Run
{
    /// <summary>What it is called in reports.</summary>
    public required string Name { get; init; }

    /// <summary>Where it was measured: host, versions, device, threads; in the order in which to show it.</summary>
    public ImmutableArray<(string Name, string Value)> Provenance { get; init; } = [];

    /// <summary>The kind of device that did its work: <c>cpu</c>, <c>cuda</c>, …; null where it is not known.</summary>
    public string? DeviceKind { get; init; }

    /// <summary>
    /// What the names of kernels depend on: the device's name and the versions of PyTorch and of what it is built for; null where one
    /// of them is not known.
    /// </summary>
    public string? KernelOrigin { get; init; }

    /// <summary>What measured iterations: <c>events</c> of the device, or the <c>host</c>'s clock; null where it is not known.</summary>
    public string? Clock { get; init; }

    /// <summary>Iteration times.</summary>
    public SampleStatistics Times { get; init; } = new([]);

    /// <summary>
    /// Iteration times of the same thing, measured at another time: what the machine alone does to them. Empty where there are
    /// none.
    /// </summary>
    public ImmutableArray<SampleStatistics> Repeats { get; init; } = [];

    /// <summary>
    /// The blocks, where both sides were measured interleaved: what drifts on the machine meets a block of both alike. Else empty.
    /// </summary>
    public ImmutableArray<MeasuredBlock> Blocks { get; init; } = [];

    /// <summary>
    /// The blocks of each process that had them, where there were several: what is between them is no error of a replay. Else empty.
    /// </summary>
    public ImmutableArray<ImmutableArray<MeasuredBlock>> Processes { get; init; } = [];

    /// <summary>The blocks of the same replay without the original's pace; empty where it was not measured so.</summary>
    public ImmutableArray<MeasuredBlock> Unpaced { get; init; } = [];

    /// <summary>CPU time of an iteration, all threads, in nanoseconds; null where it is not known.</summary>
    public double? CpuTimeNs { get; init; }

    /// <summary>The most bytes of the host's tensors at one time; null where it is not known.</summary>
    public long? AllocatedBytes { get; init; }

    /// <summary>The most resident memory of the process over what was there before, in bytes; null where it is not known.</summary>
    public long? UsedBytes { get; init; }

    /// <summary>The most bytes of the device's tensors at one time in an instrumented iteration; null where it is not known.</summary>
    public long? DeviceBytes { get; init; }

    /// <summary>
    /// What PyTorch's allocator had of the device in the measured iterations; null where it is not known, as of a job that was not ours to
    /// hold.
    /// </summary>
    public AllocatorUse? Device { get; init; }

    /// <summary>What it did to its machine while iterations were measured; null where that was not sampled.</summary>
    public SystemMetrics? System { get; init; }

    /// <summary>Operators by name.</summary>
    public ImmutableSortedDictionary<string, RunOperatorGroup> Groups { get; init; } = ImmutableSortedDictionary<string,
        RunOperatorGroup>.Empty;

    /// <summary>
    /// The time of the iteration that the groups' times are parts of, in nanoseconds; null where their sum is the iteration.
    /// </summary>
    public long? InstrumentedNs { get; init; }

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
    public int? DecomposedOperators { get; init; }

    /// <summary>What the replay says of itself: its operators, and what became of them. Null for an original.</summary>
    public RunCoverage? Coverage { get; init; }
}

/// <summary>An operator in an iteration. Times in nanoseconds of an uninstrumented iteration.</summary>
/// <param name="Name">The full name.</param>
/// <param name="StartNs">Its start.</param>
/// <param name="DurationNs">How long it took on the host.</param>
/// <param name="Id">The operator of the recording; null where it is not known.</param>
/// <param name="Label">The labels of the original that it ran within, outermost first, joined by " / "; empty for none.</param>
public sealed record TimelineSpan(string Name, double StartNs, double DurationNs, OperatorId? Id, string Label);

/// <summary>Operators of a name, in an iteration.</summary>
/// <param name="Count">How many.</param>
/// <param name="TimeNs">
/// Their time on the host, added up, in nanoseconds; where they were called one by one on a device, that between events around each. Null
/// where it is not known.
/// </param>
/// <param name="AllocatedBytes">Bytes of the storages that they make; null where it is not known.</param>
public sealed record RunOperatorGroup(int Count, double? TimeNs, long? AllocatedBytes)
{
    /// <summary>What they started on the device took there, in nanoseconds; null where no profile tells of one.</summary>
    public double? DeviceNs { get; init; }

    /// <summary>How many kernels, copies and fillings they started on the device; null as above.</summary>
    public int? Kernels { get; init; }
}

/// <summary>What a replay says of itself. Immutable.</summary>
public sealed record RunCoverage
{
    /// <summary>Operators that were selected.</summary>
    public required int Selected { get; init; }

    /// <summary>What became of them, as the observer saw the replay; null where nobody looked, so that nothing is known.</summary>
    public required OperatorClasses? Classes { get; init; }

    /// <summary>What does not run as recorded: name, count, remedy, by what, why.</summary>
    public required ImmutableArray<(string Name, int Count, string Remedy, string By, string Reason)> Replaced { get; init; }

    /// <summary>What the observer saw, in a word.</summary>
    public required string Verification { get; init; }

    /// <summary>What was replayed.</summary>
    public ReplayLevel Level { get; init; }

    /// <summary>What the benchmark knows of the original's operators, of the same selection; null where it knows nothing.</summary>
    public ImmutableSortedDictionary<string, RunOperatorGroup>? OriginalGroups { get; init; }

    /// <summary>The time of the iteration that these are parts of, in nanoseconds; null where it is not known.</summary>
    public long? OriginalInstrumentedNs { get; init; }
}
