using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.StepText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Backward passes that are cut around what autograd could not repeat.</summary>
public class PassCutterTests
{
    private const string Plus = "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor";
    private const string Detach = "aten::detach(Tensor(a) self) -> Tensor(a)";

    /// <summary>
    /// What was selected and cut; of each operator of a pass that is cut, either autograd runs it or it stays as recorded, and none does
    /// both.
    /// </summary>
    private static (Segment Segment, string[] Left) Select(TraceText text)
    {
        var (segment, left) = FrameworkSelector.Select(SegmentSelector.Select(Recording.Of(text.Read())));
        foreach (var pass in segment.Passes.Where(p => !p.Parts.IsEmpty))
        {
            long[] inside = [.. pass.Pass.Functions.SelectMany(f => SegmentSelector.OutermostBelow(f, UnseenWork.None)).Select(o => o.Id)];
            long[] run = [.. pass.Parts.SelectMany(p => p.Operators).Select(o => o.Id)];
            Assert.Equal(inside.Order(), run.Concat(segment.Operators.Select(o => o.Id).Intersect(inside)).Order());
        }
        return (segment, [.. left.Select(l => l.Reason)]);
    }

    private static string[] Plan(TraceText text)
    {
        var (segment, left) = Select(text);
        Assert.Empty(left);
        return [.. ReplayPlanner.Plan(segment).Operators.Select(Describe)];
    }

    private static string Describe(PlannedOperator op) => op.Schema.Name switch
    {
        "set_grad_enabled" => ((BoolValue)op.Arguments[0].Literal!).Value ? "on" : "off",
        "grad" => $"grad {op.Arguments[0].Slots.Length} -> {op.Arguments[1].Slots.Length} "
            + $"[{string.Join(' ', op.Backward.Select(b => b.Schema.Name))}] {op.Accumulates}",
        _ => op.Schema.Name,
    };

    private static void Call(TraceText text, long id, long sequence, TraceText.Value input, TraceText.Value output, string schema = Relu)
    {
        text.Node(id, 2, "MyFn", "", [input], [], sequence: sequence);
        text.Node(id + 1, id, schema[..schema.IndexOfAny(['(', '.'])], schema, schema == Add ? [input, input, 1] : [input], [output]);
    }

