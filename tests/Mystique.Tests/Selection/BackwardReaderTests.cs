using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.StepText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Backward passes as the trace has them: what they start from, and whose gradients they accumulate.</summary>
public class BackwardReaderTests
{
    private static BackwardPass[] Read(TraceText text) =>
        [.. BackwardReader.Of(SegmentSelector.Select(Recording.Of(text.Read())))];

    /// <summary>A function whose name is cut off is none of PyTorch's, and no reason to fail.</summary>
    [Fact]
    public void Read_FunctionWithoutAName_IsTheJobsOwn() =>
        Assert.NotNull(Assert.Single(Read(Step().Node(90, 2, BackwardReader.Prefix))).WhyNot);

    [Fact]
    public void Of_AStep_StartsFromItsLoss_AndKnowsTheLeaf()
    {
        var pass = Assert.Single(Read(Step()));
        Assert.Equal((4L, "aten::mean", 3, 2), (pass.Root!.Id, pass.Root.Name, pass.Functions.Length, pass.OperatorCount));
        Assert.Null(pass.StartGradient);
        var gradient = Assert.Single(pass.Accumulated);
        Assert.Equal((3L, 1, 11L), (gradient.Leaf!.User.Id, gradient.Leaf.Argument, gradient.Leaf.Tensor.TensorId));
        Assert.Null(pass.WhyNot);
        Assert.False(pass.IsNested);
    }

    [Fact]
    public void Of_AGradientThatTheCallerGave_IsKnown() =>
        Assert.Equal(20, Assert.Single(Read(Step(isExplicit: true))).StartGradient!.TensorId);

    /// <summary>Gradient accumulation, or two losses: a pass each.</summary>
    [Fact]
    public void Of_SeveralPasses_AreToldApart()
    {
        var passes = Read(Step(passes: 3));
        Assert.Equal(["aten::mean", "aten::mean", "aten::mean"], passes.Select(p => p.Root!.Name));
        Assert.All(passes, p => Assert.Null(p.WhyNot));
        // Without an operator between them, a function with a higher number starts another one.
        Assert.Equal(3, Read(Step(isExplicit: true, passes: 3)).Length);
    }

    /// <summary>What a trace lacks is told: a backward pass alone, numbers that are not recorded.</summary>
    [Fact]
    public void Of_ABackwardPassAlone_SaysWhatIsMissing()
    {
        var pass = Assert.Single(Read(Step(hasForward: false)));
        Assert.Null(pass.Root);
        Assert.Equal("no forward operator of the selection has the sequence number of its first function", pass.WhyNot);
        Assert.Equal("no forward operator made MmBackward0", Assert.Single(pass.Accumulated).Reason);
    }

