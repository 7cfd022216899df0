using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

public class ReplayPlannerTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string ReluInPlace = "aten::relu_(Tensor(a!) self) -> Tensor(a!)";
    private const string View = "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)";

    /// <summary>A rank alone: a pass over the buffers, which are written to. Other collectives get stand-ins.</summary>
    [Fact]
    public void Fit_CollectiveInPlace_DoesItsLocalWork()
    {
        const string AllReduce = "c10d::allreduce_(Tensor[] _0, __torch__.torch.classes.c10d.ProcessGroup _1, "
            + "__torch__.torch.classes.c10d.ReduceOp _2, Tensor? _3, int _4) -> __torch__.torch.classes.c10d.Work _0";
        var opaque = new TraceText.Value("\"<Object>\"", "[]", "Object", "[]");
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, AllReduce, [List(Tensor(10, 11, [4]), Tensor(12, 13, [2])), opaque, opaque, None, 5], [opaque])
            .Operator(4, "c10d::allgather_(Tensor[] _0, int _1) -> __torch__.torch.classes.c10d.Work _0", [List(Tensor(10, 11, [4])), 5],
                [opaque])
            .Operator(5, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]));
        // The plan keeps what was recorded; what becomes of it is the target's.
        Assert.Equal([("c10d::allreduce_", OperatorRole.Recorded), ("c10d::allgather_", OperatorRole.Recorded),
            ("aten::relu", OperatorRole.Recorded)], plan.Operators.Select(o => (o.Schema.FullName, o.Role)));
        Assert.Empty(plan.Replaced);
        Assert.Equal(["c10d::allreduce_", "c10d::allgather_"], plan.Operators.Select(o => o.Collective?.Name).OfType<string>());
        plan = PortableFit.Of(plan, null!, new PlanningOptions());
        Assert.Equal("c10d::allreduce_", plan.Operators[0].Collective?.Name);
        Assert.Equal([("aten::_foreach_mul_.Scalar", OperatorRole.Substitute), ("aten::relu", OperatorRole.Recorded)],
            plan.Operators.Select(o => (o.Schema.FullName, o.Role)));
        Assert.Equal(plan.Operators[0].Arguments[0].Slots[0], plan.Operators[1].Arguments[0].Slots[0]);
        Assert.All(plan.Operators[0].Arguments[0].Slots, s => Assert.True(plan[plan[s!.Value].Storage!.Value].IsMutated));
        Assert.Equal([("c10d::allreduce_", Remedy.Substitute), ("c10d::allgather_", Remedy.StandIn)], plan.Replaced.Select(r =>
            (r.Name, r.Remedy)));
    }

    [Fact]
    public void Plan_Chain_TellsExternalFromIntermediate()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]));
        Assert.Equal([true, false, false], plan.Tensors.Select(t => t.IsExternal));
        Assert.Equal([true, false, false], plan.Storages.Select(s => s.IsExternal));
        Assert.Equal([16L, 16, 16], plan.Storages.Select(s => s.SizeBytes));
        Assert.Equal([new Slot(1)], plan.Operators[1].InputSlots);
        Assert.Equal(1.0, plan.PlannedShare);
        Assert.Equal(new PlanMemory(16, 48, 16), PlanMemory.Of(plan));
    }

    [Fact]
    public void Plan_ExternalViews_ShareAStorageAsLargeAsTheFurthest()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [2, 3], offset: 4, strides: [1, 10])], [Tensor(20, 21, [2, 3])])
            .Operator(4, Relu, [Tensor(12, 11, [3])], [Tensor(30, 31, [3])]));
        Assert.Equal(plan.Tensors[0].Storage, plan[plan.Operators[1].InputSlots.Single()].Storage);
        Assert.Equal((4 + 1 + 20 + 1) * 4, plan.Storages[0].SizeBytes); // The offset is in elements.
        Assert.Equal([1L, 10], plan.Tensors[0].Strides);
    }

    [Fact]
    public void Plan_InPlace_WritesToTheSameTensor()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, ReluInPlace, [Tensor(10, 11, [4])], [Tensor(10, 11, [4])])
            .Operator(4, "aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)",
                [Tensor(10, 11, [4]), Tensor(10, 11, [4]), 1, Tensor(12, 13, [4])], [Tensor(12, 13, [4])]));
        Assert.Equal(2, plan.Tensors.Length);
        Assert.All(plan.Storages, s => Assert.True(s.IsMutated));
        Assert.Equal([new Slot(0)], plan.Operators[0].OutputSlots);
        Assert.Equal([new Slot(1)], plan.Operators[1].OutputSlots);
    }

    [Fact]
    public void Plan_RunningStatistics_AreRestoredThoughTheSchemaHidesThem()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3,
            "aten::batch_norm(Tensor input, Tensor? running_mean) -> Tensor", [Tensor(10, 11, [4]), Tensor(12, 13, [4])],
                [Tensor(20, 21, [4])]));
        Assert.Equal([false, true, false], plan.Storages.Select(s => s.IsMutated));
    }

    [Fact]
    public void Plan_SavedTensor_IsFoundByWhereItLies()
    {
        // Autograd hands the backward pass a new tensor object (25) on the memory of the result (20).
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(25, 21, [4])], [Tensor(30, 31, [4])]));
        Assert.Equal(plan.Operators[0].OutputSlots, plan.Operators[1].InputSlots);
    }

    [Fact]
    public void Plan_MemoryWithoutAViewOnIt_GetsOne()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(25, 21, [2], offset: 2)], [Tensor(30, 31, [2])]));
        var view = plan.Operators[1];
        Assert.Equal(OperatorRole.Added, view.Role);
        Assert.Equal("aten::as_strided", view.Schema.FullName);
        Assert.Equal([new IntListValue([2]), new IntListValue([1]), new IntValue(2)], view.Arguments.Skip(1).Select(a => a.Literal!));
        Assert.Equal((2, 2), (plan.ReplayedCount, plan.SelectedCount)); // It does not count.
    }

    [Theory]
    [InlineData("long int", new long[] { 4 })] // Another type.
    [InlineData("float", new long[] { 5 })] // More than was allocated.
    public void Plan_ReusedStorageId_IsANewStorage(string type, long[] shape)
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(25, 21, shape, type)], [Tensor(30, 31, shape, type)]));
        var input = plan[plan.Operators[1].InputSlots.Single()];
        Assert.True(input.IsExternal);
        Assert.NotEqual(plan[plan.Operators[0].OutputSlots.Single()].Storage, input.Storage);
    }

    [Fact]
    public void Plan_StorageMadeAgain_IsANewStorage()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]));
        Assert.Equal(3, plan.Storages.Length);
    }

    [Fact]
    public void Plan_WrappedScalars_AreNotTheScalarBefore()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", [Tensor(10, 11, [4]), Tensor(12, 13, [], "double")],
                [Tensor(20, 21, [4])])
            .Operator(4, "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", [Tensor(10, 11, [4]), Tensor(14, 13, [], "double")],
                [Tensor(22, 23, [4])]));
        Assert.Equal(5, plan.Storages.Length);
    }

    [Fact]
    public void Plan_Undefined_IsATensorWithoutMemory()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3,
            "aten::f(Tensor self, Tensor? weight) -> (Tensor, Tensor)", [Tensor(10, 11, [4]), Undefined],
                [Undefined, Tensor(20, 21, [4])]));
        Assert.True(plan[plan.Operators[0].InputSlots.ElementAt(1)].IsUndefined);
        Assert.Null(plan.Operators[0].Results[0].Slots.Single());
    }

    [Fact]
    public void Plan_WithoutStrides_TakesThemFromAsStrided()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots("1.0.1")
            .Operator(3, "aten::t(Tensor(a) self) -> Tensor(a)", [Tensor(10, 11, [2, 2])], [Tensor(12, 11, [2, 2])])
            .Operator(4, "aten::as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a)",
                [Tensor(10, 11, [2, 2]), Ints(2, 2), Ints(1, 2), None], [Tensor(12, 11, [2, 2])], parent: 3)
            .Operator(5, Relu, [Tensor(12, 11, [2, 2])], [Tensor(20, 21, [2, 2])]));
        Assert.False(plan.Source.HasStrides);
        Assert.Equal([1L, 2], plan[plan.Operators[1].InputSlots.Single()].Strides);
    }

    [Fact]
    public void Plan_WhatCannotRun_IsNamedWithItsReason()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Node(4, 2, "record_param_comms")
            .Node(5, 2, "triton_add", extraAttributes: ",{\"name\": \"kernel_backend\", \"type\": \"string\", \"value\": \"triton\"}")
            .Operator(6, "aten::record_stream(Tensor(a!) self, Stream s) -> ()",
                [Tensor(10, 11, [4]), new("\"<Stream>\"", "[]", "Stream", "[]")], [])
            .Operator(7, "aten::relu(Tensor self, int n) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(8, "aten::f(Tensor self, int n) -> Tensor", [Tensor(10, 11, [4]), 0.5], [Tensor(20, 21, [4])])
            .Operator(9, "aten::g(Tensor self) -> str", [Tensor(10, 11, [4])], [new("\"a\"", "[]", "String", "[]")])
            .Operator(10, "aten::_assert_async(Tensor self) -> ()", [Tensor(10, 11, [4])], [])
            .Node(11, 2, "triton_red_fused_sum_1"));
        Assert.Equal(1, plan.ReplayedCount);
        Assert.Equal(9, plan.SelectedCount);
        Assert.Equal(
        [
            "a collective: a rank that is replayed alone has nobody to talk to",
            "a kernel that triton compiled: its source is not in the trace",
            "its argument 's' is a Stream, whose contents are not in the trace",
            "1 arguments are recorded where its schema has 2",
            "its argument 'n' is recorded as something else than its schema says",
            "it returns the type str, which generated programs cannot keep",
            "it returns nothing and writes to nothing: TorchScript removes it",
            "a kernel that Triton compiled, recorded without its arguments: profile with record_shapes=True, as mystique capture does",
        ], plan.Replaced.Select(s => s.Reason));
        Assert.Equal(["stand_in", "stand_in", "substitute", "stand_in", "stand_in", "stand_in", "substitute", "stand_in"],
            plan.Replaced.Select(r => Assert.Single(ReplacedGroup.Of(plan with { Replaced = [r] })).RemedyName));
    }

    [Fact]
    public void Without_Operator_MakesItsResultsExternal()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, View, [Tensor(20, 21, [4]), Ints(2, 2)], [Tensor(22, 21, [2, 2])])
            .Operator(5, Relu, [Tensor(22, 21, [2, 2])], [Tensor(30, 31, [2, 2])]));
        var without = plan.Without(0, "no such thing");
        Assert.Equal([new ReplacedOperator(new OperatorId(0, 3), "aten::relu", Remedy.StandIn, "", "no such thing")], without.Replaced);
        Assert.True(without[without.Operators[0].InputSlots.Single()].IsExternal);
        Assert.Equal(3, without.SelectedCount);
        var withoutView = plan.Without(1, "x");
        Assert.Equal(["aten::relu", "aten::as_strided", "aten::relu"], withoutView.Operators.Select(o => o.Schema.FullName));
        Assert.Equal(OperatorRole.Added, withoutView.Operators[1].Role);
    }

    /// <summary>
    /// An operator that is opened may have filled memory on the host, without an operator of its own: ctc_loss does, with its
    /// target lengths.
    /// </summary>
    [Fact]
    public void Plan_MemoryThatOnlyTheHostFilled_IsFilledBeforeItIsRead()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::loss(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(30, 31, [4])])
            .Operator(4, "aten::empty.memory_format(SymInt[] size) -> Tensor", [Ints(4)], [Tensor(20, 21, [4])], parent: 3)
            .Operator(5, "aten::clamp_min(Tensor self, Scalar min) -> Tensor", [Tensor(20, 21, [4]), 1], [Tensor(22, 23, [4])], parent: 3)
            .Operator(6, "aten::div.Tensor(Tensor self, Tensor other) -> Tensor", [Tensor(10, 11, [4]), Tensor(22, 23, [4])],
                [Tensor(30, 31, [4])], parent: 3)
            .Operator(7, "aten::relu(Tensor self) -> Tensor", [Tensor(22, 23, [4])], [Tensor(40, 41, [4])]));
        Assert.Equal(1, plan.Source.DecomposedCount);
        Assert.Equal(["aten::empty.memory_format", "aten::copy_", "aten::clamp_min", "aten::div.Tensor", "aten::relu"],
            plan.Operators.Select(o => o.Schema.FullName));
        Assert.Equal(OperatorRole.Added, plan.Operators[1].Role);
    }
}
