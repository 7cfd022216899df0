using Mystique.Costs;
using Mystique.Traces;

namespace Mystique.Fleet.Catalogue;

/// <summary>Classes of operators, by what they ask of a machine. The names are columns of the catalogue.</summary>
internal enum OperatorClass
{
    /// <summary>Matrix products.</summary>
    Matmul,

    /// <summary>Convolutions.</summary>
    Convolution,

    /// <summary>Fused attention.</summary>
    Attention,

    /// <summary>Tables of embeddings.</summary>
    Embedding,

    /// <summary>Batch, layer and group normalisation.</summary>
    Normalization,

    /// <summary>Recurrent layers.</summary>
    Recurrent,

    /// <summary>Lists of tensors at once, as optimizers call them.</summary>
    Foreach,

    /// <summary>Sums, means, softmax, losses, pooling.</summary>
    Reduction,

    /// <summary>Element by element.</summary>
    Elementwise,

    /// <summary>Copies, fills, gathers, allocations.</summary>
    Memory,

    /// <summary>Views, which move nothing.</summary>
    View,

    /// <summary>Calls between ranks.</summary>
    Communication,

    /// <summary>Operators of other namespaces than PyTorch's own.</summary>
    Custom,
}

/// <summary>Tells classes by names.</summary>
internal static class OperatorClasses
{
    /// <summary>How many there are.</summary>
    public static int Count { get; } = Enum.GetValues<OperatorClass>().Length;

    /// <summary>Their names, in small letters, in order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Enum.GetNames<OperatorClass>().Select(n => n.ToLowerInvariant())];

    private static readonly HashSet<string> Products = [.. ("mm addmm bmm baddbmm addbmm matmul linear addmv mv dot vdot einsum "
        + "linear_backward mkldnn_linear _scaled_mm _int_mm chain_matmul bilinear").Split(' ')];

    private static readonly HashSet<string> Moves = [.. ("copy_ clone contiguous to _to_copy cat stack fill_ zero_ zeros ones full empty "
        + "empty_like zeros_like ones_like full_like new_zeros new_empty new_ones new_empty_strided empty_strided arange index "
        + "index_select gather repeat repeat_interleave flip roll constant_pad_nd pad slice_backward select_backward index_put_ scatter_ "
        + "masked_select tril triu rand randn normal_ uniform_ random_ bernoulli_ randint randperm item _local_scalar_dense nonzero sort "
        + "argsort topk unfold_backward _index_put_impl_ index_copy_ resize_ set_ detach_").Split(' ')];

    private static readonly string[] Sums = ["sum", "mean", "softmax", "max_pool", "avg_pool", "loss", "entropy", "argmax", "argmin",
        "amax",
        "amin", "cumsum", "prod", "var", "std", "norm", "any", "all", "max", "min", "index_add", "scatter_add"];

    /// <summary>The class of a node that is an operator.</summary>
    public static OperatorClass Of(TraceNode node)
    {
        if (node.Schema is not { } schema)
            return node.Name.StartsWith("record_param_comms", StringComparison.Ordinal) ? OperatorClass.Communication
                : OperatorClass.Custom;
        if (schema.Namespace is "c10d" || schema.Namespace.EndsWith("c10d_functional", StringComparison.Ordinal))
            return OperatorClass.Communication;
        if (schema.Namespace is not ("aten" or "prim" or "prims"))
            return OperatorClass.Custom;
        string name = schema.Name;
        bool Has(string part) => name.Contains(part, StringComparison.Ordinal);
        if (CostTable.IsView(schema))
            return OperatorClass.View;
        if (Products.Contains(name))
            return OperatorClass.Matmul;
        if (Has("conv"))
            return OperatorClass.Convolution;
        if (Has("attention"))
            return OperatorClass.Attention;
        if (Has("embedding"))
            return OperatorClass.Embedding;
        if (Has("batch_norm") || Has("layer_norm") || Has("group_norm") || Has("rms_norm") || Has("instance_norm"))
            return OperatorClass.Normalization;
        if (Has("lstm") || Has("gru") || Has("rnn"))
            return OperatorClass.Recurrent;
        if (name.StartsWith("_foreach_", StringComparison.Ordinal) || name.StartsWith("_fused_", StringComparison.Ordinal))
            return OperatorClass.Foreach;
        if (Moves.Contains(name))
            return OperatorClass.Memory;
        return Array.Exists(Sums, Has) ? OperatorClass.Reduction : OperatorClass.Elementwise;
    }
}
