using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Packaging.Jobs;

/// <summary>The benchmark of a job on disk.</summary>
internal static class JobFiles
{
    private const int MaxBytes = 1 << 29;

    private static readonly OutputKind Kind =
        new(JobBenchmark.ManifestFile, Earlier, Expected, GoesBesideOthers: false, Problems.OutputIsNoJob);

    /// <summary>Says beforehand that it cannot go into a folder.</summary>
    public static void CheckTarget(string directory) => OutputFolder.Check(directory, Kind);

    /// <summary>Writes it, and reads it back before it is in its place.</summary>
    public static void Write(JobBenchmark job, string directory)
    {
        using var output = OutputFolder.Begin(directory, Kind);
        output.Try(() =>
        {
            File.WriteAllText(Path.Combine(output.Staged, RunScript.FileName), RunScript.Text);
            foreach (var (i, program) in job.Programs.Index())
                PackageWriter.WriteInto(program, Directory.CreateDirectory(Path.Combine(output.Staged, FolderOf(i))).FullName);
            using var stream = File.Create(Path.Combine(output.Staged, JobBenchmark.ManifestFile));
            WriteManifest(job, stream);
        });
        try
        {
            Read(output.Staged);
        }
        catch (MystiqueException exception)
        {
            throw Problems.PackageMadeWrong(directory, exception.What, exception);
        }
        output.Commit();
    }

    /// <summary>Reads it from a folder.</summary>
    public static JobBenchmark Read(string folder)
    {
        string path = Path.Combine(folder, JobBenchmark.ManifestFile);
        JobManifest manifest;
        try
        {
            using var document = ManifestRules.Parse(PlainFile.ReadAllBytes(path, MaxBytes));
            ManifestRules.CheckJob(document.RootElement);
            manifest = document.RootElement.Deserialize(ManifestContext.Default.JobManifest)!;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.PackageUnreadable(path, exception);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or ArgumentException or InvalidOperationException)
        {
            throw Problems.JobInvalid(path, exception.Message);
        }
        string[] folders = [.. manifest.Ranks.Select(r => r.Package).Distinct().Order(StringComparer.Ordinal)];
        var programs = folders.Select(f => PackageFiles.Read(Path.Combine(folder, f, Benchmark.ManifestFile))).ToImmutableArray();
        var job = new JobBenchmark
        {
            WorldSize = manifest.WorldSize,
            Programs = programs,
            Groups = [.. manifest.Groups.Select(g => new JobGroup(g.Name, g.Ranks, g.Description ?? "", g.Backend ?? ""))],
            Ranks = [.. manifest.Ranks.Select(r => new JobRank(r.Rank, Array.IndexOf(folders, r.Package), r.MadeOf, r.Original,
                [.. r.Calls.Select(ToCall)]))],
            Notes = manifest.Notes ?? [],
        };
        return JobChecks.WhyNot(job) is { } why ? throw Problems.JobInvalid(path, why) : job;
    }

    private static JobCall ToCall(JobManifestCall call) => new()
    {
        Node = call.Node,
        Group = call.Group,
        Root = call.Root,
        InputSplits = call.InputSplits ?? [],
        OutputSplits = call.OutputSplits ?? [],
        DurationNs = call.DurationNs,
    };

    private static string FolderOf(int program) =>
        string.Create(CultureInfo.InvariantCulture, $"{JobBenchmark.ProgramsFolder}/{program}");

    private static void WriteManifest(JobBenchmark job, Stream stream)
    {
        var manifest = new JobManifest
        {
            Format = JobManifest.FormatName,
            FormatVersion = JobManifest.CurrentVersion,
            WorldSize = job.WorldSize,
            Groups = [.. job.Groups.Select(g => new JobManifestGroup(g.Name, g.Ranks, g.Description.Length > 0 ? g.Description : null,
                g.Backend.Length > 0 ? g.Backend : null))],
            Ranks = [.. job.Ranks.Select(r => new JobManifestRank
            {
                Rank = r.Rank,
                Package = FolderOf(r.Program),
                MadeOf = r.MadeOf,
                Original = r.Original,
                Calls = [.. r.Calls.Select(c => new JobManifestCall
                {
                    Node = c.Node,
                    Group = c.Group,
                    Root = c.Root,
                    InputSplits = c.InputSplits.IsEmpty ? null : c.InputSplits,
                    OutputSplits = c.OutputSplits.IsEmpty ? null : c.OutputSplits,
                    DurationNs = c.DurationNs,
                })],
            })],
            Notes = job.Notes.IsEmpty ? null : job.Notes,
        };
        using var document = JsonSerializer.SerializeToDocument(manifest, ManifestContext.Written.JobManifest);
        ManifestRules.CheckJob(document.RootElement);
        PackageFiles.WriteByLine(document, stream);
    }

    private static List<string>? Earlier(string target)
    {
        using var manifest = OutputKind.ReadOwn(Path.Combine(target, JobBenchmark.ManifestFile), JobManifest.FormatName, MaxBytes);
        if (manifest is null)
            return null;
        return [JobBenchmark.ManifestFile, RunScript.FileName, .. PackageWriter.EarlierIn(target,
            OutputKind.TextsOf(manifest.RootElement, "ranks", "package").Where(f => ManifestRules.Form("package_folder").IsMatch(f)))];
    }

    private static IEnumerable<string> Expected(string target) =>
        [JobBenchmark.ManifestFile, RunScript.FileName, Path.Combine(JobBenchmark.ProgramsFolder, "*")];
}
