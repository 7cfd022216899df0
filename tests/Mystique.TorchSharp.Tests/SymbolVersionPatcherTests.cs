using System.Buffers.Binary;
using System.Text;
using Mystique.TorchSharp.Native;

namespace Mystique.TorchSharp.Tests;

public class SymbolVersionPatcherTests
{
    private const int EntryFlags = 0x80 + 16 + 4;

    /// <summary>The least ELF image that has a version-needed section: headers at 0x140, names at 0x100, the section at 0x80.</summary>
    private static byte[] Image(string version)
    {
        byte[] image = new byte[0x140 + 3 * 64];
        ((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1]).CopyTo(image);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(0x28), 0x140);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x3A), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x3C), 3);
        Section(image, 1, 0x6FFFFFFE, 0x80, link: 2);
        Section(image, 2, 3, 0x100, link: 0);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x80 + 2), 1); // One entry,
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x80 + 8), 16); // right behind.
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x80 + 16 + 8), 1);
        Encoding.ASCII.GetBytes(version).CopyTo(image, 0x101);
        return image;
    }

    private static void Section(byte[] image, int index, uint type, ulong offset, uint link)
    {
        var header = image.AsSpan(0x140 + index * 64);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], type);
        BinaryPrimitives.WriteUInt64LittleEndian(header[0x18..], offset);
        BinaryPrimitives.WriteUInt32LittleEndian(header[0x28..], link);
    }

    [Fact]
    public void TryMarkWeak_TheMissingVersion_SetsTheFlagOnce()
    {
        byte[] image = Image(SymbolVersionPatcher.MissingVersion);
        Assert.True(SymbolVersionPatcher.TryMarkWeak(image));
        Assert.Equal(2, image[EntryFlags]);
        Assert.False(SymbolVersionPatcher.TryMarkWeak(image));
    }

    [Theory]
    [InlineData("GLIBCXX_3.4.30")]
    [InlineData("GLIBC_2.34")]
    public void TryMarkWeak_OtherVersions_AreLeftAlone(string version)
    {
        byte[] image = Image(version);
        byte[] before = [.. image];
        Assert.False(SymbolVersionPatcher.TryMarkWeak(image));
        Assert.Equal(before, image);
    }

    [Fact]
    public void TryMarkWeak_NoElf_IsLeftAlone() => Assert.False(SymbolVersionPatcher.TryMarkWeak(new byte[100]));

    [Fact]
    public void Mend_File_IsReplacedAsAWhole()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        string cached = Path.Combine(folder, "cached.so");
        string copy = Path.Combine(folder, "copy.so");
        File.WriteAllBytes(cached, Image(SymbolVersionPatcher.MissingVersion));
        File.Copy(cached, copy);
        var written = new DateTime(2020, 1, 2, 3, 4, 5, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(copy, written);
        Assert.True(SymbolVersionPatcher.Patch(copy));
        Assert.Equal(2, File.ReadAllBytes(copy)[EntryFlags]);
        Assert.Equal(0, File.ReadAllBytes(cached)[EntryFlags]);
        Assert.Equal(written, File.GetLastWriteTimeUtc(copy));
        Assert.Equal(2, Directory.GetFiles(folder).Length); // Nothing half-written is left.
        Directory.Delete(folder, recursive: true);
    }
}
