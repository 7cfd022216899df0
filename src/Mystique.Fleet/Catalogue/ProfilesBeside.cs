using System.Collections.Concurrent;

namespace Mystique.Fleet.Catalogue;

/// <summary>Profiles that lie beside their traces (<c>job.et.json</c>, <c>job.kineto.json</c>). Each folder is listed once.</summary>
internal sealed class ProfilesBeside
{
    private readonly ConcurrentDictionary<string, ILookup<string, string>> _byFolder = new(StringComparer.Ordinal);

    /// <summary>The profile of an execution trace, by its name up to the first point; null for none, or several.</summary>
    /// <param name="trace">The trace's path.</param>
    public string? Of(string trace)
    {
        string name = Path.GetFileName(trace);
        return IsTrace(name) && InFolderOf(trace)[StemOf(name)].ToArray() is [var one] ? one : null;
    }

    /// <summary>Whether a file is the profile of a trace beside it.</summary>
    /// <param name="file">The file's path.</param>
    /// <param name="beside">All files of its folder, by their names up to the first point.</param>
    public bool IsOfATrace(string file, ILookup<string, string> beside) => IsProfile(Path.GetFileName(file))
        && beside[StemOf(Path.GetFileName(file))].Any(b => Of(b) == file);

    /// <summary>A file's name up to the first point.</summary>
    public static string StemOf(string name) => name.Split('.')[0];

    /// <summary>Whether a file is JSON by its name, as it is or compressed.</summary>
    public static bool IsJson(string name) => name.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
        || name.EndsWith(".json.gz", StringComparison.OrdinalIgnoreCase);

    private static bool IsTrace(string name) => name.Contains(".et.json", StringComparison.OrdinalIgnoreCase);

    private static bool IsProfile(string name) => IsJson(name) && !IsTrace(name)
        && (name.Contains("kineto", StringComparison.OrdinalIgnoreCase) || name.Contains("profile", StringComparison.OrdinalIgnoreCase));

    private ILookup<string, string> InFolderOf(string file) => _byFolder.GetOrAdd(Path.GetDirectoryName(file)!, static folder =>
        Directory.EnumerateFiles(folder).Where(f => IsProfile(Path.GetFileName(f))).ToLookup(f => StemOf(Path.GetFileName(f))));
}
