using System.Globalization;
using System.Text;

namespace Mystique.Diagnostics;

/// <summary>
/// Makes text harmless that is not the tool's own, for a terminal, a log or a message: names in traces can hold whatever
/// changes a terminal's title, clears it, or shows text in another order.
/// </summary>
internal static class PrintableText
{
    /// <summary>
    /// Writes characters of the Unicode categories Cc, Cf, Zl and Zp, and surrogates that are no pair, as <c>\x1b</c> (below
    /// U+0100) or <c>\u202e</c>. All else stays, backslashes too: escaping again changes nothing.
    /// </summary>
    public static string Escape(string text)
    {
        int first = FirstUnprintable(text, 0);
        if (first < 0)
            return text;
        var escaped = new StringBuilder(text.Length + 16);
        int start = 0;
        for (int at = first; at >= 0; at = FirstUnprintable(text, start))
        {
            escaped.Append(text, start, at - start);
            bool isPair = Rune.TryGetRuneAt(text, at, out var rune) && rune.Utf16SequenceLength == 2;
            int value = isPair ? rune.Value : text[at];
            escaped.Append(value < 0x100 ? "\\x" : "\\u").Append(value.ToString(value < 0x100 ? "x2" : "x4", CultureInfo.InvariantCulture));
            start = at + (isPair ? 2 : 1);
        }
        return escaped.Append(text, start, text.Length - start).ToString();
    }

    /// <summary>Whether a character is one that is escaped.</summary>
    /// <param name="codePoint">The character, or a surrogate.</param>
    public static bool IsUnprintable(int codePoint) => codePoint is < 0x20 or (>= 0x7F and < 0xA0)
        || codePoint >= 0xA0 && CharUnicodeInfo.GetUnicodeCategory(codePoint)
            is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate;

    private static int FirstUnprintable(string text, int start)
    {
        for (int i = start; i < text.Length; i++)
        {
            int value = text[i];
            if (char.IsSurrogate(text[i]) && Rune.TryGetRuneAt(text, i, out var rune))
            {
                if (IsUnprintable(rune.Value))
                    return i;
                i++;
            }
            else if (IsUnprintable(value))
            {
                return i;
            }
        }
        return -1;
    }
}
