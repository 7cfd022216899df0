using System.Buffers;
using System.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>
/// Makes JSON of a node's text where that can be done without guessing: backslashes and control characters in strings that
/// nobody escaped (a Windows path in <c>kernel_file</c>), and numbers that JSON does not have.
/// </summary>
internal static class NodeTextRepair
{
    /// <summary>Repairs the node that a text starts with.</summary>
    /// <param name="text">The node, up to where the next one starts.</param>
    /// <param name="repaired">The node alone.</param>
    /// <param name="originalLength">Length of the part of <paramref name="text"/> that <paramref name="repaired"/> stands for.</param>
    /// <returns>Whether something was repaired and the node ends within the text.</returns>
    public static bool TryRepair(ReadOnlySpan<byte> text, out byte[] repaired, out int originalLength)
    {
        var writer = new ArrayBufferWriter<byte>(text.Length + 64);
        repaired = [];
        originalLength = 0;
        int depth = 0;
        for (int at = 0; at < text.Length;)
        {
            byte b = text[at];
            if (b == (byte)'"')
            {
                int length = StringLength(text[at..]);
                if (length < 0)
                    return false;
                WriteString(writer, text.Slice(at, length));
                at += length;
                continue;
            }
            if (b is (byte)'-' or (byte)'+' || IsLetter(b))
            {
                int length = text[(at + 1)..].IndexOfAny(" \t\r\n,]}:\"[{"u8) + 1;
                if (length == 0)
                    return false;
                WriteWord(writer, text.Slice(at, length));
                at += length;
                continue;
            }
            writer.Write([b]);
            at++;
            depth += b is (byte)'{' or (byte)'[' ? 1 : b is (byte)'}' or (byte)']' ? -1 : 0;
            if (depth == 0 && b is (byte)'}' or (byte)']')
            {
                repaired = writer.WrittenSpan.ToArray();
                originalLength = at;
                return !writer.WrittenSpan.SequenceEqual(text[..at]);
            }
        }
        return false;
    }

    /// <summary>Whether what follows the opening quote is a path with a drive letter whose backslashes are not all doubled.</summary>
    public static bool IsPlainPath(ReadOnlySpan<byte> inner)
    {
        if (inner.Length < 3 || !IsLetter(inner[0]) || inner[1] != (byte)':' || inner[2] != (byte)'\\')
            return false;
        for (int i = 2; i < inner.Length; i++)
        {
            if (inner[i] != (byte)'\\')
                continue;
            if (i + 1 == inner.Length || inner[i + 1] is not ((byte)'\\' or (byte)'/' or (byte)'"'))
                return true;
            i++;
        }
        return false;
    }

    /// <summary>The text of a plain path: each backslash, single or doubled, is one.</summary>
    public static byte[] ReadPath(ReadOnlySpan<byte> inner) =>
        Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(inner).Replace(@"\\", @"\", StringComparison.Ordinal));

    /// <summary>Length of a string with its quotes, or -1 where it does not end.</summary>
    private static int StringLength(ReadOnlySpan<byte> text)
    {
        for (int i = 1; i < text.Length; i++)
        {
            if (text[i] == (byte)'"')
                return i + 1;
            if (text[i] != (byte)'\\')
                continue;
            // A folder's last backslash stands before the quote that ends the path.
            if (i + 1 < text.Length && text[i + 1] == (byte)'"' && IsPlainPath(text[1..i]) && EndsValue(text[(i + 2)..]))
                return i + 2;
            i++;
        }
        return -1;
    }

    private static bool EndsValue(ReadOnlySpan<byte> text)
    {
        int next = text.IndexOfAnyExcept(" \t\r\n"u8);
        return next >= 0 && text[next] is (byte)',' or (byte)'}' or (byte)']';
    }

    private static void WriteString(ArrayBufferWriter<byte> writer, ReadOnlySpan<byte> text)
    {
        var inner = text[1..^1];
        bool isPath = IsPlainPath(inner);
        writer.Write("\""u8);
        for (int i = 0; i < inner.Length; i++)
        {
            if (inner[i] < 0x20)
            {
                writer.Write(Encoding.ASCII.GetBytes($"\\u{inner[i]:x4}"));
            }
            else if (inner[i] != (byte)'\\')
            {
                writer.Write(inner.Slice(i, 1));
            }
            else if (i + 1 < inner.Length && (isPath ? inner[i + 1] == (byte)'\\' : IsEscape(inner[(i + 1)..])))
            {
                writer.Write(inner.Slice(i, 2));
                i++;
            }
            else
            {
                writer.Write("\\\\"u8);
            }
        }
        writer.Write("\""u8);
    }

    private static bool IsEscape(ReadOnlySpan<byte> afterBackslash)
    {
        if (afterBackslash[0] != (byte)'u')
            return "\"\\/bfnrt"u8.Contains(afterBackslash[0]);
        return afterBackslash.Length >= 5 && afterBackslash.Slice(1, 4).IndexOfAnyExcept("0123456789abcdefABCDEF"u8) < 0;
    }

    /// <summary>Writes a word that is no string: infinities and what is not a number become strings, as PyTorch writes them.</summary>
    private static void WriteWord(ArrayBufferWriter<byte> writer, ReadOnlySpan<byte> word)
    {
        writer.Write(Encoding.ASCII.GetString(word).ToLowerInvariant() switch
        {
            "nan" or "-nan" or "+nan" => "\"nan\""u8,
            "inf" or "+inf" or "infinity" or "+infinity" => "\"inf\""u8,
            "-inf" or "-infinity" => "\"-inf\""u8,
            _ => word,
        });
    }

    private static bool IsLetter(byte b) => (b | 0x20) is >= (byte)'a' and <= (byte)'z';
}
