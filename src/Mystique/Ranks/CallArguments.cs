using System.Collections.Frozen;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// The names of arguments of <c>c10d</c>'s operators. PyTorch 1.13 made these of functions, without names for their arguments (<c>_0</c>,
/// <c>_1</c>; <c>torch/csrc/distributed/c10d/Ops.cpp</c> of that version): there they are told by their places.
/// </summary>
internal static class CallArguments
{
    private static readonly FrozenDictionary<string, string[]> Names = new Dictionary<string, string>
    {
        ["allgather_"] = "output_tensors input_tensors process_group timeout",
        ["alltoall_"] = "output_tensors input_tensors process_group timeout",
        ["reduce_scatter_"] = "output_tensors input_tensors process_group reduce_op timeout",
        ["gather_"] = "output_tensors input_tensors process_group root_rank timeout",
        ["scatter_"] = "output_tensors input_tensors process_group root_rank timeout",
        ["broadcast_"] = "tensors process_group root_rank root_tensor timeout",
        ["reduce_"] = "tensors process_group reduce_op root_rank root_tensor timeout",
        ["allreduce_"] = "tensors process_group reduce_op timeout",
        ["send"] = "tensors process_group dst tag",
        ["recv_"] = "tensors process_group src tag",
        ["recv_any_source_"] = "tensors process_group tag",
        ["barrier"] = "process_group device_ids timeout",
    }.ToFrozenDictionary(n => n.Key, n => n.Value.Split(' '));

    /// <summary>The name of an argument.</summary>
    public static string NameOf(OperatorSchema schema, int place) =>
        schema is { Namespace: "c10d" } && schema.Arguments[place].Name is ['_', >= '0' and <= '9', ..]
        && Names.TryGetValue(schema.Name, out string[]? names) && place < names.Length ? names[place] : schema.Arguments[place].Name;

    /// <summary>The place of an argument; null where there is none of the name.</summary>
    public static int? PlaceOf(OperatorSchema schema, string name)
    {
        for (int i = 0; i < schema.Arguments.Length; i++)
            if (NameOf(schema, i) == name)
                return i;
        return null;
    }
}
