using Mystique.Planning;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// What memory of the device a call reads and writes, as far as streams are concerned: operators that make views or ask for sizes touch
/// none, nor does an allocation. The host's memory is in the host's order.
/// </summary>
internal sealed class MemoryAccess
{
    private readonly HashSet<int> _reads = [];
    private readonly HashSet<int> _writes = [];

    /// <summary>Storages that are read and not written, by their places in the plan.</summary>
    public IEnumerable<int> Reads => _reads.Where(s => !_writes.Contains(s));

    /// <summary>Storages that are written, by their places in the plan.</summary>
    public IReadOnlyCollection<int> Writes => _writes;

    /// <summary>What a run of operators does.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="first">The first operator's place.</param>
    /// <param name="end">The place behind the last one's.</param>
    public static MemoryAccess Of(ReplayPlan plan, int first, int end)
    {
        var access = new MemoryAccess();
        for (int i = first; i < end; i++)
            access.Add(plan, plan.Operators[i]);
        return access;
    }

    /// <summary>Whether an operator makes memory and starts no work on it: <c>aten::empty</c> and its kin.</summary>
    public static bool IsAllocation(ReplayPlan plan, PlannedOperator op) =>
        op.Schema is { Namespace: "aten", Name: "empty" or "empty_like" or "empty_strided" or "new_empty" or "new_empty_strided" }
        && StoragesOf(plan, op.OutputSlots).Any();

    private void Add(ReplayPlan plan, PlannedOperator op)
    {
        int[] inputs = [.. StoragesOf(plan, op.InputSlots)];
        int[] made = [.. StoragesOf(plan, op.OutputSlots).Except(inputs)];
        int[] written = [.. op.Arguments.Index().Where(a => op.IsKernel || op.Writes(a.Index))
            .SelectMany(a => StoragesOf(plan, a.Item.Slots))];
        if (IsAllocation(plan, op) || written.Length == 0 && made.Length == 0 && op.OutputSlots.Any())
            return; // Views: they look at no element.
        _reads.UnionWith(inputs);
        _writes.UnionWith(written);
        _writes.UnionWith(made);
    }

    /// <summary>The storages of some slots that lie on a device; on the host where the plan knows no device.</summary>
    internal static IEnumerable<int> StoragesOf(ReplayPlan plan, IEnumerable<int> slots)
    {
        bool onDevice = plan.Devices.Any(ChosenKernel.IsAccelerator);
        return slots.Where(s => s >= 0 && !plan.Tensors[s].IsUndefined).Select(s => plan.Tensors[s].Storage)
            .Where(s => ChosenKernel.IsAccelerator(plan.Devices[plan.Storages[s].Device]) == onDevice).Distinct();
    }
}
