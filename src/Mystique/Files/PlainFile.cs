using System.Runtime.InteropServices;
using Mystique.Diagnostics;

namespace Mystique.Files;

/// <summary>
/// How input files are opened. What is not a regular file (a pipe, a device, a socket) is refused before it is opened: opening a
/// pipe waits for somebody to write, and a device has no end. Links are followed.
/// </summary>
internal static partial class PlainFile
{
    private const int CurrentFolder = -100;
    private const uint TypeOnly = 1;
    private const int StatusBytes = 256;
    private const int ModeOffset = 28;

    private static readonly HashSet<string> Read = [];

    private static FileStream? _newest;

    /// <summary>
    /// Of the file that was opened last, its name, how many bytes of it are read, and how many there are; null once it is closed.
    /// </summary>
    public static (string Name, long Read, long All)? Progress
    {
        get
        {
            try
            {
                return Volatile.Read(ref _newest) is { CanRead: true } file ? (file.Name, file.Position, file.Length) : null;
            }
            catch (Exception exception) when (exception is ObjectDisposedException or IOException)
            {
                return null; // It was closed in between.
            }
        }
    }

    /// <summary>Whether this process has opened a file to read it.</summary>
    /// <param name="path">Its full path.</param>
    public static bool WasRead(string path)
    {
        lock (Read)
            return Read.Contains(path);
    }

    /// <summary>Opens a file to read it from start to end.</summary>
    /// <param name="path">The file.</param>
    /// <param name="orStandardInput">Whether the command reads standard input where the path is <c>-</c>, for the message.</param>
    /// <exception cref="MystiqueException">It is not a regular file (MYS124).</exception>
    /// <exception cref="IOException">It cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read, or is a folder.</exception>
    public static FileStream Open(string path, bool orStandardInput = false)
    {
        if (KindOf(path) is { } kind)
            throw Problems.NotAPlainFile(path, kind, orStandardInput);
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
        lock (Read)
            Read.Add(Path.GetFullPath(path));
        Volatile.Write(ref _newest, file);
        return file;
    }

    /// <summary>Reads a whole file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maxBytes">The most that it may have.</param>
    /// <exception cref="MystiqueException">It is not a regular file (MYS124).</exception>
    /// <exception cref="IOException">It cannot be read, or is larger.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read, or is a folder.</exception>
    public static byte[] ReadAllBytes(string path, int maxBytes)
    {
        using var file = Open(path);
        // The length is only a hint: files of the system say 0, and others grow while they are read.
        var bytes = new byte[Math.Min(file.Length, maxBytes)];
        int count = 0;
        while (true)
        {
            count += file.ReadAtLeast(bytes.AsSpan(count), bytes.Length - count, throwOnEndOfStream: false);
            int next = count < bytes.Length ? -1 : file.ReadByte();
            if (next < 0)
                return count < bytes.Length ? bytes[..count] : bytes;
            if (count == maxBytes)
                throw new IOException($"it is larger than {maxBytes} bytes");
            Array.Resize(ref bytes, (int)Math.Min(maxBytes, Math.Max(4096, 2L * count)));
            bytes[count++] = (byte)next;
        }
    }

    /// <summary>What a path is that is not a regular file; null for plain files, for folders, and where nothing is known.</summary>
    /// <param name="path">The path.</param>
    public static string? KindOf(string path)
    {
        if (!OperatingSystem.IsLinux() || path.Contains('\0'))
            return null;
        Span<byte> status = stackalloc byte[StatusBytes];
        try
        {
            if (Statx(CurrentFolder, path, 0, TypeOnly, status) != 0)
                return null;
        }
        catch (EntryPointNotFoundException)
        {
            return null; // A C library before 2018.
        }
        // The S_IFMT bits of stx_mode (linux/stat.h): struct statx is the same on all architectures.
        return (MemoryMarshal.Read<ushort>(status[ModeOffset..]) & 0xF000) switch
        {
            0x1000 => "a pipe",
            0x2000 or 0x6000 => "a device",
            0xC000 => "a socket",
            _ => null,
        };
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint mask, Span<byte> status);
}
