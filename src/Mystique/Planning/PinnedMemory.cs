using System.Collections.Immutable;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Planning;

/// <summary>
/// Finds the host's memory that was page-locked: a copy from it to a device goes on beside the host and several times faster. A profile
/// names the kind of each copy (<c>Memcpy HtoD (Pinned -> Device)</c>); without one, a copy that was not to be waited for has such a
/// source, for from other memory it would have been waited for all the same.
/// </summary>
internal static class PinnedMemory
{
    /// <summary>Marks it.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="profile">The profile of the same job; null for none.</param>
    public static ReplayPlan Mark(ReplayPlan plan, LinkedProfile? profile)
    {
        var pinned = new HashSet<int>();
        foreach (var op in plan.Operators)
        {
            var kernels = profile?.Operators.GetValueOrDefault(op.Id.Node)?.Kernels ?? [];
            var copies = kernels.Where(k => k.Name.StartsWith("Memcpy HtoD", StringComparison.Ordinal)).ToArray();
            bool isPinned = copies.Length > 0 ? copies.All(k => k.Name.Contains("(Pinned ->", StringComparison.Ordinal))
                : kernels.Length == 0 && IsAsynchronous(op) && MakesOnDevice(plan, op);
            if (isPinned)
                pinned.UnionWith(op.InputSlots.Where(s => s >= 0 && !plan.Tensors[s].IsUndefined).Select(s => plan.Tensors[s].Storage)
                    .Where(s => plan.Storages[s].IsExternal && !ChosenKernel.IsAccelerator(plan.Devices[plan.Storages[s].Device])));
        }
        return pinned.Count == 0 ? plan : plan with
        {
            Storages = [.. plan.Storages.Index().Select(s => pinned.Contains(s.Index) ? s.Item with { IsPinned = true } : s.Item)],
        };
    }

    private static bool IsAsynchronous(PlannedOperator op) => op.Schema.PlaceOf("non_blocking") is { } place
        && op.Arguments[place].Literal is BoolValue { Value: true };

    private static bool MakesOnDevice(ReplayPlan plan, PlannedOperator op) => op.OutputSlots.Any(s => s >= 0
        && !plan.Tensors[s].IsUndefined && ChosenKernel.IsAccelerator(plan.Devices[plan.Storages[plan.Tensors[s].Storage].Device]));
}
