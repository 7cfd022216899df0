using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>What counts as the same, what as a variant, and what becomes of the shares.</summary>
public class VerifiedShareTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Tanh = "aten::tanh(Tensor self) -> Tensor";
    private const string Sin = "aten::sin(Tensor self) -> Tensor";
    private const string Add = "aten::add.Tensor(Tensor self, Tensor other) -> Tensor";
    private const string AddScalar = "aten::add.Scalar(Tensor self, Scalar other) -> Tensor";

    private static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1, shape);

    private static TraceText Start => TraceText.WithRoots();

    private static VerificationResult Verify(TraceText planned, TraceText observed) =>
        ReplayVerifier.Verify(PlanOf.Trace(planned), observed.Read());

    private static TraceText One(TraceText.Value input, TraceText.Value output) => Start.Operator(3, Relu, [input], [output]);

    [Fact]
    public void OtherOverload_IsAVariant()
    {
        var result = Verify(Start.Operator(3, Add, [T(10, 4), T(12, 4)], [T(20, 4)]), Start.Operator(3, AddScalar, [T(10, 4), 1],
            [T(20, 4)]));
        Assert.Equal([new OperatorDifference(new OperatorId(0, 3), "aten::add.Tensor", DifferenceKind.Variant,
            "aten::add.Scalar ran instead")], result.Differences);
        Assert.Equal((1, 0, 0), (result.Classes.Variant, result.Classes.Unplanned, result.Classes.Missing));
    }

    [Theory]
    [InlineData(63, true)]
    [InlineData(64, false)]
    public void OperatorOutOfPlace_IsFoundWithin64(int before, bool isFound)
    {
        var observed = Start;
        for (int i = 0; i < before; i++)
            observed.Operator(3 + i, Sin, [T(10, 4)], [T(20, 4)]);
        observed.Operator(100, Relu, [T(10, 4)], [T(20, 4)]);
        var result = Verify(One(T(10, 4), T(20, 4)), observed);
        Assert.Equal(isFound ? 1 : 0, result.ExactCount);
        Assert.Equal(isFound ? before : before, result.Classes.Unplanned);
        Assert.Equal(isFound ? 0 : 1, result.Classes.Missing);
    }

    [Fact]
    public void OtherNumbersOfTensors_AreDifferent()
    {
        const string Cat = "aten::cat(Tensor[] tensors, int dim=0) -> Tensor";
        const string Two = "aten::var_mean(Tensor self, bool unbiased) -> (Tensor, Tensor)";
        Assert.Equal("it has 1 input tensors instead of 2", Assert.Single(Verify(
            Start.Operator(3, Cat, [List(T(10, 4), T(12, 4)), 0], [T(20, 8)]),
            Start.Operator(3, Cat, [List(T(10, 8)), 0], [T(20, 8)])).Differences).What);
        var result = Verify(Start.Operator(3, Two, [T(10, 4), true], [T(20), T(22)]),
            Start.Operator(3, Two, [T(10, 4), true], [T(20), Undefined]));
        Assert.Equal("it has 1 output tensors instead of 2", Assert.Single(result.Differences).What);
        Assert.Equal((0, 1), (result.ExactCount, result.Classes.Different));
    }

    [Fact]
    public void OutputThatDiffers_IsNamedByItsPlace()
    {
        const string Two = "aten::var_mean(Tensor self, bool unbiased) -> (Tensor, Tensor)";
        Assert.Equal("its output 1 has the shape [2] instead of [3]", Assert.Single(Verify(
            Start.Operator(3, Two, [T(10, 4), true], [T(20, 2), T(22, 3)]),
            Start.Operator(3, Two, [T(10, 4), true], [T(20, 2), T(22, 2)])).Differences).What);
    }

    /// <summary>An undefined tensor may be recorded as None.</summary>
    [Fact]
    public void UndefinedTensors_DoNotCount()
    {
        const string Linear = "aten::f(Tensor self, Tensor? bias) -> Tensor";
        Assert.True(Verify(Start.Operator(3, Linear, [T(10, 4), Undefined], [T(20, 4)]),
            Start.Operator(3, Linear, [T(10, 4), None], [T(20, 4)])).IsExact);
    }

    [Theory]
    [InlineData(new long[] { 1, 4 }, new long[] { 4, 1 }, new long[] { 9, 1 }, true)] // One element: its stride leads nowhere.
    [InlineData(new long[] { 0, 4 }, new long[] { 4, 1 }, new long[] { 4, 3 }, true)] // No element at all.
    [InlineData(new long[] { 2, 4 }, new long[] { 4, 1 }, new long[] { 9, 1 }, false)]
    [InlineData(new long[] { 2, 4 }, new long[] { 4, 1 }, new long[] { 4, 2 }, false)]
    public void Strides_CountWhereThereAreSeveralElements(long[] shape, long[] planned, long[] ran, bool isExact)
    {
        var result = Verify(One(Tensor(10, 11, shape, strides: planned), T(20, 4)), One(Tensor(10, 11, shape, strides: ran), T(20, 4)));
        Assert.Equal(isExact, result.IsExact);
        Assert.Equal(isExact ? 0 : 1, result.Classes.Variant);
    }

    /// <summary>A substitute works on tensors of its own: its name alone is compared.</summary>
    [Fact]
    public void Substitute_IsComparedByItsName()
    {
        var plan = PlanOf.Trace(One(T(10, 4), T(20, 4)));
        var observed = One(T(10, 5), T(20, 5)).Read();
        var substituted = plan with
        {
            Operators = [plan.Operators[0] with { Role = OperatorRole.Substitute }],
            Replaced = [new ReplacedOperator(plan.Operators[0].Id, "aten::x", Remedy.Substitute, "aten::relu", "why")],
        };
        Assert.False(ReplayVerifier.Verify(plan, observed).IsExact);
        var result = ReplayVerifier.Verify(substituted, observed);
        Assert.True(result.IsExact);
        Assert.Equal((0, 1, 0.0, 1.0), (result.Classes.Exact, result.Classes.Substituted, result.Classes.RecordedShare,
            result.Classes.WorkShare));
        var lost = ReplayVerifier.Verify(substituted, Start.Operator(3, Sin, [T(10, 4)], [T(20, 4)]).Read());
        Assert.Equal((0, 1, 0.0), (lost.Classes.Substituted, lost.Classes.Missing, lost.Classes.WorkShare));
    }

    /// <summary>The observer does not see a compiled kernel: nothing is expected of it.</summary>
    [Fact]
    public void Kernels_AreNotExpected()
    {
        var plan = PlanOf.Trace(Start.Operator(3, Tanh, [T(10, 4)], [T(20, 4)]).Operator(4, Relu, [T(20, 4)], [T(30, 4)]));
        plan = plan with { Operators = plan.Operators.SetItem(0, plan.Operators[0] with { KernelFile = "k.py" }) };
        var result = ReplayVerifier.Verify(plan, One(T(10, 4), T(20, 4)).Read());
        Assert.True(result.IsExact);
        Assert.Equal((1, 1, 1), (result.ExpectedCount, result.ExactCount, result.UnobservedKernels));
    }

    /// <summary>What ran more than was planned is in no class of the plan's, and lowers the coverage all the same.</summary>
    [Fact]
    public void WorkThatWasNotPlanned_LowersTheCoverage()
    {
        var result = Verify(One(T(10, 4), T(20, 4)), One(T(10, 4), T(20, 4)).Operator(4, Sin, [T(20, 4)], [T(30, 4)])
            .Node(5, 2, "record_param_comms"));
        Assert.Equal(["aten::sin", "record_param_comms"], result.Differences.Select(d => d.Operator));
        Assert.Equal((1, 1, 2, 1), (result.ExactCount, result.ExpectedCount, result.Classes.Unplanned, result.Classes.Selected));
        Assert.False(result.IsExact);
        Assert.Equal(1.0 / 3, result.Classes.RecordedShare, 9);
    }

    /// <summary>Each operator is in the class of the worst that is said of it.</summary>
    [Fact]
    public void Classes_CountEachOperatorOnce()
    {
        var text = Start;
        for (int i = 0; i < 6; i++)
            text.Operator(3 + i, Relu, [T(10, 4)], [T(20 + 2 * i, 4)]);
        var plan = PlanOf.Trace(text);
        plan = plan with
        {
            Replaced = [new(new(0, 90), "a", Remedy.StandIn, "", "r"), new(new(0, 91), "a", Remedy.Missing, "", "r"),
                new(new(0, 92), "a", Remedy.Substitute, "b", "r"), new(new(0, 93), "a", Remedy.Substitute, "b", "r")],
        };
        static OperatorDifference Of(long node, DifferenceKind kind) => new(new OperatorId(0, node), "x", kind, "");
        var classes = OperatorClasses.Of(plan, [Of(3, DifferenceKind.Variant), Of(4, DifferenceKind.Different),
            Of(4, DifferenceKind.Variant), Of(5, DifferenceKind.Missing), Of(92, DifferenceKind.Different),
            Of(70, DifferenceKind.Different), new OperatorDifference(null, "y", DifferenceKind.Unplanned, "")]);
        Assert.Equal((3, 1, 1), (classes.Exact, classes.Variant, classes.Different));
        Assert.Equal((1, 1, 3, 2), (classes.Substituted, classes.StandIn, classes.Missing, classes.Unplanned));
        Assert.Equal(10, classes.Selected);
        Assert.Equal((3.0 / 12, 4.0 / 12), (classes.RecordedShare, classes.WorkShare));
        Assert.Equal(0, OperatorClasses.Of(plan with { Operators = [], Replaced = [] }, []).RecordedShare);
    }

    /// <summary>What is not compared is said.</summary>
    [Theory]
    [InlineData("1.1.1-chakra.0.0.4", "1.1.1-chakra.0.0.4", true)]
    [InlineData("1.1.0-chakra.0.0.4", "1.1.1-chakra.0.0.4", false)]
    [InlineData("1.1.1-chakra.0.0.4", "1.1.0-chakra.0.0.4", false)]
    public void StridesCompared_NeedsThemOnBothSides(string planned, string ran, bool areCompared)
    {
        static TraceText Text(string schema) => TraceText.WithRoots(schema).Operator(3, Relu, [T(10, 4)], [T(20, 4)]);
        Assert.Equal(areCompared, Verify(Text(planned), Text(ran)).StridesCompared);
    }
}
