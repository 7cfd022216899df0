using System.Globalization;
using Mystique.Costs;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Costs;

/// <summary>What operators cost, by hand; those of PyTorch's profiler are compared with it in the command's tests.</summary>
public class OperatorCostTests
{
    private static string Of(string schema, TraceText.Value[] inputs, params TraceText.Value[] outputs)
    {
        var cost = OperatorCost.Of(TraceText.WithRoots().Operator(3, schema, inputs, outputs).Read().Operators.Single());
        return string.Create(CultureInfo.InvariantCulture, $"{cost.Flops?.ToString(CultureInfo.InvariantCulture) ?? "?"} {cost.Bytes}");
    }

    private static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1, shape);

    [Fact]
    public void Products_AreTwoForEachElementAndWhatIsSummedOver()
    {
        Assert.Equal("48 104", Of("aten::mm(Tensor self, Tensor mat2) -> Tensor", [T(10, 2, 3), T(20, 3, 4)], T(30, 2, 4)));
        Assert.Equal("48 120", Of("aten::addmm(Tensor self, Tensor mat1, Tensor mat2) -> Tensor", [T(40, 4), T(10, 2, 3), T(20, 3, 4)],
            T(30, 2, 4)));
        Assert.Equal("240 520", Of("aten::bmm(Tensor self, Tensor mat2) -> Tensor", [T(10, 5, 2, 3), T(20, 5, 3, 4)], T(30, 5, 2, 4)));
    }

    /// <summary>Of groups each channel has its part of the inputs; transposed, each input element meets the weights.</summary>
    [Fact]
    public void Convolutions_AreTwoForEachElementAndTheWeightsOfAChannel()
    {
        const string Conv = "aten::convolution(Tensor input, Tensor weight, Tensor? bias, bool transposed) -> Tensor";
        Assert.StartsWith("1728 ", Of(Conv, [T(10, 1, 2, 4, 4), T(20, 3, 2, 3, 3), None, false], T(30, 1, 3, 4, 4)),
            StringComparison.Ordinal);
        Assert.StartsWith("1152 ", Of(Conv, [T(10, 1, 4, 4, 4), T(20, 4, 1, 3, 3), None, false], T(30, 1, 4, 4, 4)),
            StringComparison.Ordinal);
        Assert.StartsWith("1728 ", Of(Conv, [T(10, 1, 2, 4, 4), T(20, 2, 3, 3, 3), None, true], T(30, 1, 3, 6, 6)),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Attention_IsTwoProducts() => Assert.StartsWith("1680 ", Of(
        "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value) -> Tensor",
        [T(10, 2, 3, 5), T(20, 2, 7, 5), T(30, 2, 7, 15)], T(40, 2, 3, 15)), StringComparison.Ordinal);

    [Fact]
    public void Views_MoveNothing_LookupsTheirRows_CopiesOneSide()
    {
        Assert.Equal("0 0", Of("aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", [T(10, 6), Ints(2, 3)], Tensor(12, 11, [2, 3])));
        Assert.Equal("0 80", Of("aten::embedding(Tensor weight, Tensor indices) -> Tensor",
            [T(10, 1_000_000, 4), Tensor(20, 21, [2], type: "long int")], T(30, 2, 4)));
        Assert.Equal("0 48", Of("aten::copy_(Tensor(a!) self, Tensor src) -> Tensor(a!)", [T(10, 6), T(20, 6)], T(10, 6)));
        Assert.Equal("6 72", Of("aten::add.Tensor(Tensor self, Tensor other) -> Tensor", [T(10, 6), T(20, 6)], T(30, 6)));
    }

    [Fact]
    public void WhatIsNotKnown_IsNotZero()
    {
        Assert.Equal("? 32", Of("mine::magic(Tensor self) -> Tensor", [T(10, 4)], T(20, 4)));
        var trace = TraceText.WithRoots().Operator(3, "mine::magic(Tensor self) -> Tensor", [T(10, 4)], [T(20, 4)])
            .Operator(4, "aten::relu(Tensor self) -> Tensor", [T(20, 4)], [T(30, 4)]).Read();
        Assert.Equal(new CostSum(4, 64, 2, 1), OperatorCost.Sum(trace.Operators.Select(OperatorCost.Of)));
    }

    [Fact]
    public void Roofline_IsBoundByWhatTakesLonger()
    {
        var (ns, byMemory) = new Roofline(1e9, 1e9)
            .BoundOf([new OperatorCost(300, 100), new OperatorCost(10, 100), new OperatorCost(null, 0)]);
        Assert.Equal((400, 0.25), (Math.Round(ns, 6), Math.Round(byMemory, 6)));
    }
}
