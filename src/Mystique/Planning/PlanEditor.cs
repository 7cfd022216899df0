using System.Collections.Immutable;

namespace Mystique.Planning;

/// <summary>Takes operators out of a plan that turn out not to run on a target.</summary>
internal static class PlanEditor
{
    /// <summary>
    /// A plan without some operators. What they would have made exists from the start: as a new external storage, or
    /// as a view where the storage is there without them.
    /// </summary>
    /// <param name="plan">The plan.</param>
    /// <param name="reasons">The operators' places in the plan, and why they go.</param>
    public static ReplayPlan Exclude(ReplayPlan plan, IReadOnlyDictionary<int, string> reasons)
    {
        var skipped = plan.Skipped.AddRange(reasons.Where(r => !plan.Operators[r.Key].IsAddedView)
            .Select(r => new SkippedOperator(plan.Operators[r.Key].NodeId, plan.Operators[r.Key].Schema.FullName, r.Value)));
        var tensors = plan.Tensors.ToBuilder();
        var storages = plan.Storages.ToBuilder();
        var operators = ImmutableArray.CreateBuilder<PlannedOperator>(plan.Operators.Length);
        var madeSlots = new HashSet<int>();
        var sourceSlots = new Dictionary<int, int>(); // For each storage made so far, a tensor on it.
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            var op = plan.Operators[i];
            if (reasons.ContainsKey(i))
                continue;
            foreach (int slot in op.InputSlots.Where(s => s >= 0 && !tensors[s].IsExternal && madeSlots.Add(s)))
            {
                var tensor = tensors[slot];
                if (sourceSlots.TryGetValue(tensor.Storage, out int source) && tensors[source].Type == tensor.Type)
                    operators.Add(AddedViews.Of(op.NodeId, source, slot, tensor));
                else
                    MakeExternal(slot, tensors, storages);
            }
            foreach (int slot in op.OutputSlots.Where(s => s >= 0))
            {
                madeSlots.Add(slot);
                if (!tensors[slot].IsUndefined)
                    sourceSlots.TryAdd(tensors[slot].Storage, slot);
            }
            operators.Add(op);
        }
        return plan with
        {
            Tensors = tensors.ToImmutable(),
            Storages = storages.ToImmutable(),
            Operators = operators.ToImmutable(),
            Skipped = [.. skipped.OrderBy(s => s.NodeId)],
        };
    }

    private static void MakeExternal(int slot, ImmutableArray<PlannedTensor>.Builder tensors, ImmutableArray<PlannedStorage>.Builder storages)
    {
        var tensor = tensors[slot];
        tensors[slot] = tensor with { IsExternal = true };
        var storage = storages[tensor.Storage];
        if (!storage.IsExternal)
            storages[tensor.Storage] = storage with { Initializer = Initializers.For(tensor.Type, tensor.Shape), IsMutated = true };
    }
}
