using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What was recorded of a collective: whoever fits the plan to a target decides what becomes of it. Immutable.</summary>
/// <param name="Name">The operator's full name, for example <c>c10d::allreduce_</c>.</param>
/// <param name="GroupName">The process group's name, as PyTorch numbers it; null where the trace does not say.</param>
/// <param name="GroupSize">The process group's number of ranks; null where the trace does not say.</param>
/// <param name="Elements">Elements that this rank puts in; null where the trace does not say.</param>
public sealed record PlannedCollective(string Name, string? GroupName, long? GroupSize, long? Elements)
{
    /// <summary>
    /// The collective of a node whose tensors the trace names: an operator of <c>c10d</c> that takes tensors and lists of them
    /// (<c>torch/csrc/distributed/c10d/Ops.cpp</c>). Its group and size are those of the <c>record_param_comms</c> within it.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <returns>Null for any other node.</returns>
    internal static PlannedCollective? Of(TraceNode node)
    {
        if (node.Schema is not { Namespace: "c10d" } schema || node.Inputs.Length != schema.Arguments.Length
            || schema.Returns.Length > 0 && node.Outputs.Length != schema.Returns.Length
            || !node.Inputs.SelectMany(i => i.Tensors).Any())
            return null;
        for (int i = 0; i < node.Inputs.Length; i++)
            if (schema.Arguments[i].Type.BaseName == "Tensor" && !IsKnown(node.Inputs[i])
                && !(node.Inputs[i] is NoneValue && schema.Arguments[i].Type.IsOptional))
                return null;
        var info = node.Collective ?? node.Children.Select(c => c.Collective).FirstOrDefault(c => c is not null);
        return new PlannedCollective(schema.FullName, info?.GroupName is { Length: > 0 } group ? group : null,
            info is { GroupSize: > 0 } ? info.GroupSize : null, info is { InputElements: > 0 } ? info.InputElements : null);
    }

    private static bool IsKnown(ArgumentValue value) => value switch
    {
        TensorValue tensor => tensor is { IsUndefined: false, Type: not ScalarType.Undefined },
        ListValue { Items.Length: > 0 } list => list.Items.All(i => i is TensorValue && IsKnown(i)),
        _ => false,
    };
}
