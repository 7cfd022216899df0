using System.Globalization;
using System.Text;

namespace Mystique.Tests.Shared;

/// <summary>Names that mean harm to whoever shows them.</summary>
internal static class HostileText
{
    public const string Terminal =
        "\u001b]0;title\u0007\u001b[2Jx\u009b31m\u0085\u007f\u202eabc\u2066\u2028\u2029\u200f\ufeff\r\nMYS000\n  fix: run rm\tx";

    public const string Markup =
        "a|b`c`\n# h\n- i\n<script>alert(1)</script> ![i](http://x.example/y) **b** _e_ ~~s~~ &lt; $m$ ```\n</title>$DATA$";

    public static string[] All =>
        [Terminal, Markup, Terminal + Markup, "``", "\\", "|", "_", "1. x", "# x", "- x", "+ x", "---", "===", "> x", " ", "a\\|b",
        "</script>", "\ud800", "\udb40\udc41"];

    /// <summary>As a string of JSON, in quotes.</summary>
    public static string Json(string text) => System.Text.Json.JsonSerializer.Serialize(text);

    /// <summary>What of a text a terminal would obey, but for ends of lines; empty where all is well.</summary>
    public static string Unprintable(string text)
    {
        var found = new StringBuilder();
        foreach (char c in text)
            if (c != '\n' && char.GetUnicodeCategory(c)
                is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator)
                found.Append(CultureInfo.InvariantCulture, $"U+{(int)c:x4} ");
        return found.ToString();
    }
}
