using System.Buffers.Binary;
using System.Text;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Reads a zip file that can be read in one way only: entries stored without compression, one behind the other from the
/// first byte on, the directory right behind them, its end at the end of the file. Whatever another reader would find in it is
/// what is found here (APPNOTE.TXT, 4.3; <c>run.py</c> reads it by the same rules). Checksums are the reader's that loads it:
/// a manifest has the digest of the whole file.
/// </summary>
internal static class StoredZip
{
    private const uint LocalHeader = 0x04034B50;
    private const uint DirectoryHeader = 0x02014B50;
    private const uint DirectoryEnd = 0x06054B50;
    private const int LocalHeaderBytes = 30;
    private const int DirectoryHeaderBytes = 46;
    private const int DirectoryEndBytes = 22;
    private const int MaxEntries = 64;
    private const int NamesAreUtf8 = 0x800;

    /// <summary>The contents of all entries, by their names.</summary>
    /// <exception cref="InvalidDataException">The file is damaged, or could be read in more than one way.</exception>
    public static Dictionary<string, ReadOnlyMemory<byte>> Read(ReadOnlyMemory<byte> file)
    {
        int end = file.Length - DirectoryEndBytes;
        var data = file.Span;
        if (end < 0 || UInt(data, end) != DirectoryEnd || UShort(data, end + 20) != 0)
            throw Damaged("it does not end as a zip file does");
        int count = UShort(data, end + 10);
        long at = UInt(data, end + 16);
        if (UInt(data, end + 4) != 0 || UShort(data, end + 8) != count || count > MaxEntries || at + UInt(data, end + 12) != end)
            throw Damaged("its directory is not where it must be");
        var entries = new Dictionary<string, ReadOnlyMemory<byte>>();
        long next = 0; // Where the next entry must start.
        for (int i = 0; i < count; i++)
        {
            if (at + DirectoryHeaderBytes > end || UInt(data, (int)at) != DirectoryHeader)
                throw Damaged("its directory is cut short");
            int header = (int)at;
            int nameLength = UShort(data, header + 28);
            at += DirectoryHeaderBytes + nameLength;
            // Room for anything: another reader may find a directory of its own in it (zip64's locator, for one).
            if (UShort(data, header + 30) != 0 || UShort(data, header + 32) != 0)
                throw Damaged("an entry has an extra field or a comment");
            if (at > end || UInt(data, header + 42) != next)
                throw Damaged("its entries do not lie one behind the other");
            var name = data.Slice(header + DirectoryHeaderBytes, nameLength);
            var content = Entry(file, header, name, UInt(data, end + 16), ref next);
            if (!Ascii.IsValid(name) || !entries.TryAdd(Encoding.ASCII.GetString(name), content))
                throw Damaged("it has an entry twice, or with a name that is not ASCII");
        }
        return at == end && next == UInt(data, end + 16) ? entries
            : throw Damaged("there is something between its entries and its directory");
    }

    /// <summary>
    /// The content of an entry, which starts at <paramref name="next"/>; what its own header says must be what the directory
    /// says.
    /// </summary>
    private static ReadOnlyMemory<byte> Entry(ReadOnlyMemory<byte> file, int header, ReadOnlySpan<byte> name, long limit, ref long next)
    {
        var data = file.Span;
        if (next + LocalHeaderBytes > limit || UInt(data, (int)next) != LocalHeader)
            throw Damaged("an entry is not where its directory says");
        int local = (int)next;
        long start = next + LocalHeaderBytes + UShort(data, local + 26);
        long size = UInt(data, header + 20);
        // Flags, method, checksum and both sizes are the same in both headers; the first has them from byte 6, the other from 8.
        bool agrees = data.Slice(local + 6, 4).SequenceEqual(data.Slice(header + 8, 4))
            && data.Slice(local + 14, 12).SequenceEqual(data.Slice(header + 16, 12));
        if (!agrees || UShort(data, local + 28) != 0 || (UShort(data, header + 8) & ~NamesAreUtf8) != 0 || UShort(data, header + 10) != 0
            || UInt(data, header + 24) != size || start + size > limit
            || !data.Slice(local + LocalHeaderBytes, Math.Min(UShort(data, local + 26), data.Length - local - LocalHeaderBytes))
                .SequenceEqual(name))
            throw Damaged("an entry is compressed or cut short, or its two headers differ");
        next = start + size;
        return file.Slice((int)start, (int)size);
    }

    private static uint UInt(ReadOnlySpan<byte> data, int at) => BinaryPrimitives.ReadUInt32LittleEndian(data[at..]);

    private static int UShort(ReadOnlySpan<byte> data, int at) => BinaryPrimitives.ReadUInt16LittleEndian(data[at..]);

    private static InvalidDataException Damaged(string why) => new(why);
}
