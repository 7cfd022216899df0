using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Mystique.Traces.Text;

/// <summary>
/// What a trace or a profile may have, whoever wrote it: each limit is far beyond what PyTorch writes, and is told as soon
/// as it is passed. <c>docs/trace-format.md</c> lists them.
/// </summary>
internal static class ReadLimits
{
    /// <summary>Bytes of a string, a number or a name in JSON.</summary>
    public const int TokenBytes = 16 << 20;

    /// <summary>Bytes of a node, of an event, and of what stands before the first of them.</summary>
    public const int NodeBytes = 32 << 20;

    /// <summary>Lists and objects within each other.</summary>
    public const int Depth = 64;

    /// <summary>Elements of all lists of a node together; the observer itself cuts lists after 4,097.</summary>
    public const int Elements = 1 << 20;

    /// <summary>Nodes of a trace.</summary>
    public const int Nodes = 10_000_000;

    /// <summary>Nodes that are too damaged to be read.</summary>
    public const int LostNodes = 100_000;

    /// <summary>Events of a profile that are kept.</summary>
    public const int Events = 20_000_000;

    /// <summary>Characters of an operator's schema.</summary>
    public const int SchemaLength = 64 << 10;

    /// <summary>Characters of the recorded type of an argument: a list names the type of each element.</summary>
    public const int TypeLength = 1 << 20;

    /// <summary>Bytes that all tensors of a trace reach over, added up: sums over them cannot overflow.</summary>
    public const double ReachBytes = 1L << 62;

    /// <summary>Beside <see cref="MemoryFactor"/> times the text that was read, what reading may take.</summary>
    public const long MemoryFloorBytes = 64 << 20;

    /// <summary>How many bytes of memory reading may take for a byte of text. What PyTorch writes takes half a byte.</summary>
    public const int MemoryFactor = 2;

    /// <summary>A reader of a part of a text. Its own limit of depth is no more than the one that is told.</summary>
    public static Utf8JsonReader Reader(ReadOnlySpan<byte> text, bool isFinal = false) =>
        new(text, isFinal, new JsonReaderState(new JsonReaderOptions { MaxDepth = Depth + 2 }));

    /// <summary>Reads the next token. False where the text ends before it does.</summary>
    /// <exception cref="ReadLimitException">It is too long, or too deep.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Read(ref Utf8JsonReader reader)
    {
        if (!reader.Read())
            return false;
        if (reader.ValueSpan.Length > TokenBytes)
            throw LongToken();
        if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject && reader.CurrentDepth >= Depth)
            throw DeepNesting();
        return true;
    }

    /// <summary>Reads on to the end of the value that the reader is at. False where the text ends before it does.</summary>
    /// <exception cref="ReadLimitException">Something in it is too long, or too deep.</exception>
    public static bool TrySkip(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.PropertyName && !Read(ref reader))
            return false;
        if (reader.TokenType is not (JsonTokenType.StartArray or JsonTokenType.StartObject))
            return true;
        int depth = reader.CurrentDepth;
        do
        {
            if (!Read(ref reader))
                return false;
        }
        while (reader.CurrentDepth > depth);
        return true;
    }

    /// <summary>Looks at what a reader could not read yet: a token that is too long is told before its end was found.</summary>
    /// <param name="reader">A reader that came to the end of the text.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="ReadLimitException">The token is too long.</exception>
    public static void CheckRest(in Utf8JsonReader reader, ReadOnlySpan<byte> text)
    {
        if (text.Length - reader.BytesConsumed > TokenBytes)
            throw LongToken();
    }

    private static ReadLimitException DeepNesting() => new("it nests too deeply", $"{Depth} levels");

    private static ReadLimitException LongToken() => new("a string, a number or a name is too long", "16 MB");
}

/// <summary>A file has more of something than <see cref="ReadLimits"/> allow.</summary>
/// <param name="what">What there is too much of.</param>
/// <param name="limit">How much there may be.</param>
internal sealed class ReadLimitException(string what, string limit) : Exception($"{what}, the limit is {limit}");
