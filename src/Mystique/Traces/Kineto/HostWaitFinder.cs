namespace Mystique.Traces.Kineto;

/// <summary>
/// When the host waited for the device outside of operators. Only threads that run operators of the trace count: those that load
/// data, pin memory or write checkpoints wait as well, and hold nothing up. Nor do calls that found nothing to wait for.
/// </summary>
internal static class HostWaitFinder
{
    /// <summary>A call that takes less has not waited: FSDP asks for events that happened long ago dozens of times an iteration.</summary>
    private const long LeastNs = 5_000;

    private enum Scope
    {
        None,
        Device,
        Work, // Of a stream, or up to an event.
    }

    /// <summary>Finds them.</summary>
    /// <param name="profile">The events of one process.</param>
    /// <param name="tree">Which lie within which.</param>
    /// <param name="nodes">By event, the node of the trace that it is.</param>
    /// <param name="window">The iteration's start and end; waits that begin outside of it are the profiler's own, or another's.</param>
    /// <param name="baseNs">What times are counted from.</param>
    public static IEnumerable<HostWait> Find(KinetoProfile profile, KinetoTree tree, IReadOnlyDictionary<int, long> nodes,
        (long Start, long End) window, long baseNs)
    {
        var events = profile.Events;
        var threads = nodes.Keys.Select(i => events[i].Thread).ToHashSet();
        (long EndNs, long Node)[]? ends = null;
        for (int i = 0; i < events.Length; i++)
        {
            var e = events[i];
            if (e.Kind != KinetoKind.Runtime || e.DurationNs < LeastNs || e.StartNs < window.Start || e.StartNs > window.End
                || !threads.Contains(e.Thread) || ScopeOf(e.Name) == Scope.None
                || tree.AncestorsOf(i).Any(nodes.ContainsKey))
                continue;
            ends ??= EndsOfWork(events, tree, nodes);
            long? node = ScopeOf(e.Name) == Scope.Work ? LastBefore(ends, e.EndNs) : null;
            yield return new HostWait(e.StartNs - baseNs, e.DurationNs, node);
        }
    }

    /// <summary>
    /// Waits of the runtimes: CUDA's and HIP's (<c>cudaDeviceSynchronize</c>, <c>hipStreamSynchronize</c>, …), Level Zero's, Unified
    /// Runtime's (<c>urQueueFinish</c>) and Ascend's (<c>aclrtSynchronizeStream</c>).
    /// </summary>
    private static Scope ScopeOf(string name) => name switch
    {
        _ when name.EndsWith("DeviceSynchronize", StringComparison.Ordinal) || name.EndsWith("CtxSynchronize", StringComparison.Ordinal)
            || name.StartsWith("aclrtSynchronizeDevice", StringComparison.Ordinal) => Scope.Device,
        "urQueueFinish" or "urEventWait" => Scope.Work,
        _ when name.EndsWith("Synchronize", StringComparison.Ordinal)
            || name.StartsWith("aclrtSynchronize", StringComparison.Ordinal) => Scope.Work,
        _ => Scope.None,
    };

    /// <summary>When work on the device was done, in order, and by which node it was started.</summary>
    private static (long EndNs, long Node)[] EndsOfWork(KinetoEvent[] events, KinetoTree tree, IReadOnlyDictionary<int, long> nodes)
    {
        var ends = new List<(long EndNs, long Node)>();
        for (int i = 0; i < events.Length; i++)
        {
            if (!events[i].IsOnDevice || tree.LaunchOf(i) is not { } launch)
                continue;
            int by = tree.AncestorsOf(launch).FirstOrDefault(nodes.ContainsKey, -1);
            if (by >= 0)
                ends.Add((events[i].EndNs, nodes[by]));
        }
        ends.Sort();
        return [.. ends];
    }

    /// <summary>Whose work was done last when a wait ended: what the host waited for.</summary>
    private static long? LastBefore((long EndNs, long Node)[] ends, long atNs)
    {
        int next = Array.BinarySearch(ends, (atNs, long.MaxValue));
        next = next < 0 ? ~next : next + 1;
        return next > 0 ? ends[next - 1].Node : null;
    }
}
