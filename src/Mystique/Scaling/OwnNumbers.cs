using System.Collections.Immutable;
using Mystique.Planning;

namespace Mystique.Scaling;

/// <summary>
/// Gives each use of a Python number a tensor of its own. A trace names these short-lived tensors by their memory, which the next one may
/// have again: whether two of them are one is chance, and differs between captures.
/// </summary>
internal sealed class OwnNumbers
{
    private readonly PlanBuilder _builder;
    private readonly HashSet<Slot> _used = [];

    private OwnNumbers(ReplayPlan plan) => _builder = new PlanBuilder(plan);

    /// <summary>The plan, as it is where no number is used twice.</summary>
    public static ReplayPlan Of(ReplayPlan plan)
    {
        var numbers = new OwnNumbers(plan);
        return numbers._builder.Build([.. plan.Operators.Select(numbers.WithOwn)]);
    }

    private PlannedOperator WithOwn(PlannedOperator op) => op with
    {
        Arguments = [.. op.Arguments.Select(a => a.Literal is null ? a with { Slots = WithOwn(a.Slots) } : a)],
        Backward = [.. op.Backward.Select(WithOwn)],
    };

    private ImmutableArray<Slot?> WithOwn(ImmutableArray<Slot?> slots) => [.. slots.Select(s => s is { } slot
        && _builder[slot] is { IsWrappedNumber: true, IsExternal: true, Storage: not null } && !_used.Add(slot) ? Copy(slot) : s)];

    private Slot Copy(Slot slot)
    {
        var tensor = _builder[slot];
        _builder.Storages.Add(_builder[tensor.Storage!.Value]);
        return _builder.AddOn(new StorageId(_builder.Storages.Count - 1), tensor);
    }
}
