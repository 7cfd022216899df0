using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Ranks;
using Mystique.Selection;

namespace Mystique.Packaging.Jobs;

/// <summary>
/// Makes the benchmark of a job of its ranks' recordings: their calls are put together first, and those that all members of a group make
/// are made in the replay. Ranks with equal plans share a package.
/// </summary>
internal sealed class JobBuilder
{
    private readonly PlanningOptions _planning;
    private readonly RankJob _job;
    private readonly ImmutableArray<JobGroup> _groups;
    private readonly Dictionary<RankGroup, int> _places = new(ReferenceEqualityComparer.Instance); // Of groups that make calls.
    private readonly ImmutableArray<(MatchedCall Call, bool GoesOn)> _made; // The calls that the replay makes.
    private readonly List<Benchmark> _programs = [];
    private readonly Dictionary<int, ImmutableArray<long>> _nodes = []; // By recorded rank, the nodes of its calls.

    private JobBuilder(RankJob job, PlanningOptions planning)
    {
        (_job, _planning) = (job, planning);
        foreach (var group in job.Groups.Where(g => !g.Members.IsDefault))
            _places.Add(group, _places.Count);
        _groups = [.. _places.Keys.Select(g => new JobGroup(g.Name, g.Members, g.Description, g.Backend))];
        bool recordsWaits = CallOrder.RecordsWaits(job);
        _made = [.. job.Matched.Where(m => _places.ContainsKey(m.Group) && m.Calls.Values.All(c => CallOperator.Of(c) is not null))
            .Select(m => (m, CallOrder.GoesOn(m, recordsWaits)))];
    }

    /// <summary>Makes it.</summary>
    /// <param name="recordings">The recordings, each with its rank; of one job, each rank once.</param>
    /// <param name="source">What to call the job in messages.</param>
    /// <param name="options">What the user decides.</param>
    /// <exception cref="MystiqueException">
    /// The ranks do not fit together (MYS130), one that is missing cannot be made up (MYS132), or nothing is left to do together (MYS135).
    /// </exception>
    public static JobBenchmark Make(ImmutableArray<(int Rank, Recording Recording)> recordings, string source, BenchmarkOptions options)
    {
        (int Rank, Segment Segment)[] segments =
            [.. recordings.Select(r => (r.Rank, SegmentSelector.Select(r.Recording, options.Selection)))];
        var (ranks, notes) = MissingRanks.Complete([.. segments.Select(s => RankTrace.Of(s.Segment, s.Rank))]);
        var made = MissingRanks.Make(ranks, source);
        var job = RankCheck.Of([.. ranks, .. made.Select(m => m.Rank)]);
        if (job.Mismatches is [var first, ..])
            throw Problems.RanksDoNotFit(source, job.Mismatches.Length, first.What);
        var builder = new JobBuilder(job, options.Planning);
        if (builder._groups.IsEmpty)
            throw Problems.NoCallsToRun(source);
        var recorded = segments.Select(s => builder.Add(s.Rank, s.Segment)).ToDictionary(r => r.Rank);
        return new JobBenchmark
        {
            WorldSize = job.WorldSize,
            Programs = [.. builder._programs],
            Groups = builder._groups,
            Ranks = [.. recorded.Values.Concat(made.Select(m => builder.MadeUp(m.Rank, recorded[m.MadeOf]))).OrderBy(r => r.Rank)],
            Notes = [.. notes, .. builder.Notes(made.Length)],
        };
    }

    /// <summary>Plans a recorded rank, and says what its plan has that another rank's of the same program has not.</summary>
    private JobRank Add(int rank, Segment segment)
    {
        var calls = new Dictionary<long, RankCall>();
        foreach (var (matched, goesOn) in _made)
            if (matched.Calls.GetValueOrDefault(rank) is { } own)
                calls[own.Start.Id] = new RankCall(own, _places[matched.Group], goesOn);
        var benchmark = Benchmark.Create(segment, _planning with { Calls = calls.ToImmutableDictionary() }) with
        {
            Ranks = [new BenchmarkRank(rank, _job.WorldSize)],
        };
        int program = _programs.FindIndex(benchmark.IsSameAs);
        if (program < 0)
        {
            program = _programs.Count;
            _programs.Add(benchmark);
        }
        var known = _job.Ranks.First(r => r.Rank == rank).Times;
        // Programs that are the same have the same operators at the same places; their nodes are of the first rank.
        var pairs = benchmark.Plan.Operators.Zip(_programs[program].Plan.Operators)
            .Where(o => o.First.Collective?.Call is { WaitsFor: null }).ToArray();
        var starts = calls.Values.Where(c => c.Inner is not null).ToDictionary(c => c.Inner!.Id, c => c.Call.Start.Id);
        _nodes.Add(rank, [.. pairs.Select(p => starts.GetValueOrDefault(p.First.Id.Node, p.First.Id.Node))]);
        var parts = pairs.Zip(_nodes[rank]).Select(o => PartOf(o.First.Second.Id.Node, o.First.First.Collective!.Call!,
            known.Calls.TryGetValue(o.Second, out var time) ? time.DurationNs : null));
        var original = new JobOriginal
        {
            IterationNs = segment.Recording.Baseline?.IterationNs,
            ProfiledNs = known.IterationNs,
            InCallsNs = known.InCallsNs,
            ExposedNs = known.ExposedNs,
        };
        return new JobRank(rank, program, null, original == new JobOriginal() ? null : original, [.. parts]);
    }

    private static JobCall PartOf(long node, PlannedCall call, long? durationNs) => new()
    {
        Node = node,
        Group = call.Group,
        Root = call.Root,
        InputSplits = call.InputSplits,
        OutputSplits = call.OutputSplits,
        DurationNs = durationNs,
    };

    /// <summary>A rank that runs another one's plan: its groups are its own.</summary>
    private JobRank MadeUp(RankTrace rank, JobRank source)
    {
        // Its calls are copies of the other rank's: they start at the same nodes.
        var groups = _places.SelectMany(g => g.Key.Calls.GetValueOrDefault(rank.Rank, []).Select(c => (c.Start.Id, Group: g.Value)))
            .ToDictionary(c => c.Id, c => c.Group);
        return source with
        {
            Rank = rank.Rank,
            MadeOf = source.Rank,
            Original = null,
            Calls = [.. source.Calls.Zip(_nodes[source.Rank]).Select(c => c.First with { Group = groups[c.Second], DurationNs = null })],
        };
    }

    private IEnumerable<string> Notes(int made)
    {
        if (made > 0)
            yield return $"{made} of {_job.WorldSize} ranks were not recorded: they run the plans of ranks in the same role";
        int local = _job.Groups.Where(g => g.Members.IsDefault).Sum(g => g.Calls.Values.Max(c => c.Length));
        if (local > 0)
            yield return $"{local} calls of a rank are of groups whose ranks no trace tells: local work stands for them";
        int unknown = _job.Matched.Count(m => _places.ContainsKey(m.Group)) - _made.Length;
        if (unknown > 0)
            yield return $"{unknown} calls cannot be made, for their kind or their tensors were not recorded: local work stands for them";
        int reductions = _job.Matched.Count(m => m.Kind is CollectiveKind.AllReduce or CollectiveKind.Reduce or CollectiveKind.ReduceScatter
            && m.Calls.Values.All(c => c.Reduction is null));
        if (reductions > 0)
            yield return $"{reductions} reductions are not recorded: SUM stands for them";
    }
}
