using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Anonymising;

/// <summary>
/// What everybody knows: the operators of a PyTorch that is asked, the names of its derivatives, and words of its schemas. All else that a
/// trace names is its owner's.
/// </summary>
internal sealed partial class PublicNames
{
    /// <summary>Types, constants and literals of schemas (<c>torch/csrc/jit/frontend/schema_type_parser.cpp</c>).</summary>
    private static readonly FrozenSet<string> SchemaWords = ("Tensor int SymInt float bool SymBool SymFloat str Scalar number complex "
        + "Device ScalarType Layout MemoryFormat Generator Stream Storage Dimname DimnameList DeviceIndex QScheme None True False "
        + "contiguous_format Any Future Dict t e inf nan a b c d aten").Split(' ').ToFrozenSet();

    private readonly Dictionary<string, HashSet<string>> _words = new(StringComparer.Ordinal);
    /// <summary>Words of the schemas of calls between ranks (<c>torch/csrc/distributed/c10d/Ops.cpp</c>, <c>Functional.cpp</c>).</summary>
    private static readonly FrozenSet<string> CallWords = ("__torch__ torch classes c10d ProcessGroup ReduceOp Work _0 _1 _2 _3 _4 _5 "
        + "asyncOp async_op count device_ids dst gather_dim group_name group_size input input_list input_split_sizes input_tensor "
        + "input_tensors inputs offset out output output_lists output_split_sizes output_tensor output_tensors outputs process_group "
        + "reduce_op root_rank root_tensor scatter_dim shard_dim sparse_indices src tag tensor tensors timeout val wait_all_ranks")
        .Split(' ').ToFrozenSet();

    private static readonly FrozenSet<string> CallNamespaces = new[] { "c10d", "c10d_functional", "_c10d_functional",
        "_c10d_functional_autograd", "_dtensor" }.ToFrozenSet();

    private readonly HashSet<double> _numbers = [];
    private readonly HashSet<string> _literals = new(StringComparer.Ordinal);
    private readonly HashSet<string> _overloads = new(StringComparer.Ordinal);
    private readonly IReadOnlyList<NameFilter> _kept;

    private PublicNames(IReadOnlyList<NameFilter> kept) => _kept = kept;

