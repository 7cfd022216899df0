using Mystique.Diagnostics;

namespace Mystique.Files;

/// <summary>
/// An output that is a folder: a package, a capture. It is written under a temporary name, and moved into its place when
/// it is whole. Where a folder is there already, only files that an earlier output of the same kind had are replaced or
/// taken away, by name; whatever else lies there stays, and where it is in the way, the output is refused.
/// </summary>
internal sealed class OutputFolder : IDisposable
{
    private readonly string _directory;
    private readonly string _target;
    private readonly OutputKind _kind;
    private readonly Unfinished _parents;
    private readonly Unfinished _staging;

    private OutputFolder(string directory, string target, OutputKind kind)
    {
        (_directory, _target, _kind) = (directory, target, kind);
        _parents = Unfinished.FoldersAbove(target);
        // Within a folder that is there: it may be the only place of its disk that can be written to.
        _staging = Unfinished.Beside(Directory.Exists(target) ? Path.Combine(target, kind.Manifest) : target);
    }

    /// <summary>Where the output's files are made before they go to their place.</summary>
    public string Staged => Path.Combine(_staging.Path, "new");

    private string Replaced => Path.Combine(_staging.Path, "old");

    /// <summary>Says beforehand that an output cannot go into a folder.</summary>
    /// <param name="directory">The folder; it need not be there.</param>
    /// <param name="kind">The kind of output.</param>
    /// <exception cref="MystiqueException">It holds something else, or cannot be written to (MYS304, MYS305, MYS307).</exception>
    public static void Check(string directory, OutputKind kind)
    {
        string target = Resolve(directory);
        using var probe = new OutputFolder(directory, target, kind);
        probe.Try(() =>
        {
            if (File.Exists(target))
                throw kind.Refuse(directory, "it is a file");
            if (Directory.Exists(target))
            {
                var earlier = kind.Earlier(target);
                if (((earlier is null ? Foreign(target) : null) ?? InTheWay(target, kind.Expected(target), earlier ?? [])) is { } name)
                    throw kind.Refuse(directory, name);
            }
            Directory.CreateDirectory(probe._staging.Path);
        });
    }

    /// <summary>Begins an output: its folder <see cref="Staged"/> is there then.</summary>
    /// <param name="directory">The output's folder; it need not be there.</param>
    /// <param name="kind">The kind of output.</param>
    /// <exception cref="MystiqueException">The place cannot be written to (MYS305).</exception>
    public static OutputFolder Begin(string directory, OutputKind kind)
    {
        var output = new OutputFolder(directory, Resolve(directory), kind);
        try
        {
            output.Try(() => Directory.CreateDirectory(output.Staged));
            return output;
        }
        catch
        {
            output.Dispose();
            throw;
        }
    }

