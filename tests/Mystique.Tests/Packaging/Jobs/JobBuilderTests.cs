using CsCheck;
using Mystique.Diagnostics;
using Mystique.Packaging.Jobs;
using Mystique.Ranks;
using Mystique.Tests.Ranks;
using static Mystique.Tests.Ranks.RankText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Packaging.Jobs;

/// <summary>The benchmark of a job: which calls are planned, where they are waited for, and what ranks share.</summary>
public sealed class JobBuilderTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string View = "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static JobBenchmark Make(params RankText[] ranks) => Make([.. ranks.Select((r, i) => (i, r))]);

    private static JobBenchmark Make(params (int Rank, RankText Text)[] ranks) =>
        JobBuilder.Make([.. ranks.Select(r => (r.Rank, Recording.Of(r.Text.Read())))], "job", new BenchmarkOptions());

    private static RankText Start(int world = 2) => new RankText().Groups(world, ("0", []));

    private static string[] KindsOf(JobBenchmark job, int program = 0) => [.. job.Programs[program].Plan.Operators
        .Select(o => o.Collective?.Call?.Kind ?? o.Schema.Name)];

    [Fact]
    public void Make_EqualRanks_ShareAProgram_AndDifferInData()
    {
        RankText Rank(string group, int[] ranks) => new RankText().Groups(4, ("0", []), (group, ranks))
            .Node("first").AllGather(Floats(30, 8), Floats(32, 4));
        var job = Make(Rank("1", [0, 1]), Rank("1", [0, 1]), Rank("2", [2, 3]), Rank("2", [2, 3]));
        Assert.Single(job.Programs);
        Assert.Equal([[0, 1], [2, 3]], job.Groups.Select(g => g.Ranks.ToArray()));
        Assert.Equal([0, 0, 1, 1], job.Ranks.Select(r => r.Calls.Single().Group));
        Assert.Empty(job.MadeUp);
    }

    [Fact]
    public void Make_OtherKindsOfCalls_AreOtherPrograms()
    {
        var job = Make(Start().Send(Floats(20, 4), 1), Start().Receive(Floats(20, 4), 0));
        Assert.Equal(2, job.Programs.Length);
        Assert.Equal((1, 0), (job.Ranks[0].Calls.Single().Root, job.Ranks[1].Calls.Single().Root));
    }

    [Fact]
    public void Make_AsynchronousCall_IsWaitedForWhereItsResultIsFirstNeeded()
    {
        RankText Rank() => Start().AllReduce(Floats(20, 4)).Operator(Relu, [Floats(40, 2)], [Floats(42, 2)])
            .Operator(View, [Floats(20, 4), Ints(2, 2)], [Tensor(44, 20, [2, 2])])
            .Operator(Relu, [Tensor(44, 20, [2, 2])], [Floats(46, 2, 2)]);
        Assert.Equal(["relu", "all_reduce", "relu", "view", "wait", "relu"], KindsOf(Make(Rank(), Rank())));
    }

    [Fact]
    public void Make_WhoWaits_HasNoWaitOfItsOwn()
    {
        RankText Rank() => Start().AllGather(Floats(30, 8), Floats(32, 4)).Operator(Relu, [Floats(30, 8)], [Floats(42, 8)]);
        var job = Make(Rank(), Rank());
        Assert.Equal(["relu", "all_gather", "relu"], KindsOf(job));
        Assert.False(job.Programs[0].Plan.Operators[1].Collective!.Call!.IsAsynchronous);
    }

    /// <summary>Whatever follows, an asynchronous call is waited for once, behind it, and before whatever touches what it writes.</summary>
    [Fact]
    public void Make_AnyOrder_WaitsOnceBeforeWhatNeedsIt() => Gen.Int[0, 3].Array[0, 12].Sample(steps =>
    {
        RankText Rank() => steps.Select((step, i) => (step, i)).Aggregate(Start().AllReduce(Floats(20, 4)), (text, s) => s.step switch
        {
            0 => text.Operator(Relu, [Floats(60, 2)], [Floats(100 + s.i, 2)]),
            1 => text.Operator(View, [Floats(20, 4), Ints(2, 2)], [Tensor(200 + s.i, 20, [2, 2])]),
            2 => text.Operator(Relu, [Floats(20, 4)], [Floats(300 + s.i, 4)]),
            _ => text.AllReduce(Floats(20, 4)),
        });
        var plan = Make(Rank(), Rank()).Programs[0].Plan;
        var running = new HashSet<long>();
        var storage = plan[plan.Operators.First(o => o.IsCall).InputSlots.First()].Storage;
        foreach (var op in plan.Operators)
        {
            if (op.Collective?.Call is { WaitsFor: { } waited })
                Assert.True(running.Remove(waited));
            else if (op.Schema.Name != "view" && op.InputSlots.Any(s => plan[s].Storage == storage))
                Assert.Empty(running);
            if (op.Collective?.Call is { WaitsFor: null })
                Assert.True(running.Add(op.Id.Node));
        }
        Assert.Empty(running);
        Assert.Equal(1 + steps.Count(s => s == 3), plan.Operators.Count(o => o.Collective?.Call is { WaitsFor: null }));
    }, iter: 200);

    [Fact]
    public void Make_MissingRanks_RunThePlanOfTheirRole()
    {
        // Two rows and two columns: rank 0 tells the others' groups.
        var rank = new RankText().Groups(4, ("0", []), ("1", [0, 1]), ("2", [0, 2]))
            .AllReduce(Floats(20, 4), new RankText.Comms(1, "1", "allreduce", 2))
            .AllReduce(Floats(22, 4), new RankText.Comms(1, "2", "allreduce", 2))
            .AllReduce(Floats(24, 4), new RankText.Comms(1, "0", "allreduce", 4));
        var job = Make(rank);
        Assert.Equal([1, 2, 3], job.MadeUp.Select(r => r.Rank));
        Assert.All(job.MadeUp, r => Assert.Equal(0, r.MadeOf));
        string[] GroupsOf(int r) => [.. job.Ranks[r].Calls.Select(c => string.Join(',', job.Groups[c.Group].Ranks))];
        Assert.Equal(["0,1", "0,2", "0,1,2,3"], GroupsOf(0));
        Assert.Equal(["0,1", "1,3", "0,1,2,3"], GroupsOf(1));
        Assert.Equal(["2,3", "0,2", "0,1,2,3"], GroupsOf(2));
        Assert.Equal(["2,3", "1,3", "0,1,2,3"], GroupsOf(3));
        Assert.Contains("3 of 4 ranks were not recorded: they run the plans of ranks in the same role", job.Notes);
    }

    [Fact]
    public void Make_UnevenGroups_CannotBeMadeUp()
    {
        var rank = new RankText().Groups(4, ("0", []), ("1", [0, 1, 3]))
            .AllReduce(Floats(20, 4), new RankText.Comms(1, "1", "allreduce", 3));
        var problem = Assert.Throws<MystiqueException>(() => Make(rank));
        Assert.Equal("MYS132", problem.Id);
        Assert.Contains("rank 2", problem.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Make_Mismatch_IsRefused() => Assert.Equal("MYS130", Assert.Throws<MystiqueException>(() =>
        Make(Start().AllReduce(Floats(20, 4)), Start().AllReduce(Floats(20, 5)))).Id);

    /// <summary>Groups of a family part the job's ranks: each is in one, and it is the same for all of its members.</summary>
    [Fact]
    public void MembersFor_Family_PartsAllRanks() =>
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 5], Gen.Int[1, 3]).Sample((stride, count, blocks) =>
    {
        int world = stride * count * blocks;
        System.Collections.Immutable.ImmutableArray<int> first = [.. Enumerable.Range(0, count).Select(i => i * stride)];
        var groups = Enumerable.Range(0, world).Select(r => MissingRanks.MembersFor(first, 0, r)!.Value.ToArray()).ToArray();
        for (int r = 0; r < world; r++)
        {
            Assert.Contains(r, groups[r]);
            Assert.All(groups[r], m => Assert.Equal(groups[r], groups[m]));
        }
    });

    [Fact]
    public void Save_Load_IsTheSame()
    {
        RankText Rank(long rows, long taken, long[] outputs, long[] inputs) =>
            Start().AllToAll(Floats(20, taken, 2), Floats(22, rows, 2), outputs, inputs).AllReduce(Floats(40, 4));
        var job = Make(Rank(5, 3, [1, 2], [1, 4]), Rank(4, 6, [4, 2], [2, 2]));
        string folder = Path.Combine(_folder, "job.bench");
        job.Save(folder);
        job.Save(folder); // Over an earlier one of its kind.
        var read = JobBenchmark.Load(folder);
        Assert.Equal(job.Ranks.SelectMany(r => r.Calls).Select(c => (c.Node, c.Group, string.Join(',', c.InputSplits))),
            read.Ranks.SelectMany(r => r.Calls).Select(c => (c.Node, c.Group, string.Join(',', c.InputSplits))));
        Assert.Equal(job.Programs.Select(p => p.ProgramDigest), read.Programs.Select(p => p.ProgramDigest));
        Assert.Equal(job.Programs[0].Plan.Operators.Select(o => o.Collective?.Call?.Kind),
            read.Programs[0].Plan.Operators.Select(o => o.Collective?.Call?.Kind));
        File.WriteAllText(Path.Combine(folder, "other"), "");
        File.Delete(Path.Combine(folder, "job.json"));
        Assert.Equal("MYS133", Assert.Throws<MystiqueException>(() => job.Save(folder)).Id);
    }

    /// <summary>A job's file that somebody damaged is refused as such, or is as good as before: never anything else.</summary>
    [Fact]
    public void Load_Damaged_IsRefused()
    {
        string folder = Path.Combine(_folder, "job.bench"), file = Path.Combine(folder, "job.json");
        Make(Start().AllReduce(Floats(20, 4)), Start().AllReduce(Floats(20, 4))).Save(folder);
        string text = File.ReadAllText(file);
        string[] words = ["0", "-1", "2", "null", "\"\"", "[]", "{}", "1e9", "programs/1", "../0", "9999999999999999999", "true"];
        Gen.Select(Gen.Int[0, text.Length - 1], Gen.Int[0, 6], Gen.OneOf(words.Select(w => Gen.Const(w)).ToArray()))
            .Sample((at, length, word) =>
        {
            File.WriteAllText(file, string.Concat(text.AsSpan(0, at), word, text.AsSpan(Math.Min(text.Length, at + length))));
            try
            {
                Assert.Equal(2, JobBenchmark.Load(folder).Ranks.Length);
            }
            catch (MystiqueException exception)
            {
                Assert.Contains(exception.Id, (string[])["MYS131", "MYS306"]);
            }
        }, iter: 2000, threads: 1);
    }
}
