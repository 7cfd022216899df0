using System.Collections.Immutable;
using Mystique.Traces.Kineto;

namespace Mystique.Ranks;

/// <summary>When a call moved data, in nanoseconds from the start of the first linked operator on.</summary>
/// <param name="StartNs">Its start.</param>
/// <param name="DurationNs">How long it took, what it waited for other ranks included.</param>
internal readonly record struct CallTime(long StartNs, long DurationNs);

/// <summary>
/// The times of a rank's calls, from its profile: of the kernels that a call started on a device (<c>nccl…</c>), or of the backend's own
/// label (<c>gloo:all_reduce</c>), which ends when the work has. What a call took on the host is no time of a call.
/// </summary>
/// <param name="Calls">By the call's node, its time; what the profile does not tell is not there.</param>
/// <param name="InCallsNs">The time in which there was any call; null where no call has a time.</param>
/// <param name="ExposedNs">Of that, the time in which nothing else ran: no kernel on a device, else no operator on the host.</param>
/// <param name="IterationNs">The iteration's time; null without a profile.</param>
internal sealed record CallTimes(ImmutableDictionary<long, CallTime> Calls, long? InCallsNs, long? ExposedNs, long? IterationNs)
{
    /// <summary>Nothing is known.</summary>
    public static CallTimes None { get; } = new(ImmutableDictionary<long, CallTime>.Empty, null, null, null);

    /// <summary>The times of calls in a profile.</summary>
    /// <param name="recording">The recording with the profile.</param>
    /// <param name="segment">What was selected of it.</param>
    /// <param name="calls">The calls.</param>
    public static CallTimes Of(Recording recording, Segment segment, ImmutableArray<CollectiveCall> calls)
    {
        if (recording.Profile is not { } profile)
            return None;
        var times = ImmutableDictionary.CreateBuilder<long, CallTime>();
        bool isOnDevice = false;
        foreach (var call in calls)
        {
            DeviceWork[] kernels = profile.Operators.TryGetValue(call.Start.Id, out var started)
                ? [.. started.Kernels.Where(IsCommunication)] : [];
            if (kernels.Length > 0)
            {
                long start = kernels.Min(k => k.StartNs);
                times.Add(call.Start.Id, new CallTime(start, kernels.Max(k => k.StartNs + k.DurationNs) - start));
                isOnDevice = true;
            }
            else if (call.Work is { } work && profile.Labels.TryGetValue(work.Id, out var label))
            {
                times.Add(call.Start.Id, new CallTime(label.StartNs, label.DurationNs));
            }
        }
        if (times.Count == 0)
            return None with { IterationNs = profile.IterationNs };
        var own = calls.SelectMany(c => new[] { c.Start, c.Wait }).OfType<Traces.TraceNode>().ToHashSet();
        var others = segment.Outermost.Where(o => !own.Contains(o) && o.Schema?.Name != "wait_tensor")
            .Select(o => profile.Operators.GetValueOrDefault(o.Id)).OfType<OperatorTime>();
        var spans = Union(times.Values.Select(t => (t.StartNs, t.StartNs + t.DurationNs)));
        var busy = Union(isOnDevice
            ? others.SelectMany(o => o.Kernels).Where(k => !IsCommunication(k)).Select(k => (k.StartNs, k.StartNs + k.DurationNs))
            : others.Select(o => (o.StartNs, o.StartNs + o.DurationNs)));
        long total = spans.Sum(s => s.End - s.Start);
        // Work that nobody waits for can end after the last operator: the iteration has not ended before.
        return new CallTimes(times.ToImmutable(), total, total - Common(spans, busy), Math.Max(profile.IterationNs, spans[^1].End));
    }

    /// <summary>Kernels of NCCL and RCCL (<c>ncclDevKernel_AllReduce_…</c>), and of oneCCL.</summary>
    private static bool IsCommunication(DeviceWork work) => work.Name.Contains("nccl", StringComparison.OrdinalIgnoreCase)
        || work.Name.Contains("oneccl", StringComparison.OrdinalIgnoreCase);

    private static List<(long Start, long End)> Union(IEnumerable<(long Start, long End)> spans)
    {
        var joined = new List<(long Start, long End)>();
        foreach (var (start, end) in spans.Where(s => s.End > s.Start).Order())
            if (joined.Count > 0 && start <= joined[^1].End)
                joined[^1] = (joined[^1].Start, Math.Max(joined[^1].End, end));
            else
                joined.Add((start, end));
        return joined;
    }

    /// <summary>How long there are both.</summary>
    private static long Common(List<(long Start, long End)> a, List<(long Start, long End)> b)
    {
        long sum = 0;
        for (int i = 0, k = 0; i < a.Count && k < b.Count;)
        {
            sum += Math.Max(0, Math.Min(a[i].End, b[k].End) - Math.Max(a[i].Start, b[k].Start));
            if (a[i].End < b[k].End)
                i++;
            else
                k++;
        }
        return sum;
    }
}
