using System.Collections.Immutable;
using System.Text;
using CsCheck;
using Mystique.Recordings.Serving;
using Mystique.Traces.Kineto;

namespace Mystique.Tests.Recordings.Serving;

public sealed class CustomOperatorsTests
{
    private const string Half = "c10::BFloat16";

    private static readonly StepLabel Decode = new("execute", new StepPart(0, 0, 0, 0), new StepPart(4, 4, 400, 400));

    private static ImmutableArray<RecordedInput> Inputs(params CallArgument[] arguments) =>
        new StandInCall("x", arguments).Details().Inputs!.Inputs;

    private static CallArgument Of(params long[] shape) => CallArgument.Tensor(Half, shape);

    private static string Calls(string name, StepLabel? label, CallArgument[] arguments, params CallArgument[] within)
    {
        var calls = new CustomOperators(label, 8).CallsOf(name, Inputs(arguments), [Inputs(within)], out string why);
        if (calls is null)
            return why;
        var text = new StringBuilder();
        foreach (var call in calls)
        {
            // What a profile would have recorded can be read back.
            var read = call.Details().Inputs!.Inputs;
            Assert.Equal(call.Arguments.Length, read.Length);
            text.Append(call.Name).Append('(').AppendJoin(", ", call.Arguments.Select(a =>
                a.Shape.Length > 0 ? $"[{string.Join(',', a.Shape)}]" : a.Value)).Append(") ");
        }
        return text.ToString().Trim();
    }

    [Theory]
    [InlineData("_C::rms_norm", 2, "aten::native_layer_norm([4,64], [64], [64], , 0.000001)")]
    [InlineData("aiter::rmsnorm2d_fwd_with_add_ck", 3,
        "aten::add_([4,64], [4,64], 1) aten::native_layer_norm([4,64], [64], [64], , 0.000001)")]
    public void CallsOf_ANorm_NormalisesRows(string name, int rows, string calls) =>
        Assert.Equal(calls, Calls(name, null, [.. Enumerable.Repeat(Of(4, 64), rows), Of(64), CallArgument.Number(1e-6)]));

    [Fact]
    public void CallsOf_AGatedActivation_IsGlu() =>
        Assert.Equal("aten::glu([4,128], -1)", Calls("sgl_kernel::silu_and_mul", null, [Of(4, 64), Of(4, 128)]));

    [Fact]
    public void CallsOf_Rotary_ReadsTheTableAndTurnsBoth() => Assert.Equal(
        "aten::index_select([1000,64], 0, [4]) aten::mul_([4,8,64], 1) aten::mul_([4,2,64], 1)", Calls("_C::rotary_embedding", null,
            [CallArgument.Tensor("long int", 4), Of(4, 8, 64), Of(4, 2, 64), CallArgument.Number(64), Of(1000, 64),
                CallArgument.Of(true)]));

    /// <summary>Four requests of 100 keys each: 8 heads over 2 of keys.</summary>
    [Fact]
    public void CallsOf_AttentionOfAStepWithALabel_ReadsItsKeys() => Assert.Equal(
        "aten::view([4,8,64], [4, 2, 4, 64]) "
            + "aten::scaled_dot_product_attention([4,2,4,64], [4,2,100,64], [4,2,100,64], , 0.0, False, , False) "
            + "aten::view([4,2,4,64], [4, 8, 64]) aten::copy_([4,8,64], [4,8,64], False)",
        Calls("vllm::unified_attention_with_output", Decode, [Of(4, 8, 64), Of(4, 2, 64), Of(4, 2, 64), Of(4, 8, 64), CallArgument.None]));

    [Fact]
    public void CallsOf_AttentionOverAPagedCache_FindsTheHeadsOfKeys() => Assert.Contains("[4,2,4,64], [4,2,100,64]",
        Calls("sglang_profiler::attention_paged_attention_ragged_100", Decode,
            [Of(4, 8, 64), CallArgument.Tensor("unsigned char", 4096), Of(4, 8, 64), Of(9000, 1, 2, 64), Of(9000, 1, 2, 64)]),
        StringComparison.Ordinal);

