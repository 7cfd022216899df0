using Mystique.Planning;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>A tensor is found again by where it lies; what lies elsewhere is a view, or another tensor from before.</summary>
public class TensorTableTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private static TraceText.Value Out(long id, long[] shape) => Tensor(id, id + 1, shape);

    /// <summary>Whether an operator that uses a tensor gets the one that the operator before it made, or else a view of it.</summary>
    private static bool IsFound(TraceText.Value made, TraceText.Value used)
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, [Out(50, [64])], [made]).Operator(4, Relu, [used], [Out(60, [4])]));
        bool isFound = plan.Operators[^1].InputSlots.Single() == plan.Operators[0].OutputSlots.Single();
        Assert.Equal(isFound ? 2 : 3, plan.Operators.Length);
        Assert.Equal(!isFound, plan.Operators[1].Role == OperatorRole.Added);
        return isFound;
    }

    [Fact]
    public void Use_TensorThatLiesAlike_IsTheSame()
    {
        Assert.True(IsFound(Tensor(10, 11, [2, 4]), Tensor(12, 11, [2, 4])));
        Assert.False(IsFound(Tensor(10, 11, [2, 4]), Tensor(12, 11, [4, 2])));
        Assert.False(IsFound(Tensor(10, 11, [2, 4]), Tensor(12, 11, [4], offset: 4)));
        Assert.False(IsFound(Tensor(10, 11, [2, 4]), Tensor(12, 11, [2, 4], strides: [1, 2])));
    }

    /// <summary>The stride of a dimension of one element leads nowhere, and without elements none does.</summary>
    [Theory]
    [InlineData(new long[] { 1, 4 }, new long[] { 1, 1 }, true)]
    [InlineData(new long[] { 4, 1 }, new long[] { 1, 3 }, true)]
    [InlineData(new long[] { 2, 1, 2 }, new long[] { 1, 1, 2 }, false)]
    [InlineData(new long[] { 0, 4 }, new long[] { 9, 2 }, true)]
    public void Use_StridesThatSayNothing_DoNotCount(long[] shape, long[] strides, bool isFound) =>
        Assert.Equal(isFound, IsFound(Tensor(10, 11, shape), Tensor(12, 11, shape, strides: strides)));

    /// <summary>Of two that lie alike, the one with the very strides.</summary>
    [Fact]
    public void Use_OneOfTwoThatLieAlike_IsTheOneWithItsStrides()
    {
        const string Two = "aten::f(Tensor self) -> (Tensor, Tensor)";
        TraceText.Value plain = Tensor(12, 11, [1, 4]), other = Tensor(14, 11, [1, 4], strides: [9, 1]);
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Two, [Out(50, [4])], [Tensor(10, 11, [8]), other])
            .Operator(4, Relu, [plain], [Out(60, [4])]).Operator(5, Relu, [other], [Out(70, [4])]));
        Assert.Equal(3, plan.Operators.Length);
        Assert.Equal(plan.Operators[0].OutputSlots.Last(), plan.Operators[1].InputSlots.Single());
        Assert.Equal(plan.Operators[0].OutputSlots.Last(), plan.Operators[2].InputSlots.Single());
    }

    /// <summary>A storage from before has whatever view of it somebody uses, and what is written to it is put back.</summary>
    [Fact]
    public void Use_ViewsOfWhatWasThere_AreThereToo()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Out(20, [4])])
            .Operator(4, "aten::relu_(Tensor(a!) self) -> Tensor(a!)", [Tensor(12, 11, [2], offset: 6)], [Tensor(12, 11, [2], offset: 6)])
            .Operator(5, Relu, [Tensor(30, 31, [4])], [Out(40, [4])]));
        Assert.Equal(3, plan.Operators.Length);
        Assert.Equal([true, false, true, true, false], plan.Tensors.Select(t => t.IsExternal));
        Assert.Equal([(32, true), (16, false), (16, false), (16, false)], plan.Storages.Select(s => (s.SizeBytes, s.IsMutated)));
    }

    /// <summary>Devices are listed once, those of arguments too; no name is the host.</summary>
    [Fact]
    public void Devices_AreListedOnce()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4], device: "")], [Tensor(20, 21, [4], device: "cpu")])
            .Operator(4, "aten::to.device(Tensor(a) self, Device device, ScalarType dtype) -> Tensor(a)",
                [Tensor(20, 21, [4], device: "cpu"), new("\"cuda:2\"", "[]", "Device", "[]"), 6], [Tensor(30, 31, [4], device: "cuda:1")])
            .Operator(5, Relu, [Tensor(30, 31, [4], device: "cuda:1")], [Tensor(40, 41, [4], device: "cuda:0")]));
        Assert.Equal(["cpu", "cuda:1", "cuda:2", "cuda:0"], plan.Devices.OrderBy(d => d == "cuda:0").ThenBy(d => d));
        Assert.Equal(["cpu", "cpu", "cuda:1", "cuda:0"], plan.Storages.Select(s => plan.Devices[s.Device]));
    }

    /// <summary>All undefined tensors of a plan are one.</summary>
    [Fact]
    public void Use_Undefined_IsOneTensor()
    {
        const string Optional = "aten::f(Tensor self, Tensor? a, Tensor? b) -> Tensor";
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Optional, [Tensor(10, 11, [4]), Undefined, Undefined], [Out(20, [4])])
            .Operator(4, Optional, [Tensor(10, 11, [4]), Undefined, Undefined], [Out(30, [4])]));
        Assert.Equal(1, plan.Tensors.Count(t => t.IsUndefined));
        Assert.Equal(4, plan.Tensors.Length);
    }
}
