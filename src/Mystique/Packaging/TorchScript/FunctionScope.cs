using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>What a generated function knows of its tensors: which are local, which are in the list, when they end.</summary>
internal sealed class FunctionScope
{
    private readonly ReplayPlan _plan;
    private readonly int _first;
    private readonly int _end;
    private readonly int[] _firstUse;
    private readonly int[] _lastUse;
    private readonly HeldSlots _held;
    private readonly HashSet<Slot> _locals = [];
    private readonly HashSet<Slot> _listed = [];
    private readonly Dictionary<Slot, List<(int Operator, bool IsRead)>> _events = [];

    public FunctionScope(ReplayPlan plan, ScheduledCall call, int[] firstUse, int[] lastUse, HeldSlots held)
    {
        _plan = plan;
        (_firstUse, _lastUse, _held) = (firstUse, lastUse, held);
        (_first, _end) = (call.First, call.First + call.Count);
        for (int i = call.First; i < _end; i++)
        {
            foreach (var slot in plan.Operators[i].InputSlots)
                AddEvent(slot, i, isRead: true);
            foreach (var slot in plan.Operators[i].OutputSlots)
                AddEvent(slot, i, isRead: false);
            UsesDevices |= plan.Operators[i].Arguments.Any(a => a.Literal is DeviceValue);
        }
    }

    /// <summary>Whether some argument is a device.</summary>
    public bool UsesDevices { get; }

    /// <summary>Notes that a tensor is used. True where it must be taken from the list first.</summary>
    public bool Load(Slot slot)
    {
        if (!_locals.Add(slot))
            return false;
        _listed.Add(slot);
        return true;
    }

    /// <summary>Whether a tensor that was taken from the list is not needed after this function.</summary>
    public bool IsFreedHere(Slot slot) => !_plan[slot].IsExternal && !Outlives(slot);

    /// <summary>
    /// Whether a tensor that is made anew has an older value in the list that this function, the last to use it, did not
    /// take out: memory that would be held until the next iteration. To be asked before <see cref="Define"/>.
    /// </summary>
    public bool LeavesBehind(Slot slot) => IsFreedHere(slot) && _firstUse[slot.Index] < _first && !_locals.Contains(slot);

    /// <summary>Notes that a tensor was made. True where it must be put into the list.</summary>
    public bool Define(Slot slot)
    {
        _locals.Add(slot);
        return !_plan[slot].IsExternal && Outlives(slot) && _listed.Add(slot);
    }

    /// <summary>Whether the result that an operator puts into a slot is used in this function or goes into the list.</summary>
    public bool IsReadOrStored(int index, Slot slot)
    {
        if (!_plan[slot].IsExternal && Outlives(slot) && !_listed.Contains(slot))
            return true;
        foreach (var (at, isRead) in _events[slot])
            if (at > index)
                return isRead;
        return false;
    }

    /// <summary>
    /// Whether the interpreter keeps the operator without help: a result is used or stored, or it writes to a tensor
    /// that came from the list, which others may see.
    /// </summary>
    public bool IsAnchored(int index, PlannedOperator op, bool hasHeldLists)
    {
        if (hasHeldLists || op.OutputSlots.Any(s => IsReadOrStored(index, s)))
            return true;
        for (int i = 0; i < op.Arguments.Length; i++)
            if (op.Writes(i) && op.Arguments[i].Slots.Any(s => s is { } slot && _listed.Contains(slot)))
                return true;
        return false;
    }

    private bool Outlives(Slot slot) => _lastUse[slot.Index] >= _end || _held.Contains(slot);

    private void AddEvent(Slot slot, int index, bool isRead)
    {
        if (!_events.TryGetValue(slot, out var list))
            _events.Add(slot, list = []);
        list.Add((index, isRead));
    }
}
