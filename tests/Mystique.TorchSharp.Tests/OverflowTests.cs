using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.TorchSharp.Tests;

/// <summary>
/// Gradients that overflow with the replay's values: <c>torch.amp.GradScaler</c> has the optimizer leave its step out, which the original
/// did not.
/// </summary>
[Collection("libtorch")]
public class OverflowTests
{
    private const string Unscale = "aten::_amp_foreach_non_finite_check_and_unscale_(Tensor(a!)[] self, Tensor(b!) found_inf, "
        + "Tensor inv_scale) -> ()";

    [Theory]
    [InlineData(1e30, true)]
    [InlineData(2.0, false)]
    public void CheckValues_NamesTheOperatorThatFoundThem(double factor, bool overflows)
    {
        var package = EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, "aten::exp(Tensor self) -> Tensor", [Tensor(10, 11, [8])], [Tensor(20, 21, [8])])
            .Operator(4, "aten::mul.Scalar(Tensor self, Scalar other) -> Tensor", [Tensor(20, 21, [8]), factor], [Tensor(22, 23, [8])])
            .Operator(5, "aten::mul.Scalar(Tensor self, Scalar other) -> Tensor", [Tensor(22, 23, [8]), factor], [Tensor(24, 25, [8])])
            .Operator(6, "aten::zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
                + "bool? pin_memory=None) -> Tensor", [Ints(1), 6, None, None, None], [Tensor(30, 31, [1])])
            .Operator(7, Unscale, [List(Tensor(24, 25, [8])), Tensor(30, 31, [1]), Tensor(40, 41, [1])], [])
            .Operator(8, "aten::neg(Tensor self) -> Tensor", [Tensor(30, 31, [1])], [Tensor(50, 51, [1])])); // As an optimizer reads it.
        using var engine = EngineFixture.Start(package);
        engine.Restore(all: true);
        var found = engine.CheckValues().Where(f => f.Reason.Contains("found_inf", StringComparison.Ordinal)).Select(f => f.Operator);
        Assert.Equal(overflows ? [4] : [], found);
    }
}
