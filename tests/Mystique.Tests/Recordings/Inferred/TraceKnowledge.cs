using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Tests.Recordings.Inferred;

/// <summary>Knows of operators what an execution trace of the same job tells: a PyTorch for tests, without one.</summary>
internal sealed class TraceKnowledge(ExecutionTrace trace) : IOperatorKnowledge
{
    private readonly Dictionary<string, TraceNode> _calls = trace.Operators.GroupBy(n => KeyOf(n.Schema!, n.Inputs))
        .ToDictionary(g => g.Key, g => g.First());

    /// <summary>How often it was asked for results.</summary>
    public int Asked { get; private set; }

    public ILookup<string, OperatorSchema> OverloadsOf(IEnumerable<string> names)
    {
        var wanted = names.ToHashSet();
        return trace.Operators.Select(n => n.Schema!).Where(s => wanted.Contains(s.QualifiedName)).DistinctBy(s => s.FullName)
            .ToLookup(s => s.QualifiedName);
    }

    public ImmutableArray<CallResults> Describe(ImmutableArray<OperatorCall> calls)
    {
        Asked += calls.Length;
        return [.. calls.Select(c => _calls.TryGetValue(KeyOf(c.Schema, c.Arguments), out var node)
            ? new CallResults([.. node.Outputs.Select(o => Unnamed(o, node))], "") : new CallResults(null, "it is not in the trace"))];
    }

    public void Dispose()
    {
    }

    private static ArgumentValue Unnamed(ArgumentValue value, TraceNode node) => value switch
    {
        TensorValue tensor => tensor with
        {
            TensorId = 0,
            StorageId = 0,
            Offset = tensor.Offset
                - (node.Inputs.SelectMany(i => i.Tensors).FirstOrDefault(t => t.StorageId == tensor.StorageId)?.Offset ?? 0),
        },
        ListValue list => list with { Items = [.. list.Items.Select(i => Unnamed(i, node))] },
        _ => NoneValue.Instance,
    };

    /// <summary>Tensors by their looks, and integers; doubles lose decimals in a trace.</summary>
    private static string KeyOf(OperatorSchema schema, ImmutableArray<ArgumentValue> arguments) =>
        schema.FullName + string.Join('|', arguments.Zip(schema.Arguments)
            .Where(a => a.Second.Type.BaseName is not ("Device" or "Generator")).Select(a => TextOf(a.First)));

    private static string TextOf(ArgumentValue value) => value switch
    {
        TensorValue { IsUndefined: true } or NoneValue => "-",
        TensorValue t => $"{t.Type}[{string.Join(',', t.Shape)};{string.Join(',', t.Strides.IsDefault ? [] : t.Strides)}]",
        ListValue list => $"({string.Join(' ', list.Items.Select(TextOf))})",
        IntListValue list => $"({string.Join(' ', list.Items)})",
        IntValue number => $"{number.Value}",
        BoolValue flag => $"{flag.Value}",
        _ => "*",
    };
}
