using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Packaging;

/// <summary>A package on disk.</summary>
internal static class PackageFiles
{
    /// <summary>A program of 100,000 operators is 40 MB.</summary>
    private const long MaxProgramBytes = 1L << 30;

    private const string KernelFolder = "kernels";

    public static BenchmarkPackage Read(string manifestPath)
    {
        string directory = Path.GetDirectoryName(Path.GetFullPath(manifestPath))!;
        Manifest? manifest;
        try
        {
            using var stream = File.OpenRead(manifestPath);
            manifest = JsonSerializer.Deserialize<Manifest>(stream, SnakeJson.Compact);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException)
        {
            throw Problems.ManifestInvalid(manifestPath, exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.PackageUnreadable(manifestPath, exception);
        }
        if (manifest?.Format != Manifest.FormatName)
            throw Problems.ManifestInvalid(manifestPath, new FormatException($"its format is not \"{Manifest.FormatName}\""));
        if (manifest.FormatVersion != Manifest.CurrentVersion)
            throw Problems.PackageVersionUnknown(manifestPath, manifest.FormatVersion, Manifest.CurrentVersion);
        return ReadProgram(manifest, manifestPath, directory);
    }

    /// <summary>Writes the manifest, an element of a list to a line: so that two of them can be compared by eye and by diff.</summary>
    internal static void WriteManifest(BenchmarkPackage package, Stream stream)
    {
        using var document = JsonSerializer.SerializeToDocument(ManifestMapping.ToManifest(package), SnakeJson.Compact);
        using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine('{');
        string separator = "";
        foreach (var property in document.RootElement.EnumerateObject())
        {
            writer.Write($"{separator}\"{property.Name}\": ");
            if (property.Value.ValueKind == JsonValueKind.Array && property.Value.GetArrayLength() > 0)
            {
                writer.Write('[');
                string itemSeparator = "\n";
                foreach (var item in property.Value.EnumerateArray())
                {
                    writer.Write(itemSeparator);
                    writer.Write(item.GetRawText());
                    itemSeparator = ",\n";
                }
                writer.Write("\n]");
            }
            else
            {
                writer.Write(property.Value.GetRawText());
            }
            separator = ",\n";
        }
        writer.WriteLine("\n}");
    }

    private static BenchmarkPackage ReadProgram(Manifest manifest, string manifestPath, string directory)
    {
        // The program's name is fixed: a manifest cannot point out of its folder.
        string programPath = Path.Combine(directory, BenchmarkPackage.ProgramFile);
        byte[] archive;
        string code;
        try
        {
            if (new FileInfo(programPath) is { Exists: true, Length: > MaxProgramBytes })
                throw Problems.PackageDisagrees(programPath, "the program is too large to be one");
            archive = File.ReadAllBytes(programPath);
            code = TorchScriptArchive.ReadCode(archive);
        }
        catch (InvalidDataException exception)
        {
            throw Problems.PackageDisagrees(programPath, $"the program is no TorchScript archive of this tool ({exception.Message})");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.PackageUnreadable(programPath, exception);
        }
        string digest = BenchmarkPackage.DigestOf(archive);
        if (digest != manifest.Program?.Sha256)
            throw Problems.PackageDisagrees(programPath, "the program is not the one that the manifest was written with (its SHA-256 differs)");
        try
        {
            var plan = ManifestMapping.ToPlan(manifest, ReadKernels(manifest, directory));
            CheckSchedule(manifest, code, plan.Operators.Length);
            return new BenchmarkPackage(plan, [.. manifest.Schedule.Select(c => new ScheduledCall(c.Call, c.First, c.Count) { Stream = c.Stream, Waits = c.Wait ?? [], HostWaits = c.Sync })], [.. archive], digest);
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or NullReferenceException or InvalidOperationException)
        {
            throw Problems.ManifestInvalid(manifestPath, exception);
        }
    }

    /// <summary>The sources of compiled kernels: plain files of the folder, as they were when the package was written.</summary>
    private static ImmutableSortedDictionary<string, string> ReadKernels(Manifest manifest, string directory)
    {
        var sources = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        if (manifest.Kernels is not { } kernels)
            return sources.ToImmutable();
        string path = Path.Combine(directory, KernelFolder);
        var folder = ResourceFolder.At(path);
        foreach (var kernel in kernels)
        {
            if (folder?.Read(kernel.File, MaxProgramBytes) is not { } bytes || BenchmarkPackage.DigestOf(bytes) != kernel.Sha256)
                throw Problems.PackageDisagrees(path, $"the kernel {kernel.File} is not there, or not as it was (its SHA-256 differs)");
            sources[kernel.File] = Encoding.UTF8.GetString(bytes);
        }
        return sources.ToImmutable();
    }

    private static void CheckSchedule(Manifest manifest, string code, int operatorCount)
    {
        int next = 0;
        for (int i = 0; i < manifest.Schedule.Length; i++)
        {
            var call = manifest.Schedule[i];
            if (call.First != next || call.Count < 1)
                throw new FormatException($"schedule[{i}] does not go on where the call before it ended");
            if (!code.Contains($"  def {call.Call}(self", StringComparison.Ordinal))
                throw new FormatException($"schedule[{i}] calls {call.Call}, which the program does not have");
            if (call.Wait is { } waits && waits.Any(w => w < 0 || w >= i))
                throw new FormatException($"schedule[{i}] waits for a call that does not come before it");
            next += call.Count;
        }
        if (next != operatorCount)
            throw new FormatException($"the schedule has {next} operators where the manifest lists {operatorCount}");
    }
}
