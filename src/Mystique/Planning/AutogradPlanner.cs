using System.Collections.Immutable;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Plans what autograd does at the framework's level: backward passes, the gradients that they leave, and where no graph is made.
/// The calls are TorchScript's own (<c>torch/csrc/jit/runtime/register_prim_ops.cpp</c>, <c>register_special_ops.cpp</c>).
/// </summary>
/// <param name="number">The segment's place among those of the plan.</param>
/// <param name="segment">The selection, with the passes that are autograd's.</param>
/// <param name="table">The plan's tensors.</param>
/// <param name="operators">The plan's operators so far.</param>
internal sealed class AutogradPlanner(int number, Segment segment, TensorTable table, ImmutableArray<PlannedOperator>.Builder operators)
{
    private static readonly OperatorSchema Backward = SchemaParser.Parse(
        "aten::backward(Tensor self, Tensor? gradient=None, bool? retain_graph=None, bool create_graph=False) -> ()");

    private static readonly OperatorSchema Gradient = SchemaParser.Parse("prim::grad(Tensor a) -> Tensor(*)");

    private static readonly OperatorSchema Gradients = SchemaParser.Parse("aten::grad(Tensor[] outputs, Tensor[] inputs, "
        + "Tensor?[]? grad_outputs=None, bool? retain_graph=None, bool create_graph=False, bool allow_unused=False) -> Tensor?[]");

    private static readonly OperatorSchema GradMode = SchemaParser.Parse("aten::set_grad_enabled(bool val) -> ()");

    private readonly HashSet<StorageGeneration> _leaves = [.. segment.Passes.SelectMany(p => p.Parts.IsEmpty
        ? p.Pass.Accumulated.Select(a => a.Leaf!.Storage)
        : p.Parts.SelectMany(c => c.Ends).Where(e => e.IsLeaf).Select(e => e.Of.Storage))];
    private readonly HashSet<Slot> _gradients = [];
    private readonly Dictionary<StoredTensor, Slot> _originals = new(ReferenceEqualityComparer.Instance); // Of tensors that have copies.
    private bool _isOn = true; // An iteration starts with a graph being made.
    private Queue<(long Behind, Action Add)>? _due; // By rising node.

    /// <summary>Plans what comes before an operator: passes that ran before it, and whether autograd sees it.</summary>
    public void Before(TraceNode node)
    {
        AddDue(node.Id);
        if (segment.Passes.Length > 0 && MakesGraph(node) is { } isOn)
            Switch(node.Id, isOn);
    }

    /// <summary>Plans what comes after the last operator. Gradients that nobody asks for are not asked for.</summary>
    public void Finish()
    {
        AddDue(long.MaxValue);
        if (!_isOn)
            Switch(operators[^1].Id.Node, true);
        var used = operators.SelectMany(o => o.InputSlots).ToHashSet();
        operators.RemoveAll(o => o.Schema == Gradient && !used.Contains(o.OutputSlots.First()));
    }

    private void AddDue(long node)
    {
        _due ??= new(segment.Passes.SelectMany(CallsOf).OrderBy(c => c.Behind));
        while (_due.TryPeek(out var next) && next.Behind < node)
            _due.Dequeue().Add();
    }

    private IEnumerable<(long Behind, Action Add)> CallsOf(FrameworkPass pass) => pass.Parts.IsEmpty
        ? [(pass.Pass.Steps[0].Node.Id, () => Add(pass))]
        : pass.Parts.Select(part => (part.FirstId, (Action)(() => Add(part, pass.RetainsGraph))))
            .Concat(pass.Leaves.Select(l => (l.Call is { } call ? LastOf(call) : l.FirstUser!.Id - 1, (Action)(() => Add(l)))));

    /// <summary>Plans a leaf at which a pass is cut.</summary>
    private void Add(CutLeaf leaf)
    {
        var id = new OperatorId(number, (leaf.Call ?? leaf.FirstUser!).Id);
        var slot = Use(leaf.Tensor, id);
        if (leaf.Call is null && table.Make(leaf.Tensor.Storage, leaf.Tensor.Tensor) is { } copy)
        {
            _originals.Add(leaf.Tensor, slot);
            operators.Add(AddedOperators.Detach(id, slot, copy));
            slot = copy;
        }
        operators.Add(AddedOperators.Leaf(id, slot));
    }

    private static long LastOf(TraceNode node)
    {
        while (!node.Children.IsEmpty)
            node = node.Children[^1];
        return node.Id;
    }

    /// <summary>Plans a part of a pass that is cut: the gradients of what it is asked for.</summary>
    private void Add(PassPart part, bool retainsGraph)
    {
        var id = new OperatorId(number, part.Steps.First(s => !s.IsAccumulation).Node.Id);
        PlannedArgument Of(IEnumerable<GradientOf> tensors) => new([.. tensors.Select(t => (Slot?)(t.IsOriginal
            && _originals.TryGetValue(t.Of, out var original) ? original : Use(t.Of, id)))], null);
        foreach (var leaf in part.Ends.Where(e => e.IsLeaf))
            table.MakeLeaf(Use(leaf.Of, id), null);
        PlannedArgument[] given = [Of(part.Starts), Of(part.Ends),
            new([.. part.Starts.Select(s => (Slot?)Use(s.Gradient, id))], null), PlannedArgument.Of(new BoolValue(retainsGraph)),
            PlannedArgument.Of(new BoolValue(false)), PlannedArgument.Of(new BoolValue(false))];
        operators.Add(new PlannedOperator(id, Gradients, [.. given],
            [new PlannedResult([.. part.Ends.Select(e => table.Make(e.Gradient.Storage, e.Gradient.Tensor))])], OperatorRole.Autograd)
        {
            Accumulates = part.Ends.Count(e => e.IsAccumulated),
            Backward = [.. part.Operators.Where(n => n.Schema is not null).Select(Describe)],
        });
    }