    /// <summary>Asks for what a trace names.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="knowledge">A PyTorch.</param>
    /// <param name="kept">Patterns of operators that the owner gives away by name.</param>
    public static PublicNames Of(ExecutionTrace trace, IOperatorKnowledge knowledge, IEnumerable<string> kept)
    {
        var names = new PublicNames([.. kept.Select(k => new NameFilter("op", k))]);
        var asked = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var node in trace.Nodes)
        {
            if (node.Schema is { } schema)
                asked.Add(schema.QualifiedName);
            asked.UnionWith(FunctionOf(node.Name) is { } function ? CandidatesOf(function) : []);
            if (node.StandsFor.Length > 0)
                asked.Add(node.StandsFor.Split('.')[0]);
        }
        foreach (var overloads in knowledge.OverloadsOf(asked.Where(a => Qualified().IsMatch(a))))
            foreach (var overload in overloads)
            {
                names._overloads.Add(overload.FullName);
                if (!names._words.TryGetValue(overloads.Key, out var words))
                    names._words.Add(overloads.Key, words = new(StringComparer.Ordinal));
                words.UnionWith(WordsOf(overload.Text));
                names._numbers.UnionWith(NumbersOf(overload.Text));
                names._literals.UnionWith(LiteralsOf(overload.Text));
            }
        return names;
    }

    /// <summary>Whether an operator is PyTorch's, with all that its schema says, or the owner gives it away.</summary>
    public bool IsPublic(OperatorSchema schema) => IsKept(schema) || IsCall(schema)
        || _overloads.Contains(schema.FullName) && _words[schema.QualifiedName] is var words
            && WordsOf(schema.Text).All(w => words.Contains(w) || SchemaWords.Contains(w))
            && IsPlain(schema.Text) && LiteralsOf(schema.Text).All(_literals.Contains) && NumbersOf(schema.Text)
                .All(n => _numbers.Any(k => Math.Abs(k - n) <= 1e-9 * Math.Abs(k)));

    /// <summary>A PyTorch without process groups does not know their operators; their names are known here.</summary>
    private static bool IsCall(OperatorSchema schema) => CallNamespaces.Contains(schema.Namespace) && LabelNames.IsCall(schema.Name)
        && schema.Overload is "" or "out" or "default" && IsPlain(schema.Text) && !LiteralsOf(schema.Text).Any() && !NumbersOf(schema.Text)
            .Any(n => n is not (0 or 1))
        && WordsOf(schema.Text).All(w => w == schema.Namespace || w == schema.Name || w == schema.Overload || CallWords.Contains(w)
            || SchemaWords.Contains(w));

    /// <summary>Whether the owner gives an operator away by its name.</summary>
    private bool IsKept(OperatorSchema schema) => _kept.Any(k => k.IsMatch(schema.FullName) || k.IsMatch(schema.QualifiedName));

    /// <summary>Whether a name is of an operator of PyTorch's, with or without its overload.</summary>
    public bool IsOperator(string name) => _overloads.Contains(name) || _words.ContainsKey(name);

    /// <summary>Whether a name is of a function of autograd's graph that is PyTorch's: a derivative, or the engine's.</summary>
    public bool IsFunction(string name) => name is "torch::autograd::AccumulateGrad" or "torch::autograd::CopySlices"
        or "torch::autograd::GraphRoot" or "CompiledFunctionBackward" || FunctionOf(name) is { } function && CandidatesOf(function)
            .Any(_words.ContainsKey);

    private static IEnumerable<string> WordsOf(string text) => Word().Matches(text).Select(m => m.Value);

    /// <summary>Numbers, whatever their digits: versions print <c>1e-05</c> and <c>1.0000000000000001e-05</c>.</summary>
    private static IEnumerable<double> NumbersOf(string text) => Number().Matches(text).Select(m =>
        double.TryParse(m.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : double.NaN);

    /// <summary><c>Addmm</c> of <c>AddmmBackward0</c>, be it alone or behind the engine's label; null for other names.</summary>
    private static string? FunctionOf(string name) => Derivative().Match(name) is { Success: true } match ? match.Groups[1].Value : null;

    /// <summary>Operators whose derivative has such a name: <c>aten::addmm</c>, <c>aten::_addmm</c>.</summary>
    private static IEnumerable<string> CandidatesOf(string function)
    {
        var name = new StringBuilder();
        foreach (char c in function)
        {
            if (char.IsAsciiLetterUpper(c) && name.Length > 0
                && !char.IsAsciiDigit(name[^1])) // MaxPool2DWithIndices: max_pool2d_with_indices
                name.Append('_');
            name.Append(char.ToLowerInvariant(c));
        }
        foreach (string prefix in (string[])["", "_"])
            foreach (string suffix in (string[])["", "_"])
                yield return $"aten::{prefix}{name}{suffix}";
    }

    [GeneratedRegex("[A-Za-z_][A-Za-z0-9_]*")]
    private static partial Regex Word();

    [GeneratedRegex("(?<![A-Za-z0-9_])[0-9][0-9.]*(?:e[-+]?[0-9]+)?")]
    private static partial Regex Number();

    /// <summary>Whether a schema has the characters of schemas alone, but for its literals.</summary>
    private static bool IsPlain(string text) => Plain().IsMatch(Literal().Replace(text, ""));

    /// <summary>Texts between quotes, whichever quotes a version prints.</summary>
    private static IEnumerable<string> LiteralsOf(string text) => Literal().Matches(text).Select(m => m.Value[1..^1]);

    [GeneratedRegex(@"\A[A-Za-z0-9_ .,:;*=()\[\]?!|<>&+-]*\z")]
    private static partial Regex Plain();

    [GeneratedRegex(@"'[^']*'|""[^""]*""")]
    private static partial Regex Literal();

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_]*::[A-Za-z_][A-Za-z0-9_]*\z")]
    private static partial Regex Qualified();

    [GeneratedRegex(@"\A(?:autograd::engine::evaluate_function: )?([A-Z][A-Za-z0-9]{0,80})Backward[0-9]{1,2}\z")]
    private static partial Regex Derivative();
}
