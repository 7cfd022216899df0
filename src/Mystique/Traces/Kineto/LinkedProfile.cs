using System.Collections.Immutable;

namespace Mystique.Traces.Kineto;

/// <summary>When and how long a node of the trace ran. All times in nanoseconds.</summary>
/// <param name="StartNs">Its start on the host, from the start of the first linked node on.</param>
/// <param name="DurationNs">How long it took on the host.</param>
/// <param name="Kernels">What it and the nodes within it started on the device: kernels, copies and fillings, in order.</param>
public sealed record OperatorTime(long StartNs, long DurationNs, ImmutableArray<DeviceWork> Kernels)
{
    /// <summary>Time on the device, added up over all streams.</summary>
    public long DeviceNs => Kernels.Sum(k => k.DurationNs);

    /// <summary>The stream of what it started first; null where it started nothing.</summary>
    public StreamId? Stream => Kernels.IsEmpty ? null : Kernels[0].Stream;
}

/// <summary>A kernel, a copy or a filling on the device.</summary>
/// <param name="Name">Its name.</param>
/// <param name="StartNs">Its start, in nanoseconds from the start of the first linked node on.</param>
/// <param name="DurationNs">How long it took, in nanoseconds.</param>
/// <param name="Stream">The device's stream; null where the profile does not say.</param>
/// <param name="Grid">A kernel's blocks, for example <c>16x8x2</c>; empty for other work, and where it is not recorded.</param>
public sealed record DeviceWork(string Name, long StartNs, long DurationNs, StreamId? Stream, string Grid);

/// <summary>A wait of the host for the device.</summary>
/// <param name="AtNs">When it began, in nanoseconds from the start of the first linked node on; negative before it.</param>
/// <param name="DurationNs">How long it took, in nanoseconds.</param>
/// <param name="Node">The node whose work it waited for; null for all work of the device.</param>
public sealed record HostWait(long AtNs, long DurationNs, long? Node);

/// <summary>
/// A wait of a stream for another: what is started on it from then on waits for what was started on the other before. Times in nanoseconds
/// from the start of the first linked node on.
/// </summary>
/// <param name="AtNs">When the host told the stream to wait.</param>
/// <param name="Stream">The stream that waits.</param>
/// <param name="RecordedNs">When the host recorded the event that it waits for.</param>
/// <param name="OnStream">The stream of that event.</param>
public sealed record StreamWait(long AtNs, StreamId Stream, long RecordedNs, StreamId OnStream);

/// <summary>An allocation, or a free.</summary>
/// <param name="AtNs">When, in nanoseconds from the start of the first linked node on; a little before it, too.</param>
/// <param name="Bytes">How many bytes; negative for a free.</param>
/// <param name="IsOnDevice">Whether it is memory of a device, not of the host.</param>
/// <param name="WasThere">Whether it frees what was there before the iteration.</param>
public sealed record ProfiledAllocation(long AtNs, long Bytes, bool IsOnDevice, bool WasThere)
{
    /// <summary>Where; null where it is not recorded.</summary>
    internal long? Address { get; init; }
}

/// <summary>How nodes of a trace were found in a profile.</summary>
public enum ProfileLink
{
    /// <summary>By the id that both record: the record function's.</summary>
    Id,

    /// <summary>By the external id, which is the record function's in old profiles.</summary>
    ExternalId,

    /// <summary>By ids that are all as far from the trace's.</summary>
    ShiftedId,

    /// <summary>By the order of operators on each thread: the profile is of another iteration of the same job.</summary>
    Order,

    /// <summary>By their order, with operators in between that only one side has.</summary>
    OrderWithGaps,
}

/// <summary>A trace's nodes in a Kineto profile of the same job. Immutable.</summary>
public sealed record LinkedProfile
{
    /// <summary>The profile's file name.</summary>
    public required string Source { get; init; }

    /// <summary>How they were found.</summary>
    public required ProfileLink Link { get; init; }

    /// <summary>
    /// An iteration's time, in nanoseconds: of the profiler's step, of the median iteration, or from the first start to the
    /// last end.
    /// </summary>
    public required long IterationNs { get; init; }

    /// <summary>By node id, the times of operators, and of what is within them.</summary>
    public required ImmutableDictionary<long, OperatorTime> Operators { get; init; }

    /// <summary>
    /// By node id, the times of labels with a colon in their names: among them the work of a process group on its own thread; where there
    /// is such work, of all labels. None where nodes were not found by their ids.
    /// </summary>
    internal ImmutableDictionary<long, OperatorTime> Labels { get; init; } = ImmutableDictionary<long, OperatorTime>.Empty;

    /// <summary>Operators that were not found: node id and reason.</summary>
    public required ImmutableArray<(long NodeId, string Name, string Reason)> Unlinked { get; init; }

    /// <summary>Operators of the profile, within the linked time, that are no node of the trace.</summary>
    public required int UnlinkedEvents { get; init; }

    /// <summary>Time on the device that no linked operator started, by what started it, the longest first.</summary>
    public required ImmutableArray<(string Name, int Count, long DurationNs)> Unexplained { get; init; }

    /// <summary>All time on the device within the linked time, in nanoseconds.</summary>
    public required long DeviceNs { get; init; }

    /// <summary>When the host waited for the device outside of operators (<c>cudaDeviceSynchronize</c> and its kin), in order.</summary>
    public required ImmutableArray<HostWait> HostWaits { get; init; }

    /// <summary>When streams waited for each other, in order; null where the profile does not tell (<c>cuda_sync</c>).</summary>
    public ImmutableArray<StreamWait>? StreamWaits { get; init; }

    /// <summary>By N of <c>ProfilerStep#N</c>, the step's time, in nanoseconds.</summary>
    public required ImmutableDictionary<long, long> Steps { get; init; }

    /// <summary>How it was linked, and what was odd: sentences for people.</summary>
    public required ImmutableArray<string> Notes { get; init; }

    /// <summary>Allocations and frees of the iteration, in order; empty where the profile was taken without them.</summary>
    public ImmutableArray<ProfiledAllocation> Allocations { get; init; } = [];

    /// <summary>
    /// By node id, values of arguments that six decimals do not hold, as texts, one for each argument; none where nodes were not found by
    /// their ids, and where the profile was taken without <c>record_shapes</c>.
    /// </summary>
    internal ImmutableDictionary<long, ImmutableArray<string>> ConcreteInputs { get; init; } =
        ImmutableDictionary<long, ImmutableArray<string>>.Empty;

    /// <summary>Share of the device's time that no operator explains (CUDA graphs, kernels of the user's own), 0 to 1.</summary>
    public double UnexplainedShare => DeviceNs == 0 ? 0 : (double)Unexplained.Sum(u => u.DurationNs) / DeviceNs;
}
