using System.Collections.Immutable;
using Mystique.TorchSharp;
using Mystique.Workloads;

namespace Mystique.Cli.Bundled;

/// <summary>What comes with this build of the command: libtorch, and workloads that run on it (<c>docs/install.md</c>).</summary>
internal static class BundledParts
{
    /// <summary>Whether libtorch is there.</summary>
    public static bool HasLibTorch => true;

    /// <summary>The workload that a demo takes if none is named.</summary>
    public const string DefaultWorkload = KnownWorkloads.Default;

    /// <summary>The version of libtorch.</summary>
    public static string LibTorchVersion => TorchSharpRuntime.LibTorchVersion;

    /// <summary>Names of workloads and what they are.</summary>
    public static IEnumerable<(string Name, string Description)> Workloads => KnownWorkloads.All;

    /// <summary>What is asked about operators where the user chose no engine.</summary>
    public static Engine Default() => new TorchSharpEngine();

    /// <summary>libtorch as an engine.</summary>
    /// <param name="libTorch">The folder of another one; null for the one that is bundled.</param>
    public static Engine LibTorch(string? libTorch) => new TorchSharpEngine { LibTorch = libTorch };

    /// <summary>The command line of a workload that is a PyTorch job; empty: they run on libtorch.</summary>
    /// <param name="name">The workload.</param>
    /// <param name="python">The Python to run it.</param>
    /// <param name="device">The device; empty for the host.</param>
    /// <param name="folder">Where its script goes.</param>
    public static ImmutableArray<string> CommandOf(string name, string python, string device, string folder) => [];
}
