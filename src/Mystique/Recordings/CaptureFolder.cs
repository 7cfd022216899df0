using System.Collections.Immutable;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Recordings;

/// <summary>
/// A capture of one rank on disk: <c>rank-N.et.json.gz</c>, <c>rank-N.kineto.json.gz</c> where there is a profile,
/// <c>reference.json</c>, <c>capture.json</c>. The captures of a job with several ranks lie side by side in folders
/// <c>rank-N</c>. See <c>docs/collecting.md</c>.
/// </summary>
internal sealed class CaptureFolder
{
    internal const string ReferenceFile = "reference.json";
    internal const string RecordFile = "capture.json";
    internal const int MaxJsonBytes = 64 << 20;

    private CaptureFolder(string directory, int rank, Baseline reference, CaptureRecord record)
    {
        Directory = directory;
        TracePath = Path.Combine(directory, TraceName(rank));
        string profile = Path.Combine(directory, ProfileName(rank));
        ProfilePath = File.Exists(profile) ? profile : null;
        (Baseline, Record) = (reference, record);
    }

    /// <summary>The folder of this rank.</summary>
    public string Directory { get; }

    /// <summary>The execution trace.</summary>
    public string TracePath { get; }

    /// <summary>The profile of the same iteration; null where PyTorch could make none.</summary>
    public string? ProfilePath { get; }

    /// <summary>The original's own measurements.</summary>
    public Baseline Baseline { get; }

    /// <summary>What was done.</summary>
    public CaptureRecord Record { get; }

    /// <summary>Whether a path is a capture folder, or one of several ranks.</summary>
    /// <param name="path">The path.</param>
    public static bool IsCapture(string path) => File.Exists(Path.Combine(path, RecordFile)) || RanksOf(path).Length > 0;

