using System.Collections.Immutable;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// What a rank that is replayed alone does of a collective: with nobody to talk to, <c>c10d::allreduce_</c> and
/// <c>c10d::broadcast_</c> (<c>torch/csrc/distributed/c10d/Ops.cpp</c>) come down to a pass over their buffers. They are
/// multiplied by 1, so that later operators get the memory as an operator left it. Waiting for others is not replayed.
/// </summary>
internal static class LocalCollective
{
    public const string Reason = "a collective: a rank that is replayed alone has nobody to talk to, and makes a pass over its buffers";

    private static readonly OperatorSchema Multiply =
        SchemaParser.Parse("aten::_foreach_mul_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()");

    /// <summary>The local work of a node; null where it is no such collective.</summary>
    /// <param name="node">The node.</param>
    /// <param name="storages">The storages of its inputs' tensors.</param>
    /// <param name="table">The plan's tensors.</param>
    /// <param name="operators">The plan's operators so far.</param>
    public static PlannedOperator? Of(TraceNode node, ReadOnlySpan<StorageGeneration?> storages, TensorTable table,
        ImmutableArray<PlannedOperator>.Builder operators)
    {
        if (node.Schema?.QualifiedName is not ("c10d::allreduce_" or "c10d::broadcast_")
            || node.Inputs is not [ListValue { Items.Length: > 0 } list, ..]
            || !list.Items.All(i => i is TensorValue { IsUndefined: false, Type: not ScalarType.Undefined }))
            return null;
        var slots = ImmutableArray.CreateBuilder<int>(list.Items.Length);
        for (int i = 0; i < list.Items.Length; i++)
            slots.Add(table.Use(storages[i], (TensorValue)list.Items[i], node.Id, isWritten: true, operators));
        return new PlannedOperator(node.Id, Multiply,
            [new PlannedArgument(slots.MoveToImmutable(), null), PlannedArgument.Of(new IntValue(1))], [], OperatorRole.Substitute);
    }
}
