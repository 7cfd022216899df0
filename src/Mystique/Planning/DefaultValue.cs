using System.Collections.Immutable;
using System.Globalization;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Reads the literals of schemas and of substitution tables: <c>None</c>, <c>True</c>, <c>1</c>, <c>1e-05</c>, <c>"none"</c>,
/// <c>[0, 0]</c>.
/// </summary>
internal static class DefaultValue
{
    /// <summary>
    /// The numbers behind names that schemas use for defaults (<c>at::Reduction</c>, <c>c10/core/MemoryFormat.h</c>,
    /// <c>c10/core/Layout.h</c>, <c>c10/core/ScalarType.h</c>).
    /// </summary>
    private static readonly Dictionary<string, long> Names = new()
    {
        ["Mean"] = 1,
        ["Sum"] = 2,
        ["contiguous_format"] = 0,
        ["preserve_format"] = 1,
        ["strided"] = 0,
        ["long"] = (long)ScalarType.Long,
        ["float"] = (long)ScalarType.Float,
    };

    /// <summary>The value of a literal; null where the text is none.</summary>
    public static ArgumentValue? Parse(ReadOnlySpan<char> text)
    {
        text = text.Trim();
        switch (text)
        {
            case "None":
                return NoneValue.Instance;
            case "True" or "true":
                return new BoolValue(true);
            case "False" or "false":
                return new BoolValue(false);
            case "inf":
                return new DoubleValue(double.PositiveInfinity);
            case "-inf":
                return new DoubleValue(double.NegativeInfinity);
            case "nan":
                return new DoubleValue(double.NaN);
        }
        if (text.Length >= 2 && text[0] is '"' or '\'' && text[^1] == text[0])
            return new StringValue(text[1..^1].ToString());
        if (text.Length >= 2 && text[0] == '[' && text[^1] == ']')
            return ParseList(text[1..^1]);
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole))
            return new IntValue(whole);
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
            return new DoubleValue(number);
        return Names.TryGetValue(text.ToString(), out long named) ? new IntValue(named) : null;
    }

    private static ArgumentValue? ParseList(ReadOnlySpan<char> text)
    {
        var items = ImmutableArray.CreateBuilder<ArgumentValue>();
        foreach (var part in text.Split(','))
        {
            if (text[part].Trim().IsEmpty)
                continue;
            if (Parse(text[part]) is not { } item)
                return null;
            items.Add(item);
        }
        return items.Count > 0 && items.All(i => i is IntValue)
            ? new IntListValue([.. items.Select(i => ((IntValue)i).Value)])
            : new ListValue(items.ToImmutable(), "");
    }
}