    [Fact]
    public void CallsOf_AttentionOfPrompts_IsCausal() => Assert.Equal(
        "aten::scaled_dot_product_attention([2,8,50,64], [2,8,50,64], [2,8,50,64], , 0.0, True, , False)",
        Calls("vllm::unified_attention", new StepLabel("execute", new StepPart(2, 100, 100, 5000), new StepPart(0, 0, 0, 0)),
            [Of(100, 8, 64), Of(100, 2, 64), Of(100, 2, 64), Of(100, 8, 64)]));

    [Fact]
    public void CallsOf_AttentionWithoutALabel_SaysWhatIsMissing() => Assert.Contains("no label with their lengths",
        Calls("vllm::unified_attention", null, [Of(4, 8, 64), Of(4, 2, 64), Of(4, 2, 64), Of(4, 8, 64)]), StringComparison.Ordinal);

    [Fact]
    public void CallsOf_TheCache_WritesRowsOfOneAsLongAsTheStepReads() => Assert.Equal(
        "aten::index_copy_([400,2,64], 0, [4], [4,2,64]) aten::index_copy_([400,2,64], 0, [4], [4,2,64])",
        Calls("_C_cache_ops::reshape_and_cache_flash", Decode, [Of(4, 2, 64), Of(4, 2, 64), Of(224304, 32, 2, 64)]));

    /// <summary>Two of eight experts for each of four tokens, with gates; weights in 4 bits.</summary>
    [Fact]
    public void CallsOf_Experts_MultipliesOverWeightsOfTheSizesWithin() => Assert.Equal(
        "aten::topk([4,8], 2, -1, True, True) aten::bmm([8,1,64], [8,64,96]) aten::glu([8,1,96], -1) aten::bmm([8,1,48], [8,48,64]) "
            + "aten::view([8,1,64], [4, 2, 64]) aten::sum([4,2,64], [1], False, )",
        Calls("vllm::moe_forward", Decode, [Of(4, 64), Of(4, 8), CallArgument.None],
            CallArgument.Tensor("unsigned char", 8, 32, 96), Of(1, 8, 48), CallArgument.Tensor("unsigned char", 8, 24, 64)));

    [Fact]
    public void CallsOf_ExpertsOfUnknownSizes_SaysSo() => Assert.Contains("nothing recorded within it tells their sizes",
        Calls("vllm::moe_forward", Decode, [Of(4, 64), Of(4, 8)]), StringComparison.Ordinal);

    [Fact]
    public void CallsOf_AnotherOperator_NamesTheLibrary() => Assert.Equal("a kernel of mine, a library that this PyTorch does not have",
        Calls("mine::secret", Decode, [Of(4, 64)]));

    /// <summary>Whatever tensors an operator has, its calls are some that a profile could have.</summary>
    [Fact]
    public void CallsOf_AnyTensors_DoesNotFail()
    {
        var tensor = Gen.Select(Gen.Int[0, 3].Select(i => ((string[])[Half, "float", "long int", "unsigned char"])[i]),
            Gen.OneOf(Gen.Int[0, 7].Select(i => i == 0 ? 0L : 1L << (i - 1)), Gen.Long[0, long.MaxValue]).Array[0, 4])
            .Select((t, s) => CallArgument.Tensor(t, s));
        string[] names = ["a::rms_norm_add", "a::silu_and_mul", "a::rotary", "a::attention", "a::store_cache", "a::moe_forward", "a::gemm"];
        var name = Gen.Int[0, names.Length - 1].Select(i => names[i]);
        var part = Gen.Long[0, 1L << 48].Array[4].Select(n => new StepPart(n[0], n[1], n[2], n[3]));
        Gen.Select(name, tensor.Array[0, 6], tensor.Array[0, 4], Gen.Select(part, part)).Sample((n, own, within, label) =>
        {
            var calls = new CustomOperators(new StepLabel("execute", label.Item1, label.Item2), 8)
                .CallsOf(n, Inputs(own), [Inputs(within)], out string why);
            Assert.True(calls is null ? why.Length > 0 : calls.Count > 0);
            foreach (var call in calls ?? [])
                _ = call.Details().Inputs!.Inputs;
        });
    }
}
