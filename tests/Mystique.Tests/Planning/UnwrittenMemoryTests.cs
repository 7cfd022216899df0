using Mystique.Planning;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>Memory that nothing of the replay writes gets contents before it is read, once, and no other memory does.</summary>
public class UnwrittenMemoryTests
{
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string ReluInPlace = "aten::relu_(Tensor(a!) self) -> Tensor(a!)";
    private const string View = "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)";

    private static TraceText.Value T(long id, long storage, params long[] shape) => Tensor(id, storage, shape);

    /// <summary>Memory of eight numbers, which a collective fills that does not run here.</summary>
    private static TraceText Start => TraceText.WithRoots()
        .Operator(3, Empty, [Ints(8)], [T(10, 11, 8)])
        .Node(4, 2, "gloo:all_gather", inputs: [T(10, 11, 8)]);

    /// <summary>The operators that got contents just before them, and the slots that they are for.</summary>
    private static (long Node, Slot Slot)[] FilledIn(TraceText text)
    {
        var plan = PlanOf.Trace(text);
        return [.. plan.Operators.Where(o => o is { Role: OperatorRole.Added, Schema.Name: "copy_" })
            .Select(o => (o.Id.Node, o.Arguments[0].Slots[0]!.Value))];
    }

    private static long[] NodesOf(TraceText text) => [.. FilledIn(text).Select(f => f.Node)];

    [Fact]
    public void Fill_BeforeTheFirstRead_Once()
    {
        Assert.Equal([5L], NodesOf(Start.Operator(5, Relu, [T(10, 11, 8)], [T(20, 21, 8)])
            .Operator(6, Relu, [T(10, 11, 8)], [T(30, 31, 8)])));
        Assert.Equal([5L], NodesOf(Start.Operator(5, "aten::add.Tensor(Tensor self, Tensor other) -> Tensor",
            [T(10, 11, 8), T(10, 11, 8)], [T(20, 21, 8)])));
        Assert.Empty(NodesOf(Start.Operator(5, Relu, [T(40, 41, 8)], [T(20, 21, 8)])));
    }

    [Fact]
    public void Fill_ThePlaceOfTheRead_IsRightBeforeIt()
    {
        var plan = PlanOf.Trace(Start.Operator(5, Relu, [T(40, 41, 8)], [T(50, 51, 8)]).Operator(6, Relu, [T(10, 11, 8)], [T(20, 21, 8)])
            .Operator(7, Relu, [T(20, 21, 8)], [T(30, 31, 8)]));
        Assert.Equal(["empty", "relu", "copy_", "relu", "relu"], plan.Operators.Select(o => o.Schema.Name));
        Assert.Equal(plan.Operators[2].Arguments[0].Slots, plan.Operators[3].Arguments[0].Slots);
        Assert.True(plan[plan[plan.Operators[2].Arguments[1].Slots[0]!.Value].Storage!.Value].IsExternal);
    }

    /// <summary>Where all runs that ran in the original, all is written that was.</summary>
    [Fact]
    public void Fill_NothingIsMissing_NothingIsFilled() => Assert.Empty(NodesOf(TraceText.WithRoots()
        .Operator(3, Empty, [Ints(8)], [T(10, 11, 8)]).Operator(5, Relu, [T(10, 11, 8)], [T(20, 21, 8)])));

    [Fact]
    public void Fill_WhatAnOperatorWrites_IsWritten()
    {
        Assert.Equal([5L], NodesOf(Start.Operator(5, "aten::copy_(Tensor(a!) self, Tensor src) -> Tensor(a!)",
            [T(40, 41, 8), T(10, 11, 8)], [T(40, 41, 8)])));
        Assert.Empty(NodesOf(Start.Operator(5, ReluInPlace, [T(10, 11, 8)], [T(10, 11, 8)])
            .Operator(6, Relu, [T(10, 11, 8)], [T(20, 21, 8)])));
    }

    /// <summary>Memory that is made larger in place is none that was just allocated.</summary>
    [Fact]
    public void Fill_WhatIsResized_HasItsContents() => Assert.Empty(NodesOf(Start
        .Operator(5, Relu, [T(40, 41, 8)], [T(20, 21, 8)])
        .Operator(6, "aten::resize_(Tensor(a!) self, SymInt[] size) -> Tensor(a!)", [T(20, 21, 8), Ints(8)], [T(20, 21, 8)])
        .Operator(7, Relu, [T(20, 21, 8)], [T(30, 31, 8)])));

    /// <summary>A view passes the memory on, and an allocation like it looks at its sizes alone.</summary>
    [Fact]
    public void Fill_ViewsAndAllocations_DoNotRead()
    {
        Assert.Equal([6L], NodesOf(Start.Operator(5, View, [T(10, 11, 8), Ints(2, 4)], [T(12, 11, 2, 4)])
            .Operator(6, Relu, [T(12, 11, 2, 4)], [T(20, 21, 2, 4)])
            .Operator(7, Relu, [T(10, 11, 8)], [T(30, 31, 8)])));
        Assert.Empty(NodesOf(Start.Operator(5, "aten::empty_like(Tensor self) -> Tensor", [T(10, 11, 8)], [T(20, 21, 8)])));
    }

    /// <summary>A part that was filled leaves the rest as it was; the whole does not.</summary>
    [Fact]
    public void Fill_Parts_EachForItself()
    {
        TraceText.Value left = Tensor(12, 11, [4]), right = Tensor(14, 11, [4], offset: 4);
        const string Narrow = "aten::narrow(Tensor(a) self, int dim, int start, int length) -> Tensor(a)";
        var text = Start.Operator(5, Narrow, [T(10, 11, 8), 0, 0, 4], [left]).Operator(6, Narrow, [T(10, 11, 8), 0, 4, 4], [right])
            .Operator(7, Relu, [left], [T(20, 21, 4)]).Operator(8, Relu, [right], [T(30, 31, 4)])
            .Operator(9, Relu, [left], [T(40, 41, 4)]);
        var filled = FilledIn(text);
        Assert.Equal([7L, 8], filled.Select(f => f.Node));
        Assert.NotEqual(filled[0].Slot, filled[1].Slot);
        Assert.Equal([9L], NodesOf(Start.Operator(5, Narrow, [T(10, 11, 8), 0, 0, 4], [left])
            .Operator(9, Relu, [T(10, 11, 8)], [T(20, 21, 8)]).Operator(10, Relu, [left], [T(30, 31, 4)])));
    }
}
