using System.Collections.Frozen;

namespace Mystique.Selection;

/// <summary>
/// Operators that are another name for an operator and do nothing but call it. TorchScript knows only the latter and
/// replaces one by the other (<c>torch/csrc/jit/passes/normalize_ops.cpp</c>), so the replay takes what they call.
/// </summary>
internal static class OperatorAliases
{
    private static readonly FrozenSet<string> Names = new[]
    {
        "absolute", "absolute_", "clip", "clip_", "concat", "concatenate", "det", "matrix_exp", "matrix_power", "inverse",
        "ger", "orgqr", "outer", "arccos", "arccos_", "arccosh", "arccosh_", "arcsin", "arcsin_", "arcsinh", "arcsinh_",
        "arctan", "arctan_", "arctan2", "arctan2_", "arctanh", "arctanh_", "fix", "fix_", "negative", "negative_",
        "row_stack", "swapaxes", "swapaxes_", "swapdims", "swapdims_", "moveaxis", "divide", "divide_", "multiply", "multiply_",
        "subtract", "subtract_", "true_divide", "true_divide_", "greater", "greater_", "greater_equal", "greater_equal_",
        "less", "less_", "less_equal", "less_equal_", "not_equal", "not_equal_", "float_power", "adjoint",
        "special_digamma", "special_erf", "special_erfc", "special_erfinv", "special_exp2", "special_expit", "special_expm1",
        "special_gammainc", "special_gammaincc", "special_gammaln", "special_i0", "special_log1p", "special_log_softmax",
        "special_logit", "special_logsumexp", "special_multigammaln", "special_ndtr", "special_polygamma", "special_psi",
        "special_round", "special_sinc", "special_softmax", "special_xlogy",
    }.Select(n => "aten::" + n).ToFrozenSet();

    public static bool Contains(string name) => Names.Contains(name);
}
