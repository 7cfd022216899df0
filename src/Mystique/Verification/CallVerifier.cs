using System.Collections.Immutable;
using System.Globalization;
using Mystique.Packaging.Jobs;
using Mystique.Planning;
using Mystique.Ranks;

namespace Mystique.Verification;

/// <summary>How a rank's calls of a replay compare with those of the recording.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Recorded">Calls that the replay has to make.</param>
/// <param name="Made">Calls that were seen.</param>
/// <param name="Exact">Of these, those of the recorded kind and size, at their place.</param>
/// <param name="Differences">What differs, in words; the first few.</param>
internal sealed record CallVerification(int Rank, int Recorded, int Made, int Exact, ImmutableArray<string> Differences);

/// <summary>Compares the calls that ranks were seen to make with those that were recorded: their kinds, sizes and order.</summary>
internal static class CallVerifier
{
    private const int MaxDifferences = 8;

    /// <summary>Compares them, rank by rank.</summary>
    /// <param name="job">What has to run.</param>
    /// <param name="observed">What was seen.</param>
    public static ImmutableArray<CallVerification> Compare(JobBenchmark job, RankJob observed) =>
        [.. observed.Ranks.Select(r => Compare(job, job.Ranks.First(j => j.Rank == r.Rank), r))];

    private static CallVerification Compare(JobBenchmark job, JobRank rank, RankTrace seen)
    {
        var plan = job.Programs[rank.Program].Plan;
        var recorded = plan.Operators.Where(o => o.Collective?.Call is { WaitsFor: null }).ToArray();
        var differences = ImmutableArray.CreateBuilder<string>();
        int exact = 0;
        for (int i = 0; i < Math.Max(recorded.Length, seen.Calls.Length); i++)
        {
            string what = i >= seen.Calls.Length ? $"{NameOf(recorded[i])} was not made"
                : i >= recorded.Length ? $"{seen.Calls[i]} was made, and not recorded" : WhyNot(plan, recorded[i], seen.Calls[i]);
            if (what.Length == 0)
                exact++;
            else if (differences.Count < MaxDifferences)
                differences.Add(string.Create(CultureInfo.InvariantCulture, $"call {i}: {what}"));
        }
        return new CallVerification(rank.Rank, recorded.Length, seen.Calls.Length, exact, differences.ToImmutable());
    }

    private static string NameOf(PlannedOperator op) => $"{op.Collective!.Call!.Kind} (node {op.Id.Node})";

    private static string WhyNot(ReplayPlan plan, PlannedOperator op, CollectiveCall seen)
    {
        if (CollectiveNames.NameOf(seen.Kind) != op.Collective!.Call!.Kind)
            return $"{NameOf(op)} was recorded, and {seen} made";
        var (given, got) = CallOperator.BytesOf(plan, op);
        if (seen.Kind == CollectiveKind.Barrier)
            return "";
        // A backend's own node tells what is put in, and no more.
        if (seen.InputBytes is { } input && input != given || seen.OutputBytes is { } output && output != got)
            return string.Create(CultureInfo.InvariantCulture,
                $"{NameOf(op)} puts in {given} bytes and gets {got}; {seen.InputBytes} and {seen.OutputBytes} were seen");
        return "";
    }
}
