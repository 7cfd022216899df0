using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.TorchSharp.Native;

namespace Mystique.TorchSharp;

/// <summary>libtorch in this process.</summary>
internal static class TorchSharpRuntime
{
    /// <summary>
    /// Loads libtorch; call it before anything of TorchSharp. On a host whose libstdc++ is older than GCC 13's, it patches
    /// the application's own copy of TorchSharp's library first, once.
    /// </summary>
    /// <exception cref="Diagnostics.MystiqueException">A library is missing or cannot be loaded (MYS401, MYS402).</exception>
    public static void Load() => LibTorch.Load();

    /// <summary>The version of libtorch that this was built for.</summary>
    public static string LibTorchVersion => LibTorch.Version;

    /// <summary>What reports say of it.</summary>
    /// <param name="threads">Threads within operators.</param>
    /// <param name="device">The device.</param>
    public static EngineInfo Describe(int threads, string device = "cpu") =>
        new("torchsharp", ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal,
        new Dictionary<string, string>
        {
            ["libtorch"] = LibTorch.Version,
            ["torchsharp"] = typeof(global::TorchSharp.torch).Assembly.GetName().Version!.ToString(3),
        }), device, threads);
}
