using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Recordings;

namespace Mystique.Packaging;

/// <summary>
/// Writes packages. A folder is one where its <c>benchmark.json</c> says so; its files are then those that this program
/// makes, and the kernels that are listed there.
/// </summary>
internal static class PackageWriter
{
    private const string KernelFolder = PackageFiles.KernelFolder;
    private const long MaxManifestBytes = 1L << 30;

    private static readonly OutputKind Kind =
        new(Benchmark.ManifestFile, Earlier, Expected, GoesBesideOthers: false, Problems.OutputNotEmpty);

    /// <summary>Says beforehand that a package cannot go into a folder: it holds something else, or cannot be written to.</summary>
    public static void CheckTarget(string directory) => OutputFolder.Check(directory, Kind);

    /// <summary>Writes a package, and reads it back before it is in its place: no package is written that nobody can open.</summary>
    public static void Write(Benchmark package, string directory) => Write(package, directory, readsBack: true);

    /// <summary>The same for a worker, which reads it next.</summary>
    public static void WriteForWorker(Benchmark package, string directory) => Write(package, directory, readsBack: false);

    private static void Write(Benchmark package, string directory, bool readsBack)
    {
        using var output = OutputFolder.Begin(directory, Kind);
        output.Try(() =>
        {
            File.WriteAllText(Path.Combine(output.Staged, RunScript.FileName), RunScript.Text);
            if (readsBack)
                WriteInto(package, output.Staged);
            else
                WriteLevel(package, output.Staged, null);
        });
        if (readsBack)
            ReadBack(Path.Combine(output.Staged, Benchmark.ManifestFile), package.Plan.Source.Name);
        output.Commit();
    }

    /// <summary>Writes the files of a package, of both levels, into a folder; its script is not among them.</summary>
    internal static void WriteInto(Benchmark package, string folder)
    {
        string? digest = null;
        if (package.Framework is { } framework)
        {
            string other = Directory.CreateDirectory(Path.Combine(folder, PackageFiles.FrameworkFolder)).FullName;
            WriteLevel(framework, other, null);
            digest = Benchmark.DigestOf(File.ReadAllBytes(Path.Combine(other, Benchmark.ManifestFile)));
        }
        WriteLevel(package, folder, digest);
    }

    private static void WriteLevel(Benchmark package, string folder, string? framework)
    {
        File.WriteAllBytes(Path.Combine(folder, Benchmark.ProgramFile), [.. package.ProgramBytes]);
        if (package.Plan.KernelSources.Count > 0)
        {
            string kernels = Directory.CreateDirectory(Path.Combine(folder, KernelFolder)).FullName;
            foreach (var (name, source) in package.Plan.KernelSources)
                File.WriteAllText(Path.Combine(kernels, name), source);
        }
        using var stream = File.Create(Path.Combine(folder, Benchmark.ManifestFile));
        PackageFiles.WriteManifest(package, stream, framework);
    }

    private static void ReadBack(string manifest, string source)
    {
        try
        {
            PackageFiles.Read(manifest);
        }
        catch (MystiqueException exception)
        {
            throw Problems.PackageMadeWrong(source, exception.What, exception);
        }
    }

    /// <summary>The names of the files of a package that is in a folder; null where there is none.</summary>
    internal static List<string>? Earlier(string target)
    {
        if (EarlierLevel(target) is not { } names)
            return null;
        names.Add(RunScript.FileName);
        string framework = Path.Combine(target, PackageFiles.FrameworkFolder);
        // Its two files are ours whatever they hold: the folder is a package's own.
        if (new DirectoryInfo(framework) is { Exists: true, LinkTarget: null })
            names.AddRange((EarlierLevel(framework) ?? [Benchmark.ManifestFile, Benchmark.ProgramFile])
                .Select(n => Path.Combine(PackageFiles.FrameworkFolder, n)));
        return names;
    }

    /// <summary>
    /// The same of packages in folders of an output, which have no scripts of their own; nothing is looked for behind links.
    /// </summary>
    /// <param name="target">The output.</param>
    /// <param name="folders">Their folders, from the output on: all in one folder of it.</param>
    internal static IEnumerable<string> EarlierIn(string target, IEnumerable<string> folders) => folders.Distinct()
        .Where(f => new DirectoryInfo(Path.Combine(target, Path.GetDirectoryName(f)!)) is { Exists: true, LinkTarget: null }
            && new DirectoryInfo(Path.Combine(target, f)) is { Exists: true, LinkTarget: null })
        .SelectMany(f => (Earlier(Path.Combine(target, f)) ?? []).Where(n => n != RunScript.FileName).Select(n => Path.Combine(f, n)));

    private static List<string>? EarlierLevel(string target)
    {
        using var manifest = OutputKind.ReadOwn(Path.Combine(target, Benchmark.ManifestFile), Manifest.FormatName, MaxManifestBytes);
        if (manifest is null)
            return null;
        List<string> names = [Benchmark.ManifestFile, Benchmark.ProgramFile];
        if (new DirectoryInfo(Path.Combine(target, KernelFolder)) is { Exists: true, LinkTarget: null })
            // A manifest can name what it likes; only files directly in the folder of kernels are meant.
            names.AddRange(OutputKind.TextsOf(manifest.RootElement, "kernels", "file").Where(ResourceFolder.IsPlainName).Distinct()
                .Select(n => Path.Combine(KernelFolder, n)));
        return names;
    }

    /// <summary>What kernels there will be is not known yet, but whether their folder can be one.</summary>
    private static IEnumerable<string> Expected(string target) =>
        [Benchmark.ManifestFile, Benchmark.ProgramFile, RunScript.FileName,
            .. Path.Exists(Path.Combine(target, KernelFolder)) ? (string[])[Path.Combine(KernelFolder, "*")] : [],
            .. Path.Exists(Path.Combine(target, PackageFiles.FrameworkFolder))
                ? (string[])[Path.Combine(PackageFiles.FrameworkFolder, "*")] : []];
}
