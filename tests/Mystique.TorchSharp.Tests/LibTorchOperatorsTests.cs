using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Packaging;
using Mystique.Traces;

namespace Mystique.TorchSharp.Tests;

/// <summary>What libtorch says that operators give back: it runs them, so an observer beside it would see them.</summary>
[Collection("libtorch")]
public sealed class LibTorchOperatorsTests
{
    private static readonly LibTorchOperators Operators = new();

    private static DescribedValue Tensor(params long[] shape) => new()
    {
        Tensor = new DescribedTensor("float32", [.. shape], TensorLayout.ContiguousStrides([.. shape])),
    };

    private static DescribedValue Literal(ArgumentValue value) => new() { Literal = new ManifestLiteral(value) };

    private static string Describe(string name, params DescribedValue[] arguments)
    {
        string schema = Operators.OverloadsOf([name.Split('.')[0]])[name];
        var result = Operators.Describe(new DescribedCall(schema, [.. arguments]));
        return result.Outputs is not { } outputs ? result.Error! : string.Join("; ", outputs.Select(o => o.Tensor is { } tensor
            ? $"{tensor.Type} [{string.Join(',', tensor.Shape)}] at {tensor.Offset}"
            : o.Tensors is { } list ? $"{list.Length} tensors" : "-"));
    }

    [Fact]
    public void Describe_OneResult() => Assert.Equal("float32 [2,5] at 0", Describe("aten::mm", Tensor(2, 3), Tensor(3, 5)));

    [Fact]
    public void Describe_AView_HasItsOffset() =>
        Assert.Equal("float32 [3] at 3", Describe("aten::select.int", Tensor(2, 3), Literal(new IntValue(0)), Literal(new IntValue(1))));

    [Fact]
    public void Describe_SeveralResults() => Assert.Equal("float32 [2,3] at 0; float32 [2,1] at 0; float32 [2,1] at 0",
        Describe("aten::native_layer_norm", Tensor(2, 3), Literal(new IntListValue([3])), Tensor(3), Tensor(3),
            Literal(new DoubleValue(1e-5))));

    [Fact]
    public void Describe_AListOfResults() =>
        Assert.Equal("2 tensors", Describe("aten::split.Tensor", Tensor(4, 3), Literal(new IntValue(2)), Literal(new IntValue(0))));

    [Fact]
    public void Describe_AnEmptyListAndInfinity()
    {
        Assert.Equal("float32 [] at 0", Describe("aten::reshape", Tensor(1), Literal(new IntListValue([]))));
        Assert.Equal("float32 [2] at 0", Describe("aten::full_like", Tensor(2), Literal(new DoubleValue(double.NegativeInfinity)),
            Literal(NoneValue.Instance), Literal(NoneValue.Instance), Literal(NoneValue.Instance), Literal(NoneValue.Instance),
            Literal(NoneValue.Instance)));
    }

    [Fact]
    public void Describe_WhatCannotBe_SaysWhy() => Assert.StartsWith("it failed: ", Describe("aten::mm", Tensor(2, 3), Tensor(2, 3)),
        StringComparison.Ordinal);

    [Fact]
    public void Knowledge_AnOperatorThatEndsTheEngine_IsTheOnlyOneWithoutResults()
    {
        using var knowledge = new OperatorKnowledge(new TorchSharpEngine());
        var relu = knowledge.OverloadsOf(["aten::relu"])["aten::relu"].Single(s => s.Overload.Length == 0);
        var unknown = SchemaParser.Parse("aten::no_such_operator(Tensor self) -> Tensor");
        var tensor = Tensor(2, 3).ToArgument();
        var results = knowledge.Describe([new OperatorCall(relu, [tensor]), new OperatorCall(unknown, [tensor]),
            new OperatorCall(relu, [tensor])]);
        Assert.Equal([true, false, true], results.Select(r => r.Outputs is not null));
        Assert.StartsWith("it ended the engine", results[1].Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Knowledge_WhatABenchmarkMayNotCall_IsNotCalled()
    {
        using var knowledge = new OperatorKnowledge(new TorchSharpEngine());
        var schema = knowledge.OverloadsOf(["aten::from_file"])["aten::from_file"].First();
        var result = Assert.Single(knowledge.Describe([new OperatorCall(schema, [.. schema.Arguments.Select(a => a.Name == "filename"
            ? new StringValue("/etc/hostname") : (ArgumentValue)NoneValue.Instance)])]));
        Assert.Null(result.Outputs);
        Assert.DoesNotContain("ended the engine", result.Error, StringComparison.Ordinal);
    }
}
