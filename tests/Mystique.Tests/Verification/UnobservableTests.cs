using Mystique.Tests.Shared;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>What the observer of PyTorch 2 does not survive is not run under it.</summary>
public class UnobservableTests
{
    private static string? WhyNot(string schema, string? version, params TraceText.Value[] more) => Unobservable.WhyNot(PlanOf.Trace(
        TraceText.WithRoots().Operator(3, schema, [Tensor(10, 11, [4, 4]), .. more], [Tensor(20, 21, [4, 4])])), version);

    [Theory]
    [InlineData("aten::to_sparse_csr(Tensor self) -> Tensor")]
    [InlineData("aten::_to_sparse_bsc(Tensor self) -> Tensor")]
    [InlineData("aten::crow_indices(Tensor self) -> Tensor")]
    [InlineData("aten::_sparse_compressed_tensor_unsafe(Tensor self) -> Tensor")]
    [InlineData("aten::_nested_from_padded(Tensor self) -> Tensor")]
    public void TensorsWithoutStrides_AreNotObserved_SincePyTorch2(string schema)
    {
        Assert.Contains(schema.Split('(')[0], WhyNot(schema, "2.6.0+debian"), StringComparison.Ordinal);
        Assert.NotNull(WhyNot(schema, null));
        Assert.Null(WhyNot(schema, "1.13.0a0"));
    }

    [Theory]
    [InlineData(0, false)] // Strided.
    [InlineData(1, false)] // COO, whose strides the observer gets.
    [InlineData(2, true)]
    [InlineData(3, false)] // MKL-DNN.
    [InlineData(6, true)]
    public void ALayout_TellsWhatIsMade(int layout, bool isCompressed) => Assert.Equal(isCompressed,
        WhyNot("aten::to_sparse(Tensor self, *, Layout? layout=None) -> Tensor", "2.6.0", layout) is not null);

    [Theory]
    [InlineData("aten::to_sparse.sparse_dim(Tensor self) -> Tensor")]
    [InlineData("aten::describe(Tensor self) -> Tensor")]
    public void OtherOperators_AreObserved(string schema) => Assert.Null(WhyNot(schema, "2.6.0"));
}
