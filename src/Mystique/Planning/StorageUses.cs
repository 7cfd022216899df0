namespace Mystique.Planning;

/// <summary>The first and the last operator that name each storage of a plan.</summary>
internal sealed class StorageUses
{
    private readonly int[] _first;
    private readonly int[] _last;

    private StorageUses(int storages)
    {
        (_first, _last) = (new int[storages], new int[storages]);
        Array.Fill(_first, -1);
    }

    /// <summary>Those of a plan.</summary>
    public static StorageUses Of(ReplayPlan plan)
    {
        var uses = new StorageUses(plan.Storages.Length);
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            foreach (var storage in Of(plan, plan.Operators[i]))
            {
                if (uses._first[storage.Index] < 0)
                    uses._first[storage.Index] = i;
                uses._last[storage.Index] = i;
            }
        }
        return uses;
    }

    /// <summary>The storages that an operator names, as often as it does.</summary>
    public static IEnumerable<StorageId> Of(ReplayPlan plan, PlannedOperator op) => Of(plan, op.InputSlots.Concat(op.OutputSlots));

    /// <summary>The storages of tensors.</summary>
    public static IEnumerable<StorageId> Of(ReplayPlan plan, IEnumerable<Slot> slots)
    {
        foreach (var slot in slots)
            if (plan[slot].Storage is { } storage)
                yield return storage;
    }

    /// <summary>The place of the first operator that names it; -1 for none.</summary>
    public int First(StorageId storage) => _first[storage.Index];

    /// <summary>The place of the last operator that names it; 0 where none does.</summary>
    public int Last(StorageId storage) => _last[storage.Index];
}
