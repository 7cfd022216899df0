using Mystique.Diagnostics;
using Mystique.Selection;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Borders of iterations, collectives without a schema, and what is said of functions without operators.</summary>
public class SelectionEdgeTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";
    private const string AllReduce = "c10d::allreduce_(Tensor[] tensors, bool asyncOp=True) -> ()";

    private static TraceText.Value[] In(long id) => [Tensor(id, id + 1, [4])];

    private static TraceText Start => TraceText.WithRoots().Operator(3, Relu, In(10), In(20));

    private static Segment Select(TraceText text, SelectionOptions? options = null) =>
        SegmentSelector.Select(Recording.Of(text.Read()), options);

    private static long[] Ids(TraceText text, SelectionOptions? options = null) =>
        [.. Select(text, options).Operators.Select(o => o.Id)];

    private static string[] NotesOf(TraceText text) => [.. UnseenWork.Of(text.Read()).Notes];

    [Fact]
    public void Iterations_BeginWithTheirLabel_AndEndWithTheTrace()
    {
        var text = Start.Node(4, 2, "ProfilerStep#1", scope: 7).Operator(5, Relu, In(10), In(20), parent: 4)
            .Operator(6, Relu, In(10), In(20))
            .Node(7, 2, "ProfilerStep#2", scope: 7).Operator(8, Relu, In(10), In(20), parent: 7).Operator(9, Relu, In(10), In(20));
        Assert.Equal([new TraceIteration(1, 4, 7), new TraceIteration(2, 7, 10)], SegmentSelector.IterationsOf(text.Read()));
        Assert.Equal([5L, 6], Ids(text));
        Assert.Equal([8L, 9], Ids(text, new SelectionOptions(2)));
        Assert.Equal(new TraceIteration(2, 7, 10), Select(text, new SelectionOptions(2)).Iteration);
        Assert.Equal([3L, 5, 6, 8, 9], Ids(text, new SelectionOptions(2, AllIterations: true)));
        Assert.Empty(SegmentSelector.IterationsOf(Start.Read()));
    }

    /// <summary>An operator that begins right at the border is the next iteration's.</summary>
    [Fact]
    public void Iterations_AtTheirBorders_TakeEachOperatorOnce()
    {
        var trace = Start.Operator(4, Relu, In(10), In(20)).Operator(5, Relu, In(10), In(20)).Read();
        List<Mystique.Traces.TraceNode> found = [];
        SegmentSelector.CollectOutermost(trace.Root, 4, 5, found, UnseenWork.None);
        Assert.Equal([4L], found.Select(n => n.Id));
    }

    [Theory]
    [InlineData("nccl:all_reduce", true)]
    [InlineData("record_param_comms", true)]
    [InlineData("nccl", false)]
    [InlineData("record_param", false)]
    public void CollectiveWithoutASchema_IsSelected(string name, bool isSelected) =>
        Assert.Equal(isSelected ? [3L, 4] : [3], Ids(Start.Node(4, 2, name)));

    /// <summary>Each call of a backend goes with a collective that started before; the rest is work of its own.</summary>
    [Theory]
    [InlineData("c10d::allreduce_(Tensor[] tensors, bool asyncOp=True) -> ()", true)]
    [InlineData("_c10d_functional::all_reduce(Tensor[] tensors, bool asyncOp=True) -> Tensor", true)]
    [InlineData("_c10d_functional::wait_tensor(Tensor[] tensors, bool asyncOp=True) -> Tensor", false)]
    [InlineData("mine::allreduce_(Tensor[] tensors, bool asyncOp=True) -> ()", false)]
    public void CallOfABackend_GoesWithACollective(string schema, bool isCollective) =>
        Assert.Equal(isCollective ? [3L, 4] : [3, 4, 6], Ids(Start.Operator(4, schema, [List(In(20)), true], [])
            .Node(5, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2).Node(6, 5, "gloo:all_reduce", inputs: In(20), thread: 2)));

    [Fact]
    public void CallOfABackend_IsCountedAgainstCollectivesOnce()
    {
        var text = Start
            .Node(4, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Node(5, 4, "gloo:a", inputs: In(20), thread: 2)
            .Node(6, 4, "gloo:a", inputs: In(20), thread: 2)
            .Operator(7, AllReduce, [List(In(20)), true], [])
            .Node(8, 7, "record_param_comms") // The same collective, within.
            .Node(9, 4, "gloo:a", inputs: In(20), thread: 2)
            .Node(10, 4, "gloo:a", inputs: In(20), thread: 2);
        Assert.Equal([3L, 5, 6, 7, 10], Ids(text));
        Assert.Equal([3L, 4, 5], Ids(Start.Node(4, 2, "record_param_comms").Node(5, 2, "vendor::kernel", inputs: In(20))
            .Node(6, 2, "gloo:a", inputs: In(20))));
    }

    /// <summary>A kernel that a compiler made has no schema: it ran all the same.</summary>
    [Fact]
    public void CompiledKernel_IsSelected() => Assert.Equal([3L, 4], Ids(Start.Node(4, 2, "triton_add", extraAttributes:
        ",{\"name\": \"kernel_backend\", \"type\": \"string\", \"value\": \"triton\"}")));

    /// <summary>Whatever the threads, what was selected is in the order in which it began.</summary>
    [Fact]
    public void Outermost_OfSeveralThreads_AreInTheirOrder()
    {
        var segment = Select(Start.Node(4, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Operator(5, Relu, In(10), In(30), parent: 4, thread: 2)
            .Operator(6, Relu, In(20), In(40))
            .Operator(7, Relu, In(30), In(50), parent: 4, thread: 2));
        Assert.Equal([3L, 5, 6, 7], segment.Outermost.Select(o => o.Id));
        Assert.Equal([3L, 5, 6, 7], segment.Operators.Select(o => o.Id));
    }

    /// <summary>An allocation on the thread of the work is no scratch of a helper; without any work it is, and nothing is left.</summary>
    [Fact]
    public void AllocationsAlone_AreNoScratch()
    {
        Assert.Throws<MystiqueException>(() => Ids(TraceText.WithRoots().Operator(3, Empty, [Ints(4)], In(10))));
        Assert.Equal([3L, 4], Ids(TraceText.WithRoots().Operator(3, Empty, [Ints(4)], In(10)).Operator(4, Relu, In(12), In(20))));
    }

    [Fact]
    public void NodeWithoutTensors_IsNoWork()
    {
        Assert.Equal([3L], Ids(Start.Node(4, 2, "vendor::kernel")));
        Assert.Equal([3L], Ids(Start.Node(4, 2, "vendor::kernel", inputs: [Undefined, 7])));
        Assert.Equal([3L, 4], Ids(Start.Node(4, 2, "vendor::kernel", outputs: In(20))));
        Assert.Equal([3L, 4], Ids(Start.Node(4, 2, "vendor::kernel", inputs: [Undefined, .. In(20)])));
        Assert.Equal([3L, 4], Ids(Start.Node(4, 2, "vendor::kernel", inputs: [List(In(20))])));
    }

    /// <summary>Deep below a function: an operator does its work, an allocation alone does not.</summary>
    [Fact]
    public void FunctionWithLabelsWithin_IsWorkWhereOnlyMemoryIsAllocated()
    {
        var text = Start.Node(4, 2, "Func", inputs: In(20)).Node(5, 4, "label");
        Assert.Equal([3L], Ids(text));
        Assert.Equal([3L, 4], Ids(text.Operator(6, Empty, [Ints(4)], In(30), parent: 5)));
        Assert.Equal([3L, 6, 7], Ids(text.Operator(7, Relu, In(20), In(30), parent: 5)));
        var working = Start.Node(4, 2, "Func", inputs: In(20)).Operator(5, Relu, In(20), In(30), parent: 4);
        Assert.Equal([3L, 5], Ids(working));
        Assert.Empty(NotesOf(working));
        Assert.Equal([3L, 4], Ids(Start.Node(4, 2, "Func", inputs: In(20)).Operator(5, Empty, [Ints(4)], In(30), parent: 4)
            .Operator(6, Empty, [Ints(4)], In(40), parent: 4)));
    }

    /// <summary>At most five are named, those that are called most first, then by name.</summary>
    [Fact]
    public void Notes_NameTheFunctionsThatAreCalledMost()
    {
        var text = Start;
        foreach (var (i, name) in new[] { "E", "B", "D", "A", "C", "C", "D", "D" }.Index())
            text.Node(4 + i, 2, name, inputs: In(20));
        string note = Assert.Single(NotesOf(text));
        Assert.StartsWith("8 calls of functions have tensors but no operators in them", note);
        Assert.EndsWith(": D, C, A, B, E", note);
        Assert.EndsWith(": D, C, A, B, E, …", Assert.Single(NotesOf(text.Node(20, 2, "F", inputs: In(20)))));
        Assert.Empty(NotesOf(Start));
        Assert.Empty(UnseenWork.None.Notes);
    }

    /// <summary>Autograd's labels are told by the whole of their beginning or end.</summary>
    [Theory]
    [InlineData("autograd::x", true)]
    [InlineData("torch::autograd::X", true)]
    [InlineData("MulBackward12", true)]
    [InlineData("mine::autograd::x", false)]
    [InlineData("mine::MulBackwardX", false)]
    public void Labels_OfAutograd_AreNoWork(string name, bool isLabel) =>
        Assert.Equal(isLabel ? [3L] : [3, 4], Ids(Start.Node(4, 2, name, inputs: In(20))));

    /// <summary>Scratch of helper threads is told by what follows on its memory, in lists and in results as well.</summary>
    [Fact]
    public void ScratchOfAHelperThread_IsTakenOutWhereNothingFollows()
    {
        TraceText Text() => Start.Node(4, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Operator(5, Empty, [Ints(4)], In(30), parent: 4, thread: 2);
        const string Cat = "aten::cat(Tensor[] tensors, int dim=0) -> Tensor";
        Assert.Equal([3L], Ids(Text()));
        Assert.Equal([3L, 6], Ids(Text().Operator(6, Cat, [List(In(10)), 0], In(40))));
        Assert.Equal([3L, 5, 6], Ids(Text().Operator(6, Cat, [List(Tensor(10, 11, [4]), Tensor(30, 31, [4])), 0], In(40))));
        Assert.Equal([3L, 6, 7], Ids(Text().Operator(6, Relu, In(10), In(30)).Operator(7, Relu, In(30), In(40))));
        Assert.Equal([3L, 5, 6, 7], Ids(Text().Operator(6, Relu, In(10), In(40)).Operator(7, Relu, In(30), In(50))));
        // Used by what ran before: that was another memory.
        Assert.Equal([3L, 4], Ids(TraceText.WithRoots().Operator(3, Relu, In(30), In(20)).Operator(4, Relu, In(30), In(20))
            .Node(5, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Operator(6, Empty, [Ints(4)], In(30), parent: 5, thread: 2)));
        // Work on that thread is nobody's scratch.
        Assert.Equal([3L, 6], Ids(Text().Operator(6, Relu, In(10), In(50), parent: 4, thread: 2)));
    }

    /// <summary>Each storage knows how far it is used, and where it lies.</summary>
    [Fact]
    public void Storage_KnowsItsSizeAndDevice()
    {
        var trace = TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4], device: "")], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(12, 11, [8], device: "cuda:0")], [Tensor(22, 21, [2], offset: 8)])
            .Operator(5, Relu, [Tensor(10, 11, [2], device: "cuda:0")], [new("[30,0,0,0,0,\"\"]", "[4]", "Tensor(float)", "[]")]).Read();
        var timeline = StorageTimeline.Of(trace);
        var nodes = trace.Nodes.ToDictionary(n => n.Id);
        var used = timeline.InputsOf(nodes[5])[0]!;
        Assert.Equal((32, "cuda:0", false), (used.Bytes, used.Device, used.IsOpaque));
        Assert.Equal(16, timeline.OutputsOf(nodes[3])[0]!.Bytes);
        Assert.Equal(40, timeline.OutputsOf(nodes[4])[0]!.Bytes);
        Assert.True(timeline.OutputsOf(nodes[5])[0]!.IsOpaque);
        Assert.Equal(Enumerable.Range(0, 4), trace.Nodes.SelectMany(n => timeline.InputsOf(n).ToArray()
            .Concat(timeline.OutputsOf(n).ToArray())).Select(s => s!.Index).Distinct().Order());
    }
}
