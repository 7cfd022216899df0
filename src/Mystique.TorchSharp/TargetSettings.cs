using System.Collections.Frozen;
using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>Settings of libtorch that decide kernels, set as the original had them; TorchSharp reaches some of them.</summary>
internal sealed record TargetSettings
{
    /// <summary>Those that TorchSharp can set, by their names in <c>python/shared/settings.py</c>.</summary>
    private static readonly Dictionary<string, (Func<bool> Get, Action<bool> Set)> Switches = new(StringComparer.Ordinal)
    {
        ["matmul_allow_tf32"] = (() => backends.cuda.matmul.allow_tf32, on => backends.cuda.matmul.allow_tf32 = on),
        ["cudnn_allow_tf32"] = (() => backends.cudnn.allow_tf32, on => backends.cudnn.allow_tf32 = on),
        ["matmul_allow_fp16_reduced_precision_reduction"] = (() => backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
            on => backends.cuda.matmul.allow_fp16_reduced_precision_reduction = on),
        ["flash_sdp"] = (backends.cuda.flash_sdp_enabled, backends.cuda.enable_flash_sdp),
        ["math_sdp"] = (backends.cuda.math_sdp_enabled, backends.cuda.enable_math_sdp),
    };

    /// <summary>What a setting is where nobody has set it: no kernels depend on it then. All others are <c>false</c>.</summary>
    private static readonly Dictionary<string, string> Defaults = new(StringComparer.Ordinal)
    {
        ["float32_matmul_precision"] = "highest",
        ["deterministic_debug_mode"] = "0",
        ["fill_uninitialized_memory"] = "true",
        ["preferred_blas_library"] = "default",
        ["preferred_linalg_library"] = "default",
        ["mem_efficient_sdp"] = "true",
        ["cudnn_sdp"] = "true",
        ["cudnn_enabled"] = "true",
        ["mkldnn_enabled"] = "true",
        ["matmul_allow_bf16_reduced_precision_reduction"] = "true",
        ["default_dtype"] = "float32",
    };

    /// <summary>
    /// Further settings of <c>python/shared/settings.py</c>, which are <c>false</c> or <c>none</c> where nobody set them.
    /// </summary>
    private static readonly FrozenSet<string> Others = FrozenSet.Create(StringComparer.Ordinal, "deterministic",
        "matmul_allow_fp16_accumulation", "cudnn_benchmark", "cudnn_benchmark_limit", "cudnn_deterministic", "fp32_precision",
        "matmul_fp32_precision", "conv_fp32_precision", "rnn_fp32_precision", "mkldnn_matmul_fp32_precision", "mkldnn_conv_fp32_precision",
        "mkldnn_rnn_fp32_precision");

    /// <summary>What was set to something else than before.</summary>
    public ImmutableSortedDictionary<string, string> Changed { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>What the original had and this engine cannot set: sentences for people.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];

    /// <summary>Sets what was recorded, and what the user decides.</summary>
    /// <param name="recorded">The settings; null for none.</param>
    /// <param name="isAccelerated">Whether the replay runs on CUDA: what is CUDA's alone is nothing to the host.</param>
    /// <param name="pins">What the user decides; null for nothing.</param>
    /// <exception cref="MystiqueException">The user decides a setting that is none (MYS427).</exception>
    public static TargetSettings Apply(RecordedSettings? recorded, bool isAccelerated,
        IReadOnlyDictionary<string, string>? pins = null)
    {
        pins ??= ImmutableSortedDictionary<string, string>.Empty;
        if (pins.Keys.FirstOrDefault(n => !Switches.ContainsKey(n) && !Defaults.ContainsKey(n) && !Others.Contains(n)) is { } unknown)
            throw Problems.NoSuchSetting(unknown);
        var changed = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        var notes = ImmutableArray.CreateBuilder<string>();
        foreach (var (name, value) in (recorded?.Values ?? ImmutableSortedDictionary<string, string>.Empty).SetItems(pins))
        {
            // Attention is chosen among by these on the host, too.
            if (!isAccelerated && !pins.ContainsKey(name) && name is not ("float32_matmul_precision" or "deterministic_debug_mode"
                or "flash_sdp" or "math_sdp" or "mkldnn_enabled"))
                continue;
            if (!Switches.TryGetValue(name, out var setting))
            {
                if (value != Defaults.GetValueOrDefault(name, "false") && value is not ("none" or "default" or "cublas"))
                    notes.Add($"the engine torchsharp cannot set {name}, which {(pins.ContainsKey(name) ? "is to be" : "was")} {value}");
            }
            else if (value is "true" or "false" && setting.Get() != (value == "true"))
            {
                setting.Set(value == "true");
                changed[name] = value;
            }
        }
        return new TargetSettings { Changed = changed.ToImmutable(), Notes = notes.ToImmutable() };
    }
}
