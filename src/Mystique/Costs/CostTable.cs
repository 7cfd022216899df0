using System.Collections.Frozen;
using Mystique.Ranks;
using Mystique.Traces;

namespace Mystique.Costs;

/// <summary>
/// FLOPs of operators by their shapes. Matrix products, convolutions, <c>add</c> and <c>mul</c> are those of PyTorch's profiler
/// (<c>torch/csrc/profiler/util.cpp</c>, <c>computeFlops</c>), attention those of <c>torch/utils/flop_counter.py</c>; for
/// normalisations, softmax and losses a number of operations for each element.
/// </summary>
internal static class CostTable
{
    /// <summary>Operations for each element of the result.</summary>
    private static readonly FrozenDictionary<string, double> OfOutputs = Each(1,
        "add add_ sub sub_ rsub mul mul_ div div_ neg neg_ abs abs_ relu relu_ clamp clamp_ clamp_min clamp_max maximum minimum sqrt sqrt_ "
        + "rsqrt reciprocal sign where lerp lerp_ threshold threshold_backward eq ne lt le gt ge logical_and logical_or logical_not "
        + "bitwise_not bitwise_and bitwise_or bitwise_xor "
        + "masked_fill masked_fill_ hardtanh hardtanh_backward leaky_relu leaky_relu_backward dropout native_dropout "
        + "native_dropout_backward fmod remainder square")
        .Concat(Each(3, "addcmul addcmul_ addcdiv addcdiv_ pow pow_ exp exp_ log log_ log1p expm1 sin cos tanh tanh_ sigmoid sigmoid_ erf "
        + "tanh_backward sigmoid_backward"))
        .Concat(Each(4, "silu silu_ gelu hardswish hardswish_ mish elu softplus"))
        .Concat(Each(8, "silu_backward gelu_backward hardswish_backward mish_backward elu_backward softplus_backward"))
        .Concat(Each(5, "softmax _softmax log_softmax _log_softmax _softmax_backward_data _log_softmax_backward_data"))
        .Concat(Each(0, "copy_ clone contiguous to _to_copy cat stack fill_ zero_ zeros ones full empty empty_like zeros_like ones_like "
        + "full_like new_zeros new_empty new_ones empty_strided arange index index_select gather embedding repeat repeat_interleave flip "
        + "roll constant_pad_nd pad slice_backward select_backward index_put_ scatter_ masked_select tril triu randn rand normal_ uniform_ "
        + "_index_put_impl_ tril_indices triu_indices cudnn_is_acceptable random_ bernoulli_ randint randperm item "
        + "_local_scalar_dense nonzero sort argsort topk detach_ set_ resize_ unfold_backward"))
        .ToFrozenDictionary();

    /// <summary>Operations for each element of the first argument.</summary>
    private static readonly FrozenDictionary<string, double> OfInputs = Each(1,
        "sum mean max min amax amin any all prod cumsum argmax argmin max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d "
        + "_adaptive_avg_pool2d index_add index_add_ scatter_add scatter_add_ embedding_dense_backward "
        + "embedding_backward _embedding_bag_backward _embedding_bag_dense_backward "
        + "max_pool2d_with_indices_backward avg_pool2d_backward nll_loss_forward nll_loss_backward nll_loss")
        .Concat(Each(2, "norm linalg_vector_norm var std mse_loss mse_loss_backward l1_loss _foreach_norm"))
        .Concat(Each(5, "cross_entropy_loss binary_cross_entropy binary_cross_entropy_with_logits batch_norm native_batch_norm "
        + "_batch_norm_impl_index cudnn_batch_norm layer_norm native_layer_norm group_norm native_group_norm rms_norm instance_norm"))
        .Concat(Each(8, "native_batch_norm_backward cudnn_batch_norm_backward native_layer_norm_backward native_group_norm_backward"))
        .ToFrozenDictionary();

    private static readonly FrozenSet<string> Views = Names("view as_strided t transpose permute reshape expand expand_as squeeze "
        + "unsqueeze select slice narrow split split_with_sizes chunk unbind detach alias view_as view_as_real view_as_complex "
        + "diagonal flatten unflatten movedim swapaxes unfold _unsafe_view _reshape_alias lift_fresh is_nonzero result_type stride "
        + "size set_grad_enabled");

    private static readonly FrozenSet<string> Lookups = Names("embedding embedding_bag _embedding_bag _embedding_bag_forward_only index "
        + "index_select gather");

    /// <summary>Whether an operator gives another view of memory, and moves nothing.</summary>
    public static bool IsView(OperatorSchema schema) => schema.Namespace is "aten" or "prim" && Views.Contains(schema.Name);

    /// <summary>Whether an operator reads rows of its first argument alone.</summary>
    public static bool IsLookup(string name) => Lookups.Contains(name);

