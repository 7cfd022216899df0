using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Fitting;

/// <summary>
/// Operators that compute in another type: what they are given is cast, once for all that use it, and their results are cast back. A view
/// of a tensor that was cast is a view of the cast.
/// </summary>
internal sealed class DtypeFit
{
    /// <summary>Views that hold all of their tensor: they can be made of its cast as well.</summary>
    private static readonly ImmutableHashSet<string> Views =
        ["aten::t", "aten::transpose.int", "aten::permute", "aten::view", "aten::unsqueeze", "aten::squeeze", "aten::squeeze.dim"];

    /// <summary>Views of views that are followed; what is deeper is cast itself.</summary>
    private const int MaxDepth = 64;

    private static readonly OperatorSchema Cast = SchemaParser.Parse("aten::to.dtype(Tensor(a) self, ScalarType dtype, "
        + "bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)");

    private readonly PlanBuilder _builder;
    private readonly ScalarType _type;
    private readonly Dictionary<StorageId, int> _writes = []; // How often each was written to so far.
    private readonly Dictionary<Slot, int> _makers = []; // How many operators made each so far.
    private readonly Dictionary<Slot, (Slot Cast, (int, int) Version)> _casts = [];
    private readonly Dictionary<Slot, (PlannedOperator View, (int, int) Version, (int, int) VersionOfBase)> _views = [];
    private readonly bool _isPart;

    private DtypeFit(ReplayPlan plan, ScalarType type, bool isPart) => (_builder, _type, _isPart) = (new PlanBuilder(plan), type, isPart);

    /// <summary>Why an operator is not as it was recorded.</summary>
    public static string ReasonFor(DtypeChange change) => $"what if it computed in {change.Type.TorchName()}";

    /// <summary>The plan with the change that its user asks for; as it is where none is asked for.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="segment">What it is the plan of.</param>
    /// <param name="options">What the user decides.</param>
    /// <exception cref="Diagnostics.MystiqueException">The selection is invalid or catches nothing (MYS206, MYS207).</exception>
    public static ReplayPlan Of(ReplayPlan plan, Segment segment, PlanningOptions options)
    {
        if (options.Dtype is not { } change)
            return plan;
        var matches = PartSelector.MatcherOf(segment, change.Select);
        var chosen = segment.Operators.Where(matches).Select(n => n.Id).ToHashSet();
        var fit = new DtypeFit(plan, change.Type, segment.IsPart);
        var edits = new Dictionary<int, PlanEdit>();
        foreach (var (i, op) in plan.Operators.Index())
        {
            if (op.Role == OperatorRole.Recorded && chosen.Contains(op.Id.Node) && fit.TryChange(op) is { } calls)
                edits.Add(i, new PlanEdit(calls, new ReplacedOperator(op.Id, op.Schema.FullName, Remedy.Substitute,
                    string.Join(", ", calls.Select(c => c.Schema.FullName)), ReasonFor(change))));
            fit.Note(op);
        }
        return edits.Count == 0 ? plan : PlanEditor.Apply(fit._builder, edits);
    }

    /// <summary>
    /// The calls in the other type; null where the operator writes to what it is given, gives views of it, is given a type by its caller,
    /// or has no tensors of another floating-point type.
    /// </summary>
    private ImmutableArray<PlannedOperator>? TryChange(PlannedOperator op)
    {
        if (op.IsKernel || op.Collective is not null || op.Schema.Returns.Any(r => r.Type.Alias is not null)
            || op.Schema.Arguments.Index().Any(a => a.Item.Type.Alias is not null || ReplayPlanner.IsRunningStatistic(a.Item.Name)
                || a.Item.Type.BaseName == "ScalarType" && op.Arguments[a.Index].Literal is not NoneValue)
            || !op.InputSlots.Any(Changes))
            return null;
        var calls = ImmutableArray.CreateBuilder<PlannedOperator>();
        var arguments = op.Arguments.Select(a => a.Literal is not null ? a : a with
        {
            Slots = [.. a.Slots.Select(s => s is { } slot && Changes(slot) ? CastOf(slot, op.Id, calls) : s)],
        }).ToImmutableArray();
        int place = calls.Count;
        calls.Add(op);
        var results = op.Results.Select(r => new PlannedResult([.. r.Slots.Select(s => s is { } slot && Changes(slot)
            ? CastBack(slot, op.Id, calls) : s)])).ToImmutableArray();
        calls[place] = op with { Arguments = arguments, Results = results, Role = OperatorRole.Substitute };
        return calls.ToImmutable();
    }

