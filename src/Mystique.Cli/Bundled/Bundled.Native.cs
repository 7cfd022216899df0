using System.Collections.Immutable;
using Mystique.Cli.Commands;
using Mystique.Diagnostics;

namespace Mystique.Cli.Bundled;

/// <summary>
/// What comes with this build of the command, a native file: workloads that run on the PyTorch of a Python, and no libtorch
/// (<c>docs/install.md</c>).
/// </summary>
internal static class BundledParts
{
    /// <summary>Whether libtorch is there.</summary>
    public static bool HasLibTorch => false;

    /// <summary>The workload that a demo takes if none is named.</summary>
    public const string DefaultWorkload = "gpt";

    /// <summary>What has the workloads: <c>examples/pytorch/models.py</c>.</summary>
    private const string Script = "models.py";

    /// <summary>Workloads, and iterations that are enough to capture one.</summary>
    private static readonly SortedDictionary<string, (string Description, string Iterations)> Known = new(StringComparer.Ordinal)
    {
        ["gpt"] = ("small GPT training step, 3 layers of width 128, sequences of 64, AdamW", "30"),
        ["dlrm"] = ("DLRM training step, 8 embedding bags, dot interaction, Adagrad", "30"),
        ["lstm"] = ("bidirectional LSTM training step, 2 layers, CTC loss, Adam", "300"),
        ["tiny"] = ("training step of more than 1,000 operators of a few microseconds, SGD", "200"),
    };

    /// <summary>The version of libtorch that the other builds have.</summary>
    public static string LibTorchVersion => "of the .NET tool";

    /// <summary>Names of workloads and what they are.</summary>
    public static IEnumerable<(string Name, string Description)> Workloads => Known.Select(w => (w.Key, w.Value.Description));

    /// <summary>What is asked about operators where the user chose no engine.</summary>
    public static Engine Default() => new PythonEngine(EngineOptions.DefaultPython);

    /// <summary>libtorch as an engine.</summary>
    /// <exception cref="MystiqueException">There is none (MYS240).</exception>
    public static Engine LibTorch(string? libTorch) => throw Problems.NoLibTorch(libTorch is null ? "--engine torchsharp" : "--libtorch");

    /// <summary>The command line of a workload, and its script in a folder.</summary>
    /// <param name="name">The workload.</param>
    /// <param name="python">The Python to run it.</param>
    /// <param name="device">The device; empty for the host.</param>
    /// <param name="folder">Where its script goes.</param>
    public static ImmutableArray<string> CommandOf(string name, string python, string device, string folder)
    {
        using var stream = typeof(BundledParts).Assembly.GetManifestResourceStream(Script)!;
        string path = Path.Combine(folder, Script);
        using (var file = File.Create(path))
            stream.CopyTo(file);
        return [python, path, name, Known[name].Iterations, "--device", device.Length > 0 ? device : "cpu"];
    }
}