    /// <summary>What the framework could not repeat is named: functions of the job's own, recomputations, gradients of gradients.</summary>
    [Theory]
    [InlineData("FnBackward", false, 7L, "node 23 (FnBackward) is a function of the job's own")]
    [InlineData("ExpBackward0", true, 7L, "node 24 (aten::relu) within it makes a graph: a recomputation, or gradients of gradients")]
    [InlineData("ExpBackward0", false, 8L, "no forward operator of the selection made node 23 (ExpBackward0)")]
    [InlineData("torch::autograd::CopySlices", false, 8L, null)] // The engine's own has a number that no operator has.
    public void Of_APassThatCannotBeRepeated_SaysWhy(string function, bool recomputes, long number, string? why)
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::mean", Mean, [T(12, 4, 5), None], [T(13)], sequence: 9);
        text.Node(20, 2, "autograd::engine::evaluate_function: MeanBackward0", "", [], []);
        text.Node(21, 20, "MeanBackward0", "", [T(20)], [], sequence: 9, scope: 1, forwardThread: 1);
        text.Node(22, 2, $"autograd::engine::evaluate_function: {function}", "", [], []);
        text.Node(23, 22, function, "", [T(20)], [], sequence: number, scope: 1, forwardThread: 1);
        text.Node(24, 23, "aten::relu", Relu, [T(20)], [T(22, 3, 5)], sequence: recomputes ? 10 : null);
        text.Node(25, 2, "autograd::engine::evaluate_function: MmBackward0", "", [], []);
        text.Node(26, 25, "MmBackward0", "", [T(20)], [], sequence: 7, scope: 1, forwardThread: 1);
        text.Node(27, 26, "aten::mm", Mm, [T(10, 3, 4), T(21, 4, 5)], [T(23, 3, 5)]);
        text.Node(28, 2, "autograd::engine::evaluate_function: torch::autograd::AccumulateGrad", "", [], []);
        text.Node(29, 28, "torch::autograd::AccumulateGrad", "", [T(23, 3, 5)], [], scope: 1, forwardThread: 1);
        var pass = Read(text)[0];
        Assert.Equal(why, pass.WhyNot);
    }

    /// <summary>A pass that runs another one inside goes on after it: checkpointing with a function of its own.</summary>
    [Fact]
    public void Of_APassAroundAnother_IsOnePass()
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::mean", Mean, [T(12, 4, 5), None], [T(13)], sequence: 9);
        long id = 20;
        Function(text, ref id, "MeanBackward0", 9, T(20));
        text.Node(30, 2, "autograd::engine::evaluate_function: CheckpointFunctionBackward", "", [], []);
        text.Node(31, 30, "CheckpointFunctionBackward", "", [T(20)], [], sequence: 8, scope: 1, forwardThread: 1);
        text.Node(32, 31, "aten::relu", Relu, [T(12, 4, 5)], [T(40, 4, 5)], sequence: 12);
        text.Node(33, 31, "autograd::engine::evaluate_function: ReluBackward0", "", [], []);
        text.Node(34, 33, "ReluBackward0", "", [T(20)], [], sequence: 12, scope: 1, forwardThread: 1);
        id = 50;
        Function(text, ref id, "MmBackward0", 7, T(21, 4, 5), (Mm, [T(10, 3, 4), T(21, 4, 5)], [T(22, 3, 5)]));
        Accumulate(text, ref id, T(22, 3, 5));
        var passes = Read(text);
        Assert.Equal([4, 1], passes.Select(p => p.Functions.Length));
        Assert.Equal([false, true], passes.Select(p => p.IsNested));
        Assert.Equal("node 31 (CheckpointFunctionBackward) is a function of the job's own", passes[0].WhyNot);
    }

    /// <summary>Noise that requires a gradient is a leaf, though an operator of the step made it: it is made of no tensor.</summary>
    [Fact]
    public void Of_NoiseThatRequiresAGradient_IsALeaf()
    {
        var text = TraceText.WithRoots().Operator(3, "aten::rand(SymInt[] size) -> Tensor", [Ints(3, 5)], [T(11, 3, 5)]);
        text.Node(4, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        long id = 5;
        Function(text, ref id, "MmBackward0", 7, T(21, 4, 5), (Mm, [T(10, 3, 4), T(21, 4, 5)], [T(22, 3, 5)]));
        Accumulate(text, ref id, T(22, 3, 5));
        Assert.Equal(11, Assert.Single(Assert.Single(Read(text)).Accumulated).Leaf!.Tensor.TensorId);
    }

    /// <summary>Of leaves with the same shape, the first gradient is the first argument's; what an operator made is no leaf.</summary>
    [Fact]
    public void Of_LeavesOfOneShape_AreTakenInTheirOrder()
    {
        const string Addcmul = "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor";
        const string Mul = "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor";
        var text = TraceText.WithRoots()
            .Operator(3, Relu, [T(10, 4)], [T(11, 4)]);
        text.Node(4, 2, "aten::addcmul", Addcmul, [T(11, 4), T(12, 4), T(13, 4), 1], [T(14, 4)], sequence: 5);
        long id = 5;
        Function(text, ref id, "AddcmulBackward0", 5, T(30, 4), (Mul, [T(30, 4), T(13, 4)], [T(31, 4)]),
            (Mul, [T(30, 4), T(12, 4)], [T(32, 4)]), (Mul, [T(30, 4), T(12, 4)], [T(33, 7)]));
        Accumulate(text, ref id, T(32, 4)); // The engine need not accumulate in the order of arguments.
        Accumulate(text, ref id, T(31, 4));
        Accumulate(text, ref id, T(99, 4));
        Accumulate(text, ref id, T(33, 7));
        var pass = Assert.Single(Read(text));
        Assert.Equal([13L, 12, null, null], pass.Accumulated.Select(a => a.Leaf?.Tensor.TensorId));
        Assert.Equal(["", "", "no function of the pass made it", "aten::addcmul (node 4), which made AddcmulBackward0, takes no leaf of "
            + "its shape"], pass.Accumulated.Select(a => a.Reason));
        Assert.StartsWith("the leaf of the gradient that node ", pass.WhyNot);
    }

    /// <summary>All gradients of real steps have their leaf, and no leaf has two.</summary>
    [Theory]
    [InlineData("resnet18", 62)]
    [InlineData("bilstm", 19)]
    [InlineData("dlrm", 18)]
    [InlineData("gpt", 53)]
    public void Of_RealSteps_AllLeavesAreKnown(string name, int leaves)
    {
        var segment = SegmentSelector.Select(Recording.Open(Path.Combine(Repository.Root, "examples", "traces", $"{name}.et.json.gz")));
        var pass = Assert.Single(BackwardReader.Of(segment));
        Assert.Null(pass.WhyNot);
        Assert.Null(pass.StartGradient);
        Assert.Equal(leaves, pass.Accumulated.Length);
        Assert.Equal(leaves, pass.Accumulated.Select(a => (a.Leaf!.Tensor.StorageId, a.Leaf.Tensor.Offset)).Distinct().Count());
        Assert.All(pass.Accumulated, a => Assert.Equal(a.Gradient!.Shape, a.Leaf!.Tensor.Shape));
        Assert.All(PairsOf(segment, pass), p => Assert.Equal(p.Parameter, p.Leaf));
    }

    /// <summary>On PyTorch 2.6, the optimizer takes each gradient with the parameter that it is bound to.</summary>
    [Theory]
    [InlineData("tiny", 240)]
    [InlineData("resnet", 62)]
    [InlineData("gpt", 53)]
    [InlineData("dlrm", 16)]
    [InlineData("lstm", 22)]
    public void Of_Steps_OnPyTorch26_TheOptimizerAgrees(string name, int leaves)
    {
        string path = Path.Combine(Repository.Root, "..", "shared", "traces", "torch26", $"{name}.et.json.gz");
        Assert.SkipUnless(File.Exists(path), "needs ../shared");
        var segment = SegmentSelector.Select(Recording.Open(path));
        var pass = Assert.Single(BackwardReader.Of(segment));
        Assert.Null(pass.WhyNot);
        var pairs = PairsOf(segment, pass);
        Assert.Equal(leaves, pairs.Count);
        Assert.All(pairs, p => Assert.Equal(p.Parameter, p.Leaf));
    }

    /// <summary>
    /// By the storages, the parameter that an optimizer changes by each gradient, itself or by way of a state that the gradient went into,
    /// and the leaf that the gradient is bound to.
    /// </summary>
    private static List<(long Parameter, long Leaf)> PairsOf(Segment segment, BackwardPass pass)
    {
        var leafOf = pass.Accumulated.ToDictionary(a => a.Gradient!.StorageId, a => a.Leaf!.Tensor.StorageId);
        var leaves = leafOf.Values.ToHashSet();
        var pairs = new Dictionary<long, long>(); // By gradient.
        var carried = leafOf.Keys.ToDictionary(g => g, g => g); // Storages that hold a gradient, or what was made of it.
        foreach (var op in segment.Outermost.Where(o => o.Id > pass.Functions[^1].Id
            && o.Schema?.Arguments[0].Type.Alias is { IsWrite: true }))
        {
            var tensors = TensorLayout.TensorsOf(op.Inputs).Select(t => t.StorageId).ToArray();
            if (tensors.Length < 2 || !tensors.Skip(1).Any(carried.ContainsKey))
                continue;
            long gradient = carried[tensors.Skip(1).First(carried.ContainsKey)];
            if (leaves.Contains(tensors[0]))
                pairs.TryAdd(gradient, tensors[0]);
            else
                carried.TryAdd(tensors[0], gradient);
        }
        return [.. pairs.Select(p => (p.Value, leafOf[p.Key]))];
    }
}
