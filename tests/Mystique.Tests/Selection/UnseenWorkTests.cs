using Mystique.Selection;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Work that is no operator: it is selected and counted, and no decomposition drops it.</summary>
public class UnseenWorkTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";
    private const string AllReduce = "c10d::allreduce_(Tensor[] tensors, bool asyncOp=True) -> ()";

    private static TraceText.Value[] In(long id) => [Tensor(id, id + 1, [4])];

    private static TraceText Start => TraceText.WithRoots().Operator(3, Relu, In(10), In(20));

    private static string[] Names(TraceText text) =>
        [.. SegmentSelector.Select(Recording.Of(text.Read())).Operators.Select(o => o.Name)];

    [Theory]
    [InlineData("gloo:all_gather")]
    [InlineData("hccl:broadcast")]
    [InlineData("vendor::fused_kernel")]
    public void CallWithTensorsAndWithoutSchema_IsSelectedAndDoesNotRun(string name)
    {
        var text = Start.Node(4, 2, name, inputs: In(20));
        Assert.Equal(["aten::relu", name], Names(text));
        var plan = PlanOf.Trace(text);
        Assert.Equal((1, 2), (plan.ReplayedCount, plan.SelectedCount));
        Assert.Equal(name, Assert.Single(plan.Replaced).Name);
    }

    [Theory]
    [InlineData("AddBackward0")] // Hands its gradient on.
    [InlineData("torch::autograd::AccumulateGrad")]
    [InlineData("autograd::engine::evaluate_function: AddBackward0")]
    public void LabelOfAutograd_IsNoWork(string name)
    {
        var text = Start.Node(4, 2, name, inputs: In(20));
        Assert.Equal(["aten::relu"], Names(text));
        Assert.Empty(PlanOf.Trace(text).Source.Notes);
    }

    [Fact]
    public void LabelWithinItsOperator_IsNoWork() => Assert.Equal(["aten::relu", "aten::detach"],
        Names(Start.Operator(4, "aten::detach(Tensor(a) self) -> Tensor(a)", In(20), In(30)).Node(5, 4, "detach", inputs: In(20))));

    /// <summary>A function in Python that allocates its results, and has a kernel of its own fill them.</summary>
    [Fact]
    public void FunctionThatOnlyAllocates_IsWork() => Assert.Equal(["aten::relu", "FlashFunc"],
        Names(Start.Node(4, 2, "FlashFunc", inputs: In(20)).Operator(5, Empty, [Ints(4)], In(30), parent: 4)));

    [Fact]
    public void FunctionWithoutOperators_IsNoted()
    {
        var text = Start.Node(4, 2, "Redistribute", inputs: In(20)).Node(5, 2, "Redistribute", inputs: In(20));
        Assert.Equal(["aten::relu"], Names(text));
        Assert.Contains("2 calls of functions have tensors but no operators in them", Assert.Single(PlanOf.Trace(text).Source.Notes));
    }

    /// <summary>A process group runs what it was asked for on a thread of its own.</summary>
    [Fact]
    public void CallOfABackend_BelongsToItsCollective_AndCountsOnlyWithoutOne()
    {
        var text = Start
            .Operator(4, AllReduce, [List(In(20)), true], [])
            .Node(5, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Node(6, 5, "gloo:all_reduce", inputs: In(20), thread: 2)
            .Node(7, 5, "gloo:all_reduce", inputs: In(20), thread: 2);
        Assert.Equal(["aten::relu", "c10d::allreduce_", "gloo:all_reduce"], Names(text));
    }

    /// <summary>Its views and copies are seen here, its communication is not: the collective stays.</summary>
    [Fact]
    public void Collective_IsNeverReplacedByItsChildren()
    {
        var text = Start
            .Operator(4, "c10d::_allgather_base_(Tensor output_tensor, Tensor input_tensor) -> Tensor",
                [Tensor(30, 31, [8]), Tensor(20, 21, [4])], [Tensor(30, 31, [8])])
            .Operator(5, "aten::clone(Tensor self) -> Tensor", In(20), In(50), parent: 4)
            .Operator(6, Relu, In(50), In(60)); // What only its inside made.
        Assert.Equal(["aten::relu", "c10d::_allgather_base_", "aten::relu"], Names(text));
    }

    /// <summary>A buffer that no operator fills, and that is read in parts: each part gets contents, not the first alone.</summary>
    [Fact]
    public void MemoryReadInParts_IsFilledInParts()
    {
        const string Select = "aten::select.int(Tensor(a) self, int dim, int index) -> Tensor(a)";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Empty, [Ints(2, 4)], [Tensor(10, 11, [2, 4])])
            .Node(4, 2, "gloo:all_gather", inputs: [Tensor(10, 11, [2, 4])])
            .Operator(5, Select, [Tensor(10, 11, [2, 4]), 0, 0], [Tensor(12, 11, [4])])
            .Operator(6, Relu, [Tensor(12, 11, [4])], In(20))
            .Operator(7, Select, [Tensor(10, 11, [2, 4]), 0, 1], [Tensor(14, 11, [4], offset: 4)])
            .Operator(8, Relu, [Tensor(14, 11, [4], offset: 4)], In(30))
            .Operator(9, Relu, [Tensor(14, 11, [4], offset: 4)], In(40)));
        Assert.Equal([6L, 8], plan.Operators.Where(o => o.Schema.Name == "copy_").Select(o => o.Id.Node));
    }

    /// <summary>Decomposed because of what a later operator uses, its children do all: but for one that is no operator.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Operator_WithWorkThatIsNoOperator_StaysWhole(bool hasKernel)
    {
        var text = Start.Operator(4, "x::both(Tensor self) -> Tensor", In(20), In(40))
            .Operator(5, "aten::tanh(Tensor self) -> Tensor", In(20), In(30), parent: 4);
        if (hasKernel)
            text.Node(6, 4, "vendor::kernel", inputs: In(30));
        text.Operator(7, "aten::sin(Tensor self) -> Tensor", In(30), In(40), parent: 4)
            .Operator(8, Relu, In(30), In(60));
        Assert.Equal(hasKernel ? ["aten::relu", "x::both", "aten::relu"] : ["aten::relu", "aten::tanh", "aten::sin", "aten::relu"],
            Names(text));
    }

    /// <summary>Autocast calls an operator again with other types: what ran is the inner call.</summary>
    [Fact]
    public void OperatorThatCallsItself_IsReplacedByTheCall()
    {
        const string To = "aten::to.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)";
        TraceText.Value Half(long id) => Tensor(id, id + 1, [4], "c10::BFloat16");
        var text = TraceText.WithRoots()
            .Operator(3, "aten::linear(Tensor input, Tensor weight) -> Tensor", [Tensor(10, 11, [4]), Tensor(12, 13, [4])], [Half(40)])
            .Operator(4, To, [Tensor(10, 11, [4]), 15], [Half(20)], parent: 3)
            .Operator(5, To, [Tensor(12, 13, [4]), 15], [Half(22)], parent: 3)
            .Operator(6, "aten::linear(Tensor input, Tensor weight) -> Tensor", [Half(20), Half(22)], [Half(40)], parent: 3);
        var plan = PlanOf.Trace(text);
        Assert.Equal([4L, 5, 6], plan.Operators.Select(o => o.Id.Node));
    }

    [Fact]
    public void FunctionalCollective_BecomesTheOneInPlace()
    {
        var text = Start
            .Operator(4, "_c10d_functional::all_reduce(Tensor input, str reduce_op, str group_name) -> Tensor",
                [Tensor(20, 21, [4]), new("\"sum\"", "[]", "String", "[]"), new("\"0\"", "[]", "String", "[]")], In(30))
            .Operator(5, "aten::clone(Tensor self) -> Tensor", In(20), In(30), parent: 4)
            .Operator(6, AllReduce, [List(In(30)), true], [], parent: 4);
        Assert.Equal(["aten::relu", "aten::clone", "c10d::allreduce_"], Names(text));
        Assert.NotNull(PlanOf.Trace(text).Operators[2].Collective);
    }

    /// <summary>Of the traces at hand: whatever was decomposed, its children account for each tensor that it made or wrote.</summary>
    [Theory]
    [MemberData(nameof(Traces))]
    public void Decomposed_IsAccountedForByWhatTakesItsPlace(string path)
    {
        Assert.SkipWhen(path.Length == 0, "the folder ../shared is not here");
        var segment = SegmentSelector.Select(Recording.Open(path));
        var work = segment.Operators.Where(o => !OperatorDecomposer.IsAllocation(o.Name)).ToArray();
        foreach (var node in segment.Decomposed)
        {
            Assert.DoesNotContain(node.Name, "c10d::");
            var below = work.Where(o => IsBelow(o, node)).ToArray();
            Assert.NotEmpty(below);
            Assert.All(below, o => Assert.NotNull(o.Schema));
            var touched = below.SelectMany(o => segment.Timeline.OutputsOf(o).ToArray().Concat(segment.Timeline.InputsOf(o).ToArray()))
                .Concat(segment.Timeline.InputsOf(node).ToArray()).ToHashSet();
            Assert.All(segment.Timeline.OutputsOf(node).ToArray(), s => Assert.Contains(s, touched));
        }
    }

    public static TheoryData<string> Traces
    {
        get
        {
            var traces = Directory.EnumerateFiles(Path.Combine(Repository.Root, "examples", "traces"), "*.et.json.gz");
            return [.. traces.Concat(Repository.PublishedTraces is { } published
                ? Directory.EnumerateFiles(published, "*.et.json.gz", SearchOption.AllDirectories) : [""]).Order(StringComparer.Ordinal)];
        }
    }

    private static bool IsBelow(Mystique.Traces.TraceNode node, Mystique.Traces.TraceNode above)
    {
        for (var at = node.Parent; at is not null; at = at.Parent)
            if (at == above)
                return true;
        return false;
    }
}
