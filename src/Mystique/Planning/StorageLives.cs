using System.Collections.Immutable;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Planning;

/// <summary>
/// Finds when the original freed what its operators made: a variable of Python's, or autograd, keeps memory longer than operators use it.
/// A trace does not tell; a profile with <c>[memory]</c> events does. Each storage is put to an allocation within the operator that makes
/// it; where the profile has no addresses, frees are put to storages of their size.
/// </summary>
internal sealed class StorageLives
{
    private readonly ReplayPlan _plan;
    private readonly (long StartNs, long EndNs)?[] _spans;
    private readonly StorageUses _uses;
    private readonly Block[] _blocks;
    private readonly List<(long AtNs, long Bytes, bool IsOnDevice)> _ofBefore = [];
    private readonly (long StartNs, int Last)[] _starts;

    private StorageLives(ReplayPlan plan, LinkedProfile profile)
    {
        _plan = plan;
        _spans = [.. plan.Operators.Select(o => PlanTimes.SpanOf(o, id => profile.Operators.TryGetValue(id.Node, out var time)
            ? (time.StartNs, time.DurationNs) : null))];
        _uses = StorageUses.Of(plan);
        int last = 0;
        _starts = [.. _spans.Index().Where(s => s.Item is not null).Select(s => (s.Item!.Value.StartNs, Last: s.Index))
            .OrderBy(s => s.StartNs).Select(s => (s.StartNs, last = Math.Max(last, s.Last)))];
        _blocks = BlocksOf(profile.Allocations);
    }

    /// <summary>Marks the storages that lived on after the last operator that uses them.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="profile">The profile of the same iteration; null for none.</param>
    public static ReplayPlan Apply(ReplayPlan plan, LinkedProfile? profile)
    {
        if (profile is null || profile.Allocations.IsEmpty)
            return plan;
        var lives = new StorageLives(plan, profile);
        bool hasAddresses = profile.Allocations.Any(a => a.Address is not null);
        ProfiledAllocation[] frees = hasAddresses ? [] : lives.PairWithinOperators(profile.Allocations);
        lives.Claim();
        lives.PairBySize(frees);
        var until = lives.Ends();
        return until.Count == 0 ? plan : plan with
        {
            Storages = [.. plan.Storages.Index().Select(s => until.TryGetValue(s.Index, out var id) ? s.Item with { Until = id } : s.Item)],
        };
    }

    /// <summary>By storage, the place of the operator after which it is freed; only of those that outlive their last use.</summary>
    /// <param name="plan">A plan.</param>
    /// <remarks>One before the storage is made is of the next iteration; that which makes it stands for being made again.</remarks>
    public static Dictionary<StorageId, int> PlacesOf(ReplayPlan plan)
    {
        var found = new Dictionary<StorageId, int>();
        if (plan.Storages.All(s => s.Until is null))
            return found;
        var uses = StorageUses.Of(plan);
        var places = new Dictionary<OperatorId, int>();
        for (int i = 0; i < plan.Operators.Length; i++)
            places[plan.Operators[i].Id] = i;
        foreach (var (index, storage) in plan.Storages.Index())
        {
            var id = new StorageId(index);
            if (storage.Until is { } until && places.TryGetValue(until, out int place) && uses.First(id) is >= 0 and var made
                && !storage.IsExternal && (place > uses.Last(id) || place <= made))
                found.Add(id, place);
        }
        return found;
    }

    /// <summary>
    /// Puts each storage to an allocation within the operator that makes it: the smallest that holds it and outlives the operator.
    /// </summary>
    /// <remarks>
    /// It can be larger than what its tensors reach to: blocks of a device are rounded, and some operators make a result smaller when they
    /// have it (<c>mse_loss</c>, <c>aten/src/ATen/native/Loss.cpp</c>).
    /// </remarks>
    private void Claim()
    {
        (long FromNs, int Block)[] starts = [.. _blocks.Select((b, i) => (b.FromNs, i)).Order()];
        for (int i = 0; i < _plan.Operators.Length; i++)
        {
            if (_plan.Operators[i].Role == OperatorRole.Autograd || _spans[i] is not { } span)
                continue; // What autograd makes within a pass, it also frees.
            foreach (var storage in StorageUses.Of(_plan, _plan.Operators[i].OutputSlots).Distinct())
            {
                if (_uses.First(storage) != i || _plan[storage].IsExternal || _plan[storage].SizeBytes == 0)
                    continue;
                bool isOnDevice = DeviceName.IsAccelerator(_plan.Devices[_plan[storage].Device]);
                long size = _plan[storage].SizeBytes;
                Block? best = null;
                for (int at = ~Array.BinarySearch(starts, (span.StartNs, -1)); at < starts.Length && starts[at].FromNs <= span.EndNs; at++)
                {
                    var block = _blocks[starts[at].Block];
                    bool fits = block.Storage is null && block.IsOnDevice == isOnDevice && block.Bytes >= size
                        && (block.UntilNs ?? long.MaxValue) > span.EndNs;
                    if (fits && (best is null || block.Bytes < best.Bytes))
                        best = block;
                }
                if (best is not null)
                    best.Storage = storage;
            }
        }
    }

    /// <summary>Without addresses: what an operator frees is what it allocated last of that size. The frees that are left.</summary>
    private ProfiledAllocation[] PairWithinOperators(ImmutableArray<ProfiledAllocation> allocations)
    {
        var left = new List<ProfiledAllocation>();
        var open = new Dictionary<(long, bool, int), Stack<Block>>();
        int made = 0;
        foreach (var allocation in allocations)
        {
            int within = WithinAt(allocation.AtNs);
            var key = (Math.Abs(allocation.Bytes), allocation.IsOnDevice, within);
            if (allocation.Bytes > 0)
            {
                if (!open.TryGetValue(key, out var blocks))
                    open.Add(key, blocks = []);
                blocks.Push(_blocks[made++]);
            }
            else if (within >= 0 && open.TryGetValue(key, out var blocks) && blocks.TryPop(out var block))
                block.UntilNs = allocation.AtNs;
            else
                left.Add(allocation);
        }
        return [.. left];
    }

