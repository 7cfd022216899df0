using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Fitting;

/// <summary>Embedding tables lose as many rows as the limit asks for, and all that goes with them is cut alike.</summary>
public class MemoryScalerTests
{
    private const string Embedding = "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1) -> Tensor";
    private const string Gradient = "aten::embedding_dense_backward(Tensor grad_output, Tensor indices, SymInt num_weights, SymInt "
        + "padding_idx, bool scale_grad_by_freq) -> Tensor";
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    /// <summary>A table is not cut to fewer rows.</summary>
    private const long LeastRows = 65_536;

    /// <summary>A lookup of ten rows: 16 bytes a row, 80 bytes of indices, 160 bytes of results.</summary>
    private static TraceText Lookup(long rows) => TraceText.WithRoots()
        .Operator(3, Embedding, [Tensor(10, 11, [rows, 4]), Tensor(20, 21, [10], "long int"), -1], [Tensor(30, 31, [10, 4])]);

    private static ReplayPlan Fit(ReplayPlan plan, long? limit) =>
        PortableFit.Of(plan, null!, new PlanningOptions { MemoryLimitBytes = limit });

    private static PlannedTensor Table(ReplayPlan plan) => plan[plan.Operators[0].Arguments[0].Slots[0]!.Value];

    private static Initializer IndicesOf(ReplayPlan plan) =>
        plan[plan[plan.Operators[0].Arguments[1].Slots[0]!.Value].Storage!.Value].Initializer!;

    [Fact]
    public void Fit_TableTooLarge_KeepsAsManyRowsAsFit()
    {
        var plan = Fit(PlanOf.Trace(Lookup(200_000)), 2_000_000);
        Assert.InRange(Table(plan).Shape[0], 124_900, 124_985);
        Assert.Equal(4, Table(plan).Shape[1]);
        Assert.Equal(Table(plan).Shape[0] * 16, plan[Table(plan).Storage!.Value].SizeBytes);
        Assert.InRange(PlanMemory.Of(plan).PeakBytes, 1_990_000, 2_000_000);
        Assert.Equal([10L, 4], plan[plan.Operators[0].OutputSlots.Single()].Shape);
    }

    [Fact]
    public void Fit_Indices_StayBelowTheRowsThatAreLeft()
    {
        var plan = PlanOf.Trace(Lookup(200_000));
        Assert.Equal(200_000, IndicesOf(plan).High);
        plan = Fit(plan, 2_000_000);
        Assert.Equal((0, Table(plan).Shape[0]), (IndicesOf(plan).Low, IndicesOf(plan).High));
    }

    /// <summary>Below so many rows a lookup would cost something else: such a table stays whole, and so does the plan.</summary>
    [Fact]
    public void Fit_FewRows_AreNeverCut()
    {
        var small = PlanOf.Trace(Lookup(LeastRows));
        Assert.Same(small, Fit(small, 500_000));
        var large = PlanOf.Trace(Lookup(200_000));
        Assert.Same(large, Fit(large, LeastRows * 16 + 239));
        Assert.Equal(LeastRows, Table(Fit(large, LeastRows * 16 + 240)).Shape[0]);
    }

    [Fact]
    public void Fit_WithinTheLimit_ChangesNothing()
    {
        var plan = PlanOf.Trace(Lookup(200_000));
        Assert.Same(plan, Fit(plan, null));
        Assert.Same(plan, Fit(plan, PlanMemory.Of(plan).PeakBytes));
        Assert.NotSame(plan, Fit(plan, PlanMemory.Of(plan).PeakBytes - 1));
    }

    /// <summary>One table is at its least after the first cut: the other gives what is still too much.</summary>
    [Fact]
    public void Fit_TwoTables_TheLargerGivesWhatTheSmallerCannot()
    {
        var plan = Fit(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Embedding, [Tensor(10, 11, [100_000, 16]), Tensor(20, 21, [10], "long int"), -1], [Tensor(30, 31, [10, 16])])
            .Operator(4, Embedding, [Tensor(12, 13, [1_000_000, 4]), Tensor(22, 23, [10], "long int"), -1], [Tensor(32, 33, [10, 4])])),
            8_000_000);
        Assert.Equal(LeastRows, Table(plan).Shape[0]);
        Assert.InRange(plan[plan.Operators[1].Arguments[0].Slots[0]!.Value].Shape[0], 200_000, 240_000);
        Assert.InRange(PlanMemory.Of(plan).PeakBytes, 7_500_000, 8_000_000);
        Assert.StartsWith("embedding tables of 2 shapes are cut to 22.", Assert.Single(plan.Source.Notes));
    }

    /// <summary>The gradient has the table's shape, and is told how many rows that has; other numbers are not rows.</summary>
    [Fact]
    public void Fit_GradientsAndTheirNumbers_AreCutWithTheTable()
    {
        var plan = Fit(PlanOf.Trace(Lookup(200_000)
            .Operator(4, Gradient, [Tensor(30, 31, [10, 4]), Tensor(20, 21, [10], "long int"), 200_000, -1, false],
                [Tensor(40, 41, [200_000, 4])])
            .Operator(5, "aten::new_zeros(Tensor self, SymInt[] size) -> Tensor", [Tensor(10, 11, [200_000, 4]), Ints(200_000, 4)],
                [Tensor(42, 43, [200_000, 4])])
            .Operator(6, "aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)",
                [Tensor(50, 51, [300_000]), 0, 200_000], [Tensor(52, 51, [], offset: 200_000)])), 6_000_000);
        long rows = Table(plan).Shape[0];
        Assert.InRange(rows, LeastRows, 150_000);
        Assert.Equal([rows, 4], plan[plan.Operators[1].OutputSlots.Single()].Shape);
        Assert.Equal([new IntValue(rows), new IntValue(-1)], plan.Operators[1].Arguments.Skip(2).Take(2).Select(a => a.Literal!));
        Assert.Equal(new IntListValue([rows, 4]), plan.Operators[2].Arguments[1].Literal);
        Assert.Equal(new IntValue(200_000), plan.Operators[3].Arguments[2].Literal);
        Assert.StartsWith("embedding tables of 1 shape are cut to ", Assert.Single(plan.Source.Notes));
    }

    /// <summary>What reads the memory under another shape would read beyond the end of a table that is cut.</summary>
    [Fact]
    public void Fit_TableUnderAnotherShape_StaysWhole()
    {
        var plan = PlanOf.Trace(Lookup(200_000).Operator(4, Relu, [Tensor(12, 11, [800_000])], [Tensor(42, 43, [800_000])]));
        Assert.Same(plan, Fit(plan, 5_000_000));
    }

    [Fact]
    public void Fit_LargeTensorsThatNoLookupReads_StayWhole()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [200_000, 4])], [Tensor(20, 21, [200_000, 4])]));
        Assert.Same(plan, Fit(plan, 2_000_000));
    }
}
