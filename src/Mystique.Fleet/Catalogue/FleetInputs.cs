using System.Collections.Immutable;
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
        foreach (string path in paths)
        {
            string full = Path.GetFullPath(path);
            if (File.Exists(full))
                found.Add(full);
            else if (Directory.Exists(full))
                Walk(full, found);
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

    private static void Walk(string folder, SortedSet<string> found)
    {
        var pending = new Stack<string>([folder]);
        while (pending.TryPop(out string? at))
        {
            if (CaptureFolder.IsCapture(at))
            {
                found.Add(at);
                continue;
            }
            string[] files = [.. Directory.EnumerateFiles(at)];
            found.UnionWith(files.Where(f => IsTrace(f, files)));
            foreach (string inner in Directory.EnumerateDirectories(at))
                if (Path.GetFileName(inner) != Recordings.Serving.CaptureTraces.FolderName)
                    pending.Push(inner);
        }
    }

    /// <summary>Whether a file may be a trace by its name; a profile beside its trace is not one more.</summary>
    private static bool IsTrace(string file, string[] beside)
    {
        string name = Path.GetFileName(file);
        if (ChakraFiles.NameOf(file) is not null)
            return true;
        if (Passed.Contains(name) || !name.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            && !name.EndsWith(".json.gz", StringComparison.OrdinalIgnoreCase))
            return false;
        bool isProfile = name.Contains("kineto", StringComparison.OrdinalIgnoreCase)
            || name.Contains("profile", StringComparison.OrdinalIgnoreCase);
        return !isProfile || !beside.Any(b => b != file && b.Contains(".et.json", StringComparison.OrdinalIgnoreCase)
            && Path.GetFileName(b).Split('.')[0] == name.Split('.')[0]);
    }
}
