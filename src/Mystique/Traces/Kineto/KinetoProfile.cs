namespace Mystique.Traces.Kineto;

/// <summary>
/// An allocation, or a free (<c>[memory]</c>, written with <c>profile_memory</c>; <c>torch/csrc/profiler/kineto_shim.cpp</c>).
/// </summary>
/// <param name="AtNs">When, in nanoseconds, as events have it.</param>
/// <param name="Bytes">How many bytes; negative for a free.</param>
/// <param name="Address">Where; null where it is not recorded.</param>
/// <param name="IsOnDevice">Whether it is memory of a device, not of the host (<c>Device Type</c>, <c>c10/core/DeviceType.h</c>).</param>
internal readonly record struct KinetoAllocation(long AtNs, long Bytes, long? Address, bool IsOnDevice);

/// <summary>
/// A wait of a stream for an event on another (<c>cuda_sync</c>, <c>libkineto/src/CuptiActivity.cpp</c>): what comes after it on the stream
/// starts when what came before the event on the other is done.
/// </summary>
/// <param name="AtNs">When, in nanoseconds, as events have it.</param>
/// <param name="Device">The device; null where the profile does not say.</param>
/// <param name="Stream">The stream that waits.</param>
/// <param name="OnStream">The stream whose event it waits for.</param>
/// <param name="Correlation">That of the runtime's call that made it wait; null where it is not recorded.</param>
/// <param name="RecordCorrelation">That of the runtime's call that recorded the event; null where it is not recorded.</param>
internal readonly record struct KinetoStreamWait(long AtNs, long? Device, StreamId Stream, StreamId OnStream, long? Correlation,
    long? RecordCorrelation);

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

    /// <summary>Waits of streams for each other, in the file's order; null where the profile was taken without them.</summary>
    public IReadOnlyList<KinetoStreamWait>? StreamWaits { get; init; }

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
        foreach (var e in Events)
        {
            if (e is not { Kind: KinetoKind.Runtime, Correlation: { } correlation })
                continue;
            if (!calls.TryGetValue(correlation, out var list))
                calls.Add(correlation, list = []);
            list.Add(e);
        }
        List<KinetoEvent>? CallsOf(KinetoEvent work) => work.Correlation is { } correlation ? calls.GetValueOrDefault(correlation) : null;
        long? OwnerOf(KinetoEvent work) => CallsOf(work)?.Where(c => c.StartNs <= work.StartNs)
            .Select(c => ((long? Process, long StartNs)?)(c.Process, c.StartNs)).MaxBy(c => c!.Value.StartNs)?.Process;
        return With([.. Events.Where(e => (e.IsOnDevice ? OwnerOf(e) : e.Process) == process)], Allocations,
            StreamWaits is null ? null : [.. StreamWaits.Where(w => w.Correlation is { } correlation
                && calls.GetValueOrDefault(correlation)?.MinBy(c => Math.Abs(c.StartNs - w.AtNs)).Process == process)]);
    }

    /// <summary>The same with other events, allocations and waits of streams, and a warning; null for none.</summary>
    public KinetoProfile With(KinetoEvent[] events, IReadOnlyList<KinetoAllocation> allocations, IReadOnlyList<KinetoStreamWait>? waits,
        string? warning = null) => new(Source, events, warning is null ? Warnings : [.. Warnings, warning])
        {
            Allocations = allocations,
            Distributed = Distributed,
            StreamWaits = waits,
        };

    private static long[] ProcessesOf(KinetoEvent[] events)
    {
        var counts = new Dictionary<long, int>();
        foreach (ref var e in events.AsSpan())
            if (e is { Kind: KinetoKind.Operator, Process: { } process })
                counts[process] = counts.GetValueOrDefault(process) + 1;
        return [.. counts.OrderByDescending(c => c.Value).ThenBy(c => c.Key).Select(c => c.Key)];
    }
}
