using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Recordings;

/// <summary>
/// Capture folders as outputs. A folder is one where its <c>capture.json</c> says so, or that of a rank's folder in it; of
/// its files only those are taken for ours that such a file lists, or stands for, and that have names which this program
/// gives.
/// </summary>
internal static partial class CaptureOutput
{
    public static OutputKind Kind { get; } =
        new(CaptureFolder.RecordFile, Earlier, Expected, GoesBesideOthers: true, Problems.CaptureTargetNotEmpty);

    /// <summary>The rank's folder that a name leads into; empty for a file of a capture of one rank.</summary>
    public static string RankFolderOf(string name) =>
        name.Split(Path.DirectorySeparatorChar)[0] is var first && first != name && RankFolder().IsMatch(first) ? first : "";

    private static List<string>? Earlier(string target)
    {
        var names = NamesIn(target);
        if (names is null && Path.Exists(Path.Combine(target, CaptureFolder.RecordFile)))
            return null;
        foreach (string rank in RankFoldersOf(target))
            if (new DirectoryInfo(Path.Combine(target, rank)) is { Exists: true, LinkTarget: null } folder
                && NamesIn(folder.FullName) is { } more)
                names = [.. names ?? [], .. more.Select(n => Path.Combine(rank, n))];
        return names;
    }

    /// <summary>Files whose names a capture may have are in its way if they are not of an earlier one.</summary>
    private static IEnumerable<string> Expected(string target) =>
        [CaptureFolder.RecordFile, CaptureFolder.ReferenceFile,
            .. Directory.EnumerateFileSystemEntries(target).Select(e => Path.GetFileName(e)).Where(n => RankFile().IsMatch(n)),
            .. RankFoldersOf(target)
                .SelectMany(r => (string[])[Path.Combine(r, CaptureFolder.RecordFile), Path.Combine(r, CaptureFolder.ReferenceFile)])];

    private static IEnumerable<string> RankFoldersOf(string target) =>
        Directory.EnumerateFileSystemEntries(target, "rank-*").Select(e => Path.GetFileName(e)).Where(n => RankFolder().IsMatch(n))
            .Order(StringComparer.Ordinal);

    /// <summary>The files of a capture of one rank; null where there is none.</summary>
    private static List<string>? NamesIn(string folder)
    {
        using var record = ReadOwn(folder, CaptureFolder.RecordFile, CaptureRecord.FormatName);
        if (record is null)
            return null;
        List<string> names = [CaptureFolder.RecordFile];
        using (var reference = ReadOwn(folder, CaptureFolder.ReferenceFile, Baseline.FormatName))
            if (reference is not null)
                names.Add(CaptureFolder.ReferenceFile);
        foreach (string name in OutputKind.TextsOf(record.RootElement, "files", "name").Where(n => RankFile().IsMatch(n)).Distinct())
        {
            names.Add(name);
            string resources = $"{name[..^".json.gz".Length]}_resources"; // Only a trace has one.
            if (new DirectoryInfo(Path.Combine(folder, resources)) is { Exists: true, LinkTarget: null } values)
                names.AddRange(values.EnumerateFiles().Select(f => f.Name).Where(n => n == NotedValues.RangesFile
                    || ValuesFile().IsMatch(n) || KernelFile().IsMatch(n))
                    .Select(n => Path.Combine(resources, n)));
        }
        return names;
    }

    private static JsonDocument? ReadOwn(string folder, string name, string format) =>
        OutputKind.ReadOwn(Path.Combine(folder, name), format, CaptureFolder.MaxJsonBytes);

    [GeneratedRegex(@"^rank-[0-9]{1,10}(\.[0-9]{1,10})?\z")]
    private static partial Regex RankFolder();

    [GeneratedRegex(@"^rank-[0-9]{1,10}\.(et|kineto)\.json\.gz\z")]
    private static partial Regex RankFile();

    [GeneratedRegex(@"^nid_[0-9]{1,19}_tid_[0-9]{1,10}\.dat\z")]
    private static partial Regex ValuesFile();

    /// <summary>Sources of kernels that <c>torch.compile</c> made.</summary>
    [GeneratedRegex(@"^[A-Za-z0-9_]{1,200}\.py\z")]
    private static partial Regex KernelFile();
}
