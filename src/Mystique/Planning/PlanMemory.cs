using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>The memory that a plan needs, by the lifetimes of its storages.</summary>
/// <param name="ExternalBytes">Bytes of all external storages: they live as long as the replay does.</param>
/// <param name="PeakBytes">The most bytes that external and intermediate storages have at one time, in an iteration.</param>
/// <param name="LargestBytes">Bytes of the largest storage.</param>
internal sealed record PlanMemory(long ExternalBytes, long PeakBytes, long LargestBytes)
{
    /// <summary>
    /// Adds up storages over the order of operators: one is made by its first operator and freed after the last that names it, or where
    /// the original freed it; what the original held into the next iteration is there at the start.
    /// </summary>
    /// <param name="plan">The plan.</param>
    public static PlanMemory Of(ReplayPlan plan) => Of(plan, null);

    /// <summary>Bytes of the external storages that are on an accelerator, or on the host.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="isOnDevice">Which.</param>
    public static long ExternalBytesOn(ReplayPlan plan, bool isOnDevice) =>
        plan.Storages.Where(s => s.IsExternal && DeviceName.IsAccelerator(plan.Devices[s.Device]) == isOnDevice)
        .Aggregate(0L, (sum, s) => TensorLayout.SaturatingAdd(sum, BytesOf(plan, s)));

    /// <summary>Live bytes after each operator has allocated what it makes, and before what it used last is freed.</summary>
    /// <param name="plan">The plan.</param>
    public static ImmutableArray<long> CurveOf(ReplayPlan plan)
    {
        var curve = ImmutableArray.CreateBuilder<long>(plan.Operators.Length);
        Of(plan, curve);
        return curve.ToImmutable();
    }

    private static PlanMemory Of(ReplayPlan plan, ImmutableArray<long>.Builder? curve)
    {
        long external = 0;
        long largest = 0;
        foreach (var storage in plan.Storages)
        {
            largest = Math.Max(largest, BytesOf(plan, storage));
            if (storage.IsExternal)
                external = TensorLayout.SaturatingAdd(external, BytesOf(plan, storage));
        }
        var uses = StorageUses.Of(plan);
        var isLive = new bool[plan.Storages.Length];
        long live = external;
        long peak = external;
        var ends = StorageLives.PlacesOf(plan);
        var freedAfter = ends.ToLookup(e => e.Value, e => e.Key);
        long ofBefore = 0; // What the iteration before left.
        foreach (var (storage, place) in ends)
            if (place <= uses.First(storage))
                ofBefore = TensorLayout.SaturatingAdd(ofBefore, BytesOf(plan, plan[storage]));
        live = TensorLayout.SaturatingAdd(live, ofBefore);
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            foreach (var storage in StorageUses.Of(plan, plan.Operators[i]))
            {
                if (isLive[storage.Index] || plan[storage].IsExternal)
                    continue;
                isLive[storage.Index] = true;
                live = TensorLayout.SaturatingAdd(live, BytesOf(plan, plan[storage]));
            }
            peak = Math.Max(peak, live);
            curve?.Add(live);
            foreach (var storage in StorageUses.Of(plan, plan.Operators[i]))
            {
                if (!isLive[storage.Index] || uses.Last(storage) != i || ends.ContainsKey(storage))
                    continue;
                isLive[storage.Index] = false;
                live -= BytesOf(plan, plan[storage]);
            }
            foreach (var storage in freedAfter[i])
                live -= BytesOf(plan, plan[storage]);
        }
        return new PlanMemory(external, Math.Max(peak, plan.LeastPeakBytes), largest);
    }

    private static long BytesOf(ReplayPlan plan, PlannedStorage storage) =>
        plan.Devices[storage.Device] == DeviceName.NoMemory ? 0 : storage.SizeBytes;
}
