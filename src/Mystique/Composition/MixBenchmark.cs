using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Packaging;

namespace Mystique.Composition;

/// <summary>A process of a mix, made.</summary>
/// <param name="Benchmark">What it runs.</param>
/// <param name="StartNs">When it starts, in nanoseconds after the first.</param>
/// <param name="Threads">Its threads; null for as many as recorded.</param>
public sealed record MixProcess(Benchmark Benchmark, long StartNs, int? Threads);

/// <summary>
/// Benchmarks that run at the same time. On disk a folder of <c>mix.json</c> and a package for each process, <c>processes/N</c>
/// (<c>docs/control.md</c>).
/// </summary>
/// <param name="Name">What it is called.</param>
/// <param name="Processes">The processes, at least one.</param>
public sealed partial record MixBenchmark(string Name, ImmutableArray<MixProcess> Processes)
{
    /// <summary>The name of its manifest's file.</summary>
    public const string ManifestFile = "mix.json";

    /// <summary>More processes than a machine is shared by.</summary>
    public const int MaxProcesses = 256;

    internal const string FormatName = "mystique-mix";
    internal const int CurrentVersion = 1;
    private const int MaxBytes = 1 << 20;

    private static readonly OutputKind Kind = new(ManifestFile, Earlier, _ => [ManifestFile, "processes/*"], GoesBesideOthers: false,
        Problems.OutputNotEmpty);

    /// <summary>Whether a path is a mix's folder.</summary>
    public static bool IsMix(string path) => File.Exists(Path.Combine(path, ManifestFile));

    /// <summary>Says beforehand that a mix cannot be written into a folder.</summary>
    /// <exception cref="MystiqueException">Why not (MYS304, MYS305).</exception>
    public static void CheckTarget(string directory) => OutputFolder.Check(directory, Kind);

    /// <summary>Writes it: all, or nothing.</summary>
    /// <exception cref="MystiqueException">The folder cannot be written (MYS304, MYS305).</exception>
    public void Save(string directory)
    {
        using var output = OutputFolder.Begin(directory, Kind);
        output.Try(() =>
        {
            foreach (var (i, process) in Processes.Index())
                PackageWriter.WriteInto(process.Benchmark, Directory.CreateDirectory(Path.Combine(output.Staged, FolderOf(i))).FullName);
            File.WriteAllBytes(Path.Combine(output.Staged, ManifestFile), JsonSerializer.SerializeToUtf8Bytes(new MixManifest
            {
                Format = FormatName,
                FormatVersion = CurrentVersion,
                Name = Name,
                Processes = [.. Processes.Select((p, i) => new MixManifestProcess(FolderOf(i), p.StartNs, p.Threads))],
            }, MixJson.Default.MixManifest));
        });
        output.Commit();
    }

    /// <summary>Reads a mix.</summary>
    /// <exception cref="MystiqueException">It is none, or its packages are invalid (MYS3xx, MYS222).</exception>
    public static MixBenchmark Load(string directory)
    {
        string path = Path.Combine(directory, ManifestFile);
        MixManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize(PlainFile.ReadAllBytes(path, MaxBytes), MixJson.Default.MixManifest);
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            throw Problems.MixInvalid(path, exception.Message);
        }
        if (manifest is not { Format: FormatName, FormatVersion: CurrentVersion, Name: not null })
            throw Problems.MixInvalid(path, "it is no mix, or of another version");
        if (manifest.Processes.IsDefaultOrEmpty || manifest.Processes.Length > MaxProcesses)
            throw Problems.MixInvalid(path, $"it has no processes, or more than {MaxProcesses}");
        if (manifest.Processes.FirstOrDefault(p => p is not
            {
                StartNs: >= 0 and < 1_000_000_000_000_000,
                Threads: null or (> 0 and <= 4096)
            }
            || !Folder().IsMatch(p.Package)) is not null || manifest.Processes.Contains(null!))
            throw Problems.MixInvalid(path, "a process has no package, or its start or threads are invalid");
        return new MixBenchmark(manifest.Name, [.. manifest.Processes.Select(p => new MixProcess(Benchmark.Load(Path.Combine(directory,
            p.Package)), p.StartNs, p.Threads))]);
    }

    private static string FolderOf(int process) => string.Create(CultureInfo.InvariantCulture, $"processes/{process}");

    private static List<string>? Earlier(string target)
    {
        using var manifest = OutputKind.ReadOwn(Path.Combine(target, ManifestFile), FormatName, MaxBytes);
        if (manifest is null)
            return null;
        return [ManifestFile, .. PackageWriter.EarlierIn(target, OutputKind.TextsOf(manifest.RootElement, "processes", "package")
            .Where(f => Folder().IsMatch(f)))];
    }

    [GeneratedRegex(@"\Aprocesses/[0-9]{1,4}\z")]
    private static partial Regex Folder();
}

/// <summary>The file <c>mix.json</c>.</summary>
internal sealed record MixManifest
{
    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required string Name { get; init; }

    public required ImmutableArray<MixManifestProcess> Processes { get; init; }
}

/// <summary>A process of <c>mix.json</c>.</summary>
internal sealed record MixManifestProcess(string Package, long StartNs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Threads = null);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, NewLine = "\n",
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(MixManifest))]
internal sealed partial class MixJson : JsonSerializerContext;
