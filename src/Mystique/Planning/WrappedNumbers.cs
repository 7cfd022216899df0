using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Tells Python numbers from tensors. Both come as 0-dim tensors on the processor, but <c>t + 1e-6</c> of a 0-dim float
/// is a float where 1e-6 is a number, and a double where it is a tensor (<c>at::result_type</c>,
/// <c>aten/src/ATen/native/TypeProperties.cpp</c>).
/// </summary>
internal static class WrappedNumbers
{
    /// <summary>The plan with the tensors marked that are numbers, as far as the types of results do not speak against it.</summary>
    public static ReplayPlan Mark(ReplayPlan plan)
    {
        var candidates = new HashSet<Slot>();
        for (int i = 0; i < plan.Tensors.Length; i++)
            if (plan.Tensors[i] is
                {
                    IsExternal: true, Storage: { } id, Shape.IsEmpty: true,
                    Type: ScalarType.Double or ScalarType.Long or ScalarType.Bool or ScalarType.ComplexDouble
                }
                && plan[id] is { IsMutated: false } storage && plan.Devices[storage.Device] == "cpu")
                candidates.Add(new Slot(i));
        if (candidates.Count == 0)
            return plan;
        foreach (var op in plan.Operators)
        {
            foreach (var slot in op.InputSlots)
                if (candidates.Contains(slot) && IsTensor(plan, op, slot))
                    candidates.Remove(slot);
        }
        var tensors = plan.Tensors.ToBuilder();
        foreach (var slot in candidates)
            tensors[slot.Index] = plan[slot] with { IsWrappedNumber = true };
        return plan with { Tensors = tensors.ToImmutable() };
    }

    /// <summary>Whether the result has the candidate's type though no other input has it: a number would not have decided that.</summary>
    private static bool IsTensor(ReplayPlan plan, PlannedOperator op, Slot slot)
    {
        var type = plan[slot].Type;
        bool hasOthers = false;
        foreach (var other in op.InputSlots)
        {
            if (other == slot || plan[other].IsUndefined)
                continue;
            if (plan[other].Type == type)
                return false;
            hasOthers = true;
        }
        return !hasOthers || op.OutputSlots.Any(s => plan[s].Type == type);
    }
}
