using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.StepText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Which backward passes are left to the target's autograd, and what is selected beside them.</summary>
public class FrameworkSelectorTests
{
    private static (Segment Segment, string[] Left) Select(TraceText text)
    {
        var (segment, left) = FrameworkSelector.Select(SegmentSelector.Select(Recording.Of(text.Read())));
        return (segment, [.. left.Select(l => l.Reason)]);
    }

    private static IEnumerable<string> NamesOf(Segment segment) => segment.Operators.Select(o => o.Name);

    private static PlannedOperator[] Plan(TraceText text) => [.. ReplayPlanner.Plan(Select(text).Segment).Operators];

    private static string[] CallsOf(IEnumerable<PlannedOperator> operators) => [.. operators.Select(o => o.Schema.QualifiedName
        + (o.Schema.Name == "set_grad_enabled" ? ((BoolValue)o.Arguments[0].Literal!).Value ? " on" : " off" : ""))];

    [Fact]
    public void Select_AStep_LeavesThePassToAutograd()
    {
        var (segment, left) = Select(Step());
        Assert.Empty(left);
        Assert.Equal(["aten::mm", "aten::mean", "aten::ones_like"], NamesOf(segment));
        var pass = Assert.Single(segment.Passes);
        var (root, gradient) = pass.Start!.Value;
        Assert.Equal((13L, 20L, false), (root.Tensor.TensorId, gradient.Tensor.TensorId, pass.RetainsGraph));
    }

    /// <summary>A region that autograd could not repeat stays as its recorded operators, beside those that it can.</summary>
    [Fact]
    public void Select_OneOfTwoPassesRecomputes_OnlyThatOneStays()
    {
        var text = Step(passes: 2);
        text.Node(60, 7, "aten::relu", Relu, [T(20)], [T(70)], sequence: 99);
        var (segment, left) = Select(text);
        Assert.Equal(["node 60 (aten::relu) within it makes a graph: a recomputation, or gradients of gradients"], left);
        Assert.Equal(["aten::mm", "aten::mean", "aten::ones_like", "aten::expand", "aten::mm", "aten::mm", "aten::mean", "aten::ones_like",
            "aten::relu"], NamesOf(segment));
    }

    /// <summary>Where one pass is cut, recorded operators accumulate the gradients of all.</summary>
    [Fact]
    public void Select_OneOfTwoPassesHasAHook_BothAreCut()
    {
        var (segment, left) = Select(Step(passes: 2, hook: 0, adds: true));
        Assert.Empty(left);
        Assert.Equal([1, 1], segment.Passes.Select(p => p.Parts.Length));
        Assert.Equal(["aten::mm", "aten::mean", "aten::ones_like", "aten::mul", "aten::mm", "aten::mean", "aten::ones_like", "aten::add_"],
            NamesOf(segment));
    }

    [Fact]
    public void Select_NoPassIsAutograds_SaysWhy_AndSelectsTheOperators()
    {
        var (segment, left) = Select(Step(hasForward: false));
        Assert.Equal(["no forward operator of the selection has the sequence number of its first function"], left);
        Assert.Empty(segment.Passes);
        Assert.Contains("aten::expand", NamesOf(segment));
    }

    /// <summary>Gradients that are added up; to clear one within the iteration, a program has no call.</summary>
    [Fact]
    public void Select_GradientsOfSeveralPasses_AreAddedUp_OrTheReasonIsTold()
    {
        Assert.Empty(Select(Step(passes: 2, adds: true)).Left);
        Assert.Equal(["the gradient that node 24 accumulates was set to None within the iteration"], Select(Step(passes: 2)).Left);
    }

    /// <summary>What later operators use of a pass must be gradients.</summary>
    [Fact]
    public void Select_ALaterOperatorUsesWhatAFunctionMade_LeavesThePass()
    {
        var text = Step().Operator(60, Relu, [T(21, 4, 5)], [T(70, 4, 5)]);
        Assert.Equal(["node 60 (aten::relu) uses what node 8 (aten::expand) made inside it"], Select(text).Left);
        Assert.Empty(Select(Step().Operator(60, Relu, [T(22, 3, 5)], [T(70, 3, 5)])).Left);
    }