    private Slot Use(StoredTensor tensor, OperatorId id) => table.Use(tensor.Storage, tensor.Tensor, id, isWritten: false, operators);

    private void Add(FrameworkPass pass)
    {
        var id = new OperatorId(number, pass.Pass.Steps[0].Node.Id);
        foreach (var gradient in pass.Pass.Accumulated)
        {
            var leaf = table.Use(gradient.Leaf!.Storage, gradient.Leaf.Tensor, id, isWritten: false, operators);
            Slot? existing = gradient.Existing is { } before
                ? table.Use(before.Storage, before.Tensor, id, isWritten: true, operators) : null;
            table.MakeLeaf(leaf, existing is { } slot && table[slot].IsExternal ? slot : null);
        }
        operators.Add(new PlannedOperator(id, Backward,
        [
            PlannedArgument.OfTensor(Use(pass.Start!.Value.Of, id)),
            PlannedArgument.OfTensor(Use(pass.Start.Value.Gradient, id)),
            PlannedArgument.Of(new BoolValue(pass.RetainsGraph)),
            PlannedArgument.Of(new BoolValue(false)),
        ], [], OperatorRole.Autograd)
        {
            Accumulates = pass.Pass.Accumulated.Length,
            Backward = [.. pass.Pass.Functions.SelectMany(f => SegmentSelector.OutermostBelow(f, UnseenWork.None))
                .Where(n => n.Schema is not null).Select(Describe)],
        });
        foreach (var gradient in pass.Pass.Accumulated.Where(a => a.Existing is null))
        {
            var leaf = table.Use(gradient.Leaf!.Storage, gradient.Leaf.Tensor, id, isWritten: false, operators);
            if (table.Make(gradient.Result!.Storage, gradient.Result.Tensor) is { } result && _gradients.Add(result))
                operators.Add(new PlannedOperator(new OperatorId(number, gradient.Node.Id), Gradient, [PlannedArgument.OfTensor(leaf)],
                    [new PlannedResult([result])], OperatorRole.Autograd));
        }
    }

    /// <summary>An operator of a backward pass: what it was called with, for comparisons.</summary>
    private PlannedOperator Describe(TraceNode node) => new(new OperatorId(number, node.Id), node.Schema!,
        [.. node.Inputs.Select(Describe)],
        node.Schema!.Returns.IsEmpty ? [] : [.. node.Outputs.Select(o => new PlannedResult(Describe(o).Slots))])
    {
        Inside = ChosenKernel.Of(node),
    };

    private PlannedArgument Describe(ArgumentValue value) => value switch
    {
        TensorValue tensor => new PlannedArgument([table.Describe(tensor)], null),
        ListValue list when list.Items.Any(i => i is TensorValue) =>
            new PlannedArgument([.. list.Items.Select(i => i is TensorValue tensor ? table.Describe(tensor) : null)], null),
        _ => PlannedArgument.Of(value),
    };

    private void Switch(long node, bool isOn)
    {
        if (_isOn == isOn)
            return;
        _isOn = isOn;
        operators.Add(SwitchTo(isOn, new OperatorId(number, node)));
    }

    /// <summary>Turns autograd on or off, from an operator on.</summary>
    internal static PlannedOperator SwitchTo(bool isOn, OperatorId from) =>
        new(from, GradMode, [PlannedArgument.Of(new BoolValue(isOn))], [], OperatorRole.Autograd);

    /// <summary>Whether autograd is on after operators, as they say; null where they do not say.</summary>
    internal static bool? IsOnAfter(IEnumerable<PlannedOperator> operators) =>
        operators.LastOrDefault(o => o.Schema.Text == GradMode.Text)?.Arguments[0].Literal is BoolValue mode
            ? mode.Value
            : null;

    /// <summary>
    /// Whether autograd saw an operator: it has a sequence number then (<c>aten/src/ATen/core/dispatch/Dispatcher.cpp</c>). A leaf is
    /// written only where it does not. Null where it does not matter: no tensor goes in.
    /// </summary>
    private bool? MakesGraph(TraceNode node)
    {
        if (!TensorLayout.TensorsOf(node.Inputs).Any(t => !t.IsUndefined))
            return null;
        return (HasNumber(node) || IsWithinNumbered(node))
            && !OperatorDecomposer.WrittenBy(node, segment.Timeline).Any(s => s is not null && _leaves.Contains(s));
    }

    /// <summary>What an operator that autograd saw is decomposed into has no number of its own, where it ran below autograd.</summary>
    private static bool IsWithinNumbered(TraceNode node) =>
        node.Ancestors.TakeWhile(a => a.Schema is not null).Any(a => a.SequenceId is not null);

    private static bool HasNumber(TraceNode node) => node.SelfAndBelow.Any(n => n.SequenceId is not null);
}
