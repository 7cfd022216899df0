using System.Collections.Immutable;
using CsCheck;
using Mystique.Planning;
using Mystique.Tests.Packaging;
using Mystique.Tests.Shared;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>The shares that headlines, exit codes and reports give: what differs is never in them.</summary>
public class OperatorClassesTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private static ReplayPlan Chain(int length)
    {
        var text = TraceText.WithRoots();
        for (int i = 0; i < length; i++)
            text.Operator(3 + i, Relu, [Tensor(10 * (i + 1), (10 * (i + 1)) + 1, [4])], [Tensor(10 * (i + 2), (10 * (i + 2)) + 1, [4])]);
        return PlanOf.Trace(text);
    }

    private static PlanTimes Times(params (long Node, long Ns, long DeviceNs)[] times) => new()
    {
        Source = "profile",
        IterationNs = 1000,
        RecordedNs = 1000,
        Operators = times.ToImmutableSortedDictionary(t => new OperatorId(0, t.Node), t => new PlannedTime
        {
            StartNs = t.Node,
            DurationNs = t.Ns,
            Kernels = t.DeviceNs > 0 ? 1 : 0,
            DeviceNs = t.DeviceNs,
            Stream = null,
        }),
        Unlinked = 0,
        Kernels = [],
        UnexplainedNs = 0,
        DeviceNs = 0,
    };

    /// <summary>Whatever ran in whatever order: a difference costs coverage, and nothing else does.</summary>
    [Fact]
    public void AnyRun_WithADifference_IsNotCoveredWhole() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[0, 3].Array[0, 9], Gen.Int[0, 2].Array[6], (length, ran, roles) => (length, ran, roles))
        .Sample(s =>
        {
            var plan = Chain(s.length);
            plan = plan with
            {
                Operators = [.. plan.Operators.Select((o, i) => o with { Role = (OperatorRole)s.roles[i] })],
                Replaced = [.. plan.Operators.Where((_, i) => s.roles[i] == (int)OperatorRole.Substitute)
                    .Select(o => new ReplacedOperator(o.Id, "aten::x", Remedy.Substitute, "aten::relu", "why"))],
            };
            var text = TraceText.WithRoots();
            foreach (var (i, kind) in s.ran.Index())
            {
                string type = kind == 1 ? "double" : "float";
                string schema = kind == 2 ? "aten::tanh(Tensor self) -> Tensor" : Relu;
                text.Operator(3 + i, schema, [Tensor(10, 11, [kind == 3 ? 5 : 4], type)], [Tensor(20, 21, [kind == 3 ? 5 : 4], type)]);
            }
            var result = ReplayVerifier.Verify(plan, text.Read());
            var classes = result.Classes;
            Assert.Equal(plan.SelectedCount, classes.Selected);
            Assert.All((int[])[classes.Exact, classes.Substituted, classes.Unplanned, classes.Missing], c => Assert.True(c >= 0));
            if (!result.Differences.IsEmpty)
                Assert.True(classes.WorkShare < 1, $"{classes}");
            Assert.True(classes.RecordedShare <= classes.WorkShare);
            Assert.Equal(result.Differences.IsEmpty && plan.Replaced.IsEmpty && classes.Selected > 0, classes.RecordedShare == 1);
        }, iter: MutationTesting.Draws(2000), threads: 2);

    [Fact]
    public void AnyTrace_ThatRanAsPlanned_IsCoveredButForWhatIsReplaced() => RandomTrace.Gen_.Sample(text =>
    {
        var plan = PlanOf.Trace(text);
        var classes = OperatorClasses.Of(plan, []);
        Assert.Equal((plan.ReplayedCount, 0), (classes.Exact, classes.Unplanned));
        Assert.Equal(plan.SelectedCount, classes.Selected);
    }, iter: MutationTesting.Draws(100), threads: 2);

    [Fact]
    public void TimeShare_IsOfTheDeviceWhereItHasWork()
    {
        var plan = Chain(2);
        OperatorDifference[] second = [new(new OperatorId(0, 4), "aten::relu", DifferenceKind.Different, "why")];
        Assert.Null(OperatorClasses.Of(plan, second).RecordedTimeShare);
        Assert.Equal(0.25, OperatorClasses.Of(plan with { Times = Times((3, 100, 0), (4, 300, 0)) }, second).RecordedTimeShare);
        Assert.Equal(0.9, OperatorClasses.Of(plan with { Times = Times((3, 100, 900), (4, 300, 100)) }, second).RecordedTimeShare);
        Assert.Null(OperatorClasses.Of(plan with { Times = Times() }, second).RecordedTimeShare);
    }
}
