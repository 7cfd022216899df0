using CsCheck;
using Mystique.Ranks;
using Mystique.Tests.Shared;
using static Mystique.Tests.Ranks.RankText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Ranks;

/// <summary>What a trace tells of its calls between ranks, whatever recorded them.</summary>
public class CollectiveReaderTests
{
    private static readonly string[] Words = ["wait", "allreduce", "all_to_allv", "x", ""];
    private static readonly string[] Nodes = ["record_param_comms", "gloo:all_reduce", "nccl:all_to_all", "## process_group:init ##"];

    /// <summary>The words of PyTorch up to 2.14, of torchcomms, of the dispatcher, of functional collectives, and of backends.</summary>
    [Theory]
    [InlineData("allreduce", "AllReduce")]
    [InlineData("all_reduce", "AllReduce")]
    [InlineData("allreduce_coalesced_", "AllReduce")]
    [InlineData("_allgather_base", "AllGather")]
    [InlineData("all_gather_single", "AllGather")]
    [InlineData("allgather_into_tensor_coalesced", "AllGather")]
    [InlineData("all_gather_into_tensor_out", "AllGather")]
    [InlineData("reduce_scatter_v", "ReduceScatter")]
    [InlineData("reduce_scatter_tensor_coalesced_", "ReduceScatter")]
    [InlineData("all_to_allv", "AllToAll")]
    [InlineData("all_to_all_v_single", "AllToAll")]
    [InlineData("alltoall_base_", "AllToAll")]
    [InlineData("_reduce_oop", "Reduce")]
    [InlineData("_broadcast_oop", "Broadcast")]
    [InlineData("recvAnySource", "Receive")]
    [InlineData("recv_any_source_", "Receive")]
    [InlineData("monitored_barrier_", "Barrier")]
    [InlineData("put", "Unknown")]
    public void KindOf_KnowsAllVocabularies(string name, string kind) => Assert.Equal(kind, CollectiveNames.KindOf(name).ToString());

    /// <summary>Of nodes within each other each tells what the others do not: one call comes of them.</summary>
    [Fact]
    public void Read_NestedNodes_AreOneCall()
    {
        var call = Assert.Single(new RankText().AllReduce(Floats(20, 4), new Comms(7, "3", "allreduce", 4, 2, 2)).Read(0).Calls);
        Assert.Equal((CollectiveKind.AllReduce, "3", 7L, 4, true, null, 16L), (call.Kind, call.Group, call.Sequence, call.GroupSize,
            call.IsAsynchronous, call.Reduction, call.InputBytes));
        Assert.Equal("c10d::allreduce_", call.Name);
    }

    /// <summary>A functional operator has the reduction and the group's name, and is waited for by its result.</summary>
    [Fact]
    public void Read_FunctionalOperator_IsAwaitedByItsResult()
    {
        var trace = new RankText().Groups(4, ("0", []), ("tp", [0, 2]))
            .Operator("_c10d_functional::all_reduce(Tensor input, str reduce_op, str group_name) -> Tensor",
                [Floats(20, 4), Text("AVG"), Text("tp")], [Floats(30, 4)])
            .Operator("_c10d_functional::wait_tensor(Tensor tensor) -> Tensor", [Floats(20, 4)], [Floats(20, 4)])
            .Operator("_c10d_functional::wait_tensor(Tensor tensor) -> Tensor", [Floats(30, 4)], [Floats(30, 4)]).Read(0);
        var call = Assert.Single(trace.Calls);
        Assert.Equal(("avg", "tp", true, 13L), (call.Reduction, call.Group, call.IsAsynchronous, call.Wait!.Id));
        Assert.Equal([0, 2], trace.GroupOf(call)!.Ranks);
    }

    /// <summary>A wait without a group finds its call by the sequence alone; one of a call before the trace finds none.</summary>
    [Fact]
    public void Read_Wait_IsFoundBySequence()
    {
        static TraceText.Value Pair(string a) => new($"[\"{a}\",\"\"]", "[[],[]]", "Tuple[String,String]", "[[],[]]");
        var calls = new RankText().AllReduce(Floats(20, 4), new Comms(7, "0", "allreduce", 2))
            .AllReduce(Floats(22, 4), new Comms(8, "0", "allreduce", 2))
            .Node("record_param_comms", 8, Pair(""), 0, Text("wait"), Ints(), Ints())
            .Node("record_param_comms", 3, Pair(""), 0, Text("wait"), Ints(), Ints()).Read(0).Calls;
        Assert.Equal([false, true], calls.Select(c => c.Wait is not null));
    }

    /// <summary>Gloo's own node beside or within an operator is its work; one alone is a call.</summary>
    [Fact]
    public void Read_BackendsNodes_AreTheWorkOfAnOperator()
    {
        var calls = new RankText().AllReduce(Floats(20, 4)).Node("gloo:all_reduce", Floats(20, 4))
            .Node("gloo:all_to_all", Floats(24, 6)).Read(0).Calls;
        Assert.Equal(["c10d::allreduce_", "gloo:all_to_all"], calls.Select(c => c.Name));
        Assert.Equal(24, calls[1].InputBytes);
        Assert.Empty(calls[1].Outputs);
    }

