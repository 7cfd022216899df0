using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Mystique.Diagnostics;
using Mystique.Execution.Workers;
using Mystique.Files;

namespace Mystique.Cli.Commands;

/// <summary>
/// A worker on another libtorch than the one that comes along, for example that of an installed PyTorch. TorchSharp looks
/// for libtorch beside itself first: so the worker runs from a copy of this program's folder without it, and the loader
/// finds the other one by <c>LD_LIBRARY_PATH</c>.
/// </summary>
internal sealed class OtherLibTorch : IDisposable
{
    private const string Program = "Mystique.Cli";
    private const string Cpu = "libtorch_cpu.so";

    private readonly Unfinished _copy;

    /// <summary>Makes the copy.</summary>
    /// <param name="folder">The folder of the other libtorch's libraries.</param>
    /// <exception cref="MystiqueException">There is no libtorch in it (MYS401), or no room for the copy (MYS308).</exception>
    public OtherLibTorch(string folder)
    {
        folder = Path.GetFullPath(folder);
        if (!File.Exists(Path.Combine(folder, Cpu)))
            throw Problems.OtherLibTorchMissing(Path.Combine(folder, Cpu));
        _copy = Unfinished.TemporaryFolder();
        try
        {
            Copy(_copy.Path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _copy.Dispose();
            throw Problems.NoTemporaryFolder(_copy.Path, exception);
        }
        Worker = new WorkerCommand(Host, [Path.Combine(_copy.Path, $"{Program}.dll"), WorkerProcess.Name])
        {
            Environment = new Dictionary<string, string>
            {
                ["LD_LIBRARY_PATH"] =
                folder + Path.PathSeparator + Environment.GetEnvironmentVariable("LD_LIBRARY_PATH")
            },
        };
    }

    /// <summary>How to start the worker.</summary>
    public WorkerCommand Worker { get; }

    public void Dispose() => _copy.Dispose();

    private static void Copy(string folder)
    {
        string native = Directory.EnumerateFiles(AppContext.BaseDirectory, "libLibTorchSharp.so", SearchOption.AllDirectories).First();
        foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory).Where(f => Path.GetExtension(f) is ".dll" or ".json")
            .Append(native))
        {
            string target = Path.Combine(folder, Path.GetRelativePath(AppContext.BaseDirectory, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
        ForgetLibTorch(Path.Combine(folder, $"{Program}.deps.json"));
    }

    /// <summary>The runtime's own folder is three below that of its host.</summary>
    private static string Host => Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));

    /// <summary>Takes libtorch's packages out of the list of what the program comes with.</summary>
    private static void ForgetLibTorch(string path)
    {
        var dependencies = JsonNode.Parse(File.ReadAllText(path))!;
        foreach (var (_, target) in dependencies["targets"]!.AsObject())
            foreach (var (name, package) in target!.AsObject())
                if (name.StartsWith("libtorch-", StringComparison.Ordinal))
                    foreach (string assets in (string[])["runtimeTargets", "native"])
                        package!.AsObject().Remove(assets);
        File.WriteAllText(path, dependencies.ToJsonString());
    }
}
