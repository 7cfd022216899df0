using Mystique.Diagnostics;

namespace Mystique.Files;

/// <summary>An output that is one file: made under a temporary name beside its place, and moved there when it is whole.</summary>
internal static class OutputFile
{
    /// <summary>
    /// Writes a file: all of it or nothing. One that is there is replaced, and keeps its mode; a link is replaced, and what it
    /// leads to stays: it can come from a stranger. A device or a pipe is written to.
    /// </summary>
    /// <param name="file">The file.</param>
    /// <param name="write">Writes it.</param>
    /// <param name="isOwn">Whether it is a file of this tool's, which may have been read before.</param>
    /// <exception cref="MystiqueException">It cannot be written, or is what this command read (MYS305).</exception>
    public static void Write(string file, Action<Stream> write, bool isOwn = false)
    {
        if (!isOwn)
            CheckInput(file);
        if (IsNoFile(file))
        {
            Try(file, () =>
            {
                using var device = new FileStream(file, FileMode.Open, FileAccess.Write);
                write(device);
            });
            return;
        }
        string target = Path.GetFullPath(file);
        using var staging = Unfinished.Beside(target);
        Try(file, () =>
        {
            using (var stream = File.Create(staging.Path))
                write(stream);
            Replace(staging.Path, target);
        });
    }

    /// <summary>Has another program make a file: it gets a temporary name, and what is there then is moved into its place.</summary>
    /// <typeparam name="T">What comes of it beside.</typeparam>
    /// <exception cref="MystiqueException">It cannot be moved there, or is what this command read (MYS305).</exception>
    public static async Task<T> MakeAsync<T>(string file, Func<string, Task<T>> make)
    {
        CheckInput(file);
        string extension = Path.GetExtension(file); // PyTorch packs what ends with .gz.
        if (IsNoFile(file))
        {
            using var folder = Unfinished.TemporaryFolder();
            string made = Path.Combine(folder.Path, "made" + extension);
            var outcome = await make(made).ConfigureAwait(false);
            Write(file, stream =>
            {
                using var source = File.OpenRead(made);
                source.CopyTo(stream);
            });
            return outcome;
        }
        string target = Path.GetFullPath(file);
        using var staging = Unfinished.Beside(target, ".tmp" + extension);
        var result = await make(staging.Path).ConfigureAwait(false);
        Try(file, () => Replace(staging.Path, target));
        return result;
    }

    /// <summary>Says at once, and not after a long run, that a file cannot be written.</summary>
    /// <exception cref="MystiqueException">There is no folder for it, or it cannot be written to (MYS305).</exception>
    public static void Check(string file)
    {
        if (IsNoFile(file))
            return;
        string target = Path.GetFullPath(file), folder = Path.GetDirectoryName(target)!;
        if (!Directory.Exists(folder) || Directory.Exists(target))
        {
            string why = Directory.Exists(target) ? "it is a folder" : $"there is no folder {folder}";
            throw Problems.OutputUnwritable(file, new DirectoryNotFoundException(why));
        }
        using var probe = Unfinished.Beside(target);
        Try(file, () => File.Create(probe.Path).Dispose());
    }

    /// <summary>What a command read is the user's: no output takes its place.</summary>
    private static void CheckInput(string file)
    {
        if (PlainFile.WasRead(Path.GetFullPath(file)))
            throw Problems.OutputUnwritable(file, new IOException("it is an input of this command"));
    }

    private static void Replace(string staged, string target)
    {
        if (!OperatingSystem.IsWindows() && File.Exists(target))
            File.SetUnixFileMode(staged, File.GetUnixFileMode(target));
        File.Move(staged, target, overwrite: true);
    }

    /// <summary>A device, a pipe or a socket, <c>/dev/stdout</c>, <c>/dev/fd/63</c>: nothing that a file could take the place of.</summary>
    private static bool IsNoFile(string file) => PlainFile.KindOf(file) is not null || Path.GetFullPath(file) is var path
        && (path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal)
            || path.StartsWith("/proc/", StringComparison.Ordinal));

    private static void Try(string file, Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(file, exception);
        }
    }
}
