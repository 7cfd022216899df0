using System.Collections.Immutable;
using Mystique.Replay;
using Mystique.TorchSharp.Native;

namespace Mystique.TorchSharp;

/// <summary>What is said in reports of a run with TorchSharp.</summary>
internal static class TorchSharpInfo
{
    public static EngineInfo Of(int threads) => new("torchsharp", ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal,
        new Dictionary<string, string>
        {
            ["libtorch"] = LibTorch.Version,
            ["torchsharp"] = typeof(global::TorchSharp.torch).Assembly.GetName().Version!.ToString(3),
        }), "cpu", threads);
}
