using System.Collections.Immutable;
using Mystique.Packaging.Jobs;
using Mystique.Planning;

namespace Mystique.Execution.Jobs;

/// <summary>A call of a job, with the ranks that make it together.</summary>
/// <param name="Kind">What it does, as <c>torch.distributed</c> names it.</param>
/// <param name="Group">The group's place among the job's.</param>
/// <param name="Size">The group's number of ranks.</param>
/// <param name="Bytes">The message's bytes as nccl-tests counts them: the larger of what goes in and comes out; of ranks that
/// differ, the most.</param>
/// <param name="Parts">By rank, its part.</param>
internal sealed record JobCallAcross(string Kind, int Group, int Size, long Bytes, ImmutableSortedDictionary<int, JobCall> Parts)
{
    /// <summary>
    /// How long it takes without anybody being late: what the rank that came last needed, for the others waited for it. Null where only one
    /// rank's time is known, or none: then nobody tells the transfer from the waiting.
    /// </summary>
    public long? TransferNs =>
        Parts.Values.Select(p => p.DurationNs).OfType<long>().ToArray() is { Length: > 1 } known ? known.Min() : null;
}

/// <summary>The calls of a job over all ranks: the k-th collective of a group on each of its members is one call.</summary>
internal static class JobCalls
{
    /// <summary>Puts them together.</summary>
    public static ImmutableArray<JobCallAcross> Of(JobBenchmark job)
    {
        var calls = new Dictionary<(int Group, bool IsPair, int Rank, int Place),
            List<(int Rank, JobCall Part, string Kind, long Bytes)>>();
        foreach (var rank in job.Ranks)
        {
            var plan = job.Programs[rank.Program].Plan;
            var operators = plan.Operators.Where(o => o.Collective?.Call is { WaitsFor: null }).DistinctBy(o => o.Id.Node)
                .ToDictionary(o => o.Id.Node);
            var next = new Dictionary<(int, bool), int>();
            foreach (var part in rank.Calls)
            {
                string kind = operators[part.Node].Collective!.Call!.Kind;
                bool isPair = kind is "send" or "recv"; // Who meets whom is known of pairs, but each takes its own time.
                int place = next.GetValueOrDefault((part.Group, isPair));
                next[(part.Group, isPair)] = place + 1;
                var key = (part.Group, isPair, isPair ? rank.Rank : -1, place);
                if (!calls.TryGetValue(key, out var known))
                    calls.Add(key, known = []);
                var (given, got) = CallOperator.BytesOf(plan, operators[part.Node]);
                known.Add((rank.Rank, part, kind, Math.Max(given, got)));
            }
        }
        return [.. calls.Select(c => new JobCallAcross(c.Value[0].Kind, c.Key.Group, job.Groups[c.Key.Group].Ranks.Length,
            c.Value.Max(p => p.Bytes), c.Value.ToImmutableSortedDictionary(p => p.Rank, p => p.Part)))];
    }
}
