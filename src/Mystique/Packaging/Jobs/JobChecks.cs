using Mystique.Planning;

namespace Mystique.Packaging.Jobs;

/// <summary>
/// What must hold between the parts of a job's benchmark, beyond the form of each: <c>run.py</c> holds to the same (<c>run/job.py</c>).
/// </summary>
internal static class JobChecks
{
    /// <summary>What does not hold; null where all does.</summary>
    public static string? WhyNot(JobBenchmark job)
    {
        int[] ranks = [.. job.Ranks.Select(r => r.Rank)];
        if (ranks.Distinct().Count() != ranks.Length || ranks.Length != job.WorldSize || ranks.Any(r => r >= job.WorldSize))
            return $"its ranks are not those from 0 to {job.WorldSize - 1}, each once";
        foreach (var (i, group) in job.Groups.Index())
            if (group.Ranks.Distinct().Count() != group.Ranks.Length || group.Ranks.Any(r => r >= job.WorldSize))
                return $"groups[{i}] has a rank twice, or one that the job does not have";
        foreach (var rank in job.Ranks)
            if (WhyNot(job, rank) is { } why)
                return $"the rank {rank.Rank}: {why}";
        return null;
    }

    private static string? WhyNot(JobBenchmark job, JobRank rank)
    {
        if (rank.MadeOf is { } source && (source == rank.Rank || job.Ranks.All(r => r.Rank != source)))
            return "it is made of a rank that is not there";
        var parts = new Dictionary<long, JobCall>();
        foreach (var call in rank.Calls)
        {
            var group = job.Groups[call.Group];
            if (!parts.TryAdd(call.Node, call) || !group.Ranks.Contains(rank.Rank))
                return $"its call of node {call.Node} is there twice, or of a group that it is not in";
            if (call.Root >= group.Ranks.Length)
                return $"its call of node {call.Node} has a root that its group does not have";
            if (!IsFor(call.InputSplits.Length, group) || !IsFor(call.OutputSplits.Length, group))
                return $"its call of node {call.Node} has not as many splits as its group has ranks";
        }
        foreach (var op in job.Programs[rank.Program].Plan.Operators.Where(o => o.IsCall))
            if (op.Collective!.Call!.Kind != PlannedCall.Wait && !parts.ContainsKey(op.Id.Node))
                return $"it does not say of which group its call of node {op.Id.Node} is";
        return null;
    }

    private static bool IsFor(int splits, JobGroup group) => splits == 0 || splits == group.Ranks.Length;
}
