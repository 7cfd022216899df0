using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Which operators a benchmark may call. What a trace, a package or a table names is the word of a stranger: only what is
/// listed in <c>OperatorPolicy.txt</c> runs, and its texts are words of that list. <c>run.py</c> holds to the same table.
/// </summary>
internal sealed class OperatorPolicy
{
    /// <summary>No schema of PyTorch comes near this.</summary>
    private const int MaxSchemaLength = 4096;

    private readonly HashSet<string> _open = [];
    private readonly HashSet<string> _closed = [];
    private readonly HashSet<string> _allowed = [];
    private readonly HashSet<string> _never = [];
    private readonly HashSet<string> _autograd = [];
    private readonly HashSet<string> _calls = [];
    private readonly Dictionary<string, FrozenSet<string>> _words = [];
    private readonly Dictionary<string, Regex> _patterns = [];

    private OperatorPolicy(string text)
    {
        foreach (string raw in text.Split('\n'))
        {
            string[] words = TableText.WithoutComment(raw).Split(' ', StringSplitOptions.RemoveEmptyEntries);
            switch (words)
            {
                case ["namespace", .. var names]: _open.UnionWith(names); break;
                case ["closed", .. var names]: _closed.UnionWith(names); break;
                case ["allow", .. var names]: _allowed.UnionWith(names); break;
                case ["autograd", ..]: _autograd.Add(raw[(raw.IndexOf(' ') + 1)..].TrimEnd()); break;
                case ["call", ..]: _calls.Add(raw[(raw.IndexOf(' ') + 1)..].TrimEnd()); break;
                case ["never", .. var names]: _never.UnionWith(names); break;
                case ["words", var argument, "=", .. var list]: _words.Add(argument, list.ToFrozenSet()); break;
                // The pattern is all that follows: it may have spaces.
                case ["pattern", var argument, "=", ..]:
                    _patterns.Add(argument,
                    new Regex($@"\A(?:{raw[(raw.IndexOf('=') + 2)..]})\z")); break;
                case []: break;
                default: throw new FormatException($"the operator policy has a line that is none: {raw}");
            }
        }
    }

    /// <summary>The table's text, for <c>run.py</c>.</summary>
    public static string Text { get; } = EmbeddedText.Join("Mystique.Planning.OperatorPolicy.txt");

    /// <summary>The policy.</summary>
    public static OperatorPolicy BuiltIn { get; } = new(Text);

    /// <summary>Why operators of a schema never run, whatever their arguments are; null where nothing stands against it.</summary>
    /// <param name="schema">The schema: the target's, where it is known. The recorded one says what its writer wants.</param>
    /// <param name="hasLibraries">Whether the user loaded libraries of operators.</param>
    public string? WhyNot(OperatorSchema schema, bool hasLibraries)
    {
        if (WhyNotNamed(schema.FullName) is { } reason)
            return reason;
        if (!hasLibraries && !_open.Contains(schema.Namespace) && !_allowed.Contains(schema.QualifiedName))
            return $"the namespace {schema.Namespace} is not PyTorch's: its operators run only with --load-library";
        if (schema.Text.Length > MaxSchemaLength)
            return "its schema is longer than any schema is";
        if (schema.Returns.IsEmpty && !schema.IsMutating)
            return "it returns nothing and writes to nothing: TorchScript removes it";
        foreach (var argument in schema.Arguments)
            if (argument.Type.BaseName == "str" && !_words.ContainsKey(argument.Name) && !_patterns.ContainsKey(argument.Name)
                && argument.Default is null)
                return WhyNoText(argument.Name);
        return null;
    }

    /// <summary>Why operators of a name never run, as far as the name alone tells; null where nothing stands against it.</summary>
    /// <param name="name">The name, with or without an overload, for example <c>aten::add.Tensor</c>.</param>
    public string? WhyNotNamed(string name)
    {
        string space = name[..name.IndexOf("::", StringComparison.Ordinal)], qualified = name.Split('.')[0];
        if (_closed.Contains(space) && !_allowed.Contains(qualified))
            return $"operators of the namespace {space} do more than compute: they are never run";
        return _never.Contains(qualified) ? "it does more than compute: it is never run" : null;
    }

    /// <summary>The same, and why not with these arguments.</summary>
    /// <param name="schema">The schema.</param>
    /// <param name="arguments">The literal arguments, one for each of the schema's; null for tensors.</param>
    /// <param name="hasLibraries">Whether the user loaded libraries of operators.</param>
    public string? WhyNot(OperatorSchema schema, ImmutableArray<ArgumentValue?> arguments, bool hasLibraries)
    {
        if (WhyNot(schema, hasLibraries) is { } reason)
            return reason;
        for (int i = 0; i < schema.Arguments.Length && i < arguments.Length; i++)
            if (arguments[i] is { } value && TextsOf(value).Any(text => schema.Arguments[i].Type.BaseName != "str"
                || !IsWord(schema.Arguments[i].Name, text)))
                return WhyNoText(schema.Arguments[i].Name);
        return null;
    }

    /// <summary>The schemas of calls between ranks.</summary>
    public IEnumerable<string> Calls => _calls;

    /// <summary>The same for an operator of a plan; of autograd's calls and those between ranks, only those that the table lists.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="hasLibraries">Whether the user loaded libraries of operators.</param>
    public string? WhyNot(PlannedOperator op, bool hasLibraries) => op.Role == OperatorRole.Autograd
        ? _autograd.Contains(op.Schema.Text) ? null : "it is no call of autograd that a benchmark makes"
        : op.IsCall ? _calls.Contains(op.Schema.Text) ? null : "it is no call between ranks that a benchmark makes"
        : WhyNot(op.Schema, [.. op.Arguments.Select(a => a.Literal)], hasLibraries);

    /// <summary>Whether an argument may have a text.</summary>
    public bool IsWord(string argument, string text) =>
        _words.TryGetValue(argument, out var words) && words.Contains(text) || _patterns.TryGetValue(argument, out var pattern)
            && pattern.IsMatch(text);

    private static string WhyNoText(string argument) =>
        $"its argument '{argument}' is free text, which can name a file, a process or an address: it is never run";

    private static IEnumerable<string> TextsOf(ArgumentValue value) => value switch
    {
        StringValue text => [text.Value],
        ListValue list => list.Items.SelectMany(TextsOf),
        _ => [],
    };
}
