using System.IO.Compression;
using Mystique.Diagnostics;

namespace Mystique.Traces.Text;

/// <summary>A stream that can be read from start to end, and nothing else.</summary>
internal abstract class ForwardStream : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>A stream whose first bytes were read already.</summary>
internal sealed class PrefixedStream(byte[] prefix, Stream rest) : ForwardStream
{
    /// <summary>Looks at a stream's first bytes, which say whether it is gzip (RFC 1952, ID1 and ID2).</summary>
    public static PrefixedStream Sniff(Stream stream, out bool isGzip)
    {
        byte[] magic = new byte[2];
        int got = stream.ReadAtLeast(magic, 2, throwOnEndOfStream: false);
        isGzip = got == 2 && magic[0] == 0x1F && magic[1] == 0x8B;
        return new PrefixedStream(magic[..got], stream);
    }

    private int _used;
    private uint _last;

    /// <summary>The last four bytes that were read, the first of them lowest.</summary>
    public uint LastFourBytes => _last;

    /// <summary>Bytes that were read so far.</summary>
    public long TotalBytes { get; private set; }

    /// <summary>Whether there was no more to read.</summary>
    public bool IsAtEnd { get; private set; }

    public override int Read(Span<byte> buffer)
    {
        int count;
        if (_used == prefix.Length)
        {
            count = rest.Read(buffer);
        }
        else
        {
            count = Math.Min(buffer.Length, prefix.Length - _used);
            prefix.AsSpan(_used, count).CopyTo(buffer);
            _used += count;
        }
        for (int i = Math.Max(0, count - 4); i < count; i++)
            _last = (_last >> 8) | ((uint)buffer[i] << 24);
        TotalBytes += count;
        IsAtEnd |= count == 0 && buffer.Length > 0;
        return count;
    }
}

/// <summary>A stream that ends in an error where it gives more than it may.</summary>
/// <param name="inner">What it gives.</param>
/// <param name="limit">How many bytes it may have given by now.</param>
/// <param name="problem">The error.</param>
internal sealed class BoundedStream(Stream inner, Func<long> limit, Func<Exception> problem) : ForwardStream
{
    /// <summary>Traces and profiles unpack to 10 to 40 times their size; gzip could make it 1,000 of what means harm.</summary>
    private const long MaxRatio = 200;

    private long _total;

    /// <summary>What a gzip file unpacks to, as long as that is no more than a trace or a profile would.</summary>
    /// <param name="packed">The file; left open.</param>
    /// <param name="floorBytes">What it may unpack to, however small it is.</param>
    /// <param name="source">What to call it in messages.</param>
    public static BoundedStream Unpack(PrefixedStream packed, long floorBytes, string source) => new(
        new GZipStream(packed, CompressionMode.Decompress, leaveOpen: true), () => floorBytes + MaxRatio * packed.TotalBytes, () =>
            Problems.TraceUnpacksTooFar(source, MaxRatio));

    public override int Read(Span<byte> buffer)
    {
        int count = inner.Read(buffer);
        _total += count;
        return _total <= limit() ? count : throw problem();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
    }
}
