using System.Collections.Immutable;
using Mystique.Planning;

namespace Mystique.Fitting;

/// <summary>What is to take the place of an operator of a plan.</summary>
/// <param name="Operators">The operators to run instead; empty for none.</param>
/// <param name="Note">What is said of it; null where the operator is the same, with its arguments in another form.</param>
internal sealed record PlanEdit(ImmutableArray<PlannedOperator> Operators, ReplacedOperator? Note);

/// <summary>Changes operators of a plan that turn out not to run as they are.</summary>
internal static class PlanEditor
{
    /// <summary>
    /// A plan with other operators. What is no longer made exists from the start: as a new external storage, or as a
    /// view where the storage is there without it.
    /// </summary>
    /// <param name="builder">The plan, with the tensors that the edits add.</param>
    /// <param name="edits">The operators' places in the plan, and what takes their places.</param>
    public static ReplayPlan Apply(PlanBuilder builder, IReadOnlyDictionary<int, PlanEdit> edits)
    {
        var plan = builder.Plan;
        var operators = ImmutableArray.CreateBuilder<PlannedOperator>(plan.Operators.Length);
        var madeSlots = new HashSet<Slot>();
        var sourceSlots = new Dictionary<StorageId, Slot>(); // For each storage made so far, a tensor on it.
        var notes = new List<ReplacedOperator>();
        for (int i = 0; i < plan.Operators.Length; i++)
        {
            var op = plan.Operators[i];
            var edit = edits.GetValueOrDefault(i) ?? new PlanEdit([op], null);
            if (!edit.Operators.IsEmpty && LacksOpaque(op))
                edit = new PlanEdit([], op.Role != OperatorRole.Recorded ? null : new ReplacedOperator(op.Id, op.Schema.FullName,
                    Remedy.StandIn, "", "it uses a tensor without storage, and what makes that does not run"));
            if (edit.Note is { } note)
                notes.Add(note);
            foreach (var made in edit.Operators)
                Add(made);
        }
        return UnwrittenMemory.Fill(builder.Build(operators.ToImmutable()) with
        {
            Replaced = [.. notes.Concat(plan.Replaced).DistinctBy(s => s.Id).OrderBy(s => s.Id)],
        });

        // A tensor without storage cannot be there from the start: what uses it goes with what made it.
        bool LacksOpaque(PlannedOperator op) => op.InputSlots.Any(s => builder[s].IsOpaque && !madeSlots.Contains(s));

        void Add(PlannedOperator op)
        {
            foreach (var slot in op.InputSlots.Where(s => !builder[s].IsExternal && madeSlots.Add(s)))
            {
                var tensor = builder[slot];
                if (tensor.Storage is { } storage && sourceSlots.TryGetValue(storage, out var source)
                    && builder[source].Type == tensor.Type)
                    operators.Add(AddedOperators.View(op.Id, source, slot, tensor));
                else
                    builder.MakeExternal(slot);
            }
            foreach (var slot in op.OutputSlots)
            {
                madeSlots.Add(slot);
                if (builder[slot].Storage is { } storage)
                    sourceSlots.TryAdd(storage, slot);
            }
            operators.Add(op);
        }
    }
}
