using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Operators that a plan adds to those of the trace.</summary>
internal static class AddedOperators
{
    private static readonly OperatorSchema AsStrided = SchemaParser.Parse(
        "aten::as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a)");

    private static readonly OperatorSchema Copy = SchemaParser.Parse(
        "aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)");

    private static readonly OperatorSchema WithoutGraph = SchemaParser.Parse("aten::detach(Tensor(a) self) -> Tensor(a)");

    private static readonly OperatorSchema RequiresGradient = SchemaParser.Parse(
        "aten::requires_grad_(Tensor(a!) self, bool requires_grad=True) -> Tensor(a!)");

    /// <summary>Makes a sparse tensor of the coordinate layout; newer versions of PyTorch have one more argument, with a default.</summary>
    public static readonly OperatorSchema SparseCoo = SchemaParser.Parse(
        "aten::_sparse_coo_tensor_unsafe(Tensor indices, Tensor values, SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
        + "Device? device=None, bool? pin_memory=None) -> Tensor");

    /// <summary>Makes a sparse tensor of the compressed layout by rows.</summary>
    public static readonly OperatorSchema SparseCsr = SchemaParser.Parse(
        "aten::_sparse_csr_tensor_unsafe(Tensor crow_indices, Tensor col_indices, Tensor values, int[] size, *, ScalarType? dtype=None, "
        + "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor");

    /// <summary>A view of the memory of one tensor as another.</summary>
    /// <param name="id">The node that needs it.</param>
    /// <param name="source">The slot of a tensor on the same storage, of the same element type.</param>
    /// <param name="slot">The slot of the view.</param>
    /// <param name="tensor">The view.</param>
    public static PlannedOperator View(OperatorId id, Slot source, Slot slot, PlannedTensor tensor) => new(id, AsStrided,
    [
        PlannedArgument.OfTensor(source),
        PlannedArgument.Of(new IntListValue(tensor.Shape)),
        PlannedArgument.Of(new IntListValue(tensor.Strides)),
        PlannedArgument.Of(new IntValue(tensor.Offset)),
    ], [new PlannedResult([slot])], OperatorRole.Added);

    /// <summary>A tensor on the same memory that autograd does not know.</summary>
    /// <param name="id">The node that needs it.</param>
    /// <param name="source">The tensor's slot.</param>
    /// <param name="slot">The slot of the other.</param>
    public static PlannedOperator Detach(OperatorId id, Slot source, Slot slot) => new(id, WithoutGraph,
        [PlannedArgument.OfTensor(source)], [new PlannedResult([slot])], OperatorRole.Added);

    /// <summary>Makes a tensor a leaf of autograd's graph, which starts anew from it.</summary>
    /// <param name="id">The node that makes it.</param>
    /// <param name="slot">Its slot; no function of autograd made it.</param>
    public static PlannedOperator Leaf(OperatorId id, Slot slot) => new(id, RequiresGradient,
        [PlannedArgument.OfTensor(slot), PlannedArgument.Of(new BoolValue(true))], [new PlannedResult([slot])], OperatorRole.Added);

    /// <summary>Fills a tensor with what another holds.</summary>
    /// <param name="id">The node that needs it.</param>
    /// <param name="slot">The slot to fill.</param>
    /// <param name="source">The slot to take it from, of the same shape.</param>
    public static PlannedOperator Fill(OperatorId id, Slot slot, Slot source) => new(id, Copy,
        [PlannedArgument.OfTensor(slot), PlannedArgument.OfTensor(source), PlannedArgument.Of(new BoolValue(false))],
        [new PlannedResult([slot])], OperatorRole.Added);
}
