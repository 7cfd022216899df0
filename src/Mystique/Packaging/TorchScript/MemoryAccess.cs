using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// What memory of the device a call reads and writes, as far as streams are concerned: operators that make views or ask for sizes touch
/// none, nor does an allocation. The host's memory is in the host's order.
/// </summary>
internal sealed class MemoryAccess
{
    private readonly HashSet<StorageId> _reads = [];
    private readonly HashSet<StorageId> _writes = [];

    /// <summary>Storages that are read and not written.</summary>
    public IEnumerable<StorageId> Reads => _reads.Where(s => !_writes.Contains(s));

    /// <summary>Storages that are written.</summary>
    public IReadOnlyCollection<StorageId> Writes => _writes;

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
        StorageId[] inputs = [.. StoragesOf(plan, op.InputSlots)];
        StorageId[] made = [.. StoragesOf(plan, op.OutputSlots).Except(inputs)];
        StorageId[] written = [.. op.Arguments.Index().Where(a => op.IsKernel || op.Writes(a.Index))
            .SelectMany(a => StoragesOf(plan, a.Item.Slots.Where(s => s is not null).Select(s => s!.Value)))];
        if (IsAllocation(plan, op) || written.Length == 0 && made.Length == 0 && op.OutputSlots.Any())
            return; // Views: they look at no element.
        _reads.UnionWith(inputs);
        _writes.UnionWith(written);
        _writes.UnionWith(made);
    }

    /// <summary>The storages of some slots that lie on a device; on the host where the plan knows no device.</summary>
    internal static IEnumerable<StorageId> StoragesOf(ReplayPlan plan, IEnumerable<Slot> slots)
    {
        bool onDevice = plan.Devices.Any(DeviceName.IsAccelerator);
        return slots.Where(s => !plan[s].IsUndefined).Select(s => plan[s].Storage!.Value)
            .Where(s => DeviceName.IsAccelerator(plan.Devices[plan[s].Device]) == onDevice).Distinct();
    }
}