    private bool Changes(Slot slot) => _builder[slot] is { Storage: not null } tensor && DtypeChange.IsComputedIn(tensor.Type)
        && tensor.Type != _type && !tensor.IsWrappedNumber && !tensor.IsOpaque;

    /// <summary>What a tensor is changes when its memory is written to, and when another operator makes it.</summary>
    private (int Writes, int Makers) VersionOf(Slot slot) =>
        (_builder[slot].Storage is { } storage ? _writes.GetValueOrDefault(storage) : 0, _makers.GetValueOrDefault(slot));

    /// <summary>A tensor in the other type: as it was made before, as a view of its tensor's cast, or by a cast.</summary>
    private Slot CastOf(Slot slot, OperatorId id, ImmutableArray<PlannedOperator>.Builder calls, int depth = 0)
    {
        // Its user keeps the cast, and not the tensor: that one goes with its last use, unless it goes out of a part.
        if (!_isPart && _builder[slot].Storage is { } kept)
            _builder[kept] = _builder[kept] with { Until = null };
        if (_casts.TryGetValue(slot, out var known) && known.Version == VersionOf(slot))
            return known.Cast;
        Slot cast;
        if (depth < MaxDepth && _views.TryGetValue(slot, out var made) && made.Version == VersionOf(slot)
            && made.View.Arguments[0].Slots[0]!.Value is var of && made.VersionOfBase == VersionOf(of))
        {
            var castOfBase = CastOf(of, id, calls, depth + 1);
            cast = _builder.AddOn(_builder[castOfBase].Storage!.Value,
                _builder[slot] with { Type = _type, Offset = 0, IsExternal = false });
            calls.Add(new PlannedOperator(id, made.View.Schema, made.View.Arguments.SetItem(0, PlannedArgument.OfTensor(castOfBase)),
                [new PlannedResult([cast])], OperatorRole.Substitute));
        }
        else
        {
            cast = _builder.AddIntermediate(Dense(_builder[slot]));
            calls.Add(CastCall(slot, cast, _type, id));
        }
        _casts[slot] = (cast, VersionOf(slot));
        return cast;
    }

    /// <summary>A result in the other type, and its cast to the type that it was recorded in.</summary>
    private Slot CastBack(Slot slot, OperatorId id, ImmutableArray<PlannedOperator>.Builder calls)
    {
        var result = _builder.AddIntermediate(Dense(_builder[slot]));
        calls.Add(CastCall(result, slot, _builder[slot].Type, id));
        var (writes, makers) = VersionOf(slot);
        _casts[slot] = (result, (writes, makers + 1)); // The operator makes it just now.
        return result;
    }

    /// <summary>What a cast gives: the same strides where they hold all elements and no others, else contiguous ones.</summary>
    private PlannedTensor Dense(PlannedTensor tensor) =>
        tensor with { Type = _type, Strides = IsDense(tensor) ? tensor.Strides : TensorLayout.ContiguousStrides(tensor.Shape) };

    private static bool IsDense(PlannedTensor tensor) =>
        TensorLayout.SpanBytes(0, tensor.Shape, tensor.Strides, 1) == tensor.ElementCount;

    private static PlannedOperator CastCall(Slot from, Slot to, ScalarType type, OperatorId id) => new(id, Cast,
        [PlannedArgument.OfTensor(from), PlannedArgument.Of(new IntValue((long)type)), PlannedArgument.Of(new BoolValue(false)),
            PlannedArgument.Of(new BoolValue(false)), PlannedArgument.Of(NoneValue.Instance)],
        [new PlannedResult([to])], OperatorRole.Substitute);

    /// <summary>Takes note of what an operator writes to, and of the views that it makes.</summary>
    private void Note(PlannedOperator op)
    {
        for (int i = 0; i < op.Arguments.Length; i++)
            if (op.Writes(i) || ReplayPlanner.IsRunningStatistic(op.Schema.Arguments[i].Name))
                foreach (var slot in op.Arguments[i].Slots)
                    if (slot is { } written && _builder[written].Storage is { } storage)
                        _writes[storage] = _writes.GetValueOrDefault(storage) + 1;
        var versionOfBase = op.Arguments is [{ Slots: [{ } given] }, ..] ? VersionOf(given) : default;
        foreach (var slot in op.OutputSlots)
            _makers[slot] = _makers.GetValueOrDefault(slot) + 1;
        if (Views.Contains(op.Schema.FullName) && op.Results is [{ Slots: [{ } view] }] && op.Arguments[0].Slots is [{ } of]
            && IsDense(_builder[of]))
            _views[view] = (op, VersionOf(view), versionOfBase);
    }
}
