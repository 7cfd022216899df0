using Mystique.Planning;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>What a plan needs at its worst moment, and what its operators allocate.</summary>
public class PlanMemoryTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private static TraceText.Value T(long id, long elements, string device = "cpu") => Tensor(id, id + 1, [elements], device: device);

    /// <summary>Memory is freed after its last use, not before: the second operator has its input and its result.</summary>
    [Fact]
    public void Curve_FreesAfterTheLastUse()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [T(10, 1)], [T(20, 100)])
            .Operator(4, Relu, [T(20, 100)], [T(30, 10)])
            .Operator(5, Relu, [T(30, 10)], [T(40, 20)])
            .Operator(6, Relu, [T(30, 10)], [T(50, 1)]));
        Assert.Equal([404L, 444, 124, 48], PlanMemory.CurveOf(plan));
        Assert.Equal(new PlanMemory(4, 444, 400), PlanMemory.Of(plan));
    }

    [Fact]
    public void External_LivesThroughout_AndIsToldByItsDevice()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [T(10, 50)], [T(20, 1)])
            .Operator(4, Relu, [T(12, 7, "cuda:0")], [T(22, 1, "cuda:0")])
            .Operator(5, Relu, [T(14, 1_000, "meta")], [T(24, 1_000, "meta")]));
        Assert.Equal(new PlanMemory(228, 232, 200), PlanMemory.Of(plan));
        Assert.Equal((200, 28), (PlanMemory.ExternalBytesOn(plan, isOnDevice: false), PlanMemory.ExternalBytesOn(plan, isOnDevice: true)));
    }

    [Fact]
    public void Groups_CountWhatRunsAndWhatDoesNot()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [T(10, 4)], [T(20, 4)])
            .Operator(4, Relu, [T(20, 4)], [T(30, 8)])
            .Operator(5, "aten::relu_(Tensor(a!) self) -> Tensor(a!)", [T(30, 8)], [T(30, 8)])
            .Operator(6, Relu, [Tensor(25, 21, [2], offset: 2)], [T(40, 2)])
            .Operator(7, "mine::lost(Tensor self, Unknown u) -> Tensor", [T(40, 2), new("\"<U>\"", "[]", "U", "[]")], [T(50, 2)]));
        var groups = OperatorGroup.Of(plan);
        Assert.Equal(["aten::as_strided", "aten::relu", "aten::relu_", "mine::lost"], groups.Keys);
        Assert.Equal([(0, 0, 1, 0L), (3, 3, 0, 56), (1, 1, 0, 0), (1, 0, 0, 0)],
            groups.Values.Select(g => (g.OriginalCount, g.Count, g.AddedCount, g.AllocatedBytes)));
        Assert.All(groups.Values, g => Assert.Null(g.OriginalNs));
    }

    /// <summary>What is missing comes first, then what is most frequent, then by name and reason.</summary>
    [Fact]
    public void Replaced_IsGroupedWorstFirst()
    {
        static ReplacedOperator Lost(long node, string name, Remedy remedy, string reason = "r") =>
            new(new OperatorId(0, node), name, remedy, remedy == Remedy.Substitute ? "aten::x" : "", reason);
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, [T(10, 4)], [T(20, 4)])) with
        {
            Replaced = [Lost(1, "b", Remedy.StandIn), Lost(2, "a", Remedy.StandIn, "s"), Lost(3, "a", Remedy.StandIn),
                Lost(4, "c", Remedy.StandIn), Lost(5, "c", Remedy.StandIn), Lost(6, "z", Remedy.Missing), Lost(7, "d", Remedy.Substitute)],
        };
        var groups = ReplacedGroup.Of(plan);
        Assert.Equal(["z r 1", "d r 1", "c r 2", "a r 1", "a s 1", "b r 1"], groups.Select(g => $"{g.Name} {g.Reason} {g.Count}"));
        Assert.Equal(["missing", "substitute: aten::x", "stand-in"], groups.Take(3).Select(g => g.Instead));
        Assert.Equal((5, 1, 1), (plan.CountOf(Remedy.StandIn), plan.CountOf(Remedy.Missing), plan.CountOf(Remedy.Substitute)));
        Assert.Equal("b: r", plan.FirstReason);
        Assert.Equal((8, 0.125), (plan.SelectedCount, plan.PlannedShare));
    }
}
