using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Which operator within another did its work, where PyTorch chooses among several: what <c>scaled_dot_product_attention</c>, a
/// convolution, a normalisation or a recurrent network comes to depends on the device, its libraries and settings
/// (<c>aten/src/ATen/native/Convolution.cpp</c>, <c>transformers/sdp_utils_cpp.h</c>, <c>RNN.cpp</c>, <c>Normalization.cpp</c>).
/// </summary>
internal static class ChosenKernel
{
    private static readonly string[] Starts =
    [
        "aten::_scaled_dot_product_", "aten::cudnn_", "aten::_cudnn_", "aten::miopen_", "aten::mkldnn_", "aten::mps_", "aten::_mps_",
        "aten::_slow_conv", "aten::slow_conv", "aten::thnn_conv", "aten::_conv_depthwise", "aten::conv_depthwise", "aten::_nnpack_",
        "aten::native_batch_norm", "aten::_thnn_fused_",
    ];

    /// <summary>Its name with its overload; empty where the node made nothing on a device, or had no choice.</summary>
    /// <param name="node">The operator.</param>
    public static string Of(TraceNode node) =>
        node.Children.Length > 0 && TensorLayout.TensorsOf(node.Outputs).Any(t => !t.IsUndefined && IsAccelerator(t.Device))
            ? Within(node) : "";

    private static string Within(TraceNode node)
    {
        foreach (var child in node.Children)
        {
            if (child.Schema is { } schema && Starts.Any(s => schema.QualifiedName.StartsWith(s, StringComparison.Ordinal)))
                return schema.FullName;
            if (Within(child) is { Length: > 0 } deeper)
                return deeper;
        }
        return "";
    }

    /// <summary>Whether a recorded device is neither the host nor without memory.</summary>
    /// <param name="device">Its name.</param>
    internal static bool IsAccelerator(string device) => device.Length > 0 && !device.StartsWith("cpu", StringComparison.Ordinal)
        && device != PlanMemory.NoMemory;
}
