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
        var candidates = new HashSet<int>();
        for (int slot = 0; slot < plan.Tensors.Length; slot++)
            if (plan.Tensors[slot] is
                {
                    IsExternal: true, IsUndefined: false, Shape.IsEmpty: true,
                    Type: ScalarType.Double or ScalarType.Long or ScalarType.Bool or ScalarType.ComplexDouble
                } tensor
                && plan.Storages[tensor.Storage] is { IsMutated: false } storage && plan.Devices[storage.Device] == "cpu")
                candidates.Add(slot);
        if (candidates.Count == 0)
            return plan;
        foreach (var op in plan.Operators)
        {
            foreach (int slot in op.InputSlots)
                if (slot >= 0 && candidates.Contains(slot) && IsTensor(plan, op, slot))
                    candidates.Remove(slot);
        }
        var tensors = plan.Tensors.ToBuilder();
        foreach (int slot in candidates)
            tensors[slot] = tensors[slot] with { IsWrappedNumber = true };
        return plan with { Tensors = tensors.ToImmutable() };
    }

    /// <summary>Whether the result has the candidate's type though no other input has it: a number would not have decided that.</summary>
    private static bool IsTensor(ReplayPlan plan, PlannedOperator op, int slot)
    {
        var type = plan.Tensors[slot].Type;
        bool hasOthers = false;
        foreach (int other in op.InputSlots)
        {
            if (other < 0 || other == slot || plan.Tensors[other].IsUndefined)
                continue;
            if (plan.Tensors[other].Type == type)
                return false;
            hasOthers = true;
        }
        return !hasOthers || op.OutputSlots.Any(s => s >= 0 && plan.Tensors[s].Type == type);
    }
}
