using Mystique.Files;

namespace Mystique.Recordings;

/// <summary>
/// The folder of files that PyTorch puts beside a trace: <c>NAME_resources</c> for <c>NAME.json</c>
/// (<c>torch/profiler/profiler.py</c>). Only plain files directly in it are read: a trace cannot make anything read what
/// lies elsewhere, by a path or by a link.
/// </summary>
internal sealed class ResourceFolder
{
    private readonly string _path;

    private ResourceFolder(string path) => _path = path;

    /// <summary>The folder of a trace; null where it has none.</summary>
    /// <param name="trace">The trace's path.</param>
    public static ResourceFolder? Of(string trace)
    {
        string name = trace.EndsWith(".gz", StringComparison.Ordinal) ? trace[..^3] : trace;
        if (!name.EndsWith(".json", StringComparison.Ordinal))
            return null;
        return At(name[..^5] + "_resources");
    }

    /// <summary>A folder by its path; null where there is none, or it is a link.</summary>
    /// <param name="path">The path.</param>
    public static ResourceFolder? At(string path)
    {
        var folder = new DirectoryInfo(path);
        return folder is { Exists: true, LinkTarget: null } ? new ResourceFolder(folder.FullName) : null;
    }

    /// <summary>Whether a name is of a file directly in a folder, and no path.</summary>
    public static bool IsPlainName(string name) =>
        name.Length > 0 && name is not ("." or "..") && name.AsSpan().IndexOfAny('/', '\\', '\0') < 0;

    /// <summary>A file of the folder; null where it is not there, is a link, is named like a path, or is too large.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="maxBytes">The most bytes to read.</param>
    public byte[]? Read(string name, long maxBytes)
    {
        if (!IsPlainName(name))
            return null;
        var file = new FileInfo(Path.Combine(_path, name));
        try
        {
            return file is { Exists: true, LinkTarget: null } && file.Length <= maxBytes && PlainFile.KindOf(file.FullName) is null
                ? PlainFile.ReadAllBytes(file.FullName, (int)Math.Min(maxBytes, Array.MaxLength - 1)) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null; // Contents are a help, not a need.
        }
    }
}
