using System.Collections.Frozen;
using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// What integer tensors must hold for the operators that use them: indices within what they index, offsets of bags
/// that rise from 0. A rule is a row of <see cref="Rules"/>; an external tensor gets what its users ask for, also where
/// they use a view or a copy of it.
/// </summary>
internal static class ValueRules
{
    private delegate IEnumerable<(int Slot, Initializer? Need)> Rule(PlannedOperator op, ImmutableArray<PlannedTensor> tensors);

    /// <summary>By operator: which tensor must hold what. Sources: the operators' documentation and checks in <c>aten/src/ATen/native</c>.</summary>
    private static readonly FrozenDictionary<string, Rule> Rules = new Dictionary<string, Rule>
    {
        ["aten::embedding"] = (op, t) => [Index(op, t, argument: 1, Size(op, t, 0, 0))],
        ["aten::embedding_dense_backward"] = (op, t) => [Index(op, t, argument: 1, Literal(op, 2))],
        ["aten::embedding_bag"] = Bags,
        ["aten::_embedding_bag"] = Bags,
        ["aten::_embedding_bag_forward_only"] = Bags,
        ["aten::index_select"] = AlongDimension,
        ["aten::gather"] = AlongDimension,
        ["aten::scatter"] = AlongDimension,
        ["aten::scatter_"] = AlongDimension,
        ["aten::scatter_add"] = AlongDimension,
        ["aten::scatter_add_"] = AlongDimension,
        ["aten::index_add"] = AlongDimension,
        ["aten::index_add_"] = AlongDimension,
        ["aten::take"] = (op, t) => [Index(op, t, argument: 1, t[op.Arguments[0].Slots[0]].Shape.Aggregate(1L, (a, b) => a * b))],
        ["aten::index"] = ByPlace,
        ["aten::index_put"] = ByPlace,
        ["aten::index_put_"] = ByPlace,
        ["aten::_index_put_impl_"] = ByPlace,
        ["aten::one_hot"] = (op, t) => [Index(op, t, argument: 0, Literal(op, 1))],
        ["aten::nll_loss"] = Targets,
        ["aten::nll_loss_nd"] = Targets,
        ["aten::nll_loss_forward"] = Targets,
        ["aten::nll_loss2d_forward"] = Targets,
        ["aten::cross_entropy_loss"] = Targets,
    }.ToFrozenDictionary();

    /// <summary>Operators whose result holds elements of their first tensor and nothing else.</summary>
    private static readonly FrozenSet<string> PassThrough = new[]
    {
        "alias", "as_strided", "clone", "contiguous", "detach", "expand", "flatten", "lift_fresh", "narrow", "permute",
        "reshape", "select", "slice", "squeeze", "t", "to", "_to_copy", "transpose", "unsqueeze", "view", "_unsafe_view", "repeat",
    }.Select(n => "aten::" + n).ToFrozenSet();

    /// <summary>The plan with the initial contents that its operators need.</summary>
    public static ReplayPlan Apply(ReplayPlan plan)
    {
        var storages = plan.Storages.ToBuilder();
        var source = new Dictionary<int, int>(); // A slot made by passing elements on, and the slot they come from.
        foreach (var op in plan.Operators)
        {
            if (PassThrough.Contains(op.Schema.QualifiedName) && op.Arguments is [{ Slots: [int from], Literal: null }, ..] && op.Results is [{ Slots: [int to] }] && from != to)
                source.TryAdd(to, from);
            if (!Rules.TryGetValue(op.Schema.QualifiedName, out var rule))
                continue;
            foreach (var (slot, need) in rule(op, plan.Tensors))
            {
                if (need is null || slot < 0)
                    continue;
                int origin = slot;
                while (!plan.Tensors[origin].IsExternal && source.TryGetValue(origin, out int earlier))
                    origin = earlier;
                Require(storages, plan.Tensors[origin], need);
            }
        }
        return plan with { Storages = storages.ToImmutable() };
    }

