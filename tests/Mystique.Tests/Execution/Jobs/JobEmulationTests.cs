using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mystique.Diagnostics;
using Mystique.Execution.Jobs;
using Mystique.Packaging.Jobs;
using Mystique.Tests.Ranks;
using static Mystique.Tests.Ranks.RankText;

namespace Mystique.Tests.Execution.Jobs;

/// <summary>What calls of fewer ranks wait for.</summary>
public class JobEmulationTests
{
    /// <summary>Four ranks that reduce together, and two by two; rank r was in each call for so many nanoseconds.</summary>
    private static JobBenchmark Job(Func<int, long?> duration, JobOriginal? original = null, int ofAll = 1)
    {
        RankText Rank(string name, int[] ranks) => new RankText().Groups(4, ("0", []), (name, ranks))
            .AllReduce(Floats(20, 4), new RankText.Comms(1, name, "allreduce", 2))
            .AllReduce(Floats(24, 4), new RankText.Comms(1, "0", "allreduce", 4));
        var ranks = Enumerable.Range(0, 4).Select(r => (r, Recording.Of(
            (r < 2 ? Rank("1", [0, 1]) : Rank("2", [2, 3])).Read()))).ToImmutableArray();
        var job = JobBuilder.Make(ranks, "job", new BenchmarkOptions());
        return job with
        {
            Ranks = [.. job.Ranks.Select(r => r with { Original = original, Calls = [.. r.Calls.Select(c => c with
            {
                DurationNs = duration(r.Rank) * (job.Groups[c.Group].Ranks.Length > 2 ? ofAll : 1),
            })] })],
        };
    }

    [Fact]
    public void Plan_GroupsThatAreAllThere_Run()
    {
        var emulation = JobEmulation.Plan(Job(r => 1000 + r), 2, null, null, 1);
        Assert.Equal([0, 1], emulation.Present);
        Assert.All(emulation.Calls.Values, c => Assert.Single(c)); // That of all four; the row runs.
        Assert.Equal((2, 0), (emulation.FromRecording, emulation.FromModel));
        Assert.Empty(JobEmulation.Plan(Job(r => 1000 + r), 4, null, null, 1).Calls.Values.SelectMany(c => c));
    }

    [Fact]
    public void Plan_Call_TakesItsTransferAndTheWaitingInProportion()
    {
        // Rank 3 came last, and needed 1,000 ns; rank 0 waited 400 for it, in an iteration that the profiler made twice as long.
        var job = Job(r => 1000 + 400 * (3 - r) / 3, new JobOriginal { IterationNs = 50, ProfiledNs = 100 });
        var calls = JobEmulation.Plan(job, 1, null, null, 1).Calls[0];
        // Rank 1 was in the row's call for 1,266 ns: that is its transfer.
        Assert.Equal([1266 + (1400 - 1266) / 2, 1000 + 400 / 2], calls.Values);
    }

    [Fact]
    public void Plan_OtherNumberOfRanks_IsAProjection()
    {
        var emulation = JobEmulation.Plan(Job(r => 1000, ofAll: 2), 4, 8, null, 1);
        Assert.Equal(8, emulation.WorldSize);
        Assert.True(emulation.FromModel >= 4);
        Assert.NotNull(emulation.Interval);
        Assert.All(emulation.Calls.Values, c => Assert.True(c.Values.Max() > 2000)); // All ranks' call grows, the row's does not.
        Assert.All(emulation.Calls.Values, c => Assert.Equal(1000, c.Values.Min()));
    }

    [Fact]
    public void Plan_NothingTellsTheTime_IsRefused() =>
        Assert.Equal("MYS137", Assert.Throws<MystiqueException>(() => JobEmulation.Plan(Job(_ => null), 1, null, null, 1)).Id);

    [Fact]
    public void Write_HasWhatRanksTake()
    {
        string file = Path.GetTempFileName();
        JobEmulation.Plan(Job(r => 1000), 1, null, null, 1).Write(0, file);
        var written = JsonNode.Parse(File.ReadAllText(file))!;
        File.Delete(file);
        Assert.Equal([0], written["present"]!.AsArray().Select(p => (int)p!));
        Assert.Equal([1000L, 1000L], written["calls"]!.AsObject().Select(c => (long)c.Value!["ns"]!));
    }
}
