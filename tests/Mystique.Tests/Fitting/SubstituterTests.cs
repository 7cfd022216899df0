using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Tests.Fitting;

/// <summary>A row's calls get the recorded operator's arguments, results of the calls before, and the target's defaults.</summary>
public class SubstituterTests
{
    private static readonly PlannedTensor Some = new()
    {
        Storage = new StorageId(0),
        Type = ScalarType.Float,
        Shape = [2, 3],
        Strides = [3, 1],
        Offset = 0,
        IsExternal = true,
    };

    /// <summary>mine::f of tensors 0, 1 and 2, None and 2; its results are 3 and 4.</summary>
    private static readonly PlannedOperator Recorded = new(new OperatorId(0, 3),
        SchemaParser.Parse("mine::f(Tensor self, Tensor[] others, Tensor? none, int mode) -> (Tensor, Tensor)"),
        [PlannedArgument.OfTensor(new Slot(0)), new PlannedArgument([new Slot(1), new Slot(2)], null),
            PlannedArgument.Of(NoneValue.Instance), PlannedArgument.Of(new IntValue(2))],
        [new PlannedResult([new Slot(3)]), new PlannedResult([new Slot(4)])]);

    private static PlanBuilder Builder() => new(new ReplayPlan
    {
        Source = null!,
        Devices = ["cpu"],
        Storages = [new PlannedStorage(24, 0, null, false)],
        Tensors = [Some, Some with { Shape = [6], Strides = [1] }, Some, Some, Some],
        Operators = [Recorded],
        Replaced = [],
    });

    private static PlannedOperator[]? Calls(string rows, string[] schemas, PlanBuilder? builder = null, params string[] failed)
    {
        var target = schemas.Select(SchemaParser.Parse).ToDictionary(s => s.FullName);
        return new Substituter(SubstitutionTable.Read(rows, "rows", null), builder ?? Builder(), target)
            .TryReplace(Recorded, failed.ToHashSet())?.ToArray();
    }

    private static PlannedOperator Call(string call, string schema) => Assert.Single(Calls($"mine::f:\n    {call}\n", [schema])!);

    [Fact]
    public void Arguments_GoByPlaceByNameAndByDefault()
    {
        var call = Call("out0 = aten::g(self, mode, c=0.5)", "aten::g(Tensor a, int b, float c=1.0, bool d=True) -> Tensor");
        Assert.Equal(PlanOf.Slots(0), call.Arguments[0].Slots);
        Assert.Equal([new IntValue(2), new DoubleValue(0.5), new BoolValue(true)], call.Arguments.Skip(1).Select(a => a.Literal!));
        Assert.Equal(PlanOf.Slots(3), call.ResultSlots());
        Assert.Equal((new OperatorId(0, 3), OperatorRole.Substitute), (call.Id, call.Role));
    }

    /// <summary>Tensors by their names; lists among them give all of theirs, and what is None gives none.</summary>
    [Fact]
    public void ListOfTensors_IsMadeOfNames() => Assert.Equal(PlanOf.Slots(0, 1, 2, 3),
        Call("out1 = aten::g([self, others, none, out0])", "aten::g(Tensor[] a) -> Tensor").Arguments[0].Slots);

    [Theory]
    [InlineData("out0 = aten::g()", "aten::g(Tensor a) -> Tensor")] // Nothing is given, and there is no default.
    [InlineData("out0 = aten::g(mode)", "aten::g(Tensor a) -> Tensor")] // Another type.
    [InlineData("out0 = aten::g(nobody)", "aten::g(Tensor a) -> Tensor")]
    [InlineData("out0 = aten::g([self, mode])", "aten::g(Tensor[] a) -> Tensor")]
    [InlineData("out0, out1 = aten::g(self)", "aten::g(Tensor a) -> Tensor")] // More results than the target makes.
    [InlineData("out0 = aten::h(self)", "aten::g(Tensor a) -> Tensor")]
    [InlineData("out0 = aten::g(x)", "aten::g(Tensor[] a) -> Tensor")] // Neither a list nor a name.
    [InlineData("out0 = aten::g([self)", "aten::g(Tensor[] a) -> Tensor")]
    [InlineData("out0 = aten::g(self])", "aten::g(Tensor[] a) -> Tensor")]
    public void Row_ThatDoesNotFitTheTarget_IsPassedOver(string call, string schema)
    {
        Assert.Null(Calls($"mine::f:\n    {call}\n", [schema]));
        string rows = $"mine::f:\n    {call}\nmine::f:\n    out0 = aten::next(self)\n";
        Assert.Equal("aten::next", Assert.Single(Calls(rows, [schema, "aten::next(Tensor a) -> Tensor"])!).Schema.FullName);
    }

    /// <summary>An operator without arguments, from a stranger's package, has nothing that a result could be like.</summary>
    [Fact]
    public void ResultOfOnesOwn_OfAnOperatorWithoutArguments_HasNoTensor()
    {
        var target = new[] { "aten::g() -> Tensor" }.Select(SchemaParser.Parse).ToDictionary(s => s.FullName);
        var op = new PlannedOperator(new OperatorId(0, 3), SchemaParser.Parse("mine::f() -> Tensor"), [],
            [new PlannedResult([new Slot(0)])]);
        var calls = new Substituter(SubstitutionTable.Read("mine::f:\n    x = aten::g()\n", "rows", null), Builder(), target)
            .TryReplace(op, new HashSet<string>());
        Assert.Empty(Assert.Single(calls!.Value).OutputSlots);
    }

