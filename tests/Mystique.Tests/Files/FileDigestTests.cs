using System.Security.Cryptography;
using Mystique.Files;

namespace Mystique.Tests.Files;

/// <summary>The digest that is made without OpenSSL is the one that is made with it.</summary>
public class FileDigestTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(55)]
    [InlineData(56)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(1000)]
    [InlineData(100_000)]
    public void Own_EqualsTheSystems(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        using var own = new FileDigest(isOwn: true);
        for (int start = 0, part = 1; start < length; start += part, part = part * 2 % 97 + 1)
            own.Append(bytes.AsSpan(start, part = Math.Min(part, length - start)));
        string expected = Convert.ToHexStringLower(SHA256.HashData(bytes));
        Assert.Equal(expected, own.Current());
        Assert.Equal(expected, own.End());
        own.Append(bytes);
        Assert.Equal(expected, own.End()); // It began anew.
        Assert.Equal(expected, FileDigest.Of(bytes));
        Assert.Equal(expected, FileDigest.Of(new MemoryStream(bytes)));
    }
}
