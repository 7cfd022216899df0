using Mystique.Planning;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// The tensors that stay in the program's list beyond their last use, because the original held their memory (<see cref="StorageLives"/>):
/// of each such storage the one that is used last.
/// </summary>
internal sealed class HeldSlots
{
    private readonly HashSet<Slot> _slots = [];
    private readonly Dictionary<int, List<Slot>> _freedAfter = [];

    private HeldSlots()
    {
    }

    /// <summary>Those of a plan.</summary>
    public static HeldSlots Of(ReplayPlan plan)
    {
        var held = new HeldSlots();
        var ends = StorageLives.PlacesOf(plan);
        if (ends.Count == 0)
            return held;
        var uses = StorageUses.Of(plan);
        var last = new Dictionary<StorageId, Slot>();
        foreach (var slot in plan.Operators.SelectMany(o => o.OutputSlots))
            if (plan[slot] is { IsExternal: false, Storage: { } storage } && ends.ContainsKey(storage))
                last[storage] = slot;
        foreach (var (storage, slot) in last)
        {
            held._slots.Add(slot);
            if (ends[storage] == uses.First(storage))
                continue; // Made again, it takes the place of the older one.
            if (!held._freedAfter.TryGetValue(ends[storage], out var slots))
                held._freedAfter.Add(ends[storage], slots = []);
            slots.Add(slot);
        }
        return held;
    }

    /// <summary>Whether a tensor is held.</summary>
    public bool Contains(Slot slot) => _slots.Contains(slot);

    /// <summary>Those whose memory goes when an operator has run.</summary>
    public IEnumerable<Slot> FreedAfter(int index) => _freedAfter.GetValueOrDefault(index) ?? [];
}