    /// <summary>The rows of a table that a user gives now, those of the package, and those that come along, in this order.</summary>
    [Fact]
    public void Table_ForAPackage_HasItsRowsBeforeThoseThatComeAlong()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "aten::cudnn_convolution_relu:\n    out0 = aten::mine(self)\n");
            var recorded = SubstitutionTable.Read("aten::cudnn_convolution_relu:\n    out0 = aten::recorded(self)\n", "rows", null).Rows;
            var schema = SchemaParser.Parse("aten::cudnn_convolution_relu(Tensor self) -> Tensor");
            string[] Of(SubstitutionTable table) => [.. table.RowsOf(schema).Select(r => r.Statements[0].Operator).Take(3)];
            Assert.Equal(["aten::recorded", "aten::convolution"], Of(SubstitutionTable.BuiltIn.With([.. recorded])));
            Assert.Equal(["aten::mine", "aten::recorded", "aten::convolution"], Of(SubstitutionTable.ReadFile(path).With([.. recorded])));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Row_OfWhatFailed_IsPassedOver()
    {
        const string Row = "mine::f:\n    out0 = aten::g(self)\n";
        Assert.NotNull(Calls(Row, ["aten::g(Tensor a) -> Tensor"]));
        Assert.Null(Calls(Row, ["aten::g(Tensor a) -> Tensor"], null, "aten::g"));
        Assert.Null(Calls(Row + "    out1 = aten::h(self)\n", ["aten::g(Tensor a) -> Tensor"])); // The target has one of the two.
    }

    [Theory]
    [InlineData("mode = 2", true)]
    [InlineData("mode = 3", false)]
    [InlineData("self = 2", false)]
    [InlineData("nobody = 2", false)]
    [InlineData("mode != 2", false)]
    [InlineData("mode >= 2 and mode < 3", true)]
    [InlineData("mode >= 2 and mode < 2", false)]
    [InlineData("self.dtype = float32", true)]
    [InlineData("self.dtype != float32", false)]
    [InlineData("self.dtype != bfloat16 and self.dim = 2", true)]
    [InlineData("self.numel <= 6 and self.numel > 5", true)]
    [InlineData("self.size(-1) = 3", true)]
    [InlineData("self.size(0) = 3", false)]
    [InlineData("self.size(2) > -1", false)] // There is no such dimension: nothing holds of it.
    [InlineData("self.size(-3) > -1", false)]
    [InlineData("others.numel = 6", false)] // Two tensors.
    [InlineData("none.dim != 9", false)]
    [InlineData("mode.dtype != float32", false)]
    public void Row_WithConditions_AppliesWhereAllHold(string guard, bool applies) =>
        Assert.Equal(applies, Calls($"mine::f if {guard}:\n    out0 = aten::g(self)\n", ["aten::g(Tensor a) -> Tensor"]) is not null);

    /// <summary>A result of one's own is a new tensor, of the shape of the argument after "like", and later calls use it.</summary>
    [Fact]
    public void ResultOfOnesOwn_IsANewTensorForLaterCalls()
    {
        const string Rows = "mine::f:\n    x like others = aten::g(others)\n    y = aten::h(self)\n    out1, _ = aten::k(y, x)\n";
        var builder = Builder();
        var calls = Calls(Rows, ["aten::g(Tensor[] a) -> Tensor[]", "aten::h(Tensor a) -> (Tensor, Tensor)",
            "aten::k(Tensor a, Tensor[] b) -> (Tensor, Tensor)"], builder)!;
        Assert.Equal(PlanOf.Slots(5, 6), calls[0].ResultSlots());
        Assert.Equal([6L], builder.Tensors[5].Shape);
        Assert.Equal([2L, 3], builder.Tensors[7].Shape);
        Assert.All(Enumerable.Range(5, 3), s => Assert.False(builder.Tensors[s].IsExternal));
        Assert.Equal(PlanOf.Slots(7, -1), calls[1].ResultSlots()); // The target makes one more.
        Assert.Equal([7, 5, 6], calls[2].InputSlots.Select(s => s.Index));
        Assert.Equal(PlanOf.Slots(4, -1), calls[2].ResultSlots());
    }

    /// <summary>A row may know of more results than the recorded operator has.</summary>
    [Fact]
    public void ResultBeyondTheRecorded_IsDropped() => Assert.Equal(PlanOf.Slots(3, -1, -1),
        Call("out0, out2, out7 = aten::g(self)", "aten::g(Tensor a) -> (Tensor, Tensor, Tensor)").ResultSlots());

    [Fact]
    public void IsWanted_ByRowsThatSayAlways_AndApply()
    {
        static bool IsWanted(string head) => new Substituter(SubstitutionTable.Read(head + ":\n", "rows", null), Builder(),
            new Dictionary<string, OperatorSchema>()).IsWanted(Recorded);
        Assert.True(IsWanted("always mine::f"));
        Assert.False(IsWanted("mine::f"));
        Assert.True(IsWanted("always mine::f if mode = 2"));
        Assert.False(IsWanted("always mine::f if mode = 1"));
    }
}
