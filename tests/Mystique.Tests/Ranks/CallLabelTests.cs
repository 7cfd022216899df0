using CsCheck;
using Mystique.Packaging.Jobs;
using Mystique.Planning;
using Mystique.Ranks;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Ranks.RankText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Ranks;

/// <summary>Labels that the capture puts around calls between ranks, and PyTorch 1.13's calls.</summary>
public class CallLabelTests
{
    private static readonly TraceText.Value Opaque = new("\"<Object>\"", "[]", "Object", "[]");

    private static CallLabel? Of(string name) => CallLabel.Of(new TraceNode(3, name));

    [Fact]
    public void Of_Label_HasWhatItSays()
    {
        var label = Of("mystique:call;n=4;op=_allgather_base;fn=all_gather_into_tensor;async=1;group=3;size=2;"
            + "ranks=1,3;reduce=sum;root=1")!;
        Assert.Equal((4L, CollectiveKind.AllGather, "3", 2, "sum", 1, true), (label.Number!.Value, label.Kind, label.Group,
            label.GroupSize!.Value,
            label.Reduction, label.Root!.Value, label.IsAsynchronous!.Value));
        Assert.Equal([1, 3], label.Ranks);
        var bare = Of("mystique:call;op=barrier")!;
        Assert.Equal((null, null, null, null, null), (bare.Number, bare.Group, bare.GroupSize, bare.Root, bare.IsAsynchronous));
        Assert.True(bare.Ranks.IsDefault);
        Assert.Null(Of("mystique:wait;n=4"));
        Assert.Equal(4, CallLabel.WaitedBy(new TraceNode(3, "mystique:wait;n=4")));
    }

    /// <summary>A trace is a stranger's: whatever a label says, reading it fails nowhere.</summary>
    [Fact]
    public void Of_AnyText_IsReadOrIgnored() => Gen.String.Sample(text =>
    {
        _ = Of("mystique:call;" + text);
        _ = CallLabel.WaitedBy(new TraceNode(3, "mystique:wait;n=" + text));
        _ = CallLabel.OfDdp(new TraceNode(3, "mystique:ddp;group=" + text));
    });

    /// <summary>A rank whose call is labelled, and waited for behind other work.</summary>
    private static Recording Rank(bool isAsynchronous) => Recording.Of(TraceText.WithRoots()
        .Node(3, 2, "## process_group:init ##", inputs: [Text("[{\\\"pg_name\\\": \\\"0\\\", \\\"pg_desc\\\": \\\"d\\\", "
            + "\\\"backend_config\\\": \\\"gloo\\\", \\\"ranks\\\": [], \\\"group_size\\\": 2, \\\"group_count\\\": 1}]")])
        .Node(4, 2, $"mystique:call;n=0;op=allreduce;fn=all_reduce;async={(isAsynchronous ? 1 : 0)};group=0;size=2;reduce=max")
        .Operator(5, "c10d::allreduce_(Tensor[] _0, __torch__.torch.classes.c10d.ProcessGroup _1, "
            + "__torch__.torch.classes.c10d.ReduceOp _2, int _3) -> (Tensor[] _0, __torch__.torch.classes.c10d.Work _1)",
            [List(Floats(10, 4)), Opaque, Opaque, -1], [List(Floats(10, 4)), Opaque], parent: 4)
        .Operator(6, "aten::relu(Tensor self) -> Tensor", [Floats(20, 4)], [Floats(22, 4)])
        .Node(7, 2, "mystique:wait;n=0")
        .Operator(8, "aten::relu(Tensor self) -> Tensor", [Floats(24, 4)], [Floats(26, 4)])
        .Operator(9, "aten::relu(Tensor self) -> Tensor", [Floats(10, 4)], [Floats(28, 4)]).Read());

    [Fact]
    public void Make_LabelledCall_IsWaitedForWhereItWas()
    {
        var job = JobBuilder.Make([(0, Rank(true)), (1, Rank(true))], "job", new BenchmarkOptions());
        Assert.Equal(["all_reduce", "relu", "wait", "relu", "relu"],
            job.Programs[0].Plan.Operators.Select(o => o.Collective?.Call?.Kind ?? o.Schema.Name));
        Assert.Equal("max", job.Programs[0].Plan.Operators[0].Collective!.Call!.Reduction);
        Assert.DoesNotContain(job.Notes, n => n.Contains("SUM", StringComparison.Ordinal));
        job = JobBuilder.Make([(0, Rank(false)), (1, Rank(false))], "job", new BenchmarkOptions());
        Assert.Equal(["all_reduce", "relu", "relu", "relu"],
            job.Programs[0].Plan.Operators.Select(o => o.Collective?.Call?.Kind ?? o.Schema.Name));
    }

    /// <summary>PyTorch 1.13 has no operator for an all-to-all: the label has its tensors and splits, and stands for it.</summary>
    [Fact]
    public void Make_CallWithoutOperator_IsMadeOfItsLabel()
    {
        Recording Rank(long given, long taken, long[] gives, long[] gets) => Recording.Of(TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Floats(20, 4)], [Floats(22, 4)])
            .Node(4, 2, "mystique:call;n=0;op=alltoall_base;fn=all_to_all_single;async=0;group=0;size=2;ranks=0,1",
                inputs: [Floats(30, taken, 2), Floats(32, given, 2), Ints(gets), Ints(gives)])
            .Node(5, 4, "gloo:all_to_all", inputs: [Floats(32, given, 2)])
            .Operator(6, "aten::relu(Tensor self) -> Tensor", [Floats(30, taken, 2)], [Floats(40, taken, 2)]).Read());
        var job = JobBuilder.Make([(0, Rank(5, 3, [1, 4], [1, 2])), (1, Rank(4, 6, [2, 2], [4, 2]))], "job", new BenchmarkOptions());
        Assert.All(job.Programs, p => Assert.Equal(["relu", "all_to_all", "relu"],
            p.Plan.Operators.Select(o => o.Collective?.Call?.Kind ?? o.Schema.Name)));
        Assert.Equal([1, 4], job.Ranks[0].Calls.Single().InputSplits);
        Assert.Equal([4, 2], job.Ranks[1].Calls.Single().OutputSplits);
        Assert.All(job.Programs, p => Assert.Equal(p.Plan.SelectedCount, p.Plan.Operators.Count(o => o.Role == OperatorRole.Recorded)));
    }

    [Theory]
    [InlineData("scatter_(Tensor[] _0, Tensor[][] _1, __torch__.torch.classes.c10d.ProcessGroup _2, int _3, int _4)", 3, "root_rank")]
    [InlineData("send(Tensor[] _0, __torch__.torch.classes.c10d.ProcessGroup _1, int _2, int _3)", 2, "dst")]
    [InlineData("_allgather_base_(Tensor output_tensor, Tensor input_tensor)", 1, "input_tensor")]
    public void NameOf_ArgumentsWithoutNames_AreToldByTheirPlaces(string schema, int place, string name)
    {
        var parsed = SchemaParser.Parse($"c10d::{schema} -> __torch__.torch.classes.c10d.Work");
        Assert.Equal(name, CallArguments.NameOf(parsed, place));
        Assert.Equal(place, CallArguments.PlaceOf(parsed, name));
    }
}
