using System.Runtime.InteropServices;
using Mystique.Planning;
using Mystique.Replay;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

public class ValueRulesTests
{
    private static TraceText.Value Long(long id, params long[] shape) => Tensor(id, id + 1, shape, "long int");

    private static Initializer Of(ReplayPlan plan, int op, int argument, int item = 0) =>
        plan.Storages[plan.Tensors[plan.Operators[op].Arguments[argument].Slots[item]].Storage].Initializer!;

    private static Initializer Within(long bound) => new(InitializerKind.Uniform, ScalarType.Long, 0, bound);

    [Fact]
    public void Plan_Embedding_IndicesLieWithinTheTable()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1) -> Tensor",
            [Tensor(10, 11, [100, 8]), Long(20, 4), -1], [Tensor(30, 31, [4, 8])]));
        Assert.Equal(Within(100), Of(plan, 0, 1));
        Assert.Equal(InitializerKind.Uniform, Of(plan, 0, 0).Kind);
    }

    [Fact]
    public void Plan_TwoUsers_TheTighterBoundHolds()
    {
        const string Select = "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Select, [Tensor(10, 11, [5, 9]), -1, Long(20, 4)], [Tensor(30, 31, [5, 4])])
            .Operator(4, Select, [Tensor(10, 11, [5, 9]), 0, Long(20, 4)], [Tensor(32, 33, [4, 9])]));
        Assert.Equal(Within(5), Of(plan, 0, 2));
    }

    [Fact]
    public void Plan_ThroughViewsAndCopies_ReachesTheExternalTensor()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::to.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)", [Tensor(20, 21, [2, 2], "int"), 4], [Long(22, 2, 2)])
            .Operator(4, "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", [Long(22, 2, 2), Ints(4)], [Tensor(24, 23, [4], "long int")])
            .Operator(5, "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", [Tensor(10, 11, [3, 7]), List(None, Tensor(24, 23, [4], "long int"))], [Tensor(30, 31, [3, 4])]));
        Assert.Equal(new Initializer(InitializerKind.Uniform, ScalarType.Int, 0, 7), Of(plan, 0, 0));
    }

    [Fact]
    public void Plan_EmbeddingBag_OffsetsRiseEvenlyWithinTheIndices()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, "aten::embedding_bag(Tensor weight, Tensor indices, Tensor offsets) -> (Tensor, Tensor)",
            [Tensor(10, 11, [100, 8]), Long(20, 40), Long(22, 4)], [Tensor(30, 31, [4, 8]), Long(32, 0)]));
        Assert.Equal(Within(100), Of(plan, 0, 1));
        Assert.Equal(new Initializer(InitializerKind.Ramp, ScalarType.Long, 0, 40), Of(plan, 0, 2));
    }

    [Fact]
    public void Plan_Targets_LieWithinTheClasses()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, "aten::nll_loss_nd(Tensor self, Tensor target) -> Tensor",
            [Tensor(10, 11, [4, 17]), Long(20, 4)], [Tensor(30, 31, [])]));
        Assert.Equal(Within(17), Of(plan, 0, 1));
    }

    [Theory]
    [InlineData(ScalarType.Long)]
    [InlineData(ScalarType.Int)]
    public unsafe void Fill_IntegersAndRamps_AreAsTheRuleSays(ScalarType type)
    {
        int size = type.SizeBytes();
        long[] Values(Initializer rule)
        {
            byte[] data = new byte[1000 * size];
            fixed (byte* first = data)
                SyntheticData.Fill((nint)first, data.Length, rule, 3, 1, 1);
            return size == 8 ? MemoryMarshal.Cast<byte, long>(data).ToArray() : [.. MemoryMarshal.Cast<byte, int>(data).ToArray().Select(i => (long)i)];
        }

        var drawn = Values(new Initializer(InitializerKind.Uniform, type, 0, 10));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => (long)i), drawn.Distinct().Order());
        Assert.All(drawn.CountBy(v => v), c => Assert.InRange(c.Value, 60, 140)); // 100 each, within four standard deviations.
        var ramp = Values(new Initializer(InitializerKind.Ramp, type, 0, 5000));
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => i * 5L), ramp);
    }
}
