using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>
/// Looks for results that are not finite. A NaN counts where an operator makes it out of inputs without one; an infinity
/// where neither inputs nor literals have one: masks of attention are made of infinities by design. Fresh memory may hold
/// anything: nobody is told of it, nor of what comes of it.
/// </summary>
internal sealed class FiniteCheck(ReplayPlan plan, ScriptProgram program)
{
    private readonly HashSet<Slot> _notANumber = [];
    private readonly HashSet<Slot> _infinite = [];

    /// <summary>As <c>python/run/checks.py</c> has it.</summary>
    private const string Overflow =
        "gradients overflow with the replay's values (found_inf is set): optimizers leave out what the original's did";

    /// <summary>Looks at an operator's results after it ran. Returns what is wrong with them; null for nothing.</summary>
    public string? After(int index)
    {
        var op = plan.Operators[index];
        bool hadNotANumber = op.InputSlots.Any(_notANumber.Contains);
        bool hadInfinity = op.InputSlots.Any(_infinite.Contains) || op.Arguments.Any(a => a.Literal is DoubleValue { Value: var value }
            && !double.IsFinite(value));
        string? what = null;
        if (op.Schema.Returns.Any(r => r.Type.Alias is { IsWrite: false }))
            return null; // A view shows what others made, or what nobody wrote and nobody reads.
        foreach (var slot in op.OutputSlots.Concat(WrittenBy(op)).Distinct()
            .Where(s => plan[s] is { IsOpaque: false, Type: var type } && type.IsFloating()
                && type != Traces.ScalarType.Float4E2M1FnX2))
        {
            using var scope = NewDisposeScope();
            var value = program.Get(slot);
            if (value.numel() == 0)
                continue; // Nobody uses it later, so it is gone.
            var wide = plan[slot].Type.SizeBytes() < 4 ? value.to(float32) : value;
            bool isNotANumber = wide.isnan().any().item<bool>();
            // The logarithms of probabilities that are 0 are part of what this one returns.
            bool isInfinite = op.Schema.QualifiedName != "aten::_ctc_loss" && wide.isinf().any().item<bool>();
            Remember(_notANumber, slot, isNotANumber);
            Remember(_infinite, slot, isInfinite);
            if (OperatorDecomposer.IsAllocation(op.Schema.QualifiedName))
                continue;
            if (isNotANumber && !hadNotANumber)
                what = "it makes NaN of numbers";
            else if (isInfinite && !hadInfinity && !hadNotANumber)
                what ??= "it makes infinities of finite numbers";
        }
        return Overflows(op) ? Overflow : what;
    }

    /// <summary>Whether <c>torch.amp.GradScaler</c> found infinities in gradients: optimizers then leave their step out.</summary>
    private bool Overflows(PlannedOperator op)
    {
        if (op.Schema.QualifiedName is not ("aten::_amp_foreach_non_finite_check_and_unscale_"
            or "aten::_amp_non_finite_check_and_unscale_")
            || op.Schema.PlaceOf("found_inf") is not { } place)
            return false;
        using var scope = NewDisposeScope();
        return op.Arguments[place].Slots.Any(s => s is { } slot && program.Get(slot).any().item<bool>());
    }

    private static IEnumerable<Slot> WrittenBy(PlannedOperator op)
    {
        for (int i = 0; i < op.Arguments.Length; i++)
            if (op.Writes(i))
                foreach (var item in op.Arguments[i].Slots)
                    if (item is { } slot)
                        yield return slot;
    }

    private static void Remember(HashSet<Slot> slots, Slot slot, bool isIn)
    {
        if (isIn)
            slots.Add(slot);
        else
            slots.Remove(slot);
    }
}