    /// <summary>Where an object is all that is recorded of a group, it is the only one, or the only one of the call's size.</summary>
    [Fact]
    public void Read_GroupThatIsAnObject_IsTheOnlyOneThatFits()
    {
        Assert.Equal("0", new RankText().Groups(2, ("0", [])).AllReduce(Floats(20, 4)).Read(0).Calls[0].Group);
        RankText two = new RankText().Groups(4, ("0", []), ("1", [0, 1]));
        var trace = two.AllReduce(Floats(20, 4)).AllGather(Floats(30, 8), Floats(32, 4)).AllGather(Floats(34, 16), Floats(36, 4)).Read(0);
        Assert.Equal([null, "1", "0"], trace.Calls.Select(c => c.Group));
        Assert.Contains(trace.Notes, n => n.StartsWith("1 collectives whose process group", StringComparison.Ordinal));
        Assert.Contains(trace.Notes, n => n.StartsWith("1 reductions are not recorded: SUM", StringComparison.Ordinal));
    }

    /// <summary>Old traces know a group by its address; a name that nobody knows is counted, and kept.</summary>
    [Fact]
    public void Read_OldAndUnknown_AreKept()
    {
        var trace = new RankText()
            .Node("record_param_comms", Floats(20, 4), 147, 94594108284448, 3, Text("broadcast"), Ints(), Ints())
            .Node("record_param_comms", List(Floats(22, 4)), 148, 94594108284449, 0, Text("fancy_swap"), Ints(), Ints()).Read(0);
        Assert.Equal([(CollectiveKind.Broadcast, "@0", 3), (CollectiveKind.Unknown, "@1", null)],
            trace.Calls.Select(c => (c.Kind, c.Group!, c.Root)));
        Assert.Contains("1 calls of fancy_swap, a collective that this version does not know", trace.Notes);
    }

    /// <summary>Whatever stands in the places of a call's inputs, reading ends, and what is not understood is not known.</summary>
    [Fact]
    public void Read_AnyInputs_MakesNoCallUp()
    {
        var value = Gen.OneOf(Gen.Long.Select(n => (TraceText.Value)n), Gen.Bool.Select(b => (TraceText.Value)b), Gen.Const(None),
            Gen.Const(Undefined), Gen.Int[0, 3].Select(n => Ints([.. Enumerable.Range(-1, n).Select(i => (long)i)])),
            Gen.Int[0, 4].Select(i => Text(Words[i])), Gen.Long[1, 9].Select(id => Floats(id, 2, 2)),
            Gen.Long[1, 9].Select(id => List(Floats(id, 4))),
            Gen.Const(new TraceText.Value("[\"\",\"\"]", "[[],[]]", "Tuple[String,String]", "[[],[]]")));
        var name = Gen.Int[0, 3].Select(i => Nodes[i]);
        Gen.Select(name, value.Array[0, 11]).Array[1, 6].Sample(nodes =>
        {
            var text = nodes.Aggregate(new RankText(), (t, n) => t.Node(n.Item1, n.Item2));
            var trace = text.Read(0);
            Assert.True(trace.Calls.Length <= nodes.Length);
            Assert.All(trace.Calls, c => Assert.True(c.Sequence is null || nodes.Any(n => n.Item1 == "record_param_comms")));
            _ = RankTraffic.Of(RankCheck.Of([trace, text.Read(1)]));
        }, iter: 200);
    }

    /// <summary>Groups by start and stride, by lists, with what contradicts them; an invalid list is noted, not believed.</summary>
    [Fact]
    public void Read_Groups_AreThoseThatAreSound()
    {
        var trace = new RankText().Groups(4, ("0", []), ("1", [1, 1]), ("2", [3, 1]))
            .AllReduce(Floats(20, 4), new Comms(1, "5", "allreduce", 2, 1, 2))
            .AllReduce(Floats(20, 4), new Comms(1, "6", "allreduce", 3, -1, -1))
            .AllReduce(Floats(20, 4), new Comms(1, "2", "allreduce", 2, 0, 1))
            .Node("## process_group:init ##", Text("no list")).Read(0);
        var groups = trace.Groups.ToDictionary(g => g.Name);
        Assert.Equal([0, 1, 2, 3], groups["0"].Ranks);
        Assert.False(groups["1"].HasRanks);
        Assert.Equal([3, 1], groups["2"].Ranks);
        Assert.Equal([1, 3], groups["5"].Ranks);
        Assert.False(groups["6"].HasRanks);
        Assert.Equal(3, groups["6"].Size);
        Assert.Equal(3, trace.Notes.Count(n => n.Contains("group 1 of 2", StringComparison.Ordinal)
            || n.Contains("other ranks for the process group 2", StringComparison.Ordinal)
            || n.Contains("has no list of process groups", StringComparison.Ordinal)));
        Assert.Equal(4, trace.WorldSize);
    }
}
