using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Traces;

namespace Mystique.Packaging;

/// <summary>A package on disk.</summary>
internal static class PackageFiles
{
    /// <summary>A program of 100,000 operators is 40 MB, and so is its manifest.</summary>
    private const int MaxBytes = 1 << 29;

    /// <summary>The folder of compiled kernels' sources, in a package.</summary>
    internal const string KernelFolder = "kernels";

    /// <summary>The folder of the framework's level, in a package: a package of its own, without a run.py.</summary>
    internal const string FrameworkFolder = "framework";

    /// <summary>Reads a package, with both levels where it has them.</summary>
    public static Benchmark Read(string manifestPath)
    {
        var package = ReadLevel(manifestPath, out _, out string? framework);
        string directory = Path.GetDirectoryName(Path.GetFullPath(manifestPath))!;
        if (framework is null)
            return package;
        // The folder's name is fixed, and its content is what the manifest was written with: another job's level is none of this one's.
        string other = Path.Combine(directory, FrameworkFolder, Benchmark.ManifestFile);
        var level = ReadLevel(other, out string digest, out _);
        return digest == framework && level.Plan.Level == ReplayLevel.Framework && package.Plan.Level == ReplayLevel.Operator
            ? package with { OtherLevel = new(new FrameworkBenchmark(level, "")) }
            : throw Problems.PackageDisagrees(other, "the framework's level is not the one that the package was written with");
    }

    private static Benchmark ReadLevel(string manifestPath, out string digest, out string? framework)
    {
        string directory = Path.GetDirectoryName(Path.GetFullPath(manifestPath))!;
        // The names of its files are fixed: a manifest cannot point out of its folder.
        string programPath = Path.Combine(directory, Benchmark.ProgramFile);
        byte[] manifest, program;
        try
        {
            manifest = ReadBytes(manifestPath);
            program = ReadBytes(programPath);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.PackageUnreadable(exception is FileNotFoundException { FileName: { } name } ? name : directory, exception);
        }
        digest = Benchmark.DigestOf(manifest);
        var package = Read(manifest, program, manifestPath, programPath, out var kernels, out framework);
        return package with { Plan = package.Plan with { KernelSources = ReadKernels(kernels, directory) } };
    }

    /// <summary>Reads a package from its parts: holds it to the rules, and looks through its program.</summary>
    /// <param name="manifestBytes">The manifest.</param>
    /// <param name="program">The program.</param>
    /// <param name="manifestPath">What to call the manifest in messages.</param>
    /// <param name="programPath">What to call the program.</param>
    /// <param name="kernels">The sources of kernels that the manifest lists; the package has none of them yet.</param>
    /// <param name="framework">The digest of the manifest of its framework's level; null where it has none.</param>
    /// <exception cref="MystiqueException">
    /// It is no package, or one that does what a benchmark may not (MYS301 to MYS303, MYS309).
    /// </exception>
    internal static Benchmark Read(byte[] manifestBytes, byte[] program, string manifestPath, string programPath,
        out ImmutableArray<ManifestSourceFile> kernels, out string? framework)
    {
        var (manifest, plan, schedule) = ReadManifest(manifestBytes, manifestPath);
        (kernels, framework) = (manifest.Kernels ?? [], manifest.Framework);
        string digest = Benchmark.DigestOf(program);
        if (digest != manifest.Program.Sha256)
            throw Problems.PackageDisagrees(programPath,
                "the program is not the one that the manifest was written with (its SHA-256 differs)");
        try
        {
            string code = TorchScriptArchive.ReadCode(program);
            if (ProgramInspector.WhyNot(code, plan, schedule) is { } why)
                throw Problems.PackageForbidden(programPath, why);
        }
        catch (InvalidDataException exception)
        {
            throw Problems.PackageDisagrees(programPath, $"the program is no TorchScript archive of this tool ({exception.Message})");
        }
        return Benchmark.Of(plan, schedule, [.. program]) with
        {
            Ranks = [.. manifest.Ranks.Select(r => new BenchmarkRank(r.Rank, r.WorldSize))],
        };
    }

    private static (Manifest Manifest, ReplayPlan Plan, ImmutableArray<ScheduledCall> Schedule) ReadManifest(byte[] bytes, string path)
    {
        try
        {
            using var document = ManifestRules.Parse(bytes);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("format", out var format)
                || format.ValueKind != JsonValueKind.String
                || !format.ValueEquals(Manifest.FormatName))
                throw new FormatException($"its format is not \"{Manifest.FormatName}\"");
            if (root.TryGetProperty("format_version", out var version) && version.ValueKind == JsonValueKind.Number
                && version.TryGetInt32(out int number)
                && number != Manifest.CurrentVersion)
            {
                if (number != Manifest.OldestVersion)
                    throw Problems.PackageVersionUnknown(path, number, Manifest.OldestVersion, Manifest.CurrentVersion);
                using var upgraded = ManifestUpgrade.FromVersion2(root);
                return ReadManifest(upgraded.RootElement, path);
            }
            return ReadManifest(root, path);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or ArgumentException or InvalidOperationException)
        {
            throw Problems.ManifestInvalid(path, exception);
        }
    }

    private static (Manifest Manifest, ReplayPlan Plan, ImmutableArray<ScheduledCall> Schedule) ReadManifest(JsonElement root, string path)
    {
        ManifestRules.Check(root);
        var manifest = root.Deserialize(ManifestContext.Default.Manifest)!;
        var plan = ManifestMapping.ToPlan(manifest);
        if (PackagePolicy.WhyNot(plan) is { } why)
            throw Problems.PackageForbidden(path, why);
        return (manifest, plan, [.. manifest.Schedule.Select(c => new ScheduledCall(c.Call, c.First, c.Count)
        {
            Stream = c.Stream is { } stream ? new StreamId(stream) : null,
            Waits = c.Wait ?? [],
            HostWait = c.Sync ? new CallWait(c.SyncOn, c.SyncNs) : null,
        })]);
    }

    private static byte[] ReadBytes(string path) => new FileInfo(path) is { Exists: true, Length: > MaxBytes }
        ? throw Problems.PackageDisagrees(path, "the file is too large to be of a package") : PlainFile.ReadAllBytes(path, MaxBytes);

    /// <summary>Writes the manifest, an element of a list to a line: so that two of them can be compared by eye and by diff.</summary>
    internal static void WriteManifest(Benchmark package, Stream stream, string? framework = null)
    {
        using var document = JsonSerializer.SerializeToDocument(ManifestMapping.ToManifest(package) with { Framework = framework },
            ManifestContext.Written.Manifest);
        ManifestRules.Check(document.RootElement); // What is written is what can be read.
        WriteByLine(document, stream);
    }

    /// <summary>Writes an object, an element of its lists to a line.</summary>
    internal static void WriteByLine(JsonDocument document, Stream stream)
    {
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

    /// <summary>The sources of compiled kernels: plain files of the folder, as they were when the package was written.</summary>
    private static ImmutableSortedDictionary<string, string> ReadKernels(ImmutableArray<ManifestSourceFile> kernels, string directory)
    {
        var sources = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        string path = Path.Combine(directory, KernelFolder);
        var folder = ResourceFolder.At(path);
        foreach (var kernel in kernels)
        {
            if (folder?.Read(kernel.File, MaxBytes) is not { } bytes || Benchmark.DigestOf(bytes) != kernel.Sha256)
                throw Problems.PackageDisagrees(path, $"the kernel {kernel.File} is missing or was changed (its SHA-256 differs)");
            sources[kernel.File] = Encoding.UTF8.GetString(bytes);
        }
        return sources.ToImmutable();
    }
}
