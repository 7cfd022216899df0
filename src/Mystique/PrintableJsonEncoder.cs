using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using Mystique.Diagnostics;

namespace Mystique;

/// <summary>
/// Escapes in JSON what a terminal would obey (<see cref="PrintableText"/>), beside what JSON itself asks for: results go to
/// standard output, too. Other letters stay as they are.
/// </summary>
internal sealed unsafe class PrintableJsonEncoder : JavaScriptEncoder
{
    private static readonly JavaScriptEncoder Relaxed = UnsafeRelaxedJsonEscaping;

    private PrintableJsonEncoder()
    {
    }

    public static PrintableJsonEncoder Instance { get; } = new();

    /// <summary>A pair of surrogates: <c>\udb40\udc41</c>.</summary>
    public override int MaxOutputCharactersPerInputCharacter => 12;

    public override bool WillEncode(int unicodeScalar) => Relaxed.WillEncode(unicodeScalar) || PrintableText.IsUnprintable(unicodeScalar);

    public override int FindFirstCharacterToEncode(char* text, int textLength)
    {
        var span = new ReadOnlySpan<char>(text, textLength);
        for (int i = 0; i < span.Length;)
        {
            if (Rune.DecodeFromUtf16(span[i..], out var rune, out int length) != OperationStatus.Done || WillEncode(rune.Value))
                return i;
            i += length;
        }
        return -1;
    }

    public override int FindFirstCharacterToEncodeUtf8(ReadOnlySpan<byte> utf8Text) =>
        Ascii.IsValid(utf8Text) ? Relaxed.FindFirstCharacterToEncodeUtf8(utf8Text) : base.FindFirstCharacterToEncodeUtf8(utf8Text);

    public override bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        if (!PrintableText.IsUnprintable(unicodeScalar) || unicodeScalar < 0x20)
            return Relaxed.TryEncodeUnicodeScalar(unicodeScalar, buffer, bufferLength, out numberOfCharactersWritten);
        Span<char> units = stackalloc char[2];
        var target = new Span<char>(buffer, bufferLength);
        numberOfCharactersWritten = 0;
        foreach (char unit in units[..new Rune(unicodeScalar).EncodeToUtf16(units)])
        {
            if (!target[numberOfCharactersWritten..].TryWrite(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}", out int written))
                return false;
            numberOfCharactersWritten += written;
        }
        return true;
    }
}