    /// <summary>The ranks in the folders <c>rank-N</c> of a folder, rising.</summary>
    /// <param name="path">The path.</param>
    public static ImmutableArray<int> RanksOf(string path) => !System.IO.Directory.Exists(path) ? []
        : [.. System.IO.Directory.EnumerateDirectories(path, "rank-*").Where(d => File.Exists(Path.Combine(d, RecordFile)))
            .Select(d => int.TryParse(Path.GetFileName(d).AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
                ? rank : -1).Where(r => r >= 0).Order()];

    /// <summary>Reads a capture folder; of several ranks, the lowest.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="MystiqueException">Nothing was captured (MYS122), or a file is invalid (MYS121).</exception>
    public static CaptureFolder Read(string path)
    {
        var record = File.Exists(Path.Combine(path, RecordFile)) ? ReadJson<CaptureRecord>(Path.Combine(path, RecordFile)) : null;
        if (record is not { Captured: true } && RanksOf(path) is [var lowest, ..])
            return Read(Path.Combine(path, $"rank-{lowest}"));
        if (record is not { Captured: true })
            throw Problems.NothingCaptured(path, record?.Account.IsDefaultOrEmpty != false
                ? "nothing was captured: there is no trace in it" : string.Join("; ", record.Account));
        string file = Path.Combine(path, ReferenceFile);
        try
        {
            var reference = ReadJson<Baseline>(file).Checked();
            return new CaptureFolder(path, reference.Rank, reference, record);
        }
        catch (FormatException exception)
        {
            throw Problems.CaptureInvalid(file, exception);
        }
    }

    /// <summary>Adds what further runs of the job took.</summary>
    /// <param name="runsNs">The medians of their iterations, in nanoseconds.</param>
    /// <exception cref="MystiqueException">The file is no longer this capture's, or cannot be written (MYS305, MYS307).</exception>
    internal void AddRuns(IEnumerable<long> runsNs)
    {
        string file = Path.Combine(Directory, ReferenceFile);
        using (var own = OutputKind.ReadOwn(file, Baseline.FormatName, MaxJsonBytes))
            if (own is null)
                throw Problems.CaptureTargetNotEmpty(Directory, ReferenceFile);
        string text = CaptureContext.Write(Baseline with { RunsNs = [.. Baseline.RunsNs, .. runsNs] });
        OutputFile.Write(file, stream => stream.Write(Encoding.UTF8.GetBytes(text)), isOwn: true);
    }

    internal static string RankPath(string path, int rank) =>
        Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"rank-{rank}"));

    internal static string TraceName(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.et.json.gz");

    internal static string ProfileName(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.kineto.json.gz");

    internal static string ResourcesName(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.et_resources");

    /// <summary>Says beforehand that a capture cannot go into a folder: it holds something else, or cannot be written to.</summary>
    /// <param name="directory">The folder; it need not be there.</param>
    /// <exception cref="MystiqueException">Why not (MYS305, MYS307).</exception>
    internal static void CheckTarget(string directory) => OutputFolder.Check(directory, CaptureOutput.Kind);

    /// <summary>Writes a capture folder: all of it or nothing. One that is there is replaced, file by file.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="reference">What goes into <c>reference.json</c>; null where nothing was captured.</param>
    /// <param name="record">What goes into <c>capture.json</c>; its list of files is made here.</param>
    /// <param name="trace">The trace's text; null where there is none.</param>
    /// <param name="profile">The profile's text; null where there is none.</param>
    /// <param name="resources">A folder to put beside the trace; null for none.</param>
    /// <exception cref="MystiqueException">Something else is in the way, or the place cannot be written to (MYS305, MYS307).</exception>
    internal static void Write(string directory, Baseline? reference, CaptureRecord record, string? trace, string? profile,
        string? resources)
    {
        using var output = OutputFolder.Begin(directory, CaptureOutput.Kind);
        output.Try(() => Make(output.Staged, reference, record, trace, profile, resources));
        output.Commit();
    }

    /// <summary>Makes the files of a capture of one rank in a folder.</summary>
    /// <exception cref="IOException">One cannot be written.</exception>
    internal static void Make(string folder, Baseline? reference, CaptureRecord record, string? trace, string? profile,
        string? resources)
    {
        System.IO.Directory.CreateDirectory(folder);
        var files = ImmutableArray.CreateBuilder<CaptureFile>();
        int rank = reference?.Rank ?? 0;
        if (trace is not null)
            files.Add(Pack(trace, Path.Combine(folder, TraceName(rank))));
        if (profile is not null)
            files.Add(Pack(profile, Path.Combine(folder, ProfileName(rank))));
        if (resources is not null && System.IO.Directory.Exists(resources))
        {
            string target = System.IO.Directory.CreateDirectory(Path.Combine(folder, ResourcesName(rank))).FullName;
            foreach (string file in System.IO.Directory.EnumerateFiles(resources))
                File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }
        if (reference is not null)
            File.WriteAllText(Path.Combine(folder, ReferenceFile), CaptureContext.Write(reference));
        File.WriteAllText(Path.Combine(folder, RecordFile), CaptureContext.Write(record with { Files = files.ToImmutable() }));
    }

    private static CaptureFile Pack(string source, string target)
    {
        using var hash = new FileDigest();
        long size = 0;
        using (var input = PlainFile.Open(source))
        using (var output = new GZipStream(File.Create(target), CompressionLevel.Optimal))
        {
            byte[] buffer = new byte[1 << 20];
            for (int count; (count = input.Read(buffer)) > 0; size += count)
            {
                hash.Append(buffer.AsSpan(0, count));
                output.Write(buffer, 0, count);
            }
        }
        return new CaptureFile(Path.GetFileName(target), new FileInfo(target)
            .Length, size, hash.End());
    }

    private static T ReadJson<T>(string path)
    {
        try
        {
            return CaptureContext.Read<T>(PlainFile.ReadAllBytes(path, MaxJsonBytes));
        }
        catch (Exception exception) when (exception is JsonException or FormatException or NotSupportedException
            or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw Problems.CaptureInvalid(path, exception);
        }
    }
}
