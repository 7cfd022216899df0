using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Views that a plan adds, to get at memory that the trace shows no way to.</summary>
internal static class AddedViews
{
    private static readonly OperatorSchema AsStrided = SchemaParser.Parse(
        "aten::as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a)");

    /// <summary>A view of the memory of one tensor as another.</summary>
    /// <param name="nodeId">The node that needs it.</param>
    /// <param name="source">The slot of a tensor on the same storage, of the same element type.</param>
    /// <param name="slot">The slot of the view.</param>
    /// <param name="tensor">The view.</param>
    public static PlannedOperator Of(long nodeId, int source, int slot, PlannedTensor tensor) => new(nodeId, AsStrided,
    [
        PlannedArgument.OfTensor(source),
        new PlannedArgument([], new IntListValue(tensor.Shape)),
        new PlannedArgument([], new IntListValue(tensor.Strides)),
        new PlannedArgument([], new IntValue(tensor.Offset)),
    ], [new PlannedResult([slot])], IsAddedView: true);
}
