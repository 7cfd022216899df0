using System.Text.RegularExpressions;
using Mystique.Diagnostics;

namespace Mystique.Files;

/// <summary>
/// A file, a folder or a process that this process began and has not finished: a temporary folder, an output under its
/// temporary name, a worker. It goes when it is disposed, and when a signal ends the process (<see cref="Interruption"/>).
/// Nothing else is ever deleted with what is in it: only what was made here, under a name that nobody else knows.
/// </summary>
internal sealed partial class Unfinished : IDisposable
{
    private static readonly Lock Gate = new();
    private static readonly HashSet<Unfinished> All = [];
    private static bool _isOver;

    private readonly Action _end;

    private Unfinished(string path, Action end)
    {
        (Path, _end) = (path, end);
        lock (Gate)
            All.Add(this);
    }

    /// <summary>Where it is; empty for a process.</summary>
    public string Path { get; }

    /// <summary>Makes a folder that only this user can look into (mode 0700), below the system's folder for temporary files.</summary>
    /// <exception cref="MystiqueException">It cannot be made (MYS308).</exception>
    public static Unfinished TemporaryFolder()
    {
        lock (Gate)
        {
            WaitIfOver();
            try
            {
                return OfPath(Directory.CreateTempSubdirectory("mystique-").FullName);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw Problems.NoTemporaryFolder(System.IO.Path.GetTempPath(), exception);
            }
        }
    }

    /// <summary>A name beside an output, for what is moved into its place when it is whole. Nothing is made yet.</summary>
    /// <param name="output">The output's path.</param>
    /// <param name="suffix">How the name ends.</param>
    public static Unfinished Beside(string output, string suffix = ".tmp")
    {
        lock (Gate)
        {
            WaitIfOver();
            return OfPath($"{System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(output))}.{Guid.NewGuid():N}{suffix}");
        }
    }

    /// <summary>Makes the folders that lead to a path. On disposal, those that were made and have nothing in them go.</summary>
    /// <param name="path">The path; nothing is made of itself.</param>
    /// <exception cref="MystiqueException">One cannot be made (MYS305).</exception>
    public static Unfinished FoldersAbove(string path)
    {
        lock (Gate)
        {
            WaitIfOver();
            string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
            string folder = System.IO.Path.GetDirectoryName(full) ?? full;
            var missing = new List<string>();
            for (string? next = folder; next is not null && !Directory.Exists(next); next = System.IO.Path.GetDirectoryName(next))
                missing.Add(next);
            var made = new Unfinished(folder, () => missing.ForEach(RemoveIfEmpty));
            try
            {
                Directory.CreateDirectory(folder);
                return made;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                made.Dispose();
                throw Problems.OutputUnwritable(path, exception);
            }
        }
    }

    /// <summary>Removes a folder, if there is nothing in it.</summary>
    public static void RemoveIfEmpty(string folder)
    {
        try
        {
            if (new DirectoryInfo(folder) is { Exists: true, LinkTarget: null })
                Directory.Delete(folder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // There is something in it, or it must stay.
        }
    }

    /// <summary>Whether a file's name is one that <see cref="Beside"/> gives.</summary>
    public static bool IsName(string name) => NamePattern().IsMatch(name);

    /// <summary>Does what must be done as a whole: a signal ends the process when it is done.</summary>
    /// <param name="action">What is done; it takes a moment.</param>
    public static void Undisturbed(Action action)
    {
        lock (Gate)
        {
            WaitIfOver();
            action();
        }
    }

    /// <summary>Something else that must not outlive this process.</summary>
    /// <param name="end">Ends it; called once at most, and may throw nothing.</param>
    public static Unfinished Of(Action end)
    {
        lock (Gate)
        {
            WaitIfOver();
            return new Unfinished("", end);
        }
    }

    /// <summary>Ends all that is unfinished, and lets nothing new begin: threads that try wait for the end of the process.</summary>
    public static void EndAll()
    {
        Unfinished[] all;
        lock (Gate)
        {
            _isOver = true;
            // Processes first: they write into the folders.
            all = [.. All.OrderBy(u => u.Path.Length > 0).ThenByDescending(u => u.Path.Length)];
            All.Clear();
        }
        foreach (var unfinished in all)
            unfinished._end();
    }

    /// <summary>
    /// Waits for ever where a signal is ending this process: what its main thread does then is of no interest, nor are its
    /// errors.
    /// </summary>
    public static void WaitIfOver()
    {
        if (Volatile.Read(ref _isOver))
            Thread.Sleep(Timeout.Infinite);
    }

    /// <summary>Deletes the file or the folder, if it is there.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            WaitIfOver();
            if (!All.Remove(this))
                return;
        }
        _end();
    }

    private static Unfinished OfPath(string path) => new(path, () => Delete(path));

    private static void Delete(string path)
    {
        // A worker that is being ended may still put a file into the folder.
        for (int attempt = 0; attempt < 5; attempt++)
        {
            try
            {
                if (File.Exists(path))
                    File.Delete(path);
                else if (Directory.Exists(path))
                    Directory.Delete(path, recursive: true);
                return;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Thread.Sleep(20);
            }
        }
    }

    [GeneratedRegex(@"\.[0-9a-f]{32}\.(tmp|work)\z")]
    private static partial Regex NamePattern();
}
