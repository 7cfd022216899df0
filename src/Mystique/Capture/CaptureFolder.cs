using System.Collections.Immutable;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Capture;

/// <summary>
/// A capture of one rank on disk: <c>rank-N.et.json.gz</c>, <c>rank-N.kineto.json.gz</c> where there is a profile,
/// <c>reference.json</c>, <c>capture.json</c>. The captures of a job with several ranks lie side by side in folders
/// <c>rank-N</c>. See <c>docs/collecting.md</c>.
/// </summary>
public sealed class CaptureFolder
{
    internal const string ReferenceFile = "reference.json";
    internal const string RecordFile = "capture.json";
    private const int MaxJsonBytes = 64 << 20;

    private CaptureFolder(string directory, int rank, CaptureReference reference, CaptureRecord record)
    {
        Directory = directory;
        TracePath = Path.Combine(directory, TraceName(rank));
        string profile = Path.Combine(directory, ProfileName(rank));
        ProfilePath = File.Exists(profile) ? profile : null;
        (Reference, Record) = (reference, record);
    }

    /// <summary>The folder of this rank.</summary>
    public string Directory { get; }

    /// <summary>The execution trace.</summary>
    public string TracePath { get; }

    /// <summary>The profile of the same iteration; null where PyTorch could make none.</summary>
    public string? ProfilePath { get; }

    /// <summary>The original's own measurements.</summary>
    public CaptureReference Reference { get; }

    /// <summary>What was done.</summary>
    public CaptureRecord Record { get; }

    /// <summary>Whether a path is a capture folder, or one of several ranks.</summary>
    /// <param name="path">The path.</param>
    public static bool IsCapture(string path) => File.Exists(Path.Combine(path, RecordFile)) || RanksOf(path).Length > 0;

    /// <summary>The ranks in the folders <c>rank-N</c> of a folder, rising.</summary>
    /// <param name="path">The path.</param>
    public static ImmutableArray<int> RanksOf(string path) => !System.IO.Directory.Exists(path) ? []
        : [.. System.IO.Directory.EnumerateDirectories(path, "rank-*").Where(d => File.Exists(Path.Combine(d, RecordFile)))
            .Select(d => int.TryParse(Path.GetFileName(d).AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int rank) ? rank : -1).Where(r => r >= 0).Order()];

    /// <summary>Reads a capture folder; of several ranks, the lowest.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="MystiqueException">Nothing was captured (MYS122), or a file makes no sense (MYS121).</exception>
    public static CaptureFolder Read(string path)
    {
        var record = File.Exists(Path.Combine(path, RecordFile)) ? ReadJson<CaptureRecord>(Path.Combine(path, RecordFile)) : null;
        if (record is not { Captured: true } && RanksOf(path) is [var lowest, ..])
            return Read(Path.Combine(path, $"rank-{lowest}"));
        if (record is not { Captured: true })
            throw Problems.NothingCaptured(path, record?.Account.IsDefaultOrEmpty != false ? "nothing was captured: there is no trace in it" : string.Join("; ", record.Account));
        string file = Path.Combine(path, ReferenceFile);
        try
        {
            var reference = ReadJson<CaptureReference>(file).Checked();
            return new CaptureFolder(path, reference.Rank, reference, record);
        }
        catch (FormatException exception)
        {
            throw Problems.CaptureInvalid(file, exception);
        }
    }

    /// <summary>Adds what further runs of the job took.</summary>
    /// <param name="runsNs">The medians of their iterations, in nanoseconds.</param>
    internal void AddRuns(IEnumerable<long> runsNs)
    {
        string file = Path.Combine(Directory, ReferenceFile);
        string staging = $"{file}.{Environment.ProcessId}.tmp";
        try
        {
            WriteJson(staging, Reference with { RunsNs = [.. Reference.RunsNs, .. runsNs] });
            File.Move(staging, file, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(file, exception);
        }
    }

    internal static string TraceName(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.et.json.gz");

    internal static string ProfileName(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.kineto.json.gz");

    internal static string ResourcesName(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.et_resources");

    /// <summary>Says beforehand that a capture cannot go into a folder: it holds something else.</summary>
    /// <param name="directory">The folder; it need not be there.</param>
    internal static void CheckTarget(string directory)
    {
        if (File.Exists(directory) || System.IO.Directory.Exists(directory) && !IsCapture(directory) && System.IO.Directory.EnumerateFileSystemEntries(directory).Any())
            throw Problems.CaptureTargetNotEmpty(directory);
        try
        {
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(directory))!);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(directory, exception);
        }
    }

    /// <summary>Writes a capture folder: all of it or nothing. One that is there is replaced.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="reference">What goes into <c>reference.json</c>; null where nothing was captured.</param>
    /// <param name="record">What goes into <c>capture.json</c>; its list of files is made here.</param>
    /// <param name="trace">The trace's text; null where there is none.</param>
    /// <param name="profile">The profile's text; null where there is none.</param>
    /// <param name="resources">A folder to put beside the trace; null for none. It is moved.</param>
    internal static void Write(string directory, CaptureReference? reference, CaptureRecord record, string? trace, string? profile, string? resources)
    {
        string target = Path.GetFullPath(directory);
        string staging = $"{target}.{Guid.NewGuid():N}.tmp";
        try
        {
            System.IO.Directory.CreateDirectory(staging);
            var files = ImmutableArray.CreateBuilder<CaptureFile>();
            int rank = reference?.Rank ?? 0;
            if (trace is not null)
                files.Add(Pack(trace, Path.Combine(staging, TraceName(rank))));
            if (profile is not null)
                files.Add(Pack(profile, Path.Combine(staging, ProfileName(rank))));
            if (resources is not null && System.IO.Directory.Exists(resources))
                System.IO.Directory.Move(resources, Path.Combine(staging, ResourcesName(rank)));
            if (reference is not null)
                WriteJson(Path.Combine(staging, ReferenceFile), reference);
            WriteJson(Path.Combine(staging, RecordFile), record with { Files = files.ToImmutable() });
            string? old = System.IO.Directory.Exists(target) ? $"{target}.{Guid.NewGuid():N}.old" : null;
            if (old is not null)
                System.IO.Directory.Move(target, old);
            System.IO.Directory.Move(staging, target);
            if (old is not null)
                System.IO.Directory.Delete(old, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(directory, exception);
        }
        finally
        {
            if (System.IO.Directory.Exists(staging))
                System.IO.Directory.Delete(staging, recursive: true);
        }
    }

    private static CaptureFile Pack(string source, string target)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long size = 0;
        using (var input = PlainFile.Open(source))
        using (var output = new GZipStream(File.Create(target), CompressionLevel.Optimal))
        {
            byte[] buffer = new byte[1 << 20];
            for (int count; (count = input.Read(buffer)) > 0; size += count)
            {
                hash.AppendData(buffer, 0, count);
                output.Write(buffer, 0, count);
            }
        }
        return new CaptureFile(Path.GetFileName(target), new FileInfo(target).Length, size, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private static void WriteJson<T>(string path, T value) => File.WriteAllText(path, JsonSerializer.Serialize(value, SnakeJson.Indented) + "\n");

    private static T ReadJson<T>(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(PlainFile.ReadAllBytes(path, MaxJsonBytes), SnakeJson.Indented)
                ?? throw new FormatException("it is empty");
        }
        catch (Exception exception) when (exception is JsonException or FormatException or NotSupportedException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw Problems.CaptureInvalid(path, exception);
        }
    }
}
