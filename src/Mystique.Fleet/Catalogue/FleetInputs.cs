using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Recordings;
using Mystique.Traces.Chakra;

namespace Mystique.Fleet.Catalogue;

/// <summary>The traces that paths name.</summary>
internal static class FleetInputs
{
    private static readonly HashSet<string> Passed = new(StringComparer.Ordinal)
    {
        "reference.json", "capture.json", "benchmark.json", "job.json", "execution_details.json", "fleet.json", "suite.json",
    };

    /// <summary>Captures, and files that may be traces, by their paths; of a folder all below it.</summary>
    /// <param name="paths">Traces, captures, profiles, Chakra files, folders.</param>
    /// <exception cref="MystiqueException">A path is not there (MYS101), or there is nothing (MYS505).</exception>
    public static ImmutableArray<string> Find(IReadOnlyList<string> paths)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        var profiles = new ProfilesBeside();
        foreach (string path in paths)
        {
            string full = Path.GetFullPath(path);
            if (File.Exists(full))
                found.Add(full);
            else if (Directory.Exists(full))
                Walk(full, found, profiles);
            else
                throw Problems.TraceNotFound(path);
        }
        return found.Count == 0 ? throw Problems.FleetInputsNone(string.Join(", ", paths)) : [.. found];
    }

    /// <summary>Those of a shard: each path is in one, whatever the others are.</summary>
    /// <param name="inputs">All.</param>
    /// <param name="shard">Its number, from 1.</param>
    /// <param name="of">How many there are.</param>
    public static ImmutableArray<string> OfShard(ImmutableArray<string> inputs, int shard, int of) =>
        [.. inputs.Where(i => (int)(HashOf(i) % (ulong)of) == shard - 1)];

    private static ulong HashOf(string path)
    {
        ulong hash = MinHash.HashOf(path);
        return hash ^ hash >> 32;
    }

    /// <summary>The ranks of one job whose files lie side by side in a folder, rising; none where it is no such folder.</summary>
    public static ImmutableArray<RankFiles.RankFile> RanksIn(string folder)
    {
        try
        {
            // Names that differ in more than the rank are of several jobs.
            return !Directory.Exists(folder) || CaptureFolder.IsCapture(folder) ? []
                : RankFiles.Of(folder) is { Length: > 1 } ranks && ranks.Select(r => NameWithout(r)).Distinct().Count() == 1 ? ranks : [];
        }
        catch (MystiqueException exception) when (exception.Id == "MYS129")
        {
            return []; // Several jobs, for a rank is there twice.
        }
    }

    private static string NameWithout(RankFiles.RankFile rank) => Regex.Replace(Path.GetFileName(rank.Path),
        $"(?<![0-9])0*{rank.Rank.ToString(CultureInfo.InvariantCulture)}(?![0-9])", "N");

    private static void Walk(string folder, SortedSet<string> found, ProfilesBeside profiles)
    {
        var pending = new Stack<string>([folder]);
        while (pending.TryPop(out string? at))
        {
            if (CaptureFolder.IsCapture(at))
            {
                found.Add(at);
                continue;
            }
            var files = Directory.EnumerateFiles(at).ToLookup(f => ProfilesBeside.StemOf(Path.GetFileName(f)));
            var ranks = RanksIn(at);
            if (!ranks.IsEmpty)
                found.Add(at);
            var own = ranks.SelectMany(r => (string?[])[r.Path, r.Profile]).ToHashSet(StringComparer.Ordinal);
            found.UnionWith(files.SelectMany(f => f).Where(f => IsTrace(f) && !own.Contains(f) && !profiles.IsOfATrace(f, files)));
            foreach (string inner in Directory.EnumerateDirectories(at))
                if (Path.GetFileName(inner) != Recordings.Serving.CaptureTraces.FolderName && !own.Contains(inner))
                    pending.Push(inner);
        }
    }

    /// <summary>Opens what a path names: a trace with the profile that lies beside it, of ranks side by side the lowest.</summary>
    /// <param name="path">A trace, a capture, or a folder of ranks.</param>
    /// <param name="profiles">Profiles of traces.</param>
    /// <param name="open">Opens anything else.</param>
    public static Recording Open(string path, ProfilesBeside profiles, Func<string, Recording> open) => RanksIn(path) is [var lowest, ..]
        ? Recording.Open(lowest.Path, new RecordingOptions { Profile = lowest.Profile })
        : File.Exists(path) && profiles.Of(path) is { } profile ? Recording.Open(path, new RecordingOptions { Profile = profile })
        : open(path);

    /// <summary>Whether a file may be a trace by its name.</summary>
    private static bool IsTrace(string file) => ChakraFiles.NameOf(file) is not null
        || Path.GetFileName(file) is var name && !Passed.Contains(name) && ProfilesBeside.IsJson(name);
}