    /// <summary>
    /// Without addresses: where an operator has just made memory of that size, a variable was set again, and a free is of what an operator
    /// of that name made last before; else of the storage of that size whose last use was the latest; else of any block of that size.
    /// </summary>
    private void PairBySize(ProfiledAllocation[] frees)
    {
        if (frees.Length == 0)
            return;
        var open = _blocks.Where(b => b.UntilNs is null).GroupBy(b => (b.Bytes, b.IsOnDevice)).ToDictionary(g => g.Key, g => g.ToList());
        var unexplained = new List<ProfiledAllocation>();
        foreach (var free in frees)
        {
            if (!open.TryGetValue((Math.Abs(free.Bytes), free.IsOnDevice), out var blocks))
                continue;
            var candidates = blocks.TakeWhile(b => b.FromNs < free.AtNs)
                .Where(b => b.Storage is null || LastUseNs(b.Storage.Value) <= free.AtNs).ToArray();
            var justMade = candidates.LastOrDefault(b => b.Storage is { } s && _uses.First(s) == LastBefore(free.AtNs));
            var freed = justMade is null ? null
                : candidates.LastOrDefault(b => b != justMade && b.Storage is { } s && NameOf(s) == NameOf(justMade.Storage!.Value));
            freed ??= candidates.Where(b => b.Storage is not null).MaxBy(b => LastUseNs(b.Storage!.Value)) ?? candidates.LastOrDefault();
            if (freed is null)
            {
                unexplained.Add(free);
                continue;
            }
            freed.UntilNs = free.AtNs;
            blocks.Remove(freed);
        }
        foreach (var free in unexplained) // Something of that size is not held: what was used last the earliest.
        {
            var blocks = open[(Math.Abs(free.Bytes), free.IsOnDevice)];
            if (blocks.Where(b => b.Storage is not null).MinBy(b => LastUseNs(b.Storage!.Value)) is not { } least)
                continue;
            least.UntilNs = free.AtNs;
            blocks.Remove(least);
        }
    }

    private string NameOf(StorageId storage) => _plan.Operators[_uses.First(storage)].Schema.FullName;

    private Dictionary<int, OperatorId> Ends()
    {
        var ends = new Dictionary<int, OperatorId>();
        int end = _plan.Operators.Length - 1;
        foreach (var block in _blocks.Where(b => b.Storage is not null).OrderBy(b => b.FromNs))
        {
            var storage = block.Storage!.Value;
            int place = block.UntilNs is { } until ? LastBefore(until) : end;
            int match = block.UntilNs is not null ? -1
                : _ofBefore.FindIndex(f => f.Bytes == block.Bytes && f.IsOnDevice == block.IsOnDevice);
            if (match >= 0)
            {
                // What it was in the iteration before dies in this one, so it dies in the next.
                place = Math.Min(LastBefore(_ofBefore[match].AtNs), _uses.First(storage));
                _ofBefore.RemoveAt(match);
            }
            // What dies within a pass of autograd's is autograd's own, which keeps it as long as the original's did.
            bool isAutograds = _plan.Operators[place].Role == OperatorRole.Autograd && block.UntilNs is { } freed
                && _spans[place] is { } pass && freed <= pass.EndNs;
            if (!isAutograds && (match >= 0 || place > _uses.Last(storage)))
                ends[storage.Index] = _plan.Operators[place].Id;
        }
        return ends;
    }

    /// <summary>The place of the last operator that had started at a time; the first where none had.</summary>
    private int LastBefore(long atNs)
    {
        int next = ~Array.BinarySearch(_starts, (atNs, -1));
        return next == 0 ? 0 : _starts[next - 1].Last;
    }

    /// <summary>The place of the operator that was running at a time; -1 for none.</summary>
    private int WithinAt(long atNs) => LastBefore(atNs + 1) is var place && _spans.Length > 0 && _spans[place] is { } span
        && span.StartNs <= atNs && atNs <= span.EndNs ? place : -1;

    private long LastUseNs(StorageId storage) => _spans[_uses.Last(storage)]?.StartNs ?? long.MaxValue;

    private Block[] BlocksOf(ImmutableArray<ProfiledAllocation> allocations)
    {
        var blocks = new List<Block>();
        var live = new Dictionary<(long, bool), Block>();
        foreach (var allocation in allocations)
        {
            if (allocation.Bytes > 0)
            {
                var block = new Block(allocation.AtNs, allocation.Bytes, allocation.IsOnDevice);
                blocks.Add(block);
                if (allocation.Address is { } address)
                    live[(address, allocation.IsOnDevice)] = block;
            }
            else if (allocation.Address is { } freed && live.Remove((freed, allocation.IsOnDevice), out var ended))
                ended.UntilNs = allocation.AtNs;
            else if (allocation.WasThere)
                _ofBefore.Add((allocation.AtNs, -Math.Max(allocation.Bytes, -long.MaxValue), allocation.IsOnDevice));
        }
        return [.. blocks];
    }

    /// <summary>What was allocated, and when it was freed; null for after the iteration.</summary>
    private sealed class Block(long fromNs, long bytes, bool isOnDevice)
    {
        public long FromNs { get; } = fromNs;

        public long Bytes { get; } = bytes;

        public bool IsOnDevice { get; } = isOnDevice;

        public long? UntilNs { get; set; }

        public StorageId? Storage { get; set; }
    }
}