    /// <summary>Makes, writes or reads files of the output.</summary>
    /// <exception cref="MystiqueException">That fails (MYS305).</exception>
    public void Try(Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(_directory, exception);
        }
    }

    /// <summary>Puts the output into its place: all of it, or nothing. A signal waits until that is done.</summary>
    /// <param name="keeps">Which files of an earlier output stay where this one has none of that name; null for none.</param>
    /// <exception cref="MystiqueException">
    /// Something else is in the way, or the place cannot be written to (MYS304, MYS305, MYS307).
    /// </exception>
    public void Commit(Func<string, bool>? keeps = null) => Try(() => Unfinished.Undisturbed(() => Place(keeps ?? (_ => false))));

    public void Dispose()
    {
        _staging.Dispose();
        _parents.Dispose();
    }

    private void Place(Func<string, bool> keeps)
    {
        if (!Path.Exists(_target))
        {
            try
            {
                Directory.Move(Staged, _target);
                return;
            }
            catch (IOException) when (Directory.Exists(_target))
            {
                // Another process of the same job was faster.
            }
        }
        if (!Directory.Exists(_target))
            throw _kind.Refuse(_directory, "it is a file");
        var earlier = _kind.Earlier(_target);
        if (earlier is null && !_kind.GoesBesideOthers && Foreign(_target) is { } foreign)
            throw _kind.Refuse(_directory, foreign);
        string[] names = [.. Directory.EnumerateFiles(Staged, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(Staged, f)).OrderBy(IsManifest)];
        if (InTheWay(_target, names, earlier ?? []) is { } other)
            throw _kind.Refuse(_directory, other);
        string[] old = [.. (earlier ?? []).Where(n => File.Exists(Path.Combine(_target, n)) && (names.Contains(n) || !keeps(n)))
            .OrderByDescending(IsManifest)];
        MoveAll([.. old.Select(n => (Path.Combine(_target, n), Path.Combine(Replaced, n)))],
            [.. names.Select(n => (Path.Combine(Staged, n), Path.Combine(_target, n)))]);
        foreach (string folder in old.SelectMany(Ancestors).Distinct().OrderByDescending(n => n.Length))
            Unfinished.RemoveIfEmpty(Path.Combine(_target, folder));
    }

    private bool IsManifest(string name) => Path.GetFileName(name) == _kind.Manifest;

    /// <summary>Moves files, none over another; where one cannot be moved, those before it go back.</summary>
    private static void MoveAll(IReadOnlyList<(string From, string To)> old, IReadOnlyList<(string From, string To)> made)
    {
        (string From, string To)[] moves = [.. old, .. made];
        var folders = new Stack<Unfinished>();
        int done = 0;
        try
        {
            for (; done < moves.Length; done++)
            {
                folders.Push(Unfinished.FoldersAbove(moves[done].To));
                Move(moves[done].From, moves[done].To, mayBeGone: done < old.Count);
            }
        }
        catch
        {
            while (--done >= 0)
                TryMove(moves[done].To, moves[done].From);
            throw;
        }
        finally
        {
            while (folders.TryPop(out var folder))
                folder.Dispose(); // Those that have something in them stay.
        }
    }

    private static void Move(string from, string to, bool mayBeGone)
    {
        try
        {
            File.Move(from, to);
        }
        catch (FileNotFoundException) when (mayBeGone)
        {
            // Another process of the same job took it away.
        }
    }

    private static void TryMove(string from, string to)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Move(from, to);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The first failure is told.
        }
    }

    /// <summary>The first thing in a folder that is not there because of this program; null where there is nothing.</summary>
    private static string? Foreign(string target) =>
        Directory.EnumerateFileSystemEntries(target).Select(e => Path.GetFileName(e)).Order(StringComparer.Ordinal)
            .FirstOrDefault(n => !Unfinished.IsName(n));

    /// <summary>
    /// What hinders files from going to their places: a file that is not of the earlier output, a link or a file where a folder
    /// must be, a folder where a file must be.
    /// </summary>
    private static string? InTheWay(string target, IEnumerable<string> names, IReadOnlyCollection<string> earlier)
    {
        foreach (string name in names)
        {
            foreach (string folder in Ancestors(name))
            {
                var info = new DirectoryInfo(Path.Combine(target, folder));
                if (info.LinkTarget is not null || File.Exists(info.FullName))
                    return folder;
            }
            string path = Path.Combine(target, name);
            if (Directory.Exists(path) || Path.Exists(path) && !earlier.Contains(name))
                return name;
        }
        return null;
    }

    /// <summary>The folders that a name leads through, the outermost first.</summary>
    private static IEnumerable<string> Ancestors(string name)
    {
        for (int i = name.IndexOf(Path.DirectorySeparatorChar); i >= 0; i = name.IndexOf(Path.DirectorySeparatorChar, i + 1))
            yield return name[..i];
    }

    /// <summary>The folder's own path; of a link to a folder, where it leads.</summary>
    private static string Resolve(string directory)
    {
        try
        {
            var info = new DirectoryInfo(Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory)));
            return info.LinkTarget is null ? info.FullName : info.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw Problems.OutputUnwritable(directory, exception);
        }
    }
}
