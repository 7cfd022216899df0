using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.TorchSharp.Tests;

/// <summary>Operators whose work depends on values do what the trace shows: run under the observer, results and all.</summary>
[Collection("libtorch")]
public class ValueTests
{
    private static TraceText.Value F(long id, params long[] shape) => Tensor(id, id + 1, shape);

    private static TraceText.Value L(long id, params long[] shape) => Tensor(id, id + 1, shape, "long int");

    private static TraceText.Value B(long id, params long[] shape) => Tensor(id, id + 1, shape, "bool");

    private static void AssertExact(TraceText text)
    {
        var package = EngineFixture.Package(text);
        Assert.Equal(package.Plan.SelectedCount, package.Plan.ReplayedCount);
        using var engine = EngineFixture.Start(package);
        for (int i = 0; i < 3; i++)
        {
            engine.Restore(all: i == 0);
            engine.RunIteration();
        }
        Assert.Empty(engine.CheckValues());
        var result = EngineFixture.Verify(package);
        Assert.Empty(result.Differences);
        Assert.True(result.IsExact);
    }

    [Fact]
    public void SizesThatDependOnValues_ComeOutAsRecorded() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::nonzero(Tensor self) -> Tensor", [B(10, 8, 9)], [Tensor(12, 13, [17, 2], "long int", strides: [1, 17])])
        .Operator(4, "aten::gt.Scalar(Tensor self, Scalar other) -> Tensor", [F(14, 20), 0.7], [B(16, 20)])
        .Operator(5, "aten::masked_select(Tensor self, Tensor mask) -> Tensor", [F(14, 20), B(16, 20)], [F(18, 6)])
        .Operator(6, "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", [F(20, 5, 30), List(None, B(22, 30))], [F(24, 5, 11)])
        .Operator(7, "aten::_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor, "
            + "Tensor, Tensor)",
            [L(26, 40), true, false, true], [L(28, 9), L(30, 0), L(32, 9)])
        .Operator(8, "aten::unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) -> "
            + "(Tensor, Tensor, Tensor)",
            [L(34, 40), false, true, None], [L(36, 13), L(38, 0), L(40, 13)])
        .Operator(9, "aten::repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor", [L(42, 7), None], [L(44, 31)])
        .Operator(10, "aten::bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor", [L(46, 100), None, 0], [L(48, 12)])
        .Operator(11, "aten::nonzero(Tensor self) -> Tensor", [F(50, 33)], [L(52, 5, 1)]));

    [Fact]
    public void IndicesThatAreComputed_StayWithinBounds() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", [L(10, 16), L(12, 16)], [L(14, 16)])
        .Operator(4, "aten::add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", [L(14, 16), 1000, 1], [L(16, 16)])
        .Operator(5, "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool "
            + "sparse=False) -> Tensor", [F(18, 50, 4), L(16, 16), -1, false, false], [F(20, 16, 4)])
        .Operator(6, "aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
            [F(22, 4, 6), 1, L(24, 4, 3), false], [F(26, 4, 3)])
        .Operator(7, "aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
            [F(22, 4, 6), 0, L(28, 2, 6), F(30, 2, 6)], [F(32, 4, 6)])
        .Operator(8, "aten::one_hot(Tensor self, int num_classes=-1) -> Tensor", [L(34, 20), -1], [L(36, 20, 7)])
        .Operator(9, "aten::take(Tensor self, Tensor index) -> Tensor", [F(22, 4, 6), L(38, 5)], [F(40, 5)])
        .Operator(10, "aten::index_put_(Tensor(a!) self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor(a!)",
            [F(42, 9, 3), List(L(44, 5)), F(46, 5, 3), true], [F(42, 9, 3)]));

    [Fact]
    public void SequencesAndTargets_Fit() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)",
            [F(10, 4, 10, 3), L(12, 4), true], [F(14, 27, 3), L(16, 10)])
        .Operator(4, "aten::_ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, "
            + "bool zero_infinity=False) -> (Tensor, Tensor)",
            [F(18, 30, 2, 9), L(20, 2, 6), L(22, 2), L(24, 2), 0, false], [F(26, 2), F(28, 2, 30, 13)])
        .Operator(5, "aten::nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index) -> (Tensor "
            + "output, Tensor total_weight)",
            [F(30, 8, 5), L(32, 8), None, 1, 4], [F(34), F(36)])
        .Operator(6, "aten::embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq, int mode, "
            + "bool sparse, Tensor? per_sample_weights, bool include_last_offset, int? padding_idx) -> (Tensor, Tensor, Tensor, Tensor)",
            [F(38, 50, 4), L(40, 21), L(42, 6), false, 0, false, None, true, None], [F(44, 5, 4), L(46, 0), L(48, 6), L(50, 6)]));

    [Fact]
    public void ProbabilitiesAndMatrices_AreWhatTheyMustBe() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::bernoulli(Tensor self, *, Generator? generator=None) -> Tensor", [F(10, 100), None], [F(12, 100)])
        .Operator(4, "aten::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor",
            [F(14, 10), F(16, 10), None, 1], [F(18)])
        .Operator(5, "aten::multinomial(Tensor self, SymInt num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor",
                [F(20, 30), 5, false, None], [L(22, 5)])
        .Operator(6, "aten::linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)",
            [F(24, 2, 8, 8), false, true], [Tensor(26, 27, [2, 8, 8], strides: [64, 1, 8]), Tensor(28, 29, [2], "int")])
        .Operator(7, "aten::logit(Tensor self, float? eps=None) -> Tensor", [F(30, 10), None], [F(32, 10)]));

    public static TheoryData<string> Types =>
    [
        "unsigned char", "signed char", "short int", "int", "long int", "c10::Half", "float", "double", "c10::complex<c10::Half>",
            "c10::complex<float>",
        "c10::complex<double>", "bool", "c10::BFloat16", "c10::Float8_e5m2", "c10::Float8_e4m3fn", "c10::Float8_e5m2fnuz",
            "c10::Float8_e4m3fnuz",
        "short unsigned int", "unsigned int", "long unsigned int",
    ];

    [Theory]
    [MemberData(nameof(Types))]
    public void EachElementType_IsMadeAndReplayed(string type) => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", [Tensor(10, 11, [3, 5], type), None],
            [Tensor(12, 13, [3, 5], type)])
        .Operator(4, "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", [Tensor(12, 13, [3, 5], type), Ints(15)],
            [Tensor(14, 13, [15], type)]));

    [Fact]
    public void ArgumentsOfAllKinds_AreWritten() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::_foreach_add_.ScalarList(Tensor(a!)[] self, Scalar[] scalars) -> ()",
            [List(F(10, 4), F(12, 4)), List(0.5, 2)], [])
        .Operator(4, "aten::upsample_nearest2d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) -> Tensor",
            [F(14, 1, 2, 4, 4), None, List(2.0, 2.0)], [F(16, 1, 2, 8, 8)])
        .Operator(5, "aten::to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
            + "pin_memory=None, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
            [F(18, 2, 3, 4, 4), 7, 0, new("\"cuda:1\"", "[]", "Device", "[]"), true, true, true, 2],
                [Tensor(20, 21, [2, 3, 4, 4], "double", strides: [48, 1, 12, 3])])
        .Operator(6, "aten::rand.generator(SymInt[] size, *, Generator? generator, ScalarType? dtype=None, Layout? layout=None, Device? "
            + "device=None, bool? pin_memory=None) -> Tensor",
            [Ints(3), new("\"<Generator>\"", "[]", "Generator", "[]"), 6, 0, new("\"cpu\"", "[]", "Device", "[]"), false], [F(22, 3)])
        .Operator(7, "aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor",
            [new("\"ij,jk->ik\"", "[]", "String", "[]"), List(F(24, 2, 3), F(26, 3, 4)), None], [F(28, 2, 4)])
        .Operator(8, "aten::histc(Tensor self, SymInt bins=100, Scalar min=0, Scalar max=0) -> Tensor", [F(30, 9), 10, 0, 2.0], [F(32, 10)])
        .Operator(9, "aten::var_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> "
            + "(Tensor, Tensor)", [F(34, 2, 8), Ints(1), 1, false], [F(36, 2), F(38, 2)]));
}
