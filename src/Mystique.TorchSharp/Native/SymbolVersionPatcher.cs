using System.Buffers.Binary;
using System.Text;

namespace Mystique.TorchSharp.Native;

/// <summary>
/// Makes TorchSharp's native library load where libstdc++ is older than GCC 13's (Debian 12, Ubuntu 22.04, RHEL 9).
/// It asks for the symbol version <c>GLIBCXX_3.4.32</c> because of one symbol that is never called
/// (<c>_ZSt21ios_base_library_initv</c>); marked as weak, the missing version is forgiven by the dynamic linker.
/// Format: the GNU symbol versioning sections of ELF (Linux Standard Base, "Symbol Versioning").
/// </summary>
internal static class SymbolVersionPatcher
{
    public const string MissingVersion = "GLIBCXX_3.4.32";

    private const uint GnuVersionNeeded = 0x6FFFFFFE; // SHT_GNU_verneed
    private static readonly byte[] Magic = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1]; // 64-bit, little-endian
    private const ushort WeakFlag = 0x2; // VER_FLG_WEAK

    /// <summary>
    /// Replaces the file by a patched copy; other hard links to it, in the package cache for one, stay as they are.
    /// </summary>
    /// <returns>False where the file does not ask for the version, or is weak already.</returns>
    /// <exception cref="IOException">The file cannot be replaced.</exception>
    public static bool Patch(string path)
    {
        byte[] image = File.ReadAllBytes(path);
        if (!TryMarkWeak(image))
            return false;
        var written = File.GetLastWriteTimeUtc(path);
        string copy = $"{path}.{Environment.ProcessId}.tmp";
        File.WriteAllBytes(copy, image);
        // With the time of the original, a later build takes the copy for up to date and leaves it.
        File.SetLastWriteTimeUtc(copy, written);
        File.Move(copy, path, overwrite: true);
        return true;
    }

    /// <summary>Sets the weak flag of the version's entry in a 64-bit little-endian ELF image.</summary>
    internal static bool TryMarkWeak(Span<byte> image)
    {
        if (image.Length < 64 || !image[..6].SequenceEqual(Magic))
            return false;
        ulong sections = BinaryPrimitives.ReadUInt64LittleEndian(image[0x28..]);
        int entrySize = BinaryPrimitives.ReadUInt16LittleEndian(image[0x3A..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(image[0x3C..]);
        for (int i = 0; i < count; i++)
        {
            var section = image[(int)(sections + (ulong)(i * entrySize))..];
            if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) != GnuVersionNeeded)
                continue;
            int offset = (int)BinaryPrimitives.ReadUInt64LittleEndian(section[0x18..]);
            int link = (int)BinaryPrimitives.ReadUInt32LittleEndian(section[0x28..]);
            var strings = image[(int)(sections + (ulong)(link * entrySize))..];
            return MarkWeak(image, offset, (int)BinaryPrimitives.ReadUInt64LittleEndian(strings[0x18..]));
        }
        return false;
    }

    private static bool MarkWeak(Span<byte> image, int needed, int strings)
    {
        while (true)
        {
            int entries = BinaryPrimitives.ReadUInt16LittleEndian(image[(needed + 2)..]);
            int entry = needed + (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(needed + 8)..]);
            for (int i = 0; i < entries; i++)
            {
                var text = image[(strings + (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(entry + 8)..]))..];
                if (Encoding.ASCII.GetString(text[..text.IndexOf((byte)0)]) == MissingVersion)
                {
                    ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(image[(entry + 4)..]);
                    BinaryPrimitives.WriteUInt16LittleEndian(image[(entry + 4)..], (ushort)(flags | WeakFlag));
                    return (flags & WeakFlag) == 0;
                }
                entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(entry + 12)..]);
            }
            uint next = BinaryPrimitives.ReadUInt32LittleEndian(image[(needed + 12)..]);
            if (next == 0)
                return false;
            needed += (int)next;
        }
    }
}