    /// <summary>FLOPs of an operator; null for not known.</summary>
    public static double? FlopsOf(TraceNode node, OperatorSchema schema)
    {
        if (schema.Namespace is "c10d" or "_c10d_functional" or "_c10d_functional_autograd")
            return CollectiveNames.KindOf(schema.Name) is CollectiveKind.AllReduce or CollectiveKind.Reduce or CollectiveKind.ReduceScatter
                ? Elements(FirstTensor(node)) : 0;
        if (schema.Namespace != "aten")
            return null;
        if (schema.Name.StartsWith("_foreach_", StringComparison.Ordinal))
            return OfOutputs.TryGetValue(schema.Name["_foreach_".Length..], out double times) && node.Inputs is [ListValue first, ..]
                ? times * first.Tensors.Sum(t => (double)t.ElementCount) : null;
        if (OfProducts(node, schema.Name) is { } product)
            return product;
        if (OfOutputs.TryGetValue(schema.Name, out double each))
            return each == 0 ? 0 : Elements(node.Outputs.SelectMany(o => o.Tensors).FirstOrDefault() ?? FirstTensor(node)) * each;
        return OfInputs.TryGetValue(schema.Name, out each) ? Elements(FirstTensor(node)) * each : null;
    }

    private static double? OfProducts(TraceNode node, string name)
    {
        var tensors = node.Inputs.SelectMany(i => i.Tensors).ToArray();
        switch (name)
        {
            case "mm" or "bmm" or "mv" or "dot" or "matmul" or "linear" or "_scaled_mm" when tensors.Length >= 2:
                return Product(node, tensors[0]);
            case "addmm" or "baddbmm" or "addmv" or "addbmm" or "addmm_" or "baddbmm_" when tensors.Length >= 3:
                return Product(node, tensors[1]);
            case "conv1d" or "conv2d" or "conv3d" or "convolution" or "_convolution" or "cudnn_convolution" or "mkldnn_convolution"
                or "miopen_convolution" or "thnn_conv2d" or "_slow_conv2d_forward" or "_conv_depthwise2d" when tensors.Length >= 2:
                return Convolution(tensors[1], Output(node), IsTransposed(node) ? tensors[0] : null);
            case "conv_transpose1d" or "conv_transpose2d" or "conv_transpose3d" when tensors.Length >= 2:
                return Convolution(tensors[1], Output(node), tensors[0]);
            case "convolution_backward" when tensors.Length >= 3:
                int sides = node.Outputs.SelectMany(o => o.Tensors).Take(2).Count(t => !t.IsUndefined);
                return sides * Convolution(tensors[2], tensors[0], IsTransposed(node) ? tensors[1] : null);
            case "scaled_dot_product_attention" or "_scaled_dot_product_flash_attention" or "_scaled_dot_product_efficient_attention"
                or "_scaled_dot_product_cudnn_attention" or "_scaled_dot_product_flash_attention_for_cpu"
                or "_scaled_dot_product_attention_math" or "_scaled_dot_product_fused_attention_overrideable" when tensors.Length >= 3:
                return Attention(tensors[0], tensors[1], tensors[2]);
            case "_scaled_dot_product_flash_attention_backward" or "_scaled_dot_product_efficient_attention_backward"
                or "_scaled_dot_product_cudnn_attention_backward" or "_scaled_dot_product_flash_attention_for_cpu_backward"
                when tensors.Length >= 4:
                return 2.5 * Attention(tensors[1], tensors[2], tensors[3]); // Five products where the forward pass has two.
            case "embedding_bag" or "_embedding_bag" or "_embedding_bag_forward_only"
                when tensors.Length >= 2 && tensors[0].Shape.Length == 2:
                return tensors[1].ElementCount * (double)tensors[0].Shape[1];
            default:
                return null;
        }
    }

    /// <summary>Two for each element of the result and of the dimension that is summed over.</summary>
    private static double? Product(TraceNode node, TensorValue left) =>
        Output(node) is { } result && left.Shape.Length > 0 ? 2.0 * result.ElementCount * left.Shape[^1] : null;

    /// <summary>
    /// Two for each element of the result and of the weights that one of its channels has; transposed, of the input's.
    /// </summary>
    private static double? Convolution(TensorValue weights, TensorValue? result, TensorValue? transposedInput) =>
        weights.Shape.Length < 3 || weights.Shape[0] == 0 || result is null ? null
            : 2.0 * (transposedInput ?? result).ElementCount * weights.ElementCount / weights.Shape[0];

    private static double? Attention(TensorValue query, TensorValue key, TensorValue value)
    {
        if (query.Shape.Length < 3 || key.Shape.Length < 3 || value.Shape.Length < 3)
            return null;
        double scores = query.ElementCount * (double)key.Shape[^2]; // Rows of queries, keys, and what is summed over.
        return 2 * scores + 2 * query.ElementCount / (double)Math.Max(1, query.Shape[^1]) * key.Shape[^2] * value.Shape[^1];
    }

    private static bool IsTransposed(TraceNode node) => node.Schema!.PlaceOf("transposed") is { } place
        && place < node.Inputs.Length && node.Inputs[place] is BoolValue { Value: true };

    private static TensorValue? Output(TraceNode node) => node.Outputs.SelectMany(o => o.Tensors).FirstOrDefault();

    private static TensorValue? FirstTensor(TraceNode node) => node.Inputs.SelectMany(i => i.Tensors).FirstOrDefault();

    private static double? Elements(TensorValue? tensor) => tensor?.ElementCount;

    private static IEnumerable<KeyValuePair<string, double>> Each(double times, string names) =>
        names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(n => KeyValuePair.Create(n, times));

    private static FrozenSet<string> Names(string names) => names.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToFrozenSet();
}
