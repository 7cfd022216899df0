using System.Buffers;

namespace Mystique.Traces.PyTorch;

/// <summary>
/// What is needed to go on in damaged text. PyTorch's observer does not escape names
/// (<c>execution_trace_observer.cpp</c> prints <c>"name": "{}"</c>), so a label with a quote in it breaks the file.
/// </summary>
internal static class NodeNameRepair
{
    /// <summary>Longest name that is looked for, in bytes.</summary>
    private const int MaxNameBytes = 64 * 1024;

    /// <summary>Bytes that tell whether a node starts.</summary>
    public const int LookAhead = 64;

    /// <summary>Escapes the quotes and backslashes of the first name in the text.</summary>
    /// <param name="text">The node, up to where the next one starts.</param>
    /// <param name="repaired">The text with the name escaped, up to the end of <paramref name="text"/>.</param>
    /// <param name="originalLength">Length of the part of <paramref name="text"/> that <paramref name="repaired"/> stands for.</param>
    public static bool TryRepair(ReadOnlySpan<byte> text, out byte[] repaired, out int originalLength)
    {
        repaired = [];
        originalLength = 0;
        var key = "\"name\": \""u8;
        int start = text[..Math.Min(text.Length, MaxNameBytes)].IndexOf(key);
        if (start < 0)
            return false;
        start += key.Length;
        var rest = text.Slice(start, Math.Min(text.Length - start, MaxNameBytes));
        int length = rest.IndexOf("\", \"ctrl_deps\":"u8);
        if (length < 0)
            length = rest.IndexOf("\", \"id\":"u8);
        if (length < 0)
            return false;
        originalLength = text.Length;
        var writer = new ArrayBufferWriter<byte>(originalLength + 16);
        writer.Write(text[..start]);
        foreach (byte b in rest[..length])
        {
            if (b is (byte)'"' or (byte)'\\')
                writer.Write("\\"u8);
            writer.Write(b < 0x20 ? " "u8 : [b]);
        }
        writer.Write(text[(start + length)..originalLength]);
        repaired = writer.WrittenSpan.ToArray();
        return true;
    }

    /// <summary>The first place that looks like the start of a node, or -1.</summary>
    /// <param name="text">Where to look.</param>
    /// <param name="isFinal">Whether no text follows.</param>
    /// <param name="startWithId">Whether nodes of this file start with their id: then a name starts an attribute.</param>
    /// <param name="examined">How far no node starts, for the next call.</param>
    public static int FindNodeStart(ReadOnlySpan<byte> text, bool isFinal, bool startWithId, out int examined)
    {
        examined = isFinal ? text.Length : Math.Max(0, text.Length - LookAhead);
        for (int at = 0; at < text.Length;)
        {
            int brace = text[at..].IndexOf((byte)'{');
            if (brace < 0)
                return -1;
            at += brace;
            if (IsNodeStart(text[at..], startWithId))
                return at;
            at++;
        }
        return -1;
    }

    /// <summary>
    /// A node starts with its id, or (schema 1.0.1) on a new line with its name; an attribute starts with its name on
    /// the same line, or, where somebody indented the file, on a new one.
    /// </summary>
    public static bool IsNodeStart(ReadOnlySpan<byte> text, bool startWithId)
    {
        if (StartsWithId(text))
            return true;
        if (startWithId || !text.StartsWith("{"u8))
            return false;
        int space = text[1..].IndexOfAnyExcept(" \t\r\n"u8);
        return space > 0 && text[(space + 1)..].StartsWith("\"name\":"u8) && text.Slice(1, space).Contains((byte)'\n');
    }

    /// <summary>Whether a brace and an id stand there.</summary>
    public static bool StartsWithId(ReadOnlySpan<byte> text)
    {
        if (!text.StartsWith("{"u8))
            return false;
        int space = text[1..].IndexOfAnyExcept(" \t\r\n"u8);
        return space >= 0 && text[(space + 1)..].StartsWith("\"id\":"u8);
    }

    /// <summary>Whether the first field of a node stands there, without the brace.</summary>
    public static bool StartsWithField(ReadOnlySpan<byte> text) => text.StartsWith("\"id\":"u8) || text.StartsWith("\"name\":"u8);
}
