using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Verification;
using static Mystique.Tests.Shared.StepText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>What a replay at the framework's level ran, backward passes included.</summary>
public class BackwardVerificationTests
{
    private static TraceText Recorded() => Step().Operator(60, Add, [T(11, 3, 5), T(22, 3, 5), 1], [T(11, 3, 5)]);

    private static VerificationResult Verify(TraceText observed) => ReplayVerifier.Verify(
        ReplayPlanner.Plan(FrameworkSelector.Select(SegmentSelector.Select(Recording.Of(Recorded().Read()))).Segment), observed.Read());

    [Fact]
    public void Verify_TheSamePass_IsExact()
    {
        var result = Verify(Recorded());
        Assert.True(result.IsExact);
        Assert.Equal((6, 6, 6, 0), (result.ExpectedCount, result.ExactCount, result.Classes.Exact, result.Classes.TargetsOwn));
        Assert.Equal((2, 2, 2), (result.Backward!.RecordedCount, result.Backward.RanCount, result.Backward.ExactCount));
    }

    /// <summary>Another platform's autograd does the same work by operators of its own: no difference of what was called.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)] // Without the gradient, the work was not done.
    public void Verify_AnotherPass_IsTheTargetsOwn_IfItGivesTheGradients(bool accumulates)
    {
        var text = TraceText.WithRoots();
        text.Node(3, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)], sequence: 7);
        text.Node(4, 2, "aten::mean", Mean, [T(12, 4, 5), None], [T(13)], sequence: 8);
        text.Operator(5, Ones, [T(13)], [T(20)]);
        long id = 6;
        Function(text, ref id, "FusedBackward0", 8, T(20), ("aten::fused_backward(Tensor self) -> Tensor", [T(20)], [T(22, 3, 5)]),
            ("aten::fused_backward(Tensor self) -> Tensor", [T(20)], [T(22, 3, 5)]));
        if (accumulates)
            Accumulate(text, ref id, T(22, 3, 5));
        text.Operator(60, Add, [T(11, 3, 5), T(22, 3, 5), 1], [T(11, 3, 5)]);
        var result = Verify(text);
        Assert.False(result.IsExact);
        int own = accumulates ? 2 : 0;
        Assert.Equal((4, own, 2 - own, 0),
            (result.Classes.Exact, result.Classes.TargetsOwn, result.Classes.Missing, result.Classes.Unplanned));
        Assert.Equal([accumulates ? DifferenceKind.TargetsOwn : DifferenceKind.Missing], result.Differences.Select(d => d.Kind).Distinct());
        Assert.Equal([("aten::expand", 1), ("aten::mm", 1)], result.Backward!.OnlyRecorded);
        Assert.Equal([("aten::fused_backward", 2)], result.Backward.OnlyRan);
        Assert.Equal((accumulates ? 1 : 4.0 / 6, 4.0 / 6), (result.Classes.WorkShare, result.Classes.RecordedShare));
    }

    /// <summary>More than was recorded is no exact pass, though all that was recorded ran.</summary>
    [Fact]
    public void Verify_APassThatRanMore_IsNotExact()
    {
        var text = Step();
        long id = 40;
        Function(text, ref id, "ReluBackward0", 6, T(22, 3, 5), (Relu, [T(22, 3, 5)], [T(23, 3, 5)]));
        text.Operator(60, Add, [T(11, 3, 5), T(22, 3, 5), 1], [T(11, 3, 5)]);
        var result = Verify(text);
        Assert.False(result.IsExact);
        Assert.Empty(result.Differences);
        Assert.Equal((2, 3, 2), (result.Backward!.RecordedCount, result.Backward.RanCount, result.Backward.ExactCount));
        Assert.Equal((1, 6.0 / 7), (result.Classes.TargetsMore, result.Classes.RecordedShare));
    }

    /// <summary>An operator that a pass ran is none that was called: it cannot stand for one that is missing.</summary>
    [Fact]
    public void Verify_AMissingCall_IsMissing_ThoughThePassRanOneOfItsName()
    {
        var text = TraceText.WithRoots();
        long id = 3;
        Function(text, ref id, "MmBackward0", 7, T(21, 4, 5), (Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12, 4, 5)]));
        var missing = Verify(text).Differences.Where(d => d.Kind == DifferenceKind.Missing).Select(d => d.Operator);
        Assert.Contains("aten::mm", missing);
    }
}
