using System.Collections.Immutable;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Fills memory that is read though nothing wrote to it. In the original, an operator did that which does not run here
/// (a collective, a Triton kernel, a custom operator into a buffer that it was given), or an operator that was opened did
/// it on the host, without an operator of its own (<c>ctc_loss</c> makes a tensor of its target lengths); without it the replay would go on
/// with whatever the allocator left there: denormals, NaN, indices out of bounds.
/// </summary>
internal static class UnwrittenMemory
{
    /// <summary>The plan with a copy from prepared contents before the first read of such memory.</summary>
    public static ReplayPlan Fill(ReplayPlan plan)
    {
        if (plan.Source.DecomposedCount == 0 && plan.Replaced.All(r => r.Remedy == Remedy.Substitute))
            return plan; // All that wrote in the original writes here.
        var fresh = new HashSet<StorageId>(); // Storages that were allocated and not written to.
        var filled = new HashSet<Slot>(); // Views of them that got contents.
        var copies = new List<(int Before, Slot Slot)>();
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            var op = plan.Operators[i];
            if (fresh.Count > 0)
                FindReads(plan, i, fresh, filled, copies);
            foreach (var slot in op.OutputSlots)
                if (IsAllocation(op) && plan[slot] is { IsOpaque: false, Storage: { } made }
                    && !op.InputSlots.Any(s => plan[s].Storage == made))
                    fresh.Add(made);
        }
        return copies.Count == 0 ? plan : Insert(plan, copies);
    }

    private static bool IsWhole(PlannedTensor tensor, PlannedStorage storage) =>
        tensor.ElementCount * tensor.Type.SizeBytes() >= storage.SizeBytes;

    private static void FindReads(ReplayPlan plan, int index, HashSet<StorageId> fresh, HashSet<Slot> filled,
        List<(int Before, Slot Slot)> copies)
    {
        var op = plan.Operators[index];
        for (int i = 0; i < op.Arguments.Length; i++)
        {
            // A view passes the memory on; an allocation looks at sizes alone.
            bool isRead = op.Schema.Arguments[i].Type.Alias is null && !IsAllocation(op);
            foreach (var item in op.Arguments[i].Slots)
            {
                if (item is not { } slot || plan[slot].Storage is not { } storage || !fresh.Contains(storage))
                    continue;
                bool isFilled = isRead && filled.Add(slot);
                if (isFilled)
                    copies.Add((index, slot));
                // A part that is filled leaves the rest as it was; what an operator writes is not looked into.
                if (op.Writes(i) || isFilled && IsWhole(plan[slot], plan[storage]))
                    fresh.Remove(storage);
            }
        }
    }

    private static bool IsAllocation(PlannedOperator op) => OperatorDecomposer.IsAllocation(op.Schema.QualifiedName);

    private static ReplayPlan Insert(ReplayPlan plan, List<(int Before, Slot Slot)> copies)
    {
        var editor = new PlanBuilder(plan);
        var operators = ImmutableArray.CreateBuilder<PlannedOperator>(plan.Operators.Length + copies.Count);
        int next = 0;
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            for (; next < copies.Count && copies[next].Before == i; next++)
            {
                var source = editor.AddPrepared(plan[copies[next].Slot], null);
                operators.Add(AddedOperators.Fill(plan.Operators[i].Id, copies[next].Slot, source));
            }
            operators.Add(plan.Operators[i]);
        }
        return editor.Build(operators.ToImmutable());
    }
}