    /// <summary>Of several needs the tightest holds; offsets come before indices.</summary>
    private static void Require(ImmutableArray<PlannedStorage>.Builder storages, PlannedTensor tensor, Initializer need)
    {
        // One that is written to, a position that is counted up for example, starts from 0: whatever is added to it, it is
        // likelier to stay within its bounds from there.
        if (!tensor.IsExternal || tensor.IsUndefined || storages[tensor.Storage] is not { IsMutated: false, Initializer: { } present } || IsNoInteger(present.Type))
            return;
        bool isTighter = present.Kind == InitializerKind.Constant
            || (present.Kind == need.Kind && need.High < present.High)
            || (present.Kind == InitializerKind.Uniform && need.Kind == InitializerKind.Ramp);
        if (isTighter)
            storages[tensor.Storage] = storages[tensor.Storage] with { Initializer = need with { Type = present.Type } };
    }

    private static bool IsNoInteger(ScalarType type) => type.IsFloating() || type is ScalarType.Bool or ScalarType.Byte;

    private static (int Slot, Initializer? Need) Index(PlannedOperator op, ImmutableArray<PlannedTensor> tensors, int argument, long bound) =>
        op.Arguments.Length > argument && op.Arguments[argument].Slots is [>= 0 and int slot] ? (slot, Within(tensors[slot], bound)) : (-1, null);

    private static Initializer? Within(PlannedTensor tensor, long bound) =>
        bound > 0 ? new Initializer(InitializerKind.Uniform, tensor.Type, 0, bound) : null;

    /// <summary>The size of a dimension of the tensor that is an argument; 0 where there is none.</summary>
    private static long Size(PlannedOperator op, ImmutableArray<PlannedTensor> tensors, int argument, long dimension)
    {
        if (op.Arguments[argument].Slots is not [>= 0 and int slot])
            return 0;
        var shape = tensors[slot].Shape;
        long at = dimension < 0 ? dimension + shape.Length : dimension;
        return at >= 0 && at < shape.Length ? shape[(int)at] : 0;
    }

    private static long Literal(PlannedOperator op, int argument) =>
        op.Arguments.Length > argument && op.Arguments[argument].Literal is IntValue value ? value.Value : 0;

    /// <summary><c>(self, dim, index, …)</c>: indices within the dimension.</summary>
    private static IEnumerable<(int, Initializer?)> AlongDimension(PlannedOperator op, ImmutableArray<PlannedTensor> tensors) =>
        [Index(op, tensors, argument: 2, Size(op, tensors, 0, Literal(op, 1)))];

    /// <summary><c>(self, indices[], …)</c>: the index at place k is one into dimension k.</summary>
    private static IEnumerable<(int, Initializer?)> ByPlace(PlannedOperator op, ImmutableArray<PlannedTensor> tensors) =>
        op.Arguments[1].Slots.Select((slot, place) => slot < 0 ? (-1, null) : (slot, Within(tensors[slot], Size(op, tensors, 0, place))));

    /// <summary><c>(input, target, …)</c>: classes within those of the input, which are its second dimension, or its only one.</summary>
    private static IEnumerable<(int, Initializer?)> Targets(PlannedOperator op, ImmutableArray<PlannedTensor> tensors) =>
        [Index(op, tensors, argument: 1, op.Arguments[0].Slots is [int input] && tensors[input].Shape.Length == 1 ? Size(op, tensors, 0, 0) : Size(op, tensors, 0, 1))];

    /// <summary><c>(weight, indices, offsets, …)</c>: rows of the table, and bags of even size.</summary>
    private static IEnumerable<(int, Initializer?)> Bags(PlannedOperator op, ImmutableArray<PlannedTensor> tensors)
    {
        yield return Index(op, tensors, argument: 1, Size(op, tensors, 0, 0));
        if (op.Arguments[1].Slots is [int indices] && op.Arguments[2].Slots is [>= 0 and int offsets] && tensors[indices].Shape.Length == 1)
            yield return (offsets, new Initializer(InitializerKind.Ramp, tensors[offsets].Type, 0, tensors[indices].Shape[0]));
    }
}