    [Fact]
    public void Select_ALeafThatIsMadeWithinTheIteration_LeavesThePass()
    {
        var text = TraceText.WithRoots().Operator(3, "aten::rand(SymInt[] size) -> Tensor", [Ints(3, 5)], [T(11, 3, 5)]);
        text.Node(4, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        long id = 5;
        Function(text, ref id, "MmBackward0", 7, T(12, 4, 5), (Mm, [T(10, 3, 4), T(21, 4, 5)], [T(22, 3, 5)]));
        Accumulate(text, ref id, T(22, 3, 5));
        Assert.Equal(["the leaf of the gradient that node 9 accumulates is made within the iteration"], Select(text).Left);
    }

    /// <summary>What an iteration cuts in half is autograd's in neither half.</summary>
    [Theory]
    [InlineData(false, 9, "it goes on after the iteration's end")] // Behind the first function.
    [InlineData(true, 9, "no forward operator of the selection has the sequence number of its first function")]
    [InlineData(false, 12, "it goes on after the iteration's end")] // Only an accumulation is left.
    public void Select_APassThatTheIterationCuts_Stays(bool second, long cut, string why)
    {
        var text = TraceText.WithRoots();
        long id = 4;
        text.Node(3, 2, "ProfilerStep#1", scope: 7);
        text.Node(id++, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(id++, 2, "aten::mean", Mean, [T(12, 4, 5), None], [T(13)], sequence: 8);
        text.Operator(id++, Ones, [T(13)], [T(20)]);
        Function(text, ref id, "MeanBackward0", 8, T(20));
        if (cut == id)
            text.Node(id++, 2, "ProfilerStep#2", scope: 7);
        Function(text, ref id, "MmBackward0", 7, T(21, 4, 5), (Mm, [T(10, 3, 4), T(21, 4, 5)], [T(22, 3, 5)]));
        if (cut == id)
            text.Node(id++, 2, "ProfilerStep#2", scope: 7);
        Accumulate(text, ref id, T(22, 3, 5));
        var (_, left) = FrameworkSelector.Select(SegmentSelector.Select(Recording.Of(text.Read()), new SelectionOptions(second ? 2 : 1)));
        Assert.Equal([why], left.Select(l => l.Reason));
    }

    /// <summary>An operator that makes no function has the number of the next one that does, in the iteration after it.</summary>
    [Fact]
    public void Select_AnIterationThatEndsWithAMetric_IsNotCut()
    {
        var text = TraceText.WithRoots();
        long id = 3;
        for (int step = 1; step < 3; step++)
        {
            text.Node(id++, 2, $"ProfilerStep#{step}", scope: 7);
            text.Node(id++, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 6 + step);
            Function(text, ref id, "MmBackward0", 6 + step, T(21, 4, 5), (Mm, [T(10, 3, 4), T(21, 4, 5)], [T(22, 3, 5)]));
            Accumulate(text, ref id, T(22, 3, 5));
            text.Node(id++, 2, "aten::relu", Relu, [T(10, 4, 3)], [T(30, 4, 3)], sequence: 7 + step);
        }
        Assert.Empty(Select(text).Left);
    }

    /// <summary>Without autograd's numbers nobody knows what made a function.</summary>
    [Fact]
    public void Select_WithoutNumbers_StaysWithTheOperators()
    {
        var text = TraceText.WithRoots("1.0.1").Operator(3, Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)]);
        long id = 4;
        Function(text, ref id, "MmBackward0", null, T(21, 4, 5), (Mm, [T(10, 3, 4), T(21, 4, 5)], [T(22, 3, 5)]));
        Accumulate(text, ref id, T(22, 3, 5));
        Assert.Equal(["no forward operator of the selection has the sequence number of its first function"], Select(text).Left);
    }

