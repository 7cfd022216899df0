using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>What a row says of a tensor; the words are those of <c>Values.txt</c>.</summary>
internal enum ValueWord
{
    Index,
    Scalar,
    Uniform,
    Constant,
    Ramp,
    Offsets,
    Mask,
    CoversRange,
    Partition,
    Lengths,
    Permutation,
    DiagonallyDominant,
    Places,
    Passes,
    Below,
}

/// <summary>A row of a table of values.</summary>
internal sealed record ValueRow
{
    /// <summary>The operator, with or without its overload.</summary>
    public required string Operator { get; init; }

    /// <summary>The argument, or <c>out0</c>.</summary>
    public required string Tensor { get; init; }

    /// <summary>What it says.</summary>
    public required ValueWord Word { get; init; }

    /// <summary>The word's numbers.</summary>
    public required ValueExpression[] Numbers { get; init; }

    /// <summary>A number to keep out; null where there is none.</summary>
    public required ValueExpression? Except { get; init; }

    /// <summary>For <see cref="ValueWord.Passes"/>, the argument.</summary>
    public required string Passed { get; init; }

    /// <summary>Must not be 0; null where there is none.</summary>
    public required ValueExpression? Condition { get; init; }

    public bool Applies(PlannedOperator op, IReadOnlyList<PlannedTensor> tensors) => Condition is null
        || Condition.Evaluate(op, tensors) is { } value and not 0;
}

/// <summary>
/// What tensors must hold for the operators that use them: rows of text, see <c>Values.txt</c> beside this file, which
/// is the table that comes along. Immutable.
/// </summary>
public sealed class ValueTable
{
    private readonly Dictionary<string, List<ValueRow>> _rows = [];

    private ValueTable()
    {
    }

    /// <summary>The table that comes along.</summary>
    public static ValueTable BuiltIn { get; } = Read(EmbeddedText.Join("Mystique.Planning.Contents.Values.txt"), "Values.txt", null);

    /// <summary>Reads a user's table; its rows take the places of those that come along, by operator and tensor.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MystiqueException">It cannot be read, or a line of it is invalid (MYS204, MYS205).</exception>
    public static ValueTable ReadFile(string path) => Read(TableText.ReadFile(path), path, BuiltIn);

    /// <summary>The rows for an operator: those with its overload, and those for all overloads.</summary>
    internal List<ValueRow>? RowsOf(OperatorSchema schema)
    {
        _rows.TryGetValue(schema.QualifiedName, out var all);
        return _rows.TryGetValue($"{schema.QualifiedName}.{(schema.Overload.Length == 0 ? "default" : schema.Overload)}", out var own)
            ? all is null ? own : [.. own, .. all] : all;
    }

    internal static ValueTable Read(string text, string source, ValueTable? rest)
    {
        var table = new ValueTable();
        int number = 0;
        foreach (string raw in text.Split('\n'))
        {
            number++;
            string line = TableText.WithoutComment(raw).Trim();
            if (line.Length == 0)
                continue;
            try
            {
                table.Add(ParseRow(line));
            }
            catch (FormatException exception)
            {
                throw Problems.TableInvalid(source, number, exception.Message);
            }
        }
        var own = table._rows.Values.SelectMany(r => r).Select(r => (r.Operator, r.Tensor)).ToHashSet();
        foreach (var row in rest?._rows.Values.SelectMany(r => r) ?? [])
            if (!own.Contains((row.Operator, row.Tensor)))
                table.Add(row);
        return table;
    }

    private void Add(ValueRow row)
    {
        if (!_rows.TryGetValue(row.Operator, out var rows))
            _rows.Add(row.Operator, rows = []);
        rows.Add(row);
    }

    private static ValueRow ParseRow(string line)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length < 3 || !TableText.IsOperatorName(words[0]) || !SchemaParser.IsIdentifier(words[1]))
            throw new FormatException("a row is an operator, a tensor of it, and what it holds");
        if (!Enum.TryParse<ValueWord>(words[2].Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out var word)
            || words[2].Any(char.IsDigit))
            throw new FormatException($"there is no word '{words[2]}'");
        string rest = string.Join(' ', words.Skip(3));
        var condition = TakeAfter(ref rest, "if ") is { } condition_ ? ValueExpression.Parse(condition_) : null;
        var except = TakeAfter(ref rest, "except ") is { } except_ ? ValueExpression.Parse(except_) : null;
        if (word == ValueWord.Passes)
            return new ValueRow
            {
                Operator = words[0],
                Tensor = words[1],
                Word = word,
                Numbers = [],
                Except = null,
                Passed = rest.Trim(),
                Condition = condition,
            };
        string[] numbers = SplitNumbers(rest);
        int expected = word switch { ValueWord.Places => 0, ValueWord.Scalar or ValueWord.Uniform or ValueWord.Lengths => 2, _ => 1 };
        if (numbers.Length != expected)
            throw new FormatException(string.Create(CultureInfo.InvariantCulture,
                $"{words[2]} takes {expected} numbers, not {numbers.Length}"));
        return new ValueRow
        {
            Operator = words[0],
            Tensor = words[1],
            Word = word,
            Numbers = [.. numbers.Select(ValueExpression.Parse)],
            Except = except,
            Passed = "",
            Condition = condition,
        };
    }

    private static string? TakeAfter(ref string text, string word)
    {
        int at = text.StartsWith(word, StringComparison.Ordinal) ? 0 : text.IndexOf(' ' + word, StringComparison.Ordinal);
        if (at < 0)
            return null;
        string after = text[(text.IndexOf(word, at, StringComparison.Ordinal) + word.Length)..];
        text = text[..at].Trim();
        return after;
    }

    /// <summary>Splits at spaces that stand outside parentheses and not beside a sign.</summary>
    private static string[] SplitNumbers(string text)
    {
        var parts = new List<string>();
        int depth = 0;
        string current = "";
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            bool goesOn = current.Length > 0 && (depth > 0 || IsSign(word[..1]) && word.Length == 1 || IsSign(current[^1..]));
            if (!goesOn && current.Length > 0)
            {
                parts.Add(current);
                current = "";
            }
            current += current.Length > 0 ? " " + word : word;
            depth += word.Count(c => c == '(') - word.Count(c => c == ')');
        }
        if (current.Length > 0)
            parts.Add(current);
        return [.. parts];

        static bool IsSign(string text) => text is "+" or "-" or "*" or "/" or "=";
    }
}
