using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// What goes into a call and comes out of it, by the names of its operator's arguments (<c>torch/csrc/distributed/c10d/Ops.cpp</c>):
/// <c>output…</c> and <c>input…</c>, or <c>tensors</c> for what is sent, received, or both.
/// </summary>
internal static class CallTensors
{
    /// <summary>The call with its tensors and splits, from its outermost operator, else from <c>record_param_comms</c>.</summary>
    public static CollectiveCall AddTo(CollectiveCall call, List<TraceNode> parts, PositionalCall? positional)
    {
        foreach (var part in parts)
        {
            if (part.Schema is not { } schema || schema.Arguments.Length != part.Inputs.Length)
                continue;
            var found = FromArguments(call, part, schema);
            if (found.HasTensors)
                return found;
        }
        bool gives = call.Kind is not (CollectiveKind.Receive or CollectiveKind.Barrier);
        bool keeps = call.Kind is CollectiveKind.AllReduce or CollectiveKind.Broadcast or CollectiveKind.Reduce or CollectiveKind.Receive;
        var tensors = positional is { Tensors.IsEmpty: false } ? positional.Tensors
            : [.. parts[0].Inputs.SelectMany(i => i.Tensors).Where(t => !t.IsUndefined)]; // A backend's node has what is put in.
        return call with
        {
            Inputs = gives ? tensors : [],
            Outputs = keeps ? tensors : [],
            InputSplits = positional?.InputSplits ?? [],
            OutputSplits = positional?.OutputSplits ?? [],
        };
    }

    /// <summary>
    /// The call with what its label has: results, what is put in, and of an all-to-all how much of the first dimension comes from and goes
    /// to each rank.
    /// </summary>
    public static CollectiveCall AddOfLabel(CollectiveCall call)
    {
        var inputs = call.Start.Inputs;
        var tensors = inputs.Select(i => i.Tensors.Where(t => !t.IsUndefined).ToImmutableArray()).Where(t => !t.IsEmpty).ToArray();
        var splits = inputs.Where(i => !i.Tensors.Any()).Select(PositionalCall.SplitsOf).ToArray();
        bool isOfOne = call.Kind is CollectiveKind.AllReduce or CollectiveKind.Broadcast or CollectiveKind.Reduce;
        return call with
        {
            Outputs = tensors.Length > 0 && call.Kind != CollectiveKind.Send ? tensors[0] : [],
            Inputs = tensors.Length > 1 ? tensors[1] : isOfOne || call.Kind == CollectiveKind.Send ? tensors.FirstOrDefault([]) : [],
            OutputSplits = splits.Length > 0 ? splits[0] : [],
            InputSplits = splits.Length > 1 ? splits[1] : [],
        };
    }

    /// <summary>The size of the group that a call's tensors and splits tell; null where they tell none.</summary>
    public static int? GroupSizeOf(CollectiveCall call)
    {
        if (call.InputSplits.Length > 1)
            return call.InputSplits.Length;
        if (call.Kind is not (CollectiveKind.AllGather or CollectiveKind.ReduceScatter) || call.Inputs.IsEmpty || call.Outputs.IsEmpty)
            return null;
        long input = CollectiveCall.ElementsOf(call.Inputs), output = CollectiveCall.ElementsOf(call.Outputs);
        var (whole, part) = call.Kind == CollectiveKind.AllGather ? (output, input) : (input, output);
        return part > 0 && whole % part == 0 && whole / part <= int.MaxValue ? (int)(whole / part) : null;
    }

    private static CollectiveCall FromArguments(CollectiveCall call, TraceNode part, OperatorSchema schema)
    {
        List<TensorValue> inputs = [], outputs = [];
        for (int i = 0; i < part.Inputs.Length; i++)
        {
            string name = CallArguments.NameOf(schema, i);
            if (name == "sparse_indices" || call.Kind == CollectiveKind.Barrier)
                continue;
            var tensors = part.Inputs[i].Tensors.Where(t => !t.IsUndefined);
            if (name.StartsWith("out", StringComparison.Ordinal))
                outputs.AddRange(tensors);
            else if (name.StartsWith("input", StringComparison.Ordinal) || call.Kind == CollectiveKind.Send)
                inputs.AddRange(tensors);
            else
            {
                outputs.AddRange(tensors);
                if (call.Kind != CollectiveKind.Receive)
                    inputs.AddRange(tensors);
            }
        }
        if (outputs.Count == 0 && schema.Namespace != "c10d") // Functional operators return what they make.
            outputs.AddRange(part.Outputs.SelectMany(o => o.Tensors).Where(t => !t.IsUndefined));
        return call with
        {
            Inputs = [.. inputs],
            Outputs = [.. outputs],
            InputSplits = SplitsOf(part, schema, "input_split_sizes"),
            OutputSplits = SplitsOf(part, schema, "output_split_sizes"),
        };
    }

    private static ImmutableArray<long> SplitsOf(TraceNode part, OperatorSchema schema, string name) =>
        CallArguments.PlaceOf(schema, name) is { } place ? PositionalCall.SplitsOf(part.Inputs[place]) : [];
}
