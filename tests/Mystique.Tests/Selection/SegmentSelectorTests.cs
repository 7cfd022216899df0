using Mystique.Diagnostics;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

public class SegmentSelectorTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";

    private static TraceText.Value[] In(long id) => [Tensor(id, id + 1, [4])];

    private static long[] Ids(Segment slice) => [.. slice.Operators.Select(o => o.Id)];

    [Fact]
    public void Select_LabelsAndNestedOperators_TakesTheOutermost()
    {
        var trace = TraceText.WithRoots()
            .Node(3, 2, "## forward ##", scope: 7)
            .Operator(4, Relu, In(10), In(20), parent: 3)
            .Operator(5, "aten::clamp_min(Tensor self, Scalar min) -> Tensor", [Tensor(10, 11, [4]), 0], In(20), parent: 4)
            .Node(6, 2, "autograd::engine::evaluate_function: ReluBackward0")
            .Node(7, 6, "ReluBackward0", scope: 1)
            .Operator(8, Relu, In(20), In(30), parent: 7)
            .Read();
        var slice = SegmentSelector.Select(Recording.Of(trace));
        Assert.Equal([4L, 8], Ids(slice));
        Assert.Equal(2, slice.Outermost.Length);
        Assert.Null(slice.Iteration);
    }

    [Fact]
    public void Select_Iterations_TakesTheFirstOrTheOneNamed()
    {
        var trace = TraceText.WithRoots()
            .Operator(3, Relu, In(10), In(20))
            .Node(4, 2, "ProfilerStep#5", scope: 7).Operator(5, Relu, In(10), In(20), parent: 4)
            .Node(6, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2).Operator(7, Relu, In(10), In(30), parent: 6, thread: 2)
            .Node(8, 2, "ProfilerStep#6", scope: 7).Operator(9, Relu, In(10), In(20), parent: 8)
            .Read();
        Assert.Equal([5L, 6], SegmentSelector.IterationsOf(trace).Select(i => i.Number));
        Assert.Equal([5L, 7], Ids(SegmentSelector.Select(Recording.Of(trace)))); // What another thread did meanwhile belongs to it.
        Assert.Equal([9L], Ids(SegmentSelector.Select(Recording.Of(trace), new SelectionOptions(6))));
        Assert.Equal([3L, 5, 7, 9], Ids(SegmentSelector.Select(Recording.Of(trace), new SelectionOptions(AllIterations: true))));
        var exception = Assert.Throws<MystiqueException>(() => SegmentSelector.Select(Recording.Of(trace), new SelectionOptions(7)));
        Assert.Equal("MYS201", exception.Id);
        Assert.Equal("use one of 5, 6, or all", exception.Fix);
    }

    [Fact]
    public void Select_NoOperators_IsRefused()
    {
        var exception = Assert.Throws<MystiqueException>(() => SegmentSelector.Select(Recording.Of(TraceText.WithRoots().Read())));
        Assert.Equal("MYS202", exception.Id);
    }

    [Fact]
    public void Select_CompositeWhoseInsideIsUsed_IsOpened()
    {
        // layer_norm's inside makes a mean (22) that the backward pass uses, and that layer_norm itself does not return.
        var trace = TraceText.WithRoots()
            .Operator(3, "aten::layer_norm(Tensor input) -> Tensor", In(10), In(20))
            .Operator(4, "aten::native_layer_norm(Tensor input) -> (Tensor, Tensor)", In(10), [.. In(20), .. In(22)], parent: 3)
            .Operator(5, "aten::native_layer_norm_backward(Tensor grad, Tensor mean) -> Tensor", [.. In(20), .. In(22)], In(30))
            .Read();
        var slice = SegmentSelector.Select(Recording.Of(trace));
        Assert.Equal([4L, 5], Ids(slice));
        Assert.Equal([3L], slice.Decomposed.Select(o => o.Id));
        Assert.Equal(2, slice.Outermost.Length);
    }

    [Fact]
    public void Select_ViewMadeInside_IsOpenedOnlyWhereTheMemoryIsNotExternal()
    {
        const string View = "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)";
        const string Reshape = "aten::flatten(Tensor(a) self) -> Tensor(a)";
        TraceText.Value inner = Tensor(21, 11, [2, 2]);
        var external = TraceText.WithRoots()
            .Operator(3, Relu, In(10), In(20))
            .Operator(4, Reshape, In(10), In(10)).Operator(5, View, [Tensor(10, 11, [4]), Ints(2, 2)], [inner], parent: 4)
            .Operator(6, Relu, [inner], In(40));
        Assert.Equal([3L, 4, 6], Ids(SegmentSelector.Select(Recording.Of(external.Read()))));
        var made = TraceText.WithRoots()
            .Operator(3, Relu, In(50), In(10))
            .Operator(4, Reshape, In(10), In(10)).Operator(5, View, [Tensor(10, 11, [4]), Ints(2, 2)], [inner], parent: 4)
            .Operator(6, Relu, [inner], In(40));
        Assert.Equal([3L, 5, 6], Ids(SegmentSelector.Select(Recording.Of(made.Read()))));
    }

    [Fact]
    public void Select_KernelThatOnlyAllocatesInside_IsNeverOpened()
    {
        // The scratch tensor (30) is named again later, because its id was given to another tensor.
        var trace = TraceText.WithRoots()
            .Operator(3, "aten::kernel(Tensor self) -> Tensor", In(10), In(20))
            .Operator(4, Empty, [Ints(4)], In(20), parent: 3)
            .Operator(5, Empty, [Ints(4)], In(30), parent: 3)
            .Operator(6, Relu, In(30), In(40))
            .Read();
        Assert.Equal([3L, 6], Ids(SegmentSelector.Select(Recording.Of(trace))));
    }

    [Fact]
    public void Select_Alias_TakesWhatItCalls()
    {
        var trace = TraceText.WithRoots()
            .Operator(3, "aten::concat(Tensor[] tensors, int dim=0) -> Tensor", [List(Tensor(10, 11, [4])), 0], In(20))
            .Operator(4, "aten::cat(Tensor[] tensors, int dim=0) -> Tensor", [List(Tensor(10, 11, [4])), 0], In(20), parent: 3)
            .Read();
        Assert.Equal([4L], Ids(SegmentSelector.Select(Recording.Of(trace))));
    }

    [Fact]
    public void Select_ScratchOfAHelperThread_IsPartOfItsOperator()
    {
        var trace = TraceText.WithRoots()
            .Operator(3, Relu, In(10), In(20))
            .Node(4, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Operator(5, Empty, [Ints(4)], In(30), parent: 4, thread: 2)
            .Operator(6, Empty, [Ints(4)], In(50), parent: 4, thread: 2)
            .Operator(7, Relu, In(50), In(60))
            .Read();
        Assert.Equal([3L, 6, 7], Ids(SegmentSelector.Select(Recording.Of(trace))));
    }

    [Theory]
    [InlineData("torch26/tiny.et.json.gz", 1266)]
    [InlineData("torch26/resnet.et.json.gz", 418)]
    [InlineData("param/linear_et.json.gz", 320)]
    public void Select_PublishedTraces_CountsTheOutermost(string name, int count) =>
        Assert.Equal(count, SegmentSelector.Select(Recording.Of(TraceReader.Read(Repository.SharedTrace(name)))).Outermost.Length);
}
