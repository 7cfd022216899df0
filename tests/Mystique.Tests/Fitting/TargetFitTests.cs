using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Fitting;

/// <summary>What a target cannot run is substituted, else decomposed, else gets a stand-in; what it can run is left alone.</summary>
public class TargetFitTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Sigmoid = "aten::sigmoid(Tensor self) -> Tensor";
    private const string Silu = "aten::silu(Tensor self) -> Tensor";
    private const string Mul = "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor";

    private static TraceText.Value[] At(long id) => [Tensor(id, id + 1, [4])];

    /// <summary>silu, which calls sigmoid and mul, and relu of its result.</summary>
    private static TraceText Trace => TraceText.WithRoots()
        .Operator(3, Silu, At(10), At(20))
        .Operator(4, Sigmoid, At(10), At(30), parent: 3)
        .Operator(5, Mul, [.. At(10), .. At(30)], At(20), parent: 3)
        .Operator(6, Relu, At(20), At(40));

    private static TargetFit Fit(TraceText text, string rows = "", bool hasSegment = true)
    {
        var segment = SegmentSelector.Select(Recording.Of(text.Read()));
        var options = new PlanningOptions { Substitutions = SubstitutionTable.Read(rows, "rows", null) };
        return new TargetFit(PortableFit.Of(ReplayPlanner.Plan(segment, options), segment, options), hasSegment ? segment : null, options,
            () => "the target");
    }

    private static Dictionary<string, string> Has(params string[] schemas) => schemas.ToDictionary(s => s[..s.IndexOf('(')]);

    private static string[] NamesOf(ReplayPlan plan) => [.. plan.Operators.Select(o => o.Schema.FullName)];

    [Fact]
    public void Fit_TargetHasAll_LeavesThePlanAlone()
    {
        var fit = Fit(Trace);
        var before = fit.Plan;
        fit.Fit(Has(Silu, Relu));
        Assert.Equal(before.Operators, fit.Plan.Operators);
        Assert.Empty(fit.Changes);
        Assert.Empty(fit.Plan.Replaced);
    }

    /// <summary>What the plan added is the tool's own: no target has to have it by that name.</summary>
    [Fact]
    public void Fit_OperatorsThatThePlanAdded_AreLeftAlone()
    {
        var fit = Fit(TraceText.WithRoots().Operator(3, Relu, At(10), At(20))
            .Operator(4, Relu, [Tensor(25, 21, [2], offset: 2)], [Tensor(30, 31, [2])]));
        fit.Fit(Has(Relu));
        Assert.Equal(["aten::relu", "aten::as_strided", "aten::relu"], NamesOf(fit.Plan));
        Assert.Empty(fit.Changes);
    }

    /// <summary>The target is asked for each name once, for what rows of the table call too.</summary>
    [Fact]
    public void FitSchemas_AsksForEachNameOnce()
    {
        var fit = Fit(Trace, "aten::silu:\n    out0 = aten::tanh(self)\n");
        Assert.Equal(["aten::silu", "aten::relu", "aten::tanh"], fit.FitSchemas());
        fit.NoteSchemas(["aten::silu", "aten::relu"], Has(Silu, Relu));
        Assert.Equal(["aten::tanh"], fit.FitSchemas());
        fit.NoteSchemas(["aten::tanh"], Has());
        Assert.Empty(fit.FitSchemas());
        Assert.Equal(["aten::silu", "aten::relu"], NamesOf(fit.Plan));
    }

    [Fact]
    public void Fit_OperatorThatTheTargetLacks_IsDecomposed()
    {
        var fit = Fit(Trace);
        fit.Fit(Has(Relu, Sigmoid, Mul));
        Assert.Equal(["aten::sigmoid", "aten::mul.Tensor", "aten::relu"], NamesOf(fit.Plan));
        Assert.Equal([new FitChange("aten::silu", "decompose", "aten::sigmoid, aten::mul.Tensor",
            "the target does not have this operator")], fit.Changes);
        Assert.Empty(fit.Plan.Replaced);
        Assert.Equal((3, 3), (fit.Plan.ReplayedCount, fit.Plan.SelectedCount));
    }

    [Theory]
    [InlineData(true)] // The target lacks one of the children.
    [InlineData(false)] // The recording is not at hand.
    public void Fit_WhatCannotBeDecomposed_GetsAStandIn(bool hasSegment)
    {
        var fit = Fit(Trace, hasSegment: hasSegment);
        fit.Fit(hasSegment ? Has(Relu, Sigmoid) : Has(Relu, Sigmoid, Mul));
        Assert.Equal(["aten::relu"], NamesOf(fit.Plan));
        Assert.True(fit.Plan[fit.Plan.Operators[0].InputSlots.Single()].IsExternal);
        Assert.Equal([new FitChange("aten::silu", "stand_in", "", "the target does not have this operator")], fit.Changes);
        Assert.Equal(Remedy.StandIn, Assert.Single(fit.Plan.Replaced).Remedy);
    }

    /// <summary>Somebody wrote the row for exactly that: it comes before the children.</summary>
    [Fact]
    public void Fit_RowOfTheTable_ComesBeforeTheChildren()
    {
        var fit = Fit(Trace, "aten::silu:\n    out0 = aten::tanh(self)\n");
        fit.Fit(Has(Relu, Sigmoid, Mul, "aten::tanh(Tensor self) -> Tensor"));
        Assert.Equal(["aten::tanh", "aten::relu"], NamesOf(fit.Plan));
        Assert.Equal(OperatorRole.Substitute, fit.Plan.Operators[0].Role);
        Assert.Equal([new FitChange("aten::silu", "substitute", "aten::tanh", "the target does not have this operator")], fit.Changes);
    }

    [Fact]
    public void Fit_RowThatIsAlwaysWanted_AppliesWhereTheTargetHasTheOperator()
    {
        const string Rows = "{0}aten::silu:\n    out0 = aten::tanh(self)\n";
        var has = Has(Relu, Silu, "aten::tanh(Tensor self) -> Tensor");
        var fit = Fit(Trace, Rows.Replace("{0}", "always ", StringComparison.Ordinal));
        fit.Fit(has);
        Assert.Equal(["aten::tanh", "aten::relu"], NamesOf(fit.Plan));
        Assert.Equal("the table of substitutions wants it", Assert.Single(fit.Changes).Reason);
        var other = Fit(Trace, Rows.Replace("{0}", "", StringComparison.Ordinal));
        other.Fit(has);
        Assert.Equal(["aten::silu", "aten::relu"], NamesOf(other.Plan));
    }

    /// <summary>A row that is wanted but that the target cannot run leaves the operator that it can.</summary>
    [Fact]
    public void Fit_WantedRowThatTheTargetLacks_LeavesTheOperator()
    {
        var fit = Fit(Trace, "always aten::silu:\n    out0 = aten::tanh(self)\n");
        fit.Fit(Has(Relu, Silu));
        Assert.Equal(["aten::silu", "aten::relu"], NamesOf(fit.Plan));
        Assert.Empty(fit.Changes);
    }

    [Fact]
    public void Fit_OtherArguments_AreAdapted()
    {
        var fit = Fit(Trace);
        fit.Fit(Has(Silu, "aten::relu(Tensor self, int n=3) -> Tensor"));
        Assert.Equal(2, fit.Plan.Operators[1].Arguments.Length);
        Assert.Equal(OperatorRole.Recorded, fit.Plan.Operators[1].Role);
        Assert.Equal([new FitChange("aten::relu", "adapt", "", "the target has it with other arguments")], fit.Changes);
        var refused = Fit(Trace);
        refused.Fit(Has(Silu, "aten::relu(Tensor self, int n) -> Tensor"));
        Assert.Equal("the target has it with other arguments: it takes 'n' there, which the trace does not have",
            Assert.Single(refused.Plan.Replaced).Reason);
    }

    [Fact]
    public void NoteSchemas_ThatCannotBeRead_CountAsMissing()
    {
        var fit = Fit(Trace, hasSegment: false);
        fit.Fit(new Dictionary<string, string> { ["aten::silu"] = "aten::silu(", ["aten::relu"] = Relu });
        Assert.Equal(["aten::relu"], NamesOf(fit.Plan));
    }

    /// <summary>What failed on the target is decomposed if it can be; its children are not, when one of them fails too.</summary>
    [Fact]
    public void Note_OperatorThatFails_IsReplacedWithTheReason()
    {
        var has = Has(Silu, Relu, Sigmoid, Mul);
        var fit = Fit(Trace);
        fit.Fit(has);
        fit.Note([new OperatorFailure(0, "it ran out of luck")]);
        fit.Fit(has);
        Assert.Equal(["aten::sigmoid", "aten::mul.Tensor", "aten::relu"], NamesOf(fit.Plan));
        fit.Note([new OperatorFailure(1, "it failed too")]);
        fit.Fit(has);
        Assert.Equal(["aten::sigmoid", "aten::relu"], NamesOf(fit.Plan));
        Assert.Equal([("decompose", "it ran out of luck"), ("stand_in", "it failed too")], fit.Changes.Select(c => (c.Change, c.Reason)));
        Assert.Equal("it failed too", Assert.Single(fit.Plan.Replaced).Reason);
    }

    /// <summary>A substitute that fails gives way to the next row, and to a stand-in at last.</summary>
    [Fact]
    public void Note_SubstituteThatFails_IsFollowedByTheNextRow()
    {
        var has = Has(Relu, "aten::tanh(Tensor self) -> Tensor", "aten::sin(Tensor self) -> Tensor");
        var fit = Fit(Trace, "aten::silu:\n    out0 = aten::tanh(self)\naten::silu:\n    out0 = aten::sin(self)\n", hasSegment: false);
        fit.Fit(has);
        Assert.Equal(["aten::tanh", "aten::relu"], NamesOf(fit.Plan));
        fit.Note([new OperatorFailure(0, "no tanh")]);
        fit.Fit(has);
        Assert.Equal(["aten::sin", "aten::relu"], NamesOf(fit.Plan));
        fit.Note([new OperatorFailure(0, "no sin")]);
        fit.Fit(has);
        Assert.Equal(["aten::relu"], NamesOf(fit.Plan));
        Assert.Equal(("stand_in", "no sin"), fit.Changes.Select(c => (c.Change, c.Reason)).Single());
    }

    /// <summary>Rows that need nothing on the target say so; changes are in the order of the plan.</summary>
    [Fact]
    public void Changes_AreInTheOrderOfThePlan_WithNothingWhereNothingIsNeeded()
    {
        var fit = Fit(Trace, "aten::silu:\n", hasSegment: false);
        fit.Fit(Has("aten::relu(Tensor self, int n=3) -> Tensor"));
        Assert.Equal([("aten::silu", "substitute", "nothing"), ("aten::relu", "adapt", "")],
            fit.Changes.Select(c => (c.Operator, c.Change, c.By)));
        var two = Fit(Trace, "aten::silu:\n    out0 = aten::tanh(self)\n    _ = aten::sin(out0)\n");
        two.Fit(Has(Relu, "aten::tanh(Tensor self) -> Tensor", "aten::sin(Tensor self) -> Tensor"));
        Assert.Equal("aten::tanh, aten::sin", Assert.Single(two.Changes).By);
    }

    /// <summary>An adapted call may be one that is not allowed: the target's argument is a text that nobody looked at.</summary>
    [Fact]
    public void Fit_AdaptedCallThatIsNotAllowed_GetsAStandIn()
    {
        var fit = Fit(Trace);
        fit.Fit(Has(Silu, "aten::relu(Tensor self, str filename=\"x\") -> Tensor"));
        Assert.Equal(["aten::silu"], NamesOf(fit.Plan));
        Assert.Equal(("aten::relu", "stand_in"), fit.Changes.Select(c => (c.Operator, c.Change)).Single());
    }

    /// <summary>Children that a program cannot call do not take their parent's place.</summary>
    [Fact]
    public void Fit_ChildThatNoProgramCanCall_IsNoChildToTake()
    {
        const string Odd = "aten::odd(Tensor self, Unknown u) -> Tensor";
        var fit = Fit(TraceText.WithRoots()
            .Operator(3, Silu, At(10), At(20))
            .Operator(4, Sigmoid, At(10), At(30), parent: 3)
            .Operator(5, Odd, [.. At(30), new("\"<U>\"", "[]", "U", "[]")], At(20), parent: 3)
            .Operator(6, Relu, At(20), At(40)));
        fit.Fit(Has(Relu, Sigmoid, Odd));
        Assert.Equal(["aten::relu"], NamesOf(fit.Plan));
        Assert.Equal("stand_in", Assert.Single(fit.Changes).Change);
    }
}
