using System.Globalization;
using Google.Protobuf;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Traces.Text;

namespace Mystique.Traces.Chakra;

/// <summary>
/// The messages of a Chakra file, one after the other, each behind its length as a varint. What a length says is not believed: memory
/// grows with the bytes that are there.
/// </summary>
/// <param name="stream">The bytes.</param>
/// <param name="source">What to call it in messages.</param>
internal sealed class ChakraMessages(Stream stream, string source)
{
    private const int FirstChunk = 64 << 10;

    private readonly FileDigest _hash = new();
    private readonly byte[] _one = new byte[1];
    private byte[] _buffer = new byte[FirstChunk];

    /// <summary>Bytes that were read so far.</summary>
    public long TotalBytes { get; private set; }

    /// <summary>Where the last message starts.</summary>
    public long Position { get; private set; }

    /// <summary>Whether the text ends within a message.</summary>
    public bool IsCut { get; private set; }

    /// <summary>SHA-256 of what was read.</summary>
    public string Digest => _hash.Current();

    /// <summary>The next message; null at the end, and where the file is cut.</summary>
    /// <typeparam name="T">Its type.</typeparam>
    /// <param name="parser">Its parser.</param>
    /// <exception cref="MystiqueException">It is no such message (MYS141), or larger than any (MYS125).</exception>
    public T? Next<T>(MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        Position = TotalBytes;
        if (ReadLength() is not { } length)
            return null;
        if (length > ReadLimits.NodeBytes)
            throw Problems.TraceTooLarge(source, new ReadLimitException(
                string.Create(CultureInfo.InvariantCulture, $"a message at byte {Position:N0} says it is too long"),
                string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.NodeBytes:N0} bytes")));
        if (!Fill((int)length))
        {
            IsCut = true;
            return null;
        }
        try
        {
            return parser.ParseFrom(_buffer.AsSpan(0, (int)length));
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw Problems.ChakraInvalid(source, Position, exception.Message);
        }
    }

    private ulong? ReadLength()
    {
        ulong length = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            if (stream.Read(_one) == 0)
            {
                IsCut = shift > 0;
                return null;
            }
            TotalBytes++;
            _hash.Append(_one);
            length |= (ulong)(_one[0] & 0x7F) << shift;
            if (_one[0] < 0x80)
                return length;
        }
        throw Problems.ChakraInvalid(source, Position, "the length of a message has no end");
    }

    private bool Fill(int length)
    {
        int got = 0;
        while (got < length)
        {
            if (got == _buffer.Length)
                Array.Resize(ref _buffer, Math.Min(length, 2 * _buffer.Length));
            int count = stream.Read(_buffer.AsSpan(got, Math.Min(length, _buffer.Length) - got));
            if (count == 0)
                return false;
            _hash.Append(_buffer.AsSpan(got, count));
            got += count;
            TotalBytes += count;
        }
        return true;
    }

    /// <summary>Whether a file starts as a Chakra file does: with a message that has the fields of <c>GlobalMetadata</c> alone.</summary>
    /// <param name="head">The first bytes of the file.</param>
    public static bool Starts(ReadOnlySpan<byte> head)
    {
        if (!TryReadVarint(head, out ulong length, out int at) || length > (ulong)head.Length)
            return false;
        var message = head.Slice(at, Math.Min((int)length, head.Length - at));
        bool isWhole = message.Length == (int)length;
        int fields = 0;
        while (message.Length > 0)
        {
            if (message[0] is not (0x0A or 0x12)) // version and attr, each with a length.
                return false;
            if (!TryReadVarint(message[1..], out ulong size, out int used) || size > (ulong)(message.Length - 1 - used))
                return !isWhole && fields > 0;
            message = message[(1 + used + (int)size)..];
            fields++;
        }
        return isWhole && (fields > 0 || head.Length > at); // Metadata without fields is an empty message; nodes follow.
    }

    private static bool TryReadVarint(ReadOnlySpan<byte> bytes, out ulong value, out int used)
    {
        value = 0;
        for (used = 0; used < Math.Min(bytes.Length, 10);)
        {
            byte b = bytes[used];
            value |= (ulong)(b & 0x7F) << (7 * used++);
            if (b < 0x80)
                return true;
        }
        return false;
    }
}
