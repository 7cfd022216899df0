using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Fitting;

/// <summary>What an operator made that does not run any more is there from the start, or goes with what uses it.</summary>
public class PlanEditorTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Two = "aten::var_mean(Tensor self) -> (Tensor, Tensor)";
    private const string Mul = "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor";

    private static TraceText.Value[] At(long id, string type = "float") => [Tensor(id, id + 1, [4], type)];

    private static TraceText.Value Opaque(long id) => new($"[{id},0,0,0,0,\"\"]", "[4]", "Tensor(float)", "[]");

    private static string[] NamesOf(ReplayPlan plan) => [.. plan.Operators.Select(o => o.Schema.FullName)];

    /// <summary>The storage of what an operator uses first.</summary>
    private static PlannedStorage Used(ReplayPlan plan, int op) =>
        plan[plan[plan.Operators[op].InputSlots.First()].Storage!.Value];

    [Fact]
    public void Apply_WithoutEdits_LeavesAllAsItWas()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, At(10), At(20)).Operator(4, Relu, At(20), At(30)));
        var edited = PlanEditor.Apply(new PlanBuilder(plan), new Dictionary<int, PlanEdit>());
        Assert.Equal(plan.Operators, edited.Operators);
        Assert.Equal(plan.Tensors, edited.Tensors);
        Assert.Empty(edited.Replaced);
    }

    [Fact]
    public void Apply_WhatIsNoLongerMade_IsExternalAndRestored()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, At(10), At(20)).Operator(4, Relu, At(20), At(30))
            .Operator(5, Mul, [.. At(20), .. At(30)], At(40)));
        Assert.False(Used(plan, 1).IsExternal);
        plan = plan.Without(0, "why");
        Assert.Equal(["aten::relu", "aten::mul.Tensor"], NamesOf(plan));
        Assert.True(Used(plan, 0) is { IsExternal: true, IsMutated: true });
        Assert.Equal(plan.Operators[0].InputSlots.First(), plan.Operators[1].InputSlots.First());
        Assert.False(plan[plan.Operators[1].InputSlots.Last()].IsExternal);
        Assert.Equal([new ReplacedOperator(new OperatorId(0, 3), "aten::relu", Remedy.StandIn, "", "why")], plan.Replaced);
    }

    /// <summary>The view's memory is still made: another tensor on it, of the same type, stands for what made the view.</summary>
    [Fact]
    public void Apply_ViewThatIsNoLongerMade_IsMadeOfItsMemory()
    {
        const string Select = "aten::select.int(Tensor(a) self, int dim, int index) -> Tensor(a)";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Two, At(10), [Undefined, Tensor(20, 21, [4])])
            .Operator(4, Select, [Tensor(20, 21, [4]), 0, 2], [Tensor(22, 21, [], offset: 2)])
            .Operator(5, Relu, [Tensor(22, 21, [], offset: 2)], At(30))
            .Operator(6, Relu, [Tensor(22, 21, [], offset: 2)], At(40))).Without(1, "why");
        Assert.Equal(["aten::var_mean", "aten::as_strided", "aten::relu", "aten::relu"], NamesOf(plan));
        var view = plan.Operators[1];
        Assert.Equal((OperatorRole.Added, new OperatorId(0, 5)), (view.Role, view.Id));
        Assert.Equal(plan.Operators[0].OutputSlots.Last(), view.InputSlots.Single());
        Assert.Equal(new IntValue(2), view.Arguments[3].Literal);
        Assert.Equal(view.OutputSlots, plan.Operators[2].InputSlots);
        Assert.Equal(view.OutputSlots, plan.Operators[3].InputSlots);
    }

    /// <summary>A view under another type cannot be made of the memory: it is there from the start.</summary>
    [Fact]
    public void Apply_ViewOfAnotherType_IsExternal()
    {
        const string View = "aten::view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, At(10), At(20))
            .Operator(4, View, [.. At(20), 3], [Tensor(22, 21, [4], "int")])
            .Operator(5, "aten::abs(Tensor self) -> Tensor", [Tensor(22, 21, [4], "int")], At(30, "int"))).Without(1, "why");
        Assert.Equal(["aten::relu", "aten::abs"], NamesOf(plan));
        Assert.True(plan[plan.Operators[1].InputSlots.Single()].IsExternal);
    }

    /// <summary>A tensor without storage cannot be there from the start: what uses it goes, and so on.</summary>
    [Fact]
    public void Apply_WhatUsesATensorWithoutStorage_GoesWithItsMaker()
    {
        var text = TraceText.WithRoots()
            .Operator(3, "aten::to_sparse(Tensor self) -> Tensor", At(10), [Opaque(20)])
            .Operator(4, Mul, [.. At(12), Opaque(20)], [Opaque(30)])
            .Operator(5, "aten::to_dense(Tensor self) -> Tensor", [Opaque(30)], At(40))
            .Operator(6, Relu, At(40), At(50));
        var plan = PlanOf.Trace(text);
        Assert.Equal(4, plan.Operators.Length);
        var edited = plan.Without(0, "why");
        Assert.Equal(["aten::relu"], NamesOf(edited));
        Assert.Equal([(3L, "why"), (4, "it uses a tensor without storage, and what makes that does not run"),
            (5, "it uses a tensor without storage, and what makes that does not run")], edited.Replaced.Select(r => (r.Id.Node, r.Reason)));
        Assert.All(edited.Replaced, r => Assert.Equal((Remedy.StandIn, ""), (r.Remedy, r.By)));
        // An operator that the plan added is nobody's loss.
        var added = plan with { Operators = plan.Operators.SetItem(1, plan.Operators[1] with { Role = OperatorRole.Added }) };
        Assert.Equal([3L, 5], added.Without(0, "why").Replaced.Select(r => r.Id.Node));
    }

    /// <summary>Notes are in the order of the trace, whatever was replaced before.</summary>
    [Fact]
    public void Apply_Notes_AreInTheOrderOfTheTrace()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, At(10), At(20)).Operator(4, Relu, At(20), At(30))
            .Operator(5, Relu, At(30), At(40)));
        Assert.Equal([3L, 4, 5], plan.Without(1, "a").Without(0, "b").Without(0, "c").Replaced.Select(r => r.Id.Node));
    }

    /// <summary>A rank alone: all collectives of a plan, those that have local work and those that do not.</summary>
    [Fact]
    public void Localize_Collectives_BecomeLocalWorkOrStandIns()
    {
        const string Name = "c10d::{0}(Tensor[] tensors, bool asyncOp=True) -> ()";
        static string Collective(string name) => Name.Replace("{0}", name, StringComparison.Ordinal);
        var text = TraceText.WithRoots()
            .Operator(3, Relu, At(10), At(20))
            .Operator(4, Collective("allreduce_"), [List(At(20)), true], [])
            .Operator(5, Collective("broadcast_"), [List(At(20)), true], [])
            .Operator(6, Collective("allgather_"), [List(At(20)), true], [])
            .Operator(7, Relu, At(20), At(30));
        var plan = CollectiveFit.Localize(PlanOf.Trace(text), new PlanningOptions());
        Assert.Equal(["aten::relu", "aten::_foreach_mul_.Scalar", "aten::_foreach_mul_.Scalar", "aten::relu"], NamesOf(plan));
        Assert.Equal([new IntValue(1), new IntValue(1)], plan.Operators.Skip(1).Take(2).Select(o => o.Arguments[1].Literal!));
        Assert.Equal([(4L, Remedy.Substitute, "aten::_foreach_mul_.Scalar", CollectiveFit.Reason),
            (5, Remedy.Substitute, "aten::_foreach_mul_.Scalar", CollectiveFit.Reason),
            (6, Remedy.StandIn, "", OperatorSupport.IsCommunication)],
            plan.Replaced.Select(r => (r.Id.Node, r.Remedy, r.By, r.Reason)));
        var without = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, At(10), At(20)));
        Assert.Same(without, CollectiveFit.Localize(without, new PlanningOptions()));
    }
}
