using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Whether matrix products of float32 on an NVIDIA GPU ran as TF32, which is up to 8 times as fast: names and shapes of operators are the
/// same either way, kernels are not.
/// </summary>
internal static class GemmPrecision
{
    /// <summary>What PyTorch gives to cuBLAS (<c>aten/src/ATen/native/cuda/Blas.cpp</c>).</summary>
    private static readonly HashSet<string> Products = ["aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::_addmm_activation"];

    /// <summary>
    /// In the names of cuBLAS's and CUTLASS's kernels: <c>tf32</c> of xmma, <c>s1688</c> of CUTLASS (single precision, tensor cores' shape
    /// 16x8x8, which is that of TF32).
    /// </summary>
    private static readonly string[] OfTf32 = ["tf32", "s1688"];

    /// <summary>The same of kernels that compute in float32.</summary>
    private static readonly string[] OfFloat32 = ["sgemm", "f32f32_f32f32"];

    /// <summary>The setting that decides it (<c>python/shared/settings.py</c>).</summary>
    public const string Setting = "matmul_allow_tf32";

    /// <summary>
    /// By the profile's kernels: true where one of them computes in TF32, for with it cuBLAS still takes others for some shapes; false
    /// where all that tell compute in float32; null where none tells.
    /// </summary>
    public static bool? UsesTf32(Recording recording)
    {
        if (recording.Profile is not { } profile)
            return null;
        string[] kernels = [.. recording.Trace.Operators.Where(IsFloatProduct)
            .SelectMany(o => profile.Operators.TryGetValue(o.Id, out var time) ? time.Kernels : []).Select(k => k.Name).Distinct()];
        return kernels.Any(k => Has(k, OfTf32)) ? true : kernels.Any(k => Has(k, OfFloat32)) ? false : null;
    }

    /// <summary>What has to be known of a trace whose products say nothing of it; null where it is known, or there are none.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="settings">What is known of the job's settings.</param>
    public static string? NoteOn(ExecutionTrace trace, RecordedSettings? settings) =>
        settings?.Values.Keys.Any(k => k is Setting or "float32_matmul_precision" or "matmul_fp32_precision") != true
        && trace.Operators.FirstOrDefault(IsFloatProduct) is { } first
            ? $"matrix products of float32 ran on an accelerator (node {first.Id}, {first.Name}), and neither settings nor kernels that "
              + "were recorded say whether as TF32, which is up to 8 times as fast: run.py --tf32 on|off decides"
            : null;

    private static bool IsFloatProduct(TraceNode node) => node.Schema is { } schema && Products.Contains(schema.QualifiedName)
        && TensorLayout.TensorsOf(node.Inputs).Any(t => t.Type == ScalarType.Float && DeviceName.KindOf(t.Device) == "cuda");

    private static bool Has(string kernel, string[] words) => words.Any(w => kernel.Contains(w, StringComparison.OrdinalIgnoreCase));
}