    /// <summary>h = x · w, y = MyFn(h), and the mean of y · v, or of (h + y) · v; and back.</summary>
    /// <param name="hasResidual">Whether h is added to y.</param>
    /// <param name="isInPlace">Whether the engine adds to a gradient in place.</param>
    /// <param name="hasCall">Whether the trace has the call of MyFn.</param>
    /// <param name="writes">Whether the call writes to h.</param>
    /// <param name="hook">An operator that a hook ran around MmBackward0: before it (-1), or behind it (1).</param>
    private static TraceText Step(bool hasResidual = false, bool isInPlace = false, bool hasCall = true, bool writes = false, int hook = 0)
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        var y = writes ? T(12, 4, 5) : T(13, 4, 5);
        if (hasCall)
            Call(text, 4, 8, T(12, 4, 5), y, writes ? Add : Relu);
        if (hasResidual)
            text.Node(6, 2, "aten::add", Plus, [T(12, 4, 5), y, 1], [T(14, 4, 5)], sequence: 9);
        text.Node(7, 2, "aten::mm", Mm, [hasResidual ? T(14, 4, 5) : y, T(15, 5, 6)], [T(16, 4, 6)], sequence: 10);
        text.Node(8, 2, "aten::mean", Mean, [T(16, 4, 6), None], [T(17)], sequence: 11);
        text.Operator(9, Ones, [T(17)], [T(20)]);
        long id = 10;
        Function(text, ref id, "MeanBackward0", 11, T(20), ("aten::expand(Tensor(a) self, SymInt[] size) -> Tensor(a)",
            [T(20), Ints(4, 6)], [T(21, 4, 6)]));
        Function(text, ref id, "MmBackward0", 10, T(21, 4, 6), (Mm, [T(21, 4, 6), T(15, 6, 5)], [T(22, 4, 5)]),
            (Mm, [T(14, 5, 4), T(21, 4, 6)], [T(23, 5, 6)]));
        Accumulate(text, ref id, T(23, 5, 6));
        if (hasResidual)
            Function(text, ref id, "AddBackward0", 9, T(22, 4, 5));
        Function(text, ref id, "MyFnBackward", 8, T(22, 4, 5), (Relu, [T(22, 4, 5)], [T(24, 4, 5)]));
        var sum = !hasResidual ? T(24, 4, 5) : isInPlace ? T(22, 4, 5) : T(25, 4, 5);
        if (hasResidual)
            text.Node(id, id - 3, isInPlace ? "aten::add_" : "aten::add", isInPlace ? Add : Plus, [T(22, 4, 5), T(24, 4, 5), 1], [sum]);
        id++;
        if (hook < 0)
        {
            text.Node(id, 2, "autograd::engine::evaluate_function: MmBackward0", "", [], []);
            text.Node(id + 1, id, "aten::relu", Relu, [sum], [T(26, 4, 5)]);
            text.Node(id + 2, id, "MmBackward0", "", [T(26, 4, 5)], [], sequence: 7, scope: 1, forwardThread: 1);
            text.Node(id + 3, id + 2, "aten::mm", Mm, [T(10, 3, 4), T(26, 4, 5)], [T(27, 3, 5)]);
            id += 4;
        }
        else
        {
            Function(text, ref id, "MmBackward0", 7, sum, (Mm, [T(10, 3, 4), sum], [T(27, 3, 5)]));
            if (hook > 0)
                text.Node(id, id - 3, "aten::relu", Relu, [T(27, 3, 5)], [T(28, 3, 5)]);
            id++;
        }
        Function(text, ref id, BackwardReader.Accumulation, null, T(27, 3, 5), (Detach, [T(27, 3, 5)], [Tensor(29, 1027, [3, 5])]));
        return text.Operator(90, Add, [T(11, 3, 5), Tensor(29, 1027, [3, 5]), 1], [T(11, 3, 5)]);
    }

    /// <summary>
    /// What was before a function of the job's own is one call, what came behind it another, and its operators are between.
    /// </summary>
    [Fact]
    public void Plan_AFunctionOfTheJobs_IsBetweenTwoCalls() => Assert.Equal(["mm", "off", "relu", "requires_grad_", "on", "mm", "mean",
        "off", "ones_like", "grad 1 -> 2 [expand mm mm] 2", "relu", "grad 1 -> 1 [mm] 1", "detach", "add_", "on"], Plan(Step()));

    /// <summary>The gradient past the function is asked for, too, and the recorded sum takes it.</summary>
    [Theory]
    [InlineData(false, "add")]
    [InlineData(true, "add_")]
    public void Plan_AResidual_IsAddedByTheRecordedOperator(bool isInPlace, string sum) => Assert.Equal(["mm", "off", "relu",
        "requires_grad_", "on", "add", "mm", "mean", "off", "ones_like", "grad 1 -> 3 [expand mm mm] 2", "relu", sum,
        "grad 1 -> 1 [mm] 1", "detach", "add_", "on"], Plan(Step(hasResidual: true, isInPlace: isInPlace)));

    /// <summary>The tensors of a residual, and what the second call starts with.</summary>
    [Fact]
    public void Select_AResidual_StartsAgainFromTheSum()
    {
        var parts = Select(Step(hasResidual: true)).Segment.Passes.Single().Parts;
        Assert.Equal([(17L, 20L), (12, 25)], parts.SelectMany(p => p.Starts).Select(s => (s.Of.Tensor.TensorId,
            s.Gradient.Tensor.TensorId)));
        Assert.Equal(["12 13 15", "11"], parts.Select(p => string.Join(' ', p.Ends.Select(e => e.Of.Tensor.TensorId).Order())));
    }

    /// <summary>A hook's operator has the gradient before the function, and the function what it made of it.</summary>
    [Fact]
    public void Plan_AHookBeforeAFunction_IsBetweenTwoCalls()
    {
        string[] calls = Plan(Step(hook: -1));
        Assert.Equal(["grad 1 -> 2 [expand mm mm] 2", "relu", "relu", "grad 1 -> 1 [mm] 1"],
            calls.SkipWhile(c => !c.StartsWith("grad", StringComparison.Ordinal)).Take(4));
    }

    [Theory]
    [InlineData(true, false, 0, "node 5 (aten::add_) writes in place to what another part of the graph made")]
    [InlineData(false, false, 0, "the call that made node 20 (MyFnBackward) is not in the trace")]
    [InlineData(false, true, 1, "a hook ran behind node 24 (MmBackward0)")]
    public void Select_WhatCannotBeCut_SaysWhy(bool writes, bool hasCall, int hook, string why)
    {
        var (segment, left) = Select(Step(writes: writes, hasCall: hasCall || writes, hook: hook));
        Assert.Empty(segment.Passes);
        Assert.Equal([why], left.Select(l => l.Split(';')[0]));
    }

    /// <summary>
    /// Of two tensors behind a call, one is made of the other: asked for both, the engine would go on from one to the other. So one is cut.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Plan_TensorsThatLeadToOneAnother_AreCut(bool isInPlace)
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::relu", Relu, [T(12, 4, 5)], [T(13, 4, 5)], sequence: 8);
        Call(text, 5, 9, T(13, 4, 5), T(14, 4, 5));
        text.Node(7, 2, "aten::add", Plus, [T(14, 4, 5), T(13, 4, 5), 1], [T(15, 4, 5)], sequence: 10);
        text.Node(8, 2, "aten::add", Plus, [T(15, 4, 5), T(12, 4, 5), 1], [T(16, 4, 5)], sequence: 11);
        text.Operator(9, "aten::ones_like(Tensor self) -> Tensor", [T(16, 4, 5)], [T(20, 4, 5)]);
        long id = 10;
        Function(text, ref id, "AddBackward0", 11, T(20, 4, 5));
        Function(text, ref id, "AddBackward0", 10, T(20, 4, 5));
        Function(text, ref id, "MyFnBackward", 9, T(20, 4, 5), (Relu, [T(20, 4, 5)], [T(21, 4, 5)]));
        text.Node(id, id - 3, "aten::add", Plus, [T(20, 4, 5), T(21, 4, 5), 1], [T(22, 4, 5)]);
        id++;
        Function(text, ref id, "ReluBackward0", 8, T(22, 4, 5), (Relu, [T(22, 4, 5)], [T(23, 4, 5)]));
        var sum = isInPlace ? T(20, 4, 5) : T(24, 4, 5);
        text.Node(id, id - 3, isInPlace ? "aten::add_" : "aten::add", isInPlace ? Add : Plus, [T(20, 4, 5), T(23, 4, 5), 1], [sum]);
        id++;
        Function(text, ref id, "MmBackward0", 7, sum, (Mm, [T(10, 3, 4), sum], [T(25, 3, 5)]));
        Accumulate(text, ref id, T(25, 3, 5));
        string[] calls = Plan(text.Operator(90, Add, [T(11, 3, 5), T(25, 3, 5), 1], [T(11, 3, 5)]));
        Assert.Equal(["mm", "relu", "off", "relu", "requires_grad_", "detach", "requires_grad_", "on", "add", "add"],
            calls.Take(10));
        string[] rest = isInPlace ? ["grad 1 -> 1 [relu] 0", "add_", "grad 1 -> 1 [mm] 1"] : ["grad 2 -> 1 [relu add mm] 1"];
        Assert.Equal(["grad 1 -> 3 [] 2", "relu", "add", .. rest], calls.SkipWhile(c => c[0] != 'g').TakeWhile(c => c != "on").SkipLast(1));
    }

    /// <summary>
    /// What hooks do when a gradient is accumulated stays as recorded, behind the call that makes it; a collective starts before autograd
    /// goes on, as in the original.
    /// </summary>
    [Theory]
    [InlineData("aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", new[] { "grad 1 -> 2 [expand mm mm relu mm] 2", "mul" })]
    [InlineData("c10d::broadcast_(Tensor self, Tensor other) -> Tensor", new[] { "grad 1 -> 2 [expand mm mm] 1", "broadcast_",
        "grad 1 -> 1 [relu mm] 1" })]
    public void Plan_AHookOfAnAccumulation_StaysAsRecorded(string hook, string[] calls)
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::relu", Relu, [T(12, 4, 5)], [T(13, 4, 5)], sequence: 8);
        text.Node(5, 2, "aten::mm", Mm, [T(13, 4, 5), T(15, 5, 6)], [T(16, 4, 6)], sequence: 9);
        text.Node(6, 2, "aten::mean", Mean, [T(16, 4, 6), None], [T(17)], sequence: 10);
        text.Operator(7, Ones, [T(17)], [T(20)]);
        long id = 8;
        Function(text, ref id, "MeanBackward0", 10, T(20), ("aten::expand(Tensor(a) self, SymInt[] size) -> Tensor(a)",
            [T(20), Ints(4, 6)], [T(21, 4, 6)]));
        Function(text, ref id, "MmBackward0", 9, T(21, 4, 6), (Mm, [T(21, 4, 6), T(15, 6, 5)], [T(22, 4, 5)]),
            (Mm, [T(13, 5, 4), T(21, 4, 6)], [T(23, 5, 6)]));
        Function(text, ref id, BackwardReader.Accumulation, null, T(23, 5, 6), (hook, [T(23, 5, 6), T(23, 5, 6)], [T(24, 5, 6)]));
        Function(text, ref id, "ReluBackward0", 8, T(22, 4, 5), (Relu, [T(22, 4, 5)], [T(25, 4, 5)]));
        Function(text, ref id, "MmBackward0", 7, T(25, 4, 5), (Mm, [T(10, 3, 4), T(25, 4, 5)], [T(26, 3, 5)]));
        Accumulate(text, ref id, T(26, 3, 5));
        var (segment, left) = Select(text);
        Assert.Empty(left);
        Assert.Equal(calls.Where(c => c[0] == 'g'), segment.Passes.Single().Parts.Select(p => $"grad {p.Starts.Length} -> {p.Ends.Length} "
            + $"[{string.Join(' ', p.Operators.Select(o => o.Name[6..]))}] {p.Ends.Count(e => e.IsAccumulated)}"));
        Assert.Contains(calls[1], segment.Operators.Select(o => o.Schema!.Name));
    }

    /// <summary>Where a write in place stands against a cut at a collective, the pass is made without that cut.</summary>
    [Fact]
    public void Select_AWriteAcrossACollective_IsNotCutThere()
    {
        const string Broadcast = "c10d::broadcast_(Tensor self, Tensor other) -> Tensor";
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::add_", Add, [T(12, 4, 5), T(15, 4, 5), 1], [T(12, 4, 5)], sequence: 8);
        text.Operator(5, Ones, [T(12, 4, 5)], [T(20, 4, 5)]);
        long id = 6;
        Function(text, ref id, "AddBackward0", 8, T(20, 4, 5));
        Function(text, ref id, BackwardReader.Accumulation, null, T(20, 4, 5), (Broadcast, [T(20, 4, 5), T(20, 4, 5)], [T(24, 4, 5)]));
        Function(text, ref id, "MmBackward0", 7, T(20, 4, 5), (Mm, [T(10, 3, 4), T(20, 4, 5)], [T(26, 3, 5)]));
        Accumulate(text, ref id, T(26, 3, 5));
        var (segment, left) = Select(text);
        Assert.Empty(left);
        Assert.Equal(2, segment.Passes.Single().Parts.Single().Ends.Length);
    }

    /// <summary>Two results with gradients of their own are two starts of one call.</summary>
    [Fact]
    public void Select_SeveralResults_AreStartsOfOneCall()
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::relu", Relu, [T(12, 4, 5)], [T(13, 4, 5)], sequence: 8);
        text.Node(5, 2, "aten::relu", Relu, [T(12, 4, 5)], [T(14, 4, 5)], sequence: 9);
        text.Operator(6, Ones, [T(13, 4, 5)], [T(20, 4, 5)]).Operator(7, Ones, [T(14, 4, 5)], [T(21, 4, 5)]);
        long id = 8;
        Function(text, ref id, "torch::autograd::GraphRoot", 10, None);
        Function(text, ref id, "ReluBackward0", 9, T(21, 4, 5), (Relu, [T(21, 4, 5)], [T(22, 4, 5)]));
        Function(text, ref id, "ReluBackward0", 8, T(20, 4, 5), (Relu, [T(20, 4, 5)], [T(23, 4, 5)]));
        text.Node(id, id - 3, "aten::add_", Add, [T(22, 4, 5), T(23, 4, 5), 1], [T(22, 4, 5)]);
        id++;
        Function(text, ref id, "MmBackward0", 7, T(22, 4, 5), (Mm, [T(10, 3, 4), T(22, 4, 5)], [T(24, 3, 5)]));
        Accumulate(text, ref id, T(24, 3, 5));
        var (segment, left) = Select(text);
        Assert.Empty(left);
        var part = segment.Passes.Single().Parts.Single();
        Assert.Equal([(13L, 20L), (14, 21)], part.Starts.Select(s => (s.Of.Tensor.TensorId, s.Gradient.Tensor.TensorId)).Order());
        Assert.Equal(["relu", "relu", "add_", "mm"], part.Operators.Select(o => o.Schema!.Name));
    }

    /// <summary>A write into a view has a function whose number is of no operator: what it belongs to is not known.</summary>
    [Fact]
    public void Select_AWriteIntoAView_IsNotCut()
    {
        var text = Step();
        long id = 60;
        Function(text, ref id, "torch::autograd::CopySlices", 6, T(27, 3, 5));
        Assert.Equal(["node 61 (torch::autograd::CopySlices) is of a write into a view, and the pass would have to be cut"],
            Select(text).Left);
    }
}
