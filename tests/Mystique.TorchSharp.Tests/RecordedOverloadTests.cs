using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.TorchSharp.Tests;

/// <summary>What runs is what was recorded: overloads, values that decide shapes, and what writes to an operator's own input.</summary>
[Collection("libtorch")]
public class RecordedOverloadTests
{
    /// <summary>Both take an image, a size, a flag and None: only the argument's name tells them apart.</summary>
    [Theory]
    [InlineData("aten::upsample_bilinear2d.vec(Tensor input, SymInt[]? output_size, bool align_corners, float[]? scale_factors) "
        + "-> Tensor")]
    [InlineData("aten::upsample_nearest2d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) -> Tensor")]
    [InlineData("aten::upsample_nearest2d(Tensor self, SymInt[2] output_size, float? scales_h=None, float? scales_w=None) -> Tensor")]
    public void Overload_IsTheRecordedOne(string schema)
    {
        List<TraceText.Value> inputs = [Tensor(10, 11, [1, 3, 4, 4]), Ints(8, 8)];
        if (schema.Contains("align_corners", StringComparison.Ordinal))
            inputs.Add(false);
        inputs.Add(None);
        if (schema.Contains("scales_h", StringComparison.Ordinal))
            inputs.Add(None);
        var result = EngineFixture.Verify(EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, schema, [.. inputs], [Tensor(20, 21, [1, 3, 8, 8])])));
        Assert.True(result.IsExact, string.Join("; ", result.Differences));
    }

    [Theory]
    [InlineData(new long[] { 1, 4, 5 })]
    [InlineData(new long[] { 3, 3, 4 })]
    [InlineData(new long[] { 10, 0, 0 })]
    public void TensorSplit_SplitsWhereItDid(long[] sizes)
    {
        long at = 0;
        var parts = new List<TraceText.Value>();
        foreach (long size in sizes)
        {
            parts.Add(Tensor(20 + at, 11, [2, size], offset: at, strides: [10, 1]));
            at += size;
        }
        var package = EngineFixture.Package(TraceText.WithRoots().Operator(3,
            "aten::tensor_split.tensor_indices_or_sections(Tensor(a -> *) self, Tensor tensor_indices_or_sections, int dim=0) "
                + "-> Tensor(a)[]",
            [Tensor(10, 11, [2, 10]), Tensor(12, 13, [2], "long int"), 1], [List([.. parts])]));
        var result = EngineFixture.Verify(package);
        Assert.True(result.IsExact, string.Join("; ", result.Differences));
        Assert.Contains(package.Plan.Storages, s => s.Initializer?.Kind == InitializerKind.Recorded);
    }

    /// <summary><c>wait_tensor</c> returns its input, and its schema does not say so: what writes to it later still runs.</summary>
    [Fact]
    public void OperatorThatReturnsItsInput_KeepsWhatComesAfterIt()
    {
        TraceText.Value[] tensor = [Tensor(10, 11, [4])];
        var result = EngineFixture.Verify(EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(8, 9, [4])], tensor)
            .Operator(4, "_c10d_functional::wait_tensor(Tensor tensor) -> Tensor", tensor, tensor)
            .Operator(5, "aten::mul_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)", [tensor[0], 0.5], tensor)));
        Assert.True(result.IsExact, string.Join("; ", result.Differences));
    }

    [Fact]
    public void SparseTensors_RunAsSparse()
    {
        TraceText.Value Opaque(long id) => new($"[{id},0,0,0,0,\"\"]", "[100,8]", "Tensor(float)", "[]");
        var package = EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, "aten::_indices(Tensor(a) self) -> Tensor(a)", [Opaque(20)], [Tensor(30, 31, [1, 5], "long int")])
            .Operator(4, "aten::_values(Tensor(a) self) -> Tensor(a)", [Opaque(20)], [Tensor(40, 41, [5, 8])])
            .Operator(5, "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)",
                [Tensor(50, 51, [100, 8]), Opaque(20), 1], [Tensor(50, 51, [100, 8])]));
        var result = EngineFixture.Verify(package);
        Assert.True(result.IsExact, string.Join("; ", result.Differences));
        Assert.Equal(OperatorRole.Added, package.Plan.Operators[0].Role);
    }

    [Fact]
    public void MetaTensors_StayMeta()
    {
        TraceText.Value Meta(long id) => Tensor(id, 0, [40_000, 40_000], device: "meta");
        var result = EngineFixture.Verify(EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Meta(10), Meta(20)], [Meta(30)])
            .Operator(4, "aten::relu(Tensor self) -> Tensor", [Tensor(40, 41, [4])], [Tensor(50, 51, [4])])));
        Assert.True(result.IsExact, string.Join("; ", result.Differences)); // 6.4 GB each and days of work, elsewhere.
    }
}
