using Mystique.Files;

namespace Mystique.Traces.Text;

/// <summary>The part of a stream that is being looked at: it slides on as nodes are read, and hashes what it has seen.</summary>
/// <param name="stream">The stream.</param>
/// <param name="hashes">Whether it is hashed.</param>
internal sealed class TraceWindow(Stream stream, bool hashes = true)
{
    private const int InitialSize = 1 << 20;

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private readonly FileDigest _hash = new();
    private byte[] _buffer = new byte[InitialSize];
    private int _start;
    private int _end;

    /// <summary>Bytes read from the stream so far.</summary>
    public long TotalBytes { get; private set; }

    /// <summary>Bytes of memory that the window takes.</summary>
    public int BufferBytes => _buffer.Length;

    /// <summary>Whether the stream has no more than what is in the window.</summary>
    public bool IsFinal { get; private set; }

    /// <summary>Place of <see cref="Data"/> in the (uncompressed) file, in bytes.</summary>
    public long Position => TotalBytes - (_end - _start);

    public ReadOnlySpan<byte> Data => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Whether there is a byte to look at; reads on where the window is empty.</summary>
    public bool HasData => _start < _end || Fill();

    public void Advance(int count) => _start += count;

    public void SkipWhiteSpace()
    {
        while (HasData)
        {
            int index = Data.IndexOfAnyExcept(" \t\r\n"u8);
            if (index >= 0)
            {
                _start += index;
                return;
            }
            _start = _end;
        }
    }

    /// <summary>Reads more behind what is there, as much as there is room for. False where the stream has ended.</summary>
    /// <exception cref="ReadLimitException">The window is as large as a node may be, and all of it is one.</exception>
    public bool Fill()
    {
        if (IsFinal)
            return false;
        if (_start > 0)
        {
            Data.CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }
        if (_end == _buffer.Length)
        {
            if (_buffer.Length >= ReadLimits.NodeBytes)
                throw new ReadLimitException("a node, an event or the header is too long", "32 MB");
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
        int count = stream.ReadAtLeast(_buffer.AsSpan(_end), _buffer.Length - _end, throwOnEndOfStream: false);
        if (hashes)
            _hash.Append(_buffer.AsSpan(_end, count));
        _end += count;
        if (TotalBytes == 0 && Data.StartsWith(ByteOrderMark))
            _start = ByteOrderMark.Length;
        TotalBytes += count;
        // One byte more is asked for at the end only: then what is in the window is all there is.
        IsFinal = count == 0;
        return !IsFinal;
    }

    /// <summary>Reads the rest of the stream and returns the SHA-256 of all of it, in hexadecimal.</summary>
    public string Finish()
    {
        do
        {
            _start = _end;
        }
        while (Fill());
        return _hash.End();
    }
}
