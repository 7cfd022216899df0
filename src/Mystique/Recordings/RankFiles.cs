using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Traces.Chakra;

namespace Mystique.Recordings;

/// <summary>
/// The ranks of a job in a folder: a capture of several ranks, or files whose names say the rank (<c>rank-3.et.json.gz</c>,
/// <c>et_rank3.json</c>), with their profiles where a name has <c>kineto</c> or <c>profile</c>.
/// </summary>
internal static partial class RankFiles
{
    /// <summary>A rank's trace, or capture folder, and its profile.</summary>
    /// <param name="Rank">The rank.</param>
    /// <param name="Path">The trace or the capture folder.</param>
    /// <param name="Profile">The profile; null where there is none, or the capture folder has it.</param>
    public sealed record RankFile(int Rank, string Path, string? Profile);

    /// <summary>The ranks in a folder, rising; none where it is no folder of ranks.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="MystiqueException">A rank has several traces (MYS129).</exception>
    public static ImmutableArray<RankFile> Of(string path)
    {
        if (CaptureFolder.RanksOf(path) is { Length: > 0 } ranks)
            return [.. ranks.Select(r => new RankFile(r, CaptureFolder.RankPath(path, r), null))];
        if (!Directory.Exists(path) || CaptureFolder.IsCapture(path))
            return [];
        return Together(path, Directory.EnumerateFiles(path).Order(StringComparer.Ordinal)
            .Where(f => RankIn(f) is not null).Select(f => (RankIn(f)!.Value, f)));
    }

    /// <summary>The ranks of traces, their profiles and capture folders that were named one by one, rising.</summary>
    /// <param name="paths">Files whose names say the rank, and captures of one rank each.</param>
    /// <exception cref="MystiqueException">A name does not say its rank (MYS138), or a rank has several traces (MYS129).</exception>
    public static ImmutableArray<RankFile> Of(IReadOnlyList<string> paths) => Together(paths[0], paths.Select(p =>
        (Directory.Exists(p) ? CaptureFolder.Read(p).Baseline.Rank : RankIn(p) ?? throw Problems.RankNotNamed(p), p)));

    private static ImmutableArray<RankFile> Together(string path, IEnumerable<(int Rank, string File)> files)
    {
        var traces = new SortedDictionary<int, string>();
        var profiles = new Dictionary<int, string>();
        foreach (var (rank, file) in files)
        {
            string name = Path.GetFileName(file);
            if (name.Contains("kineto", StringComparison.OrdinalIgnoreCase) || name.Contains("profile", StringComparison.OrdinalIgnoreCase))
                profiles.TryAdd(rank, file);
            else if (!traces.TryAdd(rank, file))
                throw Problems.RankTwice(path, rank, Path.GetFileName(traces[rank]), name);
        }
        return [.. traces.Select(t => new RankFile(t.Key, t.Value, profiles.GetValueOrDefault(t.Key)))];
    }

    /// <summary>The rank that a file's name says; null where it says none.</summary>
    internal static int? RankIn(string file) => ChakraFiles.NameOf(file) is { } chakra ? chakra.Rank
        : Name().Match(Path.GetFileName(file)) is { Success: true } match
        && int.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int rank) ? rank : null;

    [GeneratedRegex(@"(?:^|[^A-Za-z])rank[-_]?([0-9]{1,7})(?![0-9]).*\.json(?:\.gz)?\z", RegexOptions.IgnoreCase)]
    private static partial Regex Name();
}
