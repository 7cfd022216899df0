using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Tests.Planning;

/// <summary>Numbers of the table of values, and literals of schemas.</summary>
public class ValueExpressionTests
{
    private static readonly ImmutableArray<PlannedTensor> Tensors =
    [
        new() { Storage = new StorageId(0), Type = ScalarType.Float, Shape = [5, 7], Strides = [7, 1], Offset = 0, IsExternal = true },
        PlannedTensor.Undefined,
    ];

    /// <summary>A tensor of 5 × 7, one that is undefined, the numbers 3 and 0.5, true, a list of one number, and one of two.</summary>
    private static readonly PlannedOperator Op = new(new OperatorId(0, 3), SchemaParser.Parse(
        "aten::f(Tensor x, Tensor? u, int n, float h, bool b, int[] one, int[] two, int? d=4) -> (Tensor, Tensor)"),
        [PlannedArgument.OfTensor(new Slot(0)), PlannedArgument.OfTensor(new Slot(1)), PlannedArgument.Of(new IntValue(3)),
            PlannedArgument.Of(new DoubleValue(0.5)), PlannedArgument.Of(new BoolValue(true)), PlannedArgument.Of(new IntListValue([9])),
            PlannedArgument.Of(new IntListValue([9, 8])), PlannedArgument.Of(NoneValue.Instance)],
        [new PlannedResult([new Slot(0)]), new PlannedResult([null])]);

    [Theory]
    [InlineData("7", 7.0)]
    [InlineData("-2 + n", 1.0)]
    [InlineData("1e3", 1000.0)]
    [InlineData("n", 3.0)]
    [InlineData("h", 0.5)]
    [InlineData("b", 1.0)]
    [InlineData("one", 9.0)]
    [InlineData("d", 4.0)] // None stands for the default.
    [InlineData("two", null)]
    [InlineData("x", null)]
    [InlineData("nobody", null)]
    [InlineData("nobody + 1", null)]
    [InlineData("1 + nobody", null)]
    [InlineData("n + 2 * 5", 13.0)]
    [InlineData("(n + 2) * 5", 25.0)]
    [InlineData("10 - 3 - 2", 5.0)]
    [InlineData("7 / 2", 3.0)]
    [InlineData("-7 / 2", -4.0)]
    [InlineData("7 / (n - 3)", null)]
    [InlineData("min(n, 2)", 2.0)]
    [InlineData("max(n, 2)", 3.0)]
    [InlineData("n == 3", 1.0)]
    [InlineData("n == 1 + 1", 0.0)]
    [InlineData("size(x, 0)", 5.0)]
    [InlineData("size(x, 1)", 7.0)]
    [InlineData("size(x, -1)", 7.0)]
    [InlineData("size(x, -2)", 5.0)]
    [InlineData("size(x, 2)", null)]
    [InlineData("size(x, -3)", null)]
    [InlineData("size(x, nobody)", null)]
    [InlineData("dims(x)", 2.0)]
    [InlineData("count(x)", 35.0)]
    [InlineData("count(out0)", 35.0)]
    [InlineData("count(u)", null)]
    [InlineData("count(out1)", null)]
    [InlineData("count(out2)", null)]
    [InlineData("count(n)", null)]
    public void Evaluate_WhatIsNotThere_IsNull(string text, double? expected) =>
        Assert.Equal(expected, ValueExpression.Parse(text).Evaluate(Op, Tensors));

    [Theory]
    [InlineData("")]
    [InlineData("n n")]
    [InlineData("(n")]
    [InlineData("n)")]
    [InlineData("n +")]
    [InlineData("min(n)")]
    [InlineData("size(x)")]
    [InlineData("count(x")]
    [InlineData("3x")]
    public void Parse_WhatIsNoExpression_IsRefused(string text) => Assert.Throws<FormatException>(() => ValueExpression.Parse(text));

    /// <summary>Parentheses beside each other do not nest.</summary>
    [Fact]
    public void Parse_ManyTerms_DoNotNest() =>
        Assert.Equal(100, ValueExpression.Parse(string.Join(" + ", Enumerable.Repeat("(1)", 100))).Evaluate(Op, Tensors));

    [Fact]
    public void SlotsOf_ArgumentsAndResults_GoByTheirNames()
    {
        Assert.Equal(PlanOf.Slots(0), ValueExpression.SlotsOf(Op, "x"));
        Assert.Equal(PlanOf.Slots(-1), ValueExpression.SlotsOf(Op, "out1"));
        Assert.Empty(ValueExpression.SlotsOf(Op, "out2"));
        Assert.Empty(ValueExpression.SlotsOf(Op, "outer"));
        Assert.Empty(ValueExpression.SlotsOf(Op, "max0"));
    }

    public static TheoryData<string, ArgumentValue?> Literals => new()
    {
        { "None", NoneValue.Instance },
        { " True ", new BoolValue(true) },
        { "true", new BoolValue(true) },
        { "False", new BoolValue(false) },
        { "false", new BoolValue(false) },
        { "-12", new IntValue(-12) },
        { "1e-05", new DoubleValue(1e-5) },
        { "inf", new DoubleValue(double.PositiveInfinity) },
        { "-inf", new DoubleValue(double.NegativeInfinity) },
        { "nan", new DoubleValue(double.NaN) },
        { "\"none\"", new StringValue("none") },
        { "'a,b'", new StringValue("a,b") },
        { "''", new StringValue("") },
        { "'a\"", null },
        { "\"", null },
        { "[1, 2]", new IntListValue([1, 2]) },
        { "[1,]", new IntListValue([1]) },
        { "[1, what]", null },
        { "[", null },
        { "[1", null },
        { "Mean", new IntValue(1) },
        { "Sum", new IntValue(2) },
        { "contiguous_format", new IntValue(0) },
        { "preserve_format", new IntValue(1) },
        { "strided", new IntValue(0) },
        { "long", new IntValue(4) },
        { "float", new IntValue(6) },
        { "double_", null },
        { "", null },
    };

    [Theory]
    [MemberData(nameof(Literals))]
    public void DefaultValue_Literals_AreRead(string text, ArgumentValue? expected) => Assert.Equal(expected, DefaultValue.Parse(text));

    [Fact]
    public void DefaultValue_ListsOfOtherThings_KeepTheirItems()
    {
        Assert.Equal([new BoolValue(true), new BoolValue(false)], Assert.IsType<ListValue>(DefaultValue.Parse("[True, False]")).Items);
        Assert.Equal([new IntValue(1), new DoubleValue(0.5)], Assert.IsType<ListValue>(DefaultValue.Parse("[1, 0.5]")).Items);
        Assert.Empty(Assert.IsType<ListValue>(DefaultValue.Parse("[]")).Items);
    }
}
