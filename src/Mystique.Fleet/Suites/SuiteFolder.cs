using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Fleet.Catalogue;
using Mystique.Packaging.Jobs;
using Mystique.Recordings;

namespace Mystique.Fleet.Suites;

/// <summary>A suite's folder: <c>suite.json</c> and a benchmark for each member. It is whole, or not there.</summary>
internal static class SuiteFolder
{
    private const string JobManifest = "job.json";

    /// <summary>Says beforehand that a suite has no place.</summary>
    /// <exception cref="MystiqueException">Something else is there (MYS304).</exception>
    public static void CheckTarget(string folder)
    {
        if (File.Exists(folder))
            throw Problems.OutputNotEmpty(folder, "it is a file");
        if (!Directory.Exists(folder) || !Directory.EnumerateFileSystemEntries(folder).Any())
            return;
        if (Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal)
            .FirstOrDefault(e => e is not (SuiteDocument.FileName or SuiteDocument.BenchmarksName)) is { } other)
            throw Problems.OutputNotEmpty(folder, other);
        SuiteDocument.Read(folder); // What is replaced is a suite.
    }

    /// <summary>Makes the benchmarks, and writes the suite.</summary>
    /// <param name="folder">Its folder; a suite that is there is replaced.</param>
    /// <param name="suite">The document, without the benchmarks' digests.</param>
    /// <param name="open">Opens a trace.</param>
    /// <param name="earlier">A suite whose benchmarks of the same plans are taken over; null for none.</param>
    /// <param name="least">
    /// A phase with such a share of an iteration's time or more stands for the iteration; null takes whole iterations.
    /// </param>
    /// <param name="progress">Told how many of how many are made.</param>
    /// <exception cref="MystiqueException">A trace is not what it was (MYS514), or the folder cannot be written (MYS305).</exception>
    public static SuiteDocument Write(string folder, SuiteDocument suite, Func<string, Recording> open,
        (string Folder, SuiteDocument Suite)? earlier = null, double? least = null,
        Action<int, int>? progress = null)
    {
        CheckTarget(folder);
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        string staged = $"{target}.{Environment.ProcessId}.tmp", old = $"{target}.{Environment.ProcessId}.old";
        try
        {
            Directory.CreateDirectory(staged);
            var made = new Dictionary<string, SuiteEntry>();
            int count = suite.Members().Count();
            foreach (var member in suite.Members())
            {
                string at = SuiteDocument.FolderOf(staged, member);
                var same = earlier?.Suite.Members().FirstOrDefault(m => m.PlanDigest == member.PlanDigest
                    && m.TraceDigest == member.TraceDigest);
                DominantPart? part = null;
                if (same is not null && DigestOf(earlier!.Value.Folder, same) == same.BenchmarkDigest)
                {
                    Copy(SuiteDocument.FolderOf(earlier.Value.Folder, same), at);
                    part = same is { Part: { } select, PartShare: { } share } ? new DominantPart(select, share) : null;
                }
                else
                    part = Make(member, at, open, least);
                made[member.Name] = member with
                {
                    BenchmarkDigest = DigestOf(staged, member) ?? throw Problems.SuiteMemberLost(member.Trace, "nothing was written"),
                    Part = part?.Select,
                    PartShare = part?.Share,
                };
                progress?.Invoke(made.Count, count);
            }
            suite = suite with
            {
                Strata = [.. suite.Strata.Select(s => s with
                {
                    Members = [.. s.Members.Select(m => made[m.Name])],
                })],
            };
            File.WriteAllBytes(Path.Combine(staged, SuiteDocument.FileName), JsonSerializer.SerializeToUtf8Bytes(suite,
                FleetJson.Default.SuiteDocument));
            if (Directory.Exists(target))
                Directory.Move(target, old);
            Directory.Move(staged, target);
            return suite;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (Directory.Exists(old) && !Directory.Exists(target))
                Directory.Move(old, target);
            throw Problems.OutputUnwritable(folder, exception);
        }
        finally
        {
            foreach (string rest in (string[])[staged, old])
                if (Directory.Exists(rest))
                    Directory.Delete(rest, recursive: true);
        }
    }

    /// <summary>Checks that a member's benchmark is the one that was selected.</summary>
    /// <exception cref="MystiqueException">It is not (MYS511).</exception>
    public static void Check(string folder, SuiteEntry member)
    {
        if (DigestOf(folder, member) != member.BenchmarkDigest)
            throw Problems.SuiteChanged(folder, member.Name);
    }

    /// <summary>SHA-256 of a suite's document.</summary>
    public static string DigestOf(string folder) =>
        Benchmark.DigestOf(File.ReadAllBytes(Path.Combine(SuiteDocument.FolderOf(folder), SuiteDocument.FileName)));

    /// <summary>SHA-256 of the manifests of a member's benchmark, which have those of its files; null where there is none.</summary>
    private static string? DigestOf(string folder, SuiteEntry member)
    {
        string at = SuiteDocument.FolderOf(folder, member);
        if (!Directory.Exists(at))
            return null;
        // Of a job each rank's package has a manifest of its own.
        string[] manifests = [.. Directory.EnumerateFiles(at, "*.json", SearchOption.AllDirectories)
            .Where(f => Path.GetFileName(f) is JobManifest or Benchmark.ManifestFile).Order(StringComparer.Ordinal)];
        if (manifests.Length == 0)
            return null;
        using var digest = new FileDigest();
        foreach (string manifest in manifests)
        {
            digest.Append(System.Text.Encoding.UTF8.GetBytes(Path.GetRelativePath(at, manifest) + "\n"));
            digest.Append(File.ReadAllBytes(manifest));
        }
        return digest.End();
    }

    /// <summary>
    /// Makes a member's benchmark; gives the part that it is, null for the whole iteration. Jobs of ranks are never parts.
    /// </summary>
    private static DominantPart? Make(SuiteEntry member, string at, Func<string, Recording> open, double? least)
    {
        try
        {
            if (RankFiles.Of(member.Trace) is { Length: > 1 } ranks)
            {
                var recordings = ranks.Select(r => (r.Rank, Recording.Open(r.Path, new RecordingOptions { Profile = r.Profile })))
                    .ToImmutableArray();
                CheckDigest(member, recordings[0].Item2);
                JobFiles.Write(JobBuilder.Make(recordings, Path.GetFileName(member.Trace), new BenchmarkOptions()), at);
                return null;
            }
            var recording = FleetInputs.Open(member.Trace, new ProfilesBeside(), open);
            CheckDigest(member, recording);
            var part = least is { } share ? DominantPart.Of(recording, share) : null;
            Benchmark.Create(recording, new BenchmarkOptions { Select = part?.Select }).Save(at);
            return part;
        }
        catch (MystiqueException exception) when (exception.Id is not ("MYS514" or "MYS305"))
        {
            throw Problems.SuiteMemberLost(member.Trace, exception.What);
        }
    }

    private static void CheckDigest(SuiteEntry member, Recording recording)
    {
        if (recording.Trace.Digest != member.TraceDigest)
            throw Problems.SuiteMemberLost(member.Trace, "the trace is another one than when it was added");
    }

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
