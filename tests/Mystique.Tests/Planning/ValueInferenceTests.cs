using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

public class ValueInferenceTests
{
    private const string Select = "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor";
    private const string Nonzero = "aten::nonzero(Tensor self) -> Tensor";
    private const string Mul = "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor";

    private static TraceText.Value Long(long id, params long[] shape) => Tensor(id, id + 1, shape, "long int");

    private static TraceText.Value Float(long id, params long[] shape) => Tensor(id, id + 1, shape);

    private static Initializer Of(ReplayPlan plan, int op, int argument, int item = 0) =>
        plan[plan[plan.Operators[op].Arguments[argument].Slots[item]!.Value].Storage!.Value].Initializer!;

    private static Initializer Within(long bound, long low = 0) => new(InitializerKind.Uniform, ScalarType.Long, low, bound);

    [Fact]
    public void Plan_Embedding_IndicesLieWithinTheTable()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1) -> Tensor",
            [Float(10, 100, 8), Long(20, 4), -1], [Float(30, 4, 8)]));
        Assert.Equal(Within(100), Of(plan, 0, 1));
        Assert.Equal(InitializerKind.Uniform, Of(plan, 0, 0).Kind);
        Assert.All(plan.Operators.SelectMany(o => o.Arguments), a => Assert.False(a.IsPrepared));
    }

    [Fact]
    public void Plan_IndexSkew_SpreadsIndicesByZipf()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Select, [Float(10, 5, 9), 0, Long(20, 4)], [Float(30, 4, 9)]),
            new PlanningOptions { IndexSkew = 1.1 });
        Assert.Equal(new Initializer(InitializerKind.Zipf, ScalarType.Long, 0, 5, 1.1), Of(plan, 0, 2));
    }

    [Fact]
    public void Plan_TwoUsers_TheTighterBoundHolds()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Select, [Float(10, 5, 9), -1, Long(20, 4)], [Float(30, 5, 4)])
            .Operator(4, Select, [Float(10, 5, 9), 0, Long(20, 4)], [Float(32, 4, 9)]));
        Assert.Equal(Within(5), Of(plan, 0, 2));
    }

    [Fact]
    public void Plan_ThroughViewsAndCopies_ReachesTheExternalTensor()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::to.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)", [Tensor(20, 21, [2, 2], "int"), 4],
                [Long(22, 2, 2)])
            .Operator(4, "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", [Long(22, 2, 2), Ints(4)],
                [Tensor(24, 23, [4], "long int")])
            .Operator(5, "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
                [Float(10, 3, 7), List(None, Tensor(24, 23, [4], "long int"))], [Float(30, 3, 4)]));
        Assert.Equal(new Initializer(InitializerKind.Uniform, ScalarType.Int, 0, 7), Of(plan, 0, 0));
        Assert.False(plan.Operators[2].Arguments[1].IsPrepared);
    }

    [Fact]
    public void Plan_ThroughACastOfFloats_FillsTheFloatsWithIndices()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::_to_copy(Tensor self, *, ScalarType? dtype=None) -> Tensor", [Float(20, 4), 4], [Long(22, 4)])
            .Operator(4, Select, [Float(10, 5, 9), 0, Long(22, 4)], [Float(30, 4, 9)]));
        Assert.Equal(new Initializer(InitializerKind.Uniform, ScalarType.Float, 0, 5), Of(plan, 0, 0));
    }

    [Fact]
    public void Plan_ComputedIndex_IsReplacedByAPreparedOne()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Mul, [Long(20, 4), Long(22, 4)], [Long(24, 4)])
            .Operator(4, Select, [Float(10, 5, 9), 0, Long(24, 4)], [Float(30, 4, 9)])
            .Operator(5, Select, [Float(10, 5, 9), 0, Long(24, 4)], [Float(32, 4, 9)]));
        Assert.True(plan.Operators[1].Arguments[2].IsPrepared);
        Assert.Equal(Within(5), Of(plan, 1, 2));
        Assert.Equal(plan.Operators[1].Arguments[2].Slots, plan.Operators[2].Arguments[2].Slots); // One for both.
        Assert.Equal(3, plan.ReplayedCount);
    }

    [Fact]
    public void Plan_IndexThatTheReplayMakesRight_IsLeftAlone()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", [Float(40, 4, 5), 1, false],
                [Long(24, 4)])
            .Operator(4, Select, [Float(10, 5, 9), 0, Long(24, 4)], [Float(30, 4, 9)])
            .Operator(5, Select, [Float(12, 3, 9), 0, Long(24, 4)], [Float(32, 4, 9)])); // Here 4 would be too much.
        Assert.False(plan.Operators[1].Arguments[2].IsPrepared);
        Assert.True(plan.Operators[2].Arguments[2].IsPrepared);
    }

    [Fact]
    public void Plan_CopyThatWasWrittenTo_IsNoLongerTheOriginal()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::clone(Tensor self) -> Tensor", [Long(20, 4)], [Long(24, 4)])
            .Operator(4, "aten::mul_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)", [Long(24, 4), Long(22, 4)], [Long(24, 4)])
            .Operator(5, Select, [Float(10, 5, 9), 0, Long(24, 4)], [Float(30, 4, 9)]));
        Assert.True(plan.Operators[2].Arguments[2].IsPrepared);
    }

    [Fact]
    public void Plan_EmbeddingBag_OffsetsRiseEvenlyWithinTheIndices()
    {
        const string Bag = "aten::embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool include_last_offset=False) -> "
            + "(Tensor, Tensor)";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Bag, [Float(10, 100, 8), Long(20, 40), Long(22, 4), false], [Float(30, 4, 8), Long(32, 0)])
            .Operator(4, Bag, [Float(10, 100, 8), Long(24, 40), Long(26, 5), true], [Float(34, 4, 8), Long(36, 0)]));
        Assert.Equal(Within(100), Of(plan, 0, 1));
        Assert.Equal(new Initializer(InitializerKind.Ramp, ScalarType.Long, 0, 40), Of(plan, 0, 2));
        Assert.Equal(new Initializer(InitializerKind.Offsets, ScalarType.Long, 0, 40), Of(plan, 1, 2));
    }

    [Fact]
    public void Plan_Targets_LieWithinTheClassesAndAvoidTheIgnored()
    {
        const string Loss = "aten::nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt "
            + "ignore_index=-100) -> Tensor";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Loss, [Float(10, 4, 17), Long(20, 4), None, 1, -100], [Float(30)])
            .Operator(4, Loss, [Float(10, 4, 17), Long(24, 4), None, 1, 0], [Float(32)])
            .Operator(5, Loss, [Float(10, 4, 17), Long(28, 4), None, 1, 16], [Float(34)]));
        Assert.Equal(Within(17), Of(plan, 0, 1));
        Assert.Equal(Within(17, low: 1), Of(plan, 1, 1));
        Assert.Equal(Within(16), Of(plan, 2, 1));
    }

    [Fact]
    public void Plan_Nonzero_MakesTheRecordedSizeComeOut()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Nonzero, [Tensor(20, 21, [3, 4], "bool")], [Long(30, 5, 2)])
            .Operator(4, "aten::gt.Scalar(Tensor self, Scalar other) -> Tensor", [Float(40, 6), 0.5], [Tensor(42, 43, [6], "bool")])
            .Operator(5, Nonzero, [Tensor(42, 43, [6], "bool")], [Long(44, 2, 1)])
            .Operator(6, Nonzero, [Tensor(50, 51, [2], "bool", offset: 2)], [Long(52, 1, 1)])); // A part of its storage.
        Assert.Equal(new Initializer(InitializerKind.Mask, ScalarType.Bool, 0, 5), Of(plan, 0, 0));
        Assert.Equal([false, false, true, true], plan.Operators.Select(o => o.Arguments[0].IsPrepared));
        Assert.Equal(2, Of(plan, 2, 0).High);
        Assert.Equal(1, Of(plan, 3, 0).High);
    }

    [Fact]
    public void Plan_BooleanIndex_SelectsAsManyAsRecorded()
    {
        const string Index = "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor";
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Index, [Float(10, 4, 6), List(Tensor(20, 21, [4], "bool"))], [Float(30, 3, 6)])
            .Operator(4, Index, [Float(10, 4, 6), List(None, Tensor(22, 23, [6], "bool"))], [Float(32, 4, 2)])
            .Operator(5, "aten::masked_select(Tensor self, Tensor mask) -> Tensor", [Float(10, 4, 6), Tensor(24, 25, [4, 6], "bool")],
                [Float(34, 7)]));
        Assert.Equal([3.0, 2, 7], ((int Op, int Item)[])[(0, 0), (1, 1), (2, 0)] is var places
            ? places.Select(p => Of(plan, p.Op, 1, p.Item).High) : []);
        Assert.All(Enumerable.Range(0, 3), i => Assert.Equal(InitializerKind.Mask, Of(plan, i, 1, i == 1 ? 1 : 0).Kind));
    }

    /// <summary>An integer that nobody asks anything of is 0; a divisor is not.</summary>
    [Theory]
    [InlineData("aten::div.Tensor(Tensor self, Tensor other) -> Tensor")]
    [InlineData("aten::div.Tensor_mode(Tensor self, Tensor other) -> Tensor")]
    [InlineData("aten::floor_divide(Tensor self, Tensor other) -> Tensor")]
    [InlineData("aten::remainder.Tensor(Tensor self, Tensor other) -> Tensor")]
    [InlineData("aten::fmod.Tensor(Tensor self, Tensor other) -> Tensor")]
    public void Plan_IntegersThatDivide_AreNotZero(string schema)
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, schema, [Float(10, 5), Long(20)], [Float(30, 5)])
            .Operator(4, schema, [Long(40, 5), Long(50, 5)], [Long(60, 5)]));
        Assert.All([Of(plan, 0, 1), Of(plan, 1, 1)], contents => Assert.Equal(1, contents.Low));
        Assert.True(Of(plan, 1, 0).IsDefaultInteger);
    }

    [Fact]
    public void Plan_SizesThatDependOnValues_ComeOutAsRecorded()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor, "
                + "Tensor, Tensor)",
                [Long(20, 10), true, false, false], [Long(30, 7), Long(32, 0), Long(34, 0)])
            .Operator(4, "aten::repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor", [Long(22, 4), None],
                [Long(36, 11)])
            .Operator(5, "aten::bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor", [Long(24, 4), None, 0],
                [Long(38, 9)])
            .Operator(6, "aten::_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)",
                [Float(40, 3, 5, 2), Long(42, 3), true], [Float(44, 9, 2), Long(46, 5)]));
        Assert.Equal(new Initializer(InitializerKind.CoversRange, ScalarType.Long, 0, 7), Of(plan, 0, 0));
        Assert.Equal(new Initializer(InitializerKind.Partition, ScalarType.Long, 0, 11), Of(plan, 1, 0));
        Assert.Equal(new Initializer(InitializerKind.CoversRange, ScalarType.Long, 0, 9), Of(plan, 2, 0));
        Assert.Equal(new Initializer(InitializerKind.Lengths, ScalarType.Long, 0, 5, 9), Of(plan, 3, 1));
    }

    [Fact]
    public void Plan_NumbersOfPython_AreBenignAndMarked()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Mul, [Float(10, 4), Tensor(12, 13, [], "double")], [Float(20, 4)])
            .Operator(4, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
                [Float(14), Tensor(16, 17, [], "double"), 1], [Float(22)])
            .Operator(5, Mul, [Float(14), Tensor(18, 19, [], "double")], [Tensor(24, 25, [], "double")])); // A tensor: it decided the type.
        Assert.Equal(new Initializer(InitializerKind.Uniform, ScalarType.Double, 0.99, 1.01), Of(plan, 0, 1));
        Assert.Equal(0.001, Of(plan, 1, 1).High);
        Assert.Equal([true, true, false], plan.Operators.Select(o => plan[o.Arguments[1].Slots[0]!.Value].IsWrappedNumber));
    }

    /// <summary>
    /// An integer that multiplies is 1, as what torch.amp.GradScaler multiplies its scale by: by 0, gradients would be divided. What has
    /// other contents, is written to, or is computed, stays.
    /// </summary>
    [Fact]
    public void Plan_IntegersThatMultiply_AreOne()
    {
        static TraceText.Value Number(long id) => Tensor(id, id + 1, [], "long int");
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Mul, [Float(10), Number(12)], [Float(20)])
            .Operator(4, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
                [Float(10), Number(14), 1], [Float(22)])
            .Operator(5, "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)",
                [Number(16), Number(14), 1], [Number(16)])
            .Operator(6, Mul, [Float(10), Number(16)], [Float(24)])
            .Operator(7, "aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)", [Float(10, 4), 0, 1], [Float(26)])
            .Operator(8, Mul, [Float(10), Tensor(18, 19, [4], "long int")], [Float(28, 4)]));
        Assert.Equal(new Initializer(InitializerKind.Constant, ScalarType.Long, 1, 1), Of(plan, 0, 1));
        foreach (int other in new[] { 1, 3, 5 })
            Assert.Equal(0, Of(plan, other, 1).High);
        Assert.DoesNotContain(plan.Operators.SelectMany(o => o.Arguments), a => a.IsPrepared);
    }

    /// <summary>The last iteration's gradients did not overflow: else the scale is halved again and again.</summary>
    [Fact]
    public void Plan_GradientScale_HoldsWhatDidNotOverflow()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, "aten::_amp_update_scale_(Tensor(a!) self, Tensor(b!) growth_tracker, "
            + "Tensor found_inf, float scale_growth_factor, float scale_backoff_factor, int growth_interval) -> Tensor(a!)",
            [Float(10), Tensor(12, 13, [], "int"), Float(14), 2.0, 0.5, 2000], [Float(10)]));
        Assert.Equal(new Initializer(InitializerKind.Constant, ScalarType.Float, 0, 0), Of(plan, 0, 2));
    }

    /// <summary>A scale that is drawn near 0 would make infinities.</summary>
    [Fact]
    public void Plan_ScalesOfEightBitProducts_AreOne()
    {
        TraceText.Value Eight(long id) => Tensor(id, id + 1, [16, 16], "c10::Float8_e4m3fn");
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, "aten::_scaled_mm(Tensor self, Tensor mat2, Tensor scale_a, "
            + "Tensor scale_b, Tensor? bias=None, Tensor? scale_result=None, ScalarType? out_dtype=None, bool use_fast_accum=False) "
            + "-> Tensor",
            [Eight(10), Eight(12), Float(14), Float(16, 1), None, None, 15, false], [Tensor(20, 21, [16, 16], "c10::BFloat16")]));
        Assert.Equal([InitializerKind.Constant, InitializerKind.Constant], new[] { 2, 3 }.Select(i => Of(plan, 0, i).Kind));
        Assert.Equal((1, 1), (Of(plan, 0, 2).Low, Of(plan, 0, 3).Low));
    }

    [Fact]
    public void Plan_RecordedRange_IsTakenOver()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Node(3, 2, "aten::index_select", Select, [Float(10, 50, 9), 0, Long(20, 4)], [Float(30, 4, 9)],
            extraAttributes: ",{\"name\": \"tensor_range\", \"type\": \"string\", \"value\": \"{\\\"2\\\":[3,7]}\"}"));
        Assert.Equal(Within(8, low: 3), Of(plan, 0, 2));
    }

    [Fact]
    public void Plan_UsersRow_TakesThePlaceOfTheOneThatComesAlong()
    {
        var table = ValueTable.Read("aten::index_select  index  constant 2 # always the same row\nmine::op x index size(x, 0) + 1\n",
            "test", ValueTable.BuiltIn);
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Select, [Float(10, 5, 9), 0, Long(20, 4)], [Float(30, 4, 9)])
            .Operator(4, "mine::op(Tensor x) -> Tensor", [Long(22, 4)], [Float(32, 4)]), new PlanningOptions { Values = table });
        Assert.Equal(new Initializer(InitializerKind.Constant, ScalarType.Long, 2, 2), Of(plan, 0, 2));
        Assert.Equal(Within(5), Of(plan, 1, 0));
    }
}
