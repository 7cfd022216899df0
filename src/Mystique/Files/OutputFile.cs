using Mystique.Diagnostics;

namespace Mystique.Files;

/// <summary>An output that is one file: made under a temporary name beside its place, and moved there when it is whole.</summary>
internal static class OutputFile
{
    /// <summary>Writes a file: all of it or nothing. One that is there is replaced; a device or a pipe is written to.</summary>
    /// <exception cref="MystiqueException">It cannot be written (MYS305).</exception>
    public static void Write(string file, Action<Stream> write)
    {
        if (IsDevice(file))
        {
            Try(file, () =>
            {
                using var device = new FileStream(file, FileMode.Open, FileAccess.Write);
                write(device);
            });
            return;
        }
        using var staging = Unfinished.Beside(file);
        Try(file, () =>
        {
            using (var stream = File.Create(staging.Path))
                write(stream);
            File.Move(staging.Path, Path.GetFullPath(file), overwrite: true);
        });
    }

    /// <summary>Has another program make a file: it gets a temporary name, and what is there then is moved into its place.</summary>
    /// <typeparam name="T">What comes of it beside.</typeparam>
    /// <exception cref="MystiqueException">It cannot be moved there (MYS305).</exception>
    public static T Make<T>(string file, Func<string, T> make)
    {
        if (IsDevice(file))
            return make(file);
        using var staging = Unfinished.Beside(file, ".tmp" + Path.GetExtension(file)); // PyTorch packs what ends with .gz.
        var result = make(staging.Path);
        Try(file, () => File.Move(staging.Path, Path.GetFullPath(file), overwrite: true));
        return result;
    }

    /// <summary>Says at once, and not after a long run, that a file cannot be written.</summary>
    /// <exception cref="MystiqueException">There is no folder for it, or it cannot be written to (MYS305).</exception>
    public static void Check(string file)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        if (!Directory.Exists(folder) || Directory.Exists(file))
        {
            string why = Directory.Exists(file) ? "it is a folder" : $"there is no folder {folder}";
            throw Problems.OutputUnwritable(file, new DirectoryNotFoundException(why));
        }
        if (IsDevice(file))
            return;
        using var probe = Unfinished.Beside(file);
        Try(file, () => File.Create(probe.Path).Dispose());
    }

    /// <summary><c>/dev/stdout</c>, <c>/dev/null</c>, <c>/dev/fd/63</c>: nothing that a file could take the place of.</summary>
    private static bool IsDevice(string file) => Path.GetFullPath(file) is var path
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
