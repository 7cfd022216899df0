using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>A row: what to run in the place of an operator that the target lacks.</summary>
/// <param name="Operator">The operator, with or without its overload.</param>
/// <param name="Conditions">What its arguments must be, all of it; none for any.</param>
/// <param name="IsAlways">Whether it applies where the target has the operator, too.</param>
/// <param name="Statements">The calls; none where the target needs nothing.</param>
internal sealed record Substitution(string Operator, ImmutableArray<ArgumentCondition> Conditions, bool IsAlways,
    ImmutableArray<SubstituteCall> Statements);

/// <summary>A call: <c>results = operator(arguments)</c>.</summary>
/// <param name="Results">
/// Names: <c>out0</c> for the recorded operator's first result, <c>_</c> for none, others for what later calls use.
/// </param>
/// <param name="Like">For a result of the latter kind, the argument whose shape it has.</param>
/// <param name="Operator">The full name.</param>
/// <param name="Arguments">Texts, with the name for those that are given by name.</param>
internal sealed record SubstituteCall(ImmutableArray<string> Results, string Like, string Operator,
    ImmutableArray<(string Name, string Text)> Arguments);

/// <summary>
/// What stands in for operators of one platform on another: rows of text, see <c>Substitutions.txt</c> beside this file,
/// which is the table that comes along. Immutable.
/// </summary>
public sealed class SubstitutionTable
{
    private readonly Dictionary<string, List<Substitution>> _rows = [];
    private readonly List<Substitution> _own = []; // Those of a user's file, without the ones that come along.

    private SubstitutionTable()
    {
    }

    /// <summary>The table that comes along.</summary>
    public static SubstitutionTable BuiltIn { get; } =
        Read(EmbeddedText.Join("Mystique.Planning.Substitutions.txt"), "Substitutions.txt", null);

    /// <summary>All rows.</summary>
    internal IEnumerable<Substitution> Rows => _rows.Values.SelectMany(r => r);

    /// <summary>A table of one row.</summary>
    internal static SubstitutionTable Only(Substitution row)
    {
        var table = new SubstitutionTable();
        table.Add(row);
        return table;
    }

    /// <summary>
    /// The table for a plan from a package, which has the rows that it was made with: those of a user who gives a table now come first.
    /// </summary>
    internal SubstitutionTable With(ImmutableArray<Substitution> recorded)
    {
        var table = new SubstitutionTable();
        foreach (var row in _own.Concat(recorded).Concat(Rows.Except(_own)))
            table.Add(row);
        return table;
    }

    /// <summary>The names of all operators that rows call.</summary>
    internal IEnumerable<string> Targets => Rows.SelectMany(r => r.Statements).Select(s => s.Operator).Distinct();

    /// <summary>Reads a user's table; its rows come before those that come along.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MystiqueException">It cannot be read, or a line of it is invalid (MYS204, MYS205).</exception>
    public static SubstitutionTable ReadFile(string path) => Read(TableText.ReadFile(path), path, BuiltIn);

    /// <summary>The rows for an operator, in the order in which to try them.</summary>
    internal IEnumerable<Substitution> RowsOf(OperatorSchema schema) =>
        _rows.GetValueOrDefault(schema.FullName, []).Concat(schema.Overload.Length == 0 ? []
            : _rows.GetValueOrDefault(schema.QualifiedName, []));

    internal static SubstitutionTable Read(string text, string source, SubstitutionTable? rest)
    {
        var table = new SubstitutionTable();
        Substitution? row = null;
        int number = 0;
        foreach (string raw in text.Split('\n'))
        {
            number++;
            string line = TableText.WithoutComment(raw);
            if (line.Trim().Length == 0)
                continue;
            try
            {
                if (char.IsWhiteSpace(line[0]))
                {
                    row = row is null ? throw new FormatException("a call without an operator before it")
                        : row with { Statements = row.Statements.Add(ParseCall(line.Trim())) };
                    continue;
                }
                table.Add(row);
                row = ParseHead(line.Trim());
            }
            catch (FormatException exception)
            {
                throw Problems.TableInvalid(source, number, exception.Message);
            }
        }
        table.Add(row);
        if (rest is not null)
            table._own.AddRange(table.Rows);
        foreach (var more in rest?._rows.Values.SelectMany(r => r) ?? [])
            table.Add(more);
        return table;
    }

    private void Add(Substitution? row)
    {
        if (row is null)
            return;
        if (!_rows.TryGetValue(row.Operator, out var rows))
            _rows.Add(row.Operator, rows = []);
        rows.Add(row);
    }

    /// <summary><c>[always] namespace::name[.overload] [if condition [and condition …]]:</c></summary>
    private static Substitution ParseHead(string line)
    {
        if (!line.EndsWith(':'))
            throw new FormatException("a line that starts an operator ends in a colon");
        string[] words = line[..^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool isAlways = words is ["always", ..];
        if (isAlways)
            words = words[1..];
        if (words.Length == 0 || !TableText.IsOperatorName(words[0]))
            throw new FormatException("an operator is named namespace::name or namespace::name.overload");
        return new Substitution(words[0], words switch
        {
            [_] => [],
            [_, "if", .. var conditions] => ArgumentCondition.ParseAll(conditions),
            _ => throw new FormatException("after the operator's name may come: if CONDITION"),
        }, isAlways, []);
    }

    /// <summary><c>[results [like argument] =] operator(arguments)</c></summary>
    private static SubstituteCall ParseCall(string line)
    {
        int open = line.IndexOf('(');
        if (open < 0 || !line.EndsWith(')'))
            throw new FormatException("a call is written results = operator(arguments)");
        int equals = line.AsSpan(0, open).IndexOf('=');
        string[] left = equals < 0 ? [] : line[..equals].Split((char[])[' ', ','], StringSplitOptions.RemoveEmptyEntries);
        string like = "";
        if (left is [.., "like", var model])
        {
            like = model;
            left = left[..^2];
        }
        string name = line[(equals + 1)..open].Trim();
        if (!TableText.IsOperatorName(name))
            throw new FormatException($"'{name}' is no operator's name");
        return new SubstituteCall([.. left], like, name, [.. SplitArguments(line[(open + 1)..^1])]);
    }

    private static IEnumerable<(string Name, string Text)> SplitArguments(string text)
    {
        int depth = 0;
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] != ',' || depth > 0 && i < text.Length)
            {
                depth += text[i] switch { '[' => 1, ']' => -1, _ => 0 };
                continue;
            }
            string part = text[start..i].Trim();
            start = i + 1;
            if (part.Length == 0)
                continue;
            int equals = part.IndexOf('=');
            yield return equals < 0 ? ("", part) : (part[..equals].Trim(), part[(equals + 1)..].Trim());
        }
    }
}
