using System.Collections.Immutable;

namespace Mystique.Planning;

/// <summary>All operators of a name: in the original's iteration, and in the plan's.</summary>
internal sealed record OperatorGroup
{
    /// <summary>The full name.</summary>
    public required string Name { get; init; }

    /// <summary>How many of the selected operators have it.</summary>
    public required int OriginalCount { get; init; }

    /// <summary>How many of the plan's do: those that run as recorded, and substitutes.</summary>
    public required int Count { get; init; }

    /// <summary>How many of the plan's do beside these: those that get at memory, or fill it.</summary>
    public required int AddedCount { get; init; }

    /// <summary>
    /// How long the original's took on the host, in nanoseconds of the iteration that was watched; null where that is not
    /// known.
    /// </summary>
    public required long? OriginalNs { get; init; }

    /// <summary>
    /// What the original's started on the device took there, in nanoseconds; null where nothing is known of one on a device.
    /// </summary>
    public required long? OriginalDeviceNs { get; init; }

    /// <summary>How many kernels, copies and fillings the original's started; null as above.</summary>
    public required int? OriginalKernels { get; init; }

    /// <summary>Bytes of the storages that they make in an iteration of the plan.</summary>
    public required long AllocatedBytes { get; init; }

    /// <summary>One that the plan does not have: the target's autograd ran it.</summary>
    /// <param name="name">Its name.</param>
    public static OperatorGroup Empty(string name) => new()
    {
        Name = name,
        OriginalCount = 0,
        Count = 0,
        AddedCount = 0,
        OriginalNs = null,
        OriginalDeviceNs = null,
        OriginalKernels = null,
        AllocatedBytes = 0,
    };

    /// <summary>The kinds of a plan, by name.</summary>
    /// <param name="plan">The plan.</param>
    public static ImmutableSortedDictionary<string, OperatorGroup> Of(ReplayPlan plan)
    {
        var kinds = ImmutableSortedDictionary.CreateBuilder<string, OperatorGroup>(StringComparer.Ordinal);
        var made = new bool[plan.Storages.Length];
        bool isOnDevice = plan.Times?.IsOnDevice == true;
        foreach (var op in plan.Operators)
        {
            long bytes = 0;
            foreach (var slot in op.OutputSlots)
            {
                if (plan[slot].Storage is not { } storage || plan[storage].IsExternal || made[storage.Index])
                    continue;
                made[storage.Index] = true;
                bytes += plan[storage].SizeBytes;
            }
            foreach (var recorded in op.Backward)
                Add(recorded.Schema.FullName, 1, 0, 0, TimeOf(recorded.Id), 0);
            if (op.Role == OperatorRole.Autograd)
                continue; // No operator of the dispatcher's.
            bool isRecorded = op.Role == OperatorRole.Recorded;
            Add(op.Schema.FullName, isRecorded ? 1 : 0, op.Role == OperatorRole.Added ? 0 : 1, op.Role == OperatorRole.Added ? 1
                : 0, isRecorded ? TimeOf(op.Id) : null, bytes);
        }
        foreach (var replaced in plan.Replaced)
            Add(replaced.Name, 1, 0, 0, TimeOf(replaced.Id), 0);
        return kinds.ToImmutable();

        PlannedTime? TimeOf(OperatorId id) => plan.Times?.Operators.GetValueOrDefault(id);

        void Add(string name, int original, int count, int added, PlannedTime? time, long bytes)
        {
            var kind = kinds.GetValueOrDefault(name) ?? Empty(name);
            kinds[name] = kind with
            {
                OriginalCount = kind.OriginalCount + original,
                Count = kind.Count + count,
                AddedCount = kind.AddedCount + added,
                OriginalNs = time is null ? kind.OriginalNs : (kind.OriginalNs ?? 0) + time.DurationNs,
                OriginalDeviceNs = time is null || !isOnDevice ? kind.OriginalDeviceNs : (kind.OriginalDeviceNs ?? 0) + time.DeviceNs,
                OriginalKernels = time is null || !isOnDevice ? kind.OriginalKernels : (kind.OriginalKernels ?? 0) + time.Kernels,
                AllocatedBytes = kind.AllocatedBytes + bytes,
            };
        }
    }
}
