using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>What operators give back, asked of an engine, each question once.</summary>
/// <param name="engine">The engine's knowledge.</param>
/// <param name="hasAllocations">Whether the profile tells what was allocated.</param>
internal sealed class ResultKnowledge(IOperatorKnowledge engine, bool hasAllocations)
{
    private readonly Dictionary<string, CallResults> _known = [];

    /// <summary>Whether the profile tells what was allocated.</summary>
    public bool HasAllocations { get; } = hasAllocations;

    /// <summary>Operators whose results the engine could not tell, by why, and how often they came.</summary>
    public SortedDictionary<string, int> Unknown { get; } = new(StringComparer.Ordinal);

    /// <summary>Chooses overloads and arguments, and asks for the results of all operators whose arguments' types are known.</summary>
    /// <param name="nodes">The nodes.</param>
    public void Prepare(IReadOnlyList<ProfileNode> nodes)
    {
        var overloads = engine.OverloadsOf(nodes.Where(n => n.IsOperator).Select(n => n.Name).Distinct());
        foreach (var node in nodes.Where(n => n.IsOperator))
        {
            string why = "the profile has no inputs of it";
            if (node.Details?.Inputs?.Inputs is { } inputs && (!inputs.IsEmpty || overloads[node.Name].Any(s => s.Arguments.IsEmpty)))
            {
                why = overloads.Contains(node.Name) ? "no overload takes what was recorded" : "the engine does not have it";
                if (OverloadChooser.Choose(overloads[node.Name], inputs, out int assumed) is { } call)
                {
                    (node.Schema, node.Arguments) = (call.Schema, call.Arguments);
                    if (assumed > 0)
                        CollectionsMarshal.GetValueRefOrAddDefault(Assumed, node.Name, out _) += assumed;
                    continue;
                }
            }
            node.WhyNot = why;
        }
        var calls = nodes.Where(n => n.Schema is not null && !HasUntypedLists(n)).Select(CallOf).DistinctBy(KeyOf).ToArray();
        foreach (var (call, results) in calls.Zip(engine.Describe([.. calls])))
            _known[KeyOf(call)] = results;
    }

    /// <summary>By operator, arguments that were not recorded and are the schema's defaults.</summary>
    public Dictionary<string, int> Assumed { get; } = [];

    /// <summary>Fills a node's results, when its tensors are known.</summary>
    public void Complete(ProfileNode node)
    {
        if (HasUntypedLists(node))
        {
            int place = 0;
            node.Arguments = [.. node.Arguments.Select(a => a switch
            {
                TensorValue => Skip(a, ref place),
                ListValue list when list.Items.Any(t => t is TensorValue) => list with
                {
                    Items = [.. list.Items.Select(t => node.Taken[place++] is { } taken && t is TensorValue tensor
                        ? tensor with { Type = taken.Layout.Type, ItemSizeBytes = taken.Layout.ItemSizeBytes } : t)],
                },
                _ => a,
            })];
        }
        if (node.Results is not null)
            return;
        var results = Ask(node.Schema!, node.Arguments);
        node.Results = results.Outputs;
        if (results.Outputs is null)
        {
            string why = $"{node.Name}: {results.Error}";
            Unknown[why] = Unknown.GetValueOrDefault(why) + 1;
        }
    }

    /// <summary>What a call gives back.</summary>
    public CallResults Ask(OperatorSchema schema, ImmutableArray<ArgumentValue> arguments)
    {
        var call = new OperatorCall(schema, arguments);
        string key = KeyOf(call);
        if (!_known.TryGetValue(key, out var results))
            _known[key] = results = engine.Describe([call])[0];
        return results;
    }

    /// <summary>The first result of a node, before its tensors are known; null where that is not known.</summary>
    public TensorValue? ResultOf(ProfileNode node) => HasUntypedLists(node) ? null
        : _known.GetValueOrDefault(KeyOf(CallOf(node)))?.Outputs is [TensorValue result, ..] ? result : null;

    private static ArgumentValue Skip(ArgumentValue value, ref int place)
    {
        place++;
        return value;
    }

    private static bool HasUntypedLists(ProfileNode node) => node.Arguments.Any(a => a is ListValue list
        && (list.TypeName == OverloadChooser.LostList || list.Items.Any(t => t is TensorValue { Type: ScalarType.Undefined })));

    private static OperatorCall CallOf(ProfileNode node) => new(node.Schema!, node.Arguments);

    private static string KeyOf(OperatorCall call)
    {
        var text = new System.Text.StringBuilder(call.Schema.Text);
        foreach (var argument in call.Arguments)
            Write(text.Append('|'), argument);
        return text.ToString();
    }

    private static void Write(System.Text.StringBuilder text, ArgumentValue value)
    {
        switch (value)
        {
            case TensorValue tensor:
                text.Append(tensor.Type).Append('[').AppendJoin(',', tensor.Shape).Append(';');
                if (!tensor.Strides.IsDefault)
                    text.AppendJoin(',', tensor.Strides);
                text.Append(']');
                break;
            case ListValue list:
                text.Append('(');
                foreach (var item in list.Items)
                    Write(text, item);
                text.Append(')');
                break;
            case IntListValue ints:
                text.Append('(').AppendJoin(',', ints.Items).Append(')');
                break;
            case DoubleValue number:
                text.Append(number.Value.ToString("R", System.Globalization.CultureInfo.InvariantCulture)).Append('d');
                break;
            default:
                text.Append(value);
                break;
        }
    }
}
