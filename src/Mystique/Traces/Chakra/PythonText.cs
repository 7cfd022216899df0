using System.Globalization;
using System.Text;
using System.Text.Json;
using Mystique.Traces.Text;

namespace Mystique.Traces.Chakra;

/// <summary>
/// Writes the text of a Python literal as JSON: lists and tuples of numbers, strings, <c>True</c>, <c>False</c>, <c>None</c>, <c>nan</c>
/// and <c>inf</c>. It is parsed, never evaluated.
/// </summary>
internal ref struct PythonText
{
    private readonly ReadOnlySpan<char> _text;
    private int _at;

    private PythonText(ReadOnlySpan<char> text) => _text = text;

    /// <summary>Writes a literal as a value of JSON.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static void Write(string text, Utf8JsonWriter json)
    {
        var parser = new PythonText(text);
        parser.WriteValue(json, 0);
        parser.SkipSpace();
        if (parser._at < text.Length)
            throw parser.Unexpected();
    }

    private void WriteValue(Utf8JsonWriter json, int depth)
    {
        if (depth > ReadLimits.Depth)
            throw new FormatException("lists within each other, too deep");
        SkipSpace();
        char c = _at < _text.Length ? _text[_at] : '\0';
        switch (c)
        {
            case '[' or '(':
                _at++;
                json.WriteStartArray();
                WriteItems(json, c == '[' ? ']' : ')', depth);
                json.WriteEndArray();
                break;
            case '\'' or '"':
                json.WriteStringValue(ReadString(c));
                break;
            default:
                WriteWord(json);
                break;
        }
    }

    private void WriteItems(Utf8JsonWriter json, char end, int depth)
    {
        while (true)
        {
            SkipSpace();
            if (TryTake(end))
                return;
            WriteValue(json, depth + 1);
            SkipSpace();
            if (TryTake(end))
                return;
            if (!TryTake(','))
                throw Unexpected();
        }
    }

    private string ReadString(char quote)
    {
        var text = new StringBuilder();
        for (_at++; _at < _text.Length; _at++)
        {
            char c = _text[_at];
            if (c == quote)
            {
                _at++;
                return text.ToString();
            }
            text.Append(c == '\\' ? ReadEscape() : c);
        }
        throw new FormatException("a string without an end");
    }

    /// <summary>What a backslash and what follows it stand for (Python's language reference, 2.4.1).</summary>
    private char ReadEscape()
    {
        if (++_at >= _text.Length)
            throw new FormatException("a string without an end");
        int digits = _text[_at] switch { 'x' => 2, 'u' => 4, _ => 0 };
        if (digits == 0)
        {
            return _text[_at] switch
            {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' or '\'' or '"' => _text[_at],
                _ => throw Unexpected(),
            };
        }
        if (_at + digits >= _text.Length
            || !ushort.TryParse(_text.Slice(_at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            throw Unexpected();
        _at += digits;
        return (char)code;
    }

    private void WriteWord(Utf8JsonWriter json)
    {
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '.' or '-' or '+' or '_'))
            _at++;
        var word = _text[start.._at];
        if (word is "True" or "False")
            json.WriteBooleanValue(word is "True");
        else if (word is "None")
            json.WriteStringValue("<None>"); // As the observer writes it.
        else if (word is "nan" or "inf" or "-inf")
            json.WriteStringValue(word);
        else if (long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole))
            json.WriteNumberValue(whole);
        else if (word.Length > 0 && double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number))
            WriteDouble(json, number);
        else
            throw Unexpected(start);
    }

    /// <summary>A double stays one: 1.0 is no 1.</summary>
    private static void WriteDouble(Utf8JsonWriter json, double number)
    {
        string text = number.ToString("R", CultureInfo.InvariantCulture);
        json.WriteRawValue(text.AsSpan().IndexOfAny(".Ee") < 0 ? text + ".0" : text);
    }

    private bool TryTake(char c)
    {
        if (_at >= _text.Length || _text[_at] != c)
            return false;
        _at++;
        return true;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && _text[_at] is ' ' or '\n' or '\t' or '\r')
            _at++;
    }

    private readonly FormatException Unexpected(int? at = null) => new((at ?? _at) >= _text.Length ? "a list that ends too soon"
        : string.Create(CultureInfo.InvariantCulture, $"something that is no Python literal at character {at ?? _at}"));
}
