using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Measurement;

namespace Mystique.Selection;

/// <summary>
/// Reads what operators somebody wants: <c>label:*attention* and not (op:aten::copy_ or phase:backward)</c>; see <c>docs/control.md</c>.
/// </summary>
internal sealed class NodeFilterParser
{
    private const int MaxDepth = 100;

    private static readonly string[] Keys = ["op", "label", "phase", "category", "thread", "stream", "rank", "node", "time"];
    private static readonly string[] Phases = ["forward", "backward", "optimizer", "data"];
    private static readonly string[] Categories = ["compute", "communication", "memory", "host"];

    private readonly string _text;
    private int _at;
    private int _depth;

    private NodeFilterParser(string text) => _text = text;

    /// <summary>Reads a selection.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="MystiqueException">It is invalid (MYS206).</exception>
    public static NodeFilter Parse(string text)
    {
        var parser = new NodeFilterParser(text);
        var filter = parser.ReadOr();
        parser.SkipSpace();
        return parser._at == text.Length ? filter : throw parser.Invalid("something stands where and, or, or the end has to");
    }

    private NodeFilter ReadOr()
    {
        var filter = ReadAnd();
        while (TryWord("or"))
            filter = new NodeFilter.Or(filter, ReadAnd());
        return filter;
    }

    private NodeFilter ReadAnd()
    {
        var filter = ReadNot();
        while (TryWord("and"))
            filter = new NodeFilter.And(filter, ReadNot());
        return filter;
    }

    private NodeFilter ReadNot()
    {
        if (++_depth > MaxDepth)
            throw Invalid("it is nested too deep");
        try
        {
            if (TryWord("not"))
                return new NodeFilter.Not(ReadNot());
            SkipSpace();
            if (_at < _text.Length && _text[_at] == '(')
            {
                _at++;
                var inner = ReadOr();
                SkipSpace();
                if (_at == _text.Length || _text[_at] != ')')
                    throw Invalid("a bracket is not closed");
                _at++;
                return inner;
            }
            return ReadTerm();
        }
        finally
        {
            _depth--;
        }
    }

    private NodeFilter ReadTerm()
    {
        int start = _at;
        int colon = _text.IndexOf(':', _at);
        string key = colon < 0 ? "" : _text[_at..colon];
        if (!Keys.Contains(key))
            throw Invalid($"a condition starts with one of {string.Join(", ", Keys.Select(k => k + ":"))}");
        _at = colon + 1;
        string value = ReadValue();
        NodeFilter.Range Number(Func<NodeContext, long?> of, Func<string, long?> parse)
        {
            string[] ends = value.Split("..");
            long? from = ends[0].Length == 0 && ends.Length == 2 ? long.MinValue : parse(ends[0]);
            long? to = ends.Length == 1 ? from : ends[1].Length == 0 ? long.MaxValue : parse(ends[1]);
            return ends.Length <= 2 && from is { } f && to is { } t && f <= t ? new NodeFilter.Range(of, f, t)
                : throw Invalid($"{key}: takes a number or a range such as 3..7, not '{value}'", start);
        }
        NodeFilter.Kind OneOf(Func<NodeContext, string> of, string[] kinds) => kinds.Contains(value) ? new NodeFilter.Kind(of, value)
            : throw Invalid($"{key}: is one of {string.Join(", ", kinds)}, not '{value}'", start);
        static long? Whole(string text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
            ? number : null;
        return key switch
        {
            "op" or "label" => value.Length > 0 ? new NameFilter(key, value) : throw Invalid($"{key}: names nothing", start),
            "phase" => OneOf(n => n.Phase, Phases),
            "category" => OneOf(n => n.Category, Categories),
            "thread" => Number(n => n.Thread, Whole),
            "stream" => Number(n => n.Stream, Whole),
            "rank" => Number(n => n.Rank, Whole),
            "node" => Number(n => n.Node.Id, Whole),
            _ => Number(n => n.StartNs, NanosecondsOf),
        };
    }

    /// <summary>A time: <c>1.5ms</c>, <c>20us</c>, <c>2s</c>; without a unit, milliseconds.</summary>
    private static long? NanosecondsOf(string text) =>
        TimeText.NanosecondsOf(text, ("ms", 1e6), ("us", 1e3), ("s", 1e9), ("", 1e6)) is { } time && Math.Abs(time) < 1e18 ? (long)time
            : null;

    /// <summary>What stands before a space or a bracket, or between quotes.</summary>
    private string ReadValue()
    {
        if (_at < _text.Length && _text[_at] is '"' or '\'')
        {
            char quote = _text[_at];
            int end = _text.IndexOf(quote, _at + 1);
            if (end < 0)
                throw Invalid("a quote is not closed");
            string quoted = _text[(_at + 1)..end];
            _at = end + 1;
            return quoted;
        }
        int from = _at;
        // Names of operators and labels have brackets of their own: one that was opened in it is closed in it.
        for (int open = 0; _at < _text.Length && !char.IsWhiteSpace(_text[_at]); _at++)
            if (_text[_at] == '(')
                open++;
            else if (_text[_at] == ')' && --open < 0)
                break;
        return _text[from.._at];
    }

    private bool TryWord(string word)
    {
        SkipSpace();
        int end = _at + word.Length;
        if (string.CompareOrdinal(_text, _at, word, 0, word.Length) != 0 || end < _text.Length && !char.IsWhiteSpace(_text[end])
            && _text[end] != '(')
            return false;
        _at = end;
        return true;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
            _at++;
    }

    private MystiqueException Invalid(string why, int? at = null) => Problems.SelectionInvalid(_text, (at ?? _at) + 1, why);
}
