using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Mystique.Files;

/// <summary>
/// SHA-256 of bytes as they come. .NET leaves it to OpenSSL, and ends the process where there is none; then it is done here.
/// </summary>
internal sealed class FileDigest : IDisposable
{
    private readonly IncrementalHash? _system;
    private readonly Sha256? _own;

    /// <param name="isOwn">Whether it is done here whatever the machine has.</param>
    public FileDigest(bool isOwn = false)
    {
        if (isOwn || !HasSystem)
            _own = new Sha256();
        else
            _system = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    }

    /// <summary>Whether .NET's cryptography can be used: on Linux it needs OpenSSL.</summary>
    public static bool HasSystem { get; } = !OperatingSystem.IsLinux()
        || new[] { "libssl.so.3", "libssl.so.1.1" }.Any(library => NativeLibrary.TryLoad(library, out _));

    /// <summary>The digest of bytes, in hexadecimal digits.</summary>
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        using var digest = new FileDigest();
        digest.Append(bytes);
        return digest.End();
    }

    /// <summary>The digest of a stream, to its end, in hexadecimal digits.</summary>
    public static string Of(Stream stream)
    {
        using var digest = new FileDigest();
        byte[] buffer = new byte[1 << 16];
        for (int read; (read = stream.Read(buffer)) > 0;)
            digest.Append(buffer.AsSpan(0, read));
        return digest.End();
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        _system?.AppendData(bytes);
        _own?.Append(bytes);
    }

    /// <summary>The digest, in hexadecimal digits; then it begins anew.</summary>
    public string End() => Convert.ToHexStringLower(_system is null ? _own!.End() : _system.GetHashAndReset());

    /// <summary>The digest of what came so far, in hexadecimal digits.</summary>
    public string Current() => Convert.ToHexStringLower(_system is null ? _own!.Copy().End() : _system.GetCurrentHash());

    public void Dispose() => _system?.Dispose();
}
