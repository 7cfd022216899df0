using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Tests.Fitting;

/// <summary>A call that one version of PyTorch recorded is made a call of another's, by the names of arguments.</summary>
public class SchemaAdapterTests
{
    private static readonly PlannedArgument Tensor = PlannedArgument.OfTensor(new Slot(0));

    private static PlannedArgument Int(long value) => PlannedArgument.Of(new IntValue(value));

    private static PlannedOperator Call(string schema, params PlannedArgument[] arguments)
    {
        var parsed = SchemaParser.Parse(schema);
        return new PlannedOperator(new OperatorId(0, 3), parsed, [.. arguments],
            [.. parsed.Returns.Select((_, i) => new PlannedResult([new Slot(i + 1)]))]);
    }

    private static PlannedOperator Adapted(PlannedOperator op, string target)
    {
        var adapted = SchemaAdapter.Adapt(op, SchemaParser.Parse(target), out string reason);
        Assert.Equal("", reason);
        return Assert.IsType<PlannedOperator>(adapted);
    }

    private static string WhyNot(PlannedOperator op, string target)
    {
        Assert.Null(SchemaAdapter.Adapt(op, SchemaParser.Parse(target), out string reason));
        return reason;
    }

    [Fact]
    public void Adapt_ArgumentsInAnotherOrder_AreFoundByTheirNames()
    {
        var op = Adapted(Call("aten::f(Tensor self, int a, int b) -> Tensor", Tensor, Int(1), Int(2)),
            "aten::f(Tensor self, int b, int a, int c=7) -> Tensor");
        Assert.Equal([new IntValue(2), new IntValue(1), new IntValue(7)], op.Arguments.Skip(1).Select(a => a.Literal!));
        Assert.Equal(PlanOf.Slots(0), op.Arguments[0].Slots);
        Assert.Equal(4, op.Schema.Arguments.Length);
        Assert.Equal(PlanOf.Slots(1), op.ResultSlots());
    }

    [Fact]
    public void Adapt_ArgumentThatTheTraceDoesNotHave_NeedsADefault()
    {
        var op = Call("aten::f(Tensor self) -> Tensor", Tensor);
        Assert.Equal("it takes 'n' there, which the trace does not have", WhyNot(op, "aten::f(Tensor self, int n) -> Tensor"));
        Assert.Equal(NoneValue.Instance, Adapted(op, "aten::f(Tensor self, int? n=None) -> Tensor").Arguments[1].Literal);
    }

    [Theory]
    [InlineData("aten::f(Tensor self, Tensor n) -> Tensor")]
    [InlineData("aten::f(Tensor self, str n) -> Tensor")]
    [InlineData("aten::f(int self, int n) -> Tensor")]
    public void Adapt_AnotherType_IsRefused(string target) =>
        Assert.EndsWith("is of another type there", WhyNot(Call("aten::f(Tensor self, int n) -> Tensor", Tensor, Int(1)), target));

    /// <summary>What the target does not take any more may go where it had no effect.</summary>
    [Fact]
    public void Adapt_ArgumentThatTheTargetLacks_MustHaveHadItsDefault()
    {
        const string Recorded = "aten::f(Tensor self, int n=1, int? m=None) -> Tensor";
        const string Target = "aten::f(Tensor self) -> Tensor";
        var none = PlannedArgument.Of(NoneValue.Instance);
        Assert.Single(Adapted(Call(Recorded, Tensor, Int(1), none), Target).Arguments);
        Assert.Equal("it does not take 'n' there", WhyNot(Call(Recorded, Tensor, Int(2), none), Target));
        Assert.Equal("it does not take 'm' there", WhyNot(Call(Recorded, Tensor, Int(1), Int(3)), Target));
        Assert.Equal("it does not take 'n' there", WhyNot(Call("aten::f(Tensor self, Tensor n) -> Tensor", Tensor, Tensor), Target));
        Assert.Equal("it does not take 'n' there", WhyNot(Call("aten::f(Tensor self, int n) -> Tensor", Tensor, Int(0)), Target));
    }

    /// <summary>Results that the target makes beside those recorded are dropped; those that it does not make are not there.</summary>
    [Fact]
    public void Adapt_OtherNumbersOfResults_AreMadeEqual()
    {
        const string One = "aten::f(Tensor self) -> Tensor";
        const string Two = "aten::f(Tensor self) -> (Tensor, Tensor)";
        Assert.Equal(PlanOf.Slots(1, -1), Adapted(Call(One, Tensor), Two).ResultSlots());
        Assert.Equal(PlanOf.Slots(1), Adapted(Call(Two, Tensor), One).ResultSlots());
    }

    [Theory]
    [InlineData("aten::f(Tensor input, int n) -> Tensor", true)] // Names do not matter in a call by place.
    [InlineData("aten::f(Tensor self, ScalarType n) -> Tensor", true)]
    [InlineData("aten::f(Tensor self, MemoryFormat n) -> Tensor", true)]
    [InlineData("aten::f(Tensor self, Layout n) -> Tensor", true)]
    [InlineData("aten::f(Tensor self, float n) -> Tensor", false)]
    [InlineData("aten::f(Tensor self, int? n) -> Tensor", false)]
    [InlineData("aten::f(Tensor self, int[] n) -> Tensor", false)]
    [InlineData("aten::f(Tensor self, *, int n) -> Tensor", false)]
    [InlineData("aten::f(Tensor self, int n, int m=0) -> Tensor", false)]
    [InlineData("aten::f(Tensor self, int n) -> (Tensor, Tensor)", false)]
    public void IsSame_TypesAndPlaces_AreWhatCounts(string target, bool isSame) =>
        Assert.Equal(isSame, SchemaAdapter.IsSame(SchemaParser.Parse("aten::f(Tensor self, int n) -> Tensor"), SchemaParser.Parse(target)));

    [Theory]
    [InlineData("number[] n", "Scalar[] n", true)]
    [InlineData("int[] n", "float[] n", false)]
    [InlineData("int?[] n", "int[] n", false)]
    public void IsSame_OfLists_LooksIntoThem(string recorded, string target, bool isSame) => Assert.Equal(isSame,
        SchemaAdapter.IsSame(SchemaParser.Parse($"aten::f({recorded}) -> Tensor"), SchemaParser.Parse($"aten::f({target}) -> Tensor")));

    [Fact]
    public void Fits_TensorsAndNone_GoWhereTheTypeTakesThem()
    {
        static SchemaType Type(string text) => SchemaParser.Parse($"aten::f({text} x) -> ()").Arguments[0].Type;
        var two = new PlannedArgument([new Slot(0), new Slot(1)], null);
        var none = PlannedArgument.Of(NoneValue.Instance);
        Assert.True(SchemaAdapter.Fits(Type("Tensor"), Tensor));
        Assert.True(SchemaAdapter.Fits(Type("Tensor[]"), two));
        Assert.True(SchemaAdapter.Fits(Type("Tensor[]"), Tensor));
        Assert.True(SchemaAdapter.Fits(Type("Tensor?"), none));
        Assert.True(SchemaAdapter.Fits(Type("int"), Int(1)));
        Assert.False(SchemaAdapter.Fits(Type("Tensor"), two));
        Assert.False(SchemaAdapter.Fits(Type("Tensor"), none));
        Assert.False(SchemaAdapter.Fits(Type("Tensor?"), Int(1)));
        Assert.False(SchemaAdapter.Fits(Type("int"), Tensor));
        Assert.False(SchemaAdapter.Fits(Type("int[]"), two));
        Assert.False(SchemaAdapter.Fits(Type("str"), Int(1)));
    }
}
