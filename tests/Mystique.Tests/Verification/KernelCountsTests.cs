using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Reporting.Documents;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>Operators that start another number of kernels than in the original.</summary>
public class KernelCountsTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private static TraceText Three => TraceText.WithRoots()
        .Operator(3, Relu, [On(10)], [On(20)]).Operator(4, Relu, [On(20)], [On(30)]).Operator(5, Relu, [On(30)], [On(40)]);

    private static TraceText.Value On(long id) => Tensor(id, id + 1, [4], device: "cuda:0");

    private static ReplayPlan Plan(params int[] kernels) => PlanOf.Trace(Three) with
    {
        Times = new PlanTimes
        {
            Source = "p.json",
            IterationNs = 100,
            RecordedNs = 100,
            Operators = kernels.Index().ToImmutableSortedDictionary(k => new OperatorId(0, 3 + k.Index), k => new PlannedTime
            {
                StartNs = 10 * k.Index,
                DurationNs = 5,
                Kernels = k.Item,
                DeviceNs = k.Item,
                Stream = null,
            }),
            Unlinked = 0,
            Kernels = [],
            UnexplainedNs = 0,
            DeviceNs = 0,
        },
    };

    private static InstrumentedIteration Watched(params int[] kernels) => new(100,
        [.. kernels.Select((k, i) => new InstrumentedOperator(new OperatorId(0, 3 + i), "aten::relu", 10 * i, 5,
            [.. Enumerable.Repeat(new DeviceWork("k", 0, 1, null, ""), k)]))], null, null);

    private static VerificationResult Verified(ReplayPlan plan, InstrumentedIteration? watched) =>
        KernelCounts.AddTo(ReplayVerifier.Verify(plan, Three.Read(), "cuda"), plan, watched);

    [Fact]
    public void AnotherNumber_IsAnotherImplementation()
    {
        var result = Verified(Plan(1, 2, 0), Watched(1, 1, 1));
        Assert.Equal(
        [
            new OperatorDifference(new OperatorId(0, 4), "aten::relu", DifferenceKind.OtherImplementation,
                "it starts 1 kernels, copies and fillings instead of 2"),
            new OperatorDifference(new OperatorId(0, 5), "aten::relu", DifferenceKind.OtherImplementation,
                "it starts 1 kernels, copies and fillings instead of 0"),
        ], result.Differences);
        Assert.Equal((false, 1, 1, 2), (result.IsExact, result.ExactCount, result.Classes.Exact, result.Classes.OtherImplementation));
        Assert.Equal((3, 1.0), (result.Classes.Selected, result.Classes.WorkShare));
        var document = VerificationDocument.Of(result);
        Assert.Equal(("different", 2), (document.Status, document.Classes!.OtherImplementation));
        Assert.All(document.Differences, d => Assert.Equal("other_implementation", d.Kind));
        Assert.Equal(result.Classes, document.Classes.ToClasses());
    }

    [Fact]
    public void TheSameNumbers_OrAProfileOfOneSideAlone_ChangeNothing()
    {
        Assert.True(Verified(Plan(1, 2, 0), Watched(1, 2, 0)).IsExact);
        Assert.True(Verified(Plan(1, 2, 0), Watched(1, 2)).IsExact); // The last was not found in the profile.
        Assert.True(Verified(Plan(1, 2), Watched(1, 2, 7)).IsExact);
        Assert.True(Verified(Plan(1, 2, 0), Watched(0, 0, 0)).IsExact);
        Assert.True(Verified(Plan(1, 2, 0), null).IsExact);
        Assert.True(Verified(Plan(0, 0, 0), Watched(1, 2, 3)).IsExact);
        Assert.True(Verified(PlanOf.Trace(Three), Watched(1, 2, 3)).IsExact);
    }

    [Fact]
    public void WhatDiffersAlready_IsNotToldAgain_NorWhatIsNotOfTheTrace()
    {
        var plan = Plan(1, 1, 1);
        var known = new OperatorDifference(new OperatorId(0, 3), "aten::relu", DifferenceKind.Variant, "strides");
        var verification = ReplayVerifier.Verify(plan, Three.Read(), "cuda") with { Differences = [known] };
        Assert.Equal([known], KernelCounts.AddTo(verification, plan, Watched(9, 1, 1)).Differences);
        plan = plan with { Operators = plan.Operators.SetItem(1, plan.Operators[1] with { Role = OperatorRole.Substitute }) };
        Assert.True(Verified(plan, Watched(1, 9, 1)).IsExact);
    }
}
