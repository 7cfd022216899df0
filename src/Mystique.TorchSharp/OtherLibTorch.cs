using System.Text.Json.Nodes;
using Mystique.Diagnostics;
using Mystique.Execution.Workers;
using Mystique.Files;

namespace Mystique.TorchSharp;

/// <summary>
/// A worker on another libtorch than the one that is bundled, for example that of an installed PyTorch. TorchSharp looks for
/// libtorch beside itself first: so the worker runs from a copy of the application's folder without it, and the loader finds the
/// other one by <c>LD_LIBRARY_PATH</c>.
/// </summary>
internal sealed class OtherLibTorch : IDisposable
{
    private const string Cpu = "libtorch_cpu.so";

    private readonly Unfinished _copy;

    /// <summary>Makes the copy.</summary>
    /// <param name="folder">The folder of the other libtorch's libraries.</param>
    /// <exception cref="MystiqueException">
    /// There is no libtorch in it (MYS420), no room for the copy (MYS308), or no worker's program (MYS419).
    /// </exception>
    public OtherLibTorch(string folder)
    {
        folder = Path.GetFullPath(folder);
        if (!File.Exists(Path.Combine(folder, Cpu)))
            throw Problems.OtherLibTorchMissing(Path.Combine(folder, Cpu));
        _copy = Unfinished.TemporaryFolder();
        try
        {
            Copy(_copy.Path);
            Worker = WorkerProgram.CommandIn(_copy.Path).With(new Dictionary<string, string>
            {
                ["LD_LIBRARY_PATH"] = folder + Path.PathSeparator + Environment.GetEnvironmentVariable("LD_LIBRARY_PATH"),
            });
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _copy.Dispose();
            throw Problems.NoTemporaryFolder(_copy.Path, exception);
        }
        catch
        {
            _copy.Dispose();
            throw;
        }
    }

    /// <summary>How to start the worker.</summary>
    public WorkerCommand Worker { get; }

    public void Dispose() => _copy.Dispose();

    /// <summary>The application's assemblies, those of its languages too, what describes them, and TorchSharp's own library.</summary>
    private static void Copy(string folder)
    {
        var files = Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(AppContext.BaseDirectory, "*.json"))
            .Append(Directory.EnumerateFiles(AppContext.BaseDirectory, "libLibTorchSharp.so", SearchOption.AllDirectories)
                .FirstOrDefault() ?? throw Problems.NativeLibraryMissing(AppContext.BaseDirectory, null));
        foreach (string file in files)
        {
            string target = Path.Combine(folder, Path.GetRelativePath(AppContext.BaseDirectory, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
        if (WorkerProgram.Dependencies is { } list)
            ForgetLibTorch(Path.Combine(folder, Path.GetFileName(list)));
    }

    /// <summary>Takes libtorch's packages out of the list of what the application comes with.</summary>
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
