namespace Mystique.Traces.Kineto;

/// <summary>What an event of a profile is.</summary>
internal enum KinetoKind : byte
{
    /// <summary>An operator or a label of autograd on the host (<c>cpu_op</c>).</summary>
    Operator,

    /// <summary>A label of the user's or the profiler's (<c>user_annotation</c>), for example <c>ProfilerStep#2</c>.</summary>
    Label,

    /// <summary>A call of the device's runtime or driver (<c>cuda_runtime</c>, <c>cuda_driver</c>, <c>hip_runtime</c>, …).</summary>
    Runtime,

    /// <summary>A kernel on the device.</summary>
    Kernel,

    /// <summary>A copy on, to or from the device (<c>gpu_memcpy</c>).</summary>
    Memcpy,

    /// <summary>A filling of memory on the device (<c>gpu_memset</c>).</summary>
    Memset,
}

/// <summary>
/// An event of a Kineto profile (<c>libkineto/src/output_json.cpp</c>). Times are nanoseconds since an arbitrary start,
/// which is the same for all events of a profile.
/// </summary>
internal struct KinetoEvent
{
    public KinetoKind Kind;
    public string Name;
    public long StartNs;
    public long DurationNs;

    /// <summary>The process; for what runs on the device, the device. Null where the profile does not say.</summary>
    public long? Process;

    /// <summary>The thread on the host; for what runs on the device, the device's stream.</summary>
    public long Thread;

    /// <summary>
    /// The argument <c>Record function id</c> (newer profiles); -1 where there is none, or 0, which PyTorch never gives out.
    /// </summary>
    public long RecordFunctionId;

    /// <summary>The argument <c>External id</c>; -1 where there is none.</summary>
    public long ExternalId;

    /// <summary>What joins a call of the runtime to what it started on the device; -1 where there is none.</summary>
    public long Correlation;

    /// <summary>The device's stream; -1 on the host.</summary>
    public long Stream;

    /// <summary>Blocks of a kernel's grid, in x, y and z.</summary>
    public (int X, int Y, int Z) Grid;

    public readonly long EndNs => StartNs + DurationNs;

    public readonly bool IsOnDevice => Kind >= KinetoKind.Kernel;
}

/// <summary>
/// An allocation, or a free (<c>[memory]</c>, written with <c>profile_memory</c>; <c>torch/csrc/profiler/kineto_shim.cpp</c>).
/// </summary>
/// <param name="AtNs">When, in nanoseconds, as events have it.</param>
/// <param name="Bytes">How many bytes; negative for a free.</param>
/// <param name="Address">Where; 0 where it is not recorded.</param>
/// <param name="IsOnDevice">Whether it is memory of a device, not of the host (<c>Device Type</c>, <c>c10/core/DeviceType.h</c>).</param>
internal readonly record struct KinetoAllocation(long AtNs, long Bytes, long Address, bool IsOnDevice);

/// <summary>The events of a Kineto profile that say what ran when. Immutable once read.</summary>
/// <param name="source">The file's name, without its folders.</param>
/// <param name="events">The events, in the file's order.</param>
/// <param name="warnings">What was odd.</param>
internal sealed class KinetoProfile(string source, KinetoEvent[] events, IReadOnlyList<string> warnings)
{
    public string Source { get; } = source;

    public KinetoEvent[] Events { get; } = events;

    public IReadOnlyList<string> Warnings { get; } = warnings;

    /// <summary>Allocations and frees, in the file's order; none where the profile was taken without them.</summary>
    public IReadOnlyList<KinetoAllocation> Allocations { get; init; } = [];

    /// <summary>The rank and the number of ranks, where the job told PyTorch (<c>distributedInfo</c>); else null.</summary>
    public (int Rank, int WorldSize)? Distributed { get; init; }

    /// <summary>The processes that ran operators, those with the most operators first; none where the profile does not say.</summary>
    public IReadOnlyList<long> Processes { get; } = ProcessesOf(events);

    /// <summary>
    /// The events of one of several processes: those on the host are marked; work on the device belongs to the process whose call
    /// of the runtime came last before it under its correlation, for ranks number these alike.
    /// </summary>
    /// <param name="process">The process.</param>
    public KinetoProfile Of(long process)
    {
        if (Processes.Count < 2)
            return this;
        var calls = new Dictionary<long, List<KinetoEvent>>();
        foreach (var e in Events.Where(e => e is { Kind: KinetoKind.Runtime, Correlation: >= 0 }))
        {
            if (!calls.TryGetValue(e.Correlation, out var list))
                calls.Add(e.Correlation, list = []);
            list.Add(e);
        }
        long? OwnerOf(KinetoEvent work) => calls.GetValueOrDefault(work.Correlation)?.Where(c => c.StartNs <= work.StartNs)
            .Select(c => ((long? Process, long StartNs)?)(c.Process, c.StartNs)).MaxBy(c => c!.Value.StartNs)?.Process;
        return new KinetoProfile(Source, [.. Events.Where(e => (e.IsOnDevice ? OwnerOf(e) : e.Process) == process)], Warnings)
        {
            Allocations = Allocations,
            Distributed = Distributed,
        };
    }

    private static long[] ProcessesOf(KinetoEvent[] events)
    {
        var counts = new Dictionary<long, int>();
        foreach (ref var e in events.AsSpan())
            if (e is { Kind: KinetoKind.Operator, Process: { } process })
                counts[process] = counts.GetValueOrDefault(process) + 1;
        return [.. counts.OrderByDescending(c => c.Value).ThenBy(c => c.Key).Select(c => c.Key)];
    }
}
