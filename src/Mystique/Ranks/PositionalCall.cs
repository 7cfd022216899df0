using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// The inputs of <c>record_param_comms</c>, by their places (<c>torch/csrc/distributed/c10d/ParamCommsUtils.hpp</c>): tensors (none for a
/// wait or a barrier), the sequence, the group (its address, or its name and description), the rank, the name, splits, and from schema
/// 1.1.0 on the group's first rank, stride and size. What is not there is null.
/// </summary>
internal sealed record PositionalCall
{
    public ImmutableArray<TensorValue> Tensors { get; private init; } = [];

    public long? Sequence { get; private init; }

    public string? Group { get; private init; }

    public long? GroupPointer { get; private init; }

    /// <summary>Of a call with a root or a peer, that rank's place in the group; of others this rank's.</summary>
    public int? Rank { get; private init; }

    public string? Name { get; private init; }

    public ImmutableArray<long> InputSplits { get; private init; } = [];

    public ImmutableArray<long> OutputSplits { get; private init; } = [];

    public int? GroupSize { get; private init; }

    public bool? IsAsynchronous { get; private init; }

    /// <summary>Reads them; null for another node.</summary>
    public static PositionalCall? Of(TraceNode node)
    {
        if (node.Name != "record_param_comms")
            return null;
        var inputs = node.Inputs;
        int first = inputs.Length > 0 && (inputs[0] is TensorValue || inputs[0].Tensors.Any()
            || inputs[0] is ListValue { Items: [] } or IntListValue { Items: [] }) ? 1 : 0; // A barrier can have an empty list of tensors.
        ArgumentValue? At(int place) => first + place < inputs.Length ? inputs[first + place] : null;
        return new PositionalCall
        {
            Tensors = first == 1 ? [.. inputs[0].Tensors.Where(t => !t.IsUndefined)] : [],
            Sequence = SequenceOf(At(0)),
            Group = At(1) is ListValue { Items: [StringValue { Value: { Length: > 0 } name }, ..] } ? name : null,
            GroupPointer = At(1) is IntValue { Value: var pointer } ? pointer : null,
            Rank = At(2) is IntValue { Value: >= 0 and <= int.MaxValue and var rank } ? (int)rank : null,
            Name = node.Collective?.Name is { Length: > 0 } recorded ? recorded : (At(3) as StringValue)?.Value,
            InputSplits = SplitsOf(At(4)),
            OutputSplits = SplitsOf(At(5)),
            GroupSize = At(8) is IntValue { Value: > 0 and <= int.MaxValue and var size } ? (int)size : null,
            IsAsynchronous = (At(9) as BoolValue)?.Value,
        };
    }

    /// <summary>A number, or from newer versions on a number and whether it is of point-to-point calls.</summary>
    private static long? SequenceOf(ArgumentValue? value) => value switch
    {
        IntValue number => number.Value,
        ListValue { Items: [IntValue number, ..] } => number.Value,
        IntListValue { Items: [var number, ..] } => number,
        _ => null,
    };

    /// <summary>A list of sizes; empty for anything else.</summary>
    internal static ImmutableArray<long> SplitsOf(ArgumentValue? value) => value is IntListValue list ? list.Items : [];
}
