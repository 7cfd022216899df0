using Mystique.Tests.Shared;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

public class ReplayVerifierTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Tanh = "aten::tanh(Tensor self) -> Tensor";

    private static TraceText Original(string schema = "1.1.1-chakra.0.0.4") => TraceText.WithRoots(schema)
        .Operator(3, Relu, [Tensor(10, 11, [2, 3])], [Tensor(20, 21, [2, 3])])
        .Operator(4, Tanh, [Tensor(20, 21, [2, 3])], [Tensor(30, 31, [2, 3])])
        .Operator(5, Relu, [Tensor(30, 31, [2, 3])], [Tensor(40, 41, [2, 3])]);

    private static VerificationResult Verify(TraceText observed, string schema = "1.1.1-chakra.0.0.4") =>
        ReplayVerifier.Verify(PlanOf.Trace(Original(schema)), observed.Read());

    [Fact]
    public void Verify_TheSameOperators_IsExactWhateverTheIds()
    {
        var result = Verify(TraceText.WithRoots().Node(3, 2, "f0", scope: 2)
            .Operator(14, Relu, [Tensor(1, 2, [2, 3])], [Tensor(3, 4, [2, 3])], parent: 3)
            .Operator(15, Tanh, [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])], parent: 3)
            .Operator(16, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])], parent: 3));
        Assert.True(result.IsExact);
        Assert.Equal((3, 3, true), (result.ExpectedCount, result.ExactCount, result.StridesCompared));
    }

    [Fact]
    public void Verify_MissingOperator_IsNamed()
    {
        var result = Verify(TraceText.WithRoots()
            .Operator(14, Relu, [Tensor(1, 2, [2, 3])], [Tensor(3, 4, [2, 3])])
            .Operator(16, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])]));
        Assert.False(result.IsExact);
        Assert.Equal([new OperatorDifference(new OperatorId(0, 4), "aten::tanh", DifferenceKind.Missing, "it did not run")],
            result.Differences);
        Assert.Equal(2, result.ExactCount);
    }

    [Fact]
    public void Verify_AnotherOperatorInItsPlace_IsNamed()
    {
        var result = Verify(TraceText.WithRoots()
            .Operator(14, Relu, [Tensor(1, 2, [2, 3])], [Tensor(3, 4, [2, 3])])
            .Operator(15, "aten::sin(Tensor self) -> Tensor", [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])])
            .Operator(16, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])]));
        Assert.Equal([new OperatorDifference(new OperatorId(0, 4), "aten::tanh", DifferenceKind.Missing, "aten::sin ran instead")],
            result.Differences);
    }

    /// <summary>Compiled kernels, which not all observers see, and what a replay tells the allocator, are not planned.</summary>
    [Fact]
    public void Verify_WhatTheReplayDoesOfItsOwn_IsNoDifference()
    {
        var result = Verify(TraceText.WithRoots()
            .Operator(14, Relu, [Tensor(1, 2, [2, 3])], [Tensor(3, 4, [2, 3])])
            .Operator(15, "aten::record_stream(Tensor(a!) self, Stream s) -> ()", [Tensor(3, 4, [2, 3]), new("\"<Stream>\"", "[]", "Stream",
                "[]")], [])
            .Node(16, 2, "triton_poi_fused_gelu_0")
            .Operator(17, Tanh, [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])])
            .Operator(18, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])]));
        Assert.True(result.IsExact);
    }

    [Fact]
    public void Verify_OperatorThatWasNotPlanned_IsNamed()
    {
        var result = Verify(TraceText.WithRoots()
            .Operator(14, Relu, [Tensor(1, 2, [2, 3])], [Tensor(3, 4, [2, 3])])
            .Operator(15, "aten::sin(Tensor self) -> Tensor", [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])])
            .Operator(16, Tanh, [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])])
            .Operator(17, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])]));
        Assert.Equal([new OperatorDifference(null, "aten::sin", DifferenceKind.Unplanned, "it ran without being planned")],
            result.Differences);
        Assert.Equal(3, result.ExactCount);
        Assert.False(result.IsExact);
    }

    [Theory]
    [InlineData("double", new long[] { 2, 3 }, new long[] { 3, 1 }, "its input 0 is float64 instead of float32")]
    [InlineData("float", new long[] { 3, 2 }, new long[] { 2, 1 }, "its input 0 has the shape [3, 2] instead of [2, 3]")]
    [InlineData("float", new long[] { 2, 3 }, new long[] { 1, 2 }, "its input 0 has the strides [1, 2] instead of [3, 1]")]
    public void Verify_OtherTensor_SaysWhatDiffers(string type, long[] shape, long[] strides, string what)
    {
        var result = Verify(TraceText.WithRoots()
            .Operator(14, Relu, [Tensor(1, 2, shape, type, strides: strides)], [Tensor(3, 4, [2, 3])])
            .Operator(15, Tanh, [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])])
            .Operator(16, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])]));
        Assert.Equal([new OperatorDifference(new OperatorId(0, 3), "aten::relu", what.Contains("strides", StringComparison.Ordinal)
            ? DifferenceKind.Variant
            : DifferenceKind.Different, what)], result.Differences);
    }

    [Fact]
    public void Verify_TraceWithoutStrides_DoesNotCompareThem()
    {
        var result = Verify(TraceText.WithRoots()
            .Operator(14, Relu, [Tensor(1, 2, [2, 3], strides: [1, 2])], [Tensor(3, 4, [2, 3])])
            .Operator(15, Tanh, [Tensor(3, 4, [2, 3])], [Tensor(5, 6, [2, 3])])
            .Operator(16, Relu, [Tensor(5, 6, [2, 3])], [Tensor(7, 8, [2, 3])]), "1.1.0-chakra.0.0.4");
        Assert.True(result.IsExact);
        Assert.False(result.StridesCompared);
    }
}