    /// <summary>A leaf that a pass gives no gradient was frozen in it: the plan cannot say so.</summary>
    [Fact]
    public void Select_ALeafThatOnePassFreezes_LeavesThatPass()
    {
        var text = Step();
        text.Node(40, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(112, 4, 5)], sequence: 9);
        text.Node(41, 2, "aten::mm", Mm, [T(112, 4, 5), T(70, 5, 6)], [T(113, 4, 6)], sequence: 10);
        long id = 42;
        Function(text, ref id, "MmBackward0", 10, T(120, 4, 6), (Mm, [T(112, 5, 4), T(120, 4, 6)], [T(121, 5, 6)]),
            (Mm, [T(120, 4, 6), T(70, 6, 5)], [T(122, 4, 5)]));
        Function(text, ref id, "MmBackward0", 9, T(122, 4, 5), (Mm, [T(122, 4, 5), T(10, 3, 4)], [T(123, 4, 3)]));
        Accumulate(text, ref id, T(121, 5, 6));
        Assert.Equal(["node 40 (aten::mm) takes a leaf of another pass, and this one gives it no gradient"], Select(text).Left);
    }

    /// <summary>Data of a parameter's shape: the leaf is what the optimizer updates, and without one nobody knows.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Select_DataOfTheParametersShape_IsNoLeaf(bool isUpdated)
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 4), T(11, 4, 4)], [T(12, 4, 4)], sequence: 7);
        long id = 4;
        Function(text, ref id, "MmBackward0", 7, T(21, 4, 4), (Mm, [T(10, 4, 4), T(21, 4, 4)], [T(22, 4, 4)]));
        Accumulate(text, ref id, T(22, 4, 4));
        if (isUpdated)
            text.Operator(60, Add, [T(11, 4, 4), T(22, 4, 4), 1], [T(11, 4, 4)]);
        var (segment, left) = Select(text);
        if (isUpdated)
            Assert.Equal(11, segment.Passes.Single().Pass.Accumulated.Single().Leaf!.Tensor.TensorId);
        else
            Assert.Contains("takes several tensors of its shape", Assert.Single(left));
    }

    /// <summary>To autograd, what detaches a tensor is another one on the same memory.</summary>
    [Fact]
    public void Plan_ADetachedTensor_IsATensorOfItsOwn()
    {
        var text = Step();
        text.Node(60, 2, "aten::detach", "aten::detach(Tensor(a) self) -> Tensor(a)", [Tensor(12, 1012, [4, 5])],
            [Tensor(90, 1012, [4, 5])]);
        text.Operator(61, Relu, [Tensor(90, 1012, [4, 5])], [T(91, 4, 5)]);
        text.Operator(62, Relu, [Tensor(12, 1012, [4, 5])], [T(92, 4, 5)]);
        var operators = Plan(text);
        var made = operators.Single(o => o.Schema.Name == "detach");
        Assert.NotEqual(made.InputSlots.Single(), made.OutputSlots.Single());
        Assert.Equal([made.OutputSlots.Single(), made.InputSlots.Single()],
            operators.Where(o => o.Schema.Name == "relu").Select(o => o.InputSlots.Single()));
    }

    /// <summary>A graph that a later pass needs again is kept.</summary>
    [Fact]
    public void Select_TwoPassesThroughOneGraph_TheFirstKeepsIt()
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        long id = 4;
        for (int pass = 0; pass < 2; pass++)
        {
            Function(text, ref id, "MmBackward0", 7, T(20, 4, 5), (Mm, [T(10, 3, 4), T(20, 4, 5)], [T(30 + pass, 3, 5)]));
            Accumulate(text, ref id, T(30 + pass, 3, 5), pass > 0 ? T(30, 3, 5) : null);
        }
        Assert.Equal([true, false], Select(text).Segment.Passes.Select(p => p.RetainsGraph));
    }

    /// <summary>The pass, the gradient that the optimizer takes, and no graph where the original made none.</summary>
    [Fact]
    public void Plan_AStepWithAnOptimizer_CallsAutograd()
    {
        var operators = Plan(Step().Operator(60, Add, [T(11, 3, 5), T(22, 3, 5), 1], [T(11, 3, 5)]));
        Assert.Equal(["aten::mm", "aten::mean", "aten::set_grad_enabled off", "aten::ones_like", "aten::backward", "prim::grad",
            "aten::add_", "aten::set_grad_enabled on"], CallsOf(operators));
        var pass = operators[4];
        Assert.Equal([OperatorRole.Autograd, OperatorRole.Recorded], operators[4..].Select(o => o.Role).Distinct());
        Assert.Equal(["aten::expand", "aten::mm"], pass.Backward.Select(o => o.Schema.FullName));
        Assert.Equal(operators[5].OutputSlots.Single(), operators[6].InputSlots.ElementAt(1));
    }

    /// <summary>Only a leaf that the pass gives a gradient is one; the gradient is read only where somebody uses it.</summary>
    [Fact]
    public void Plan_Leaves_AreWhatGetsAGradient()
    {
        var plan = ReplayPlanner.Plan(Select(Step()).Segment);
        Assert.Equal([(3L, 5L)], plan.Tensors.Where(t => t.IsLeaf).Select(t => (t.Shape[0], t.Shape[1])));
        Assert.DoesNotContain("prim::grad", CallsOf(plan.Operators));
        Assert.Equal(ReplayLevel.Framework, plan.Level);
        Assert.Equal((5, 5, 3), (plan.ReplayedCount, plan.SelectedCount, plan.Operators.Count(o => o.Role == OperatorRole.Recorded)));
    }

    /// <summary>A gradient that the iteration before left is memory that is there, and that the pass adds to.</summary>
    [Fact]
    public void Plan_AGradientThatWasThere_IsTheLeafs_AndIsRestored()
    {
        var plan = ReplayPlanner.Plan(Select(Step(isZeroed: true)).Segment);
        var leaf = Assert.Single(plan.Tensors, t => t.IsLeaf);
        var gradient = plan[leaf.Gradient!.Value];
        Assert.True(gradient.IsExternal && plan[gradient.Storage!.Value].IsMutated);
        Assert.DoesNotContain("prim::grad", CallsOf(plan.Operators));
    }

    /// <summary>An in-place operator on a leaf in grad mode was on its data: autograd would refuse it.</summary>
    [Fact]
    public void Plan_ALeafIsWritten_MakesNoGraph()
    {
        var text = Step();
        text.Node(60, 2, "aten::add_", Add, [T(11, 3, 5), T(22, 3, 5), 1], [T(11, 3, 5)], sequence: 9);
        string[] calls = CallsOf(Plan(text));
        Assert.Equal(["prim::grad", "aten::add_", "aten::set_grad_enabled on"], calls[^3..]);
        Assert.Equal("aten::set_grad_enabled off", calls[2]);
    }
}
