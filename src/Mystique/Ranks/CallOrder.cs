using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>Whether whoever makes a call goes on before it is done: then a replay overlaps it with what follows, as the job did.</summary>
internal static class CallOrder
{
    private static readonly Comparer<TraceNode> ById = Comparer<TraceNode>.Create((a, b) => a.Id.CompareTo(b.Id));

    private const string Accumulation = "torch::autograd::AccumulateGrad";

    /// <summary>
    /// What the traces say, of any rank; else what a call is of: DDP's are made where gradients are accumulated, and waited for at the end
    /// (<c>torch/csrc/distributed/c10d/reducer.cpp</c>); else what the profiles of most ranks show. Where nothing tells, callers wait, as
    /// <c>torch.distributed</c> does unless it is told.
    /// </summary>
    /// <param name="matched">The call on all ranks.</param>
    /// <param name="recordsWaits">Whether waits were recorded: then a call without one is waited for after the iteration.</param>
    public static bool GoesOn(MatchedCall matched, bool recordsWaits)
    {
        var calls = matched.Calls.Values;
        if (calls.Select(c => c.IsAsynchronous).FirstOrDefault(a => a is not null) is { } known)
            return known;
        if (recordsWaits || calls.Any(c => c.Wait is not null || IsOfAccumulation(c.Start)))
            return true;
        bool[] seen = [.. calls.Select(c => c.WasOvertaken).OfType<bool>()];
        return seen.Length > 0 && seen.Count(s => s) * 2 > seen.Length;
    }

    /// <summary>
    /// Whether an operator of a rank began in the first half of a call's work, as its profile has it; null where it does not tell. That
    /// work ends a little after whoever waits for it goes on.
    /// </summary>
    public static bool? WasOvertaken(CollectiveCall call, Segment segment)
    {
        if (call.Work is not { } work || segment.Recording.Profile is not { } profile
            || !profile.Labels.TryGetValue(work.Id, out var label))
            return null;
        int next = segment.Outermost.AsSpan().BinarySearch(call.Start, ById); // They rise by their ids.
        for (next = next < 0 ? ~next : next + 1; next < segment.Outermost.Length; next++)
            if (profile.Operators.TryGetValue(segment.Outermost[next].Id, out var time))
                return time.StartNs < label.StartNs + label.DurationNs / 2;
        return null;
    }

    /// <summary>Whether a call is made where a gradient is accumulated: by DDP's reducer, or by a hook.</summary>
    internal static bool IsOfAccumulation(TraceNode node) =>
        node.Ancestors.Any(a => a.Name.EndsWith(Accumulation, StringComparison.Ordinal));

    /// <summary>Whether ranks recorded waits of a backend (<c>record_param_comms</c>, NCCL's), for each call that was waited for.</summary>
    public static bool RecordsWaits(RankJob job) =>
        job.Ranks.Any(r => r.Calls.Any(c => c.Wait is { Name: "record_param_comms" }));
}
