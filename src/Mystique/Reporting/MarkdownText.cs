using System.Text;
using Mystique.Diagnostics;

namespace Mystique.Reporting;

/// <summary>
/// How text that is not the tool's own gets into Markdown (CommonMark, and GitHub's tables, links and formulas): no name ends
/// a cell, a line or a code span, or starts markup. Names of operators stay as they are: an underscore behind a letter cannot
/// start anything.
/// </summary>
internal static class MarkdownText
{
    /// <summary>Text within a line, or a cell of a table.</summary>
    public static string Escape(string text)
    {
        text = PrintableText.Escape(text).Trim();
        var escaped = new StringBuilder(text.Length + 8);
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            switch (c)
            {
                case '&': escaped.Append("&amp;"); break;
                case '<': escaped.Append("&lt;"); break;
                case '>': escaped.Append("&gt;"); break;
                case '\\' or '`' or '|' or '[' or ']' or '*' or '~' or '$':
                case '_' when !IsBehindWord(text, i):
                case '#' when i == 0 || char.IsWhiteSpace(text[i - 1]): // Also what closes a heading.
                case '/' when i > 0 && text[i - 1] == ':': // GitHub makes links of bare addresses.
                case '.' when i >= 3 && text.AsSpan(i - 3, 3).Equals("www", StringComparison.OrdinalIgnoreCase):
                    escaped.Append('\\').Append(c);
                    break;
                default: escaped.Append(c); break;
            }
        }
        return escaped.ToString();
    }

    /// <summary>Text that starts a line, or an item of a list: it is no list, no rule, no heading.</summary>
    public static string EscapeLine(string text)
    {
        string escaped = Escape(text);
        int digits = escaped.AsSpan().IndexOfAnyExceptInRange('0', '9');
        int marker = digits > 0 && escaped[digits] is '.' or ')' ? digits : 0;
        bool isMarker = escaped.Length > 0 && (marker > 0 || escaped[0] is '-' or '+' or '=')
            && (marker + 1 == escaped.Length || char.IsWhiteSpace(escaped[marker + 1]) || escaped[marker + 1] == escaped[marker]);
        return isMarker ? escaped.Insert(marker, "\\") : escaped;
    }

    /// <summary>Text as code within a line: its fence is longer than any row of backticks in it.</summary>
    public static string Code(string text)
    {
        text = PrintableText.Escape(text);
        int longest = 0;
        for (int i = 0, run = 0; i < text.Length; i++)
            longest = Math.Max(longest, run = text[i] == '`' ? run + 1 : 0);
        string fence = new('`', longest + 1);
        bool needsSpace = text.Length == 0 || text[0] is '`' or ' ' || text[^1] is '`' or ' ';
        return needsSpace ? $"{fence} {text} {fence}" : fence + text + fence;
    }

    /// <summary>Text as a block of code, indented: one line, in which nothing has a meaning.</summary>
    public static string CodeLine(string text) => "    " + PrintableText.Escape(text);

    private static bool IsBehindWord(string text, int index)
    {
        while (index > 0 && text[index] == '_')
            index--;
        return char.IsLetterOrDigit(text[index]);
    }
}
