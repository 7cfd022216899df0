using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Fitting;

/// <summary>Applies a table of substitutions to the operators of a plan.</summary>
internal sealed class Substituter(SubstitutionTable table, PlanBuilder builder, IReadOnlyDictionary<string, OperatorSchema> target)
{
    /// <summary>Whether some row applies to the operator though the target has it.</summary>
    public bool IsWanted(PlannedOperator op) => table.RowsOf(op.Schema).Any(r => r.IsAlways && Applies(r, op));

    /// <summary>The calls that do an operator's work, by the first row that the target can run; null where there is none.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="failed">Names of operators that are known to fail here.</param>
    public ImmutableArray<PlannedOperator>? TryReplace(PlannedOperator op, IReadOnlySet<string> failed)
    {
        foreach (var row in table.RowsOf(op.Schema))
        {
            if (!Applies(row, op) || row.Statements.Any(s => !target.ContainsKey(s.Operator) || failed.Contains(s.Operator)))
                continue;
            if (TryBuild(row, op) is { } calls)
                return calls;
        }
        return null;
    }

    private bool Applies(Substitution row, PlannedOperator op) => row.Conditions.All(c => c.Holds(op, builder));

    private ImmutableArray<PlannedOperator>? TryBuild(Substitution row, PlannedOperator op)
    {
        var locals = new Dictionary<string, PlannedArgument>();
        var calls = ImmutableArray.CreateBuilder<PlannedOperator>(row.Statements.Length);
        foreach (var call in row.Statements)
        {
            var schema = target[call.Operator];
            if (ArgumentsOf(call, schema, op, locals) is not { } arguments || call.Results.Length > schema.Returns.Length)
                return null;
            var results = schema.Returns.Select((_, i) => i < call.Results.Length ? ResultOf(call, i, op, locals)
                : new PlannedResult([null]));
            calls.Add(new PlannedOperator(op.Id, schema, arguments, [.. results], OperatorRole.Substitute));
        }
        return calls.MoveToImmutable();
    }

    private static ImmutableArray<PlannedArgument>? ArgumentsOf(SubstituteCall call, OperatorSchema schema, PlannedOperator op,
        Dictionary<string, PlannedArgument> locals)
    {
        var arguments = ImmutableArray.CreateBuilder<PlannedArgument>(schema.Arguments.Length);
        for (int i = 0; i < schema.Arguments.Length; i++)
        {
            var wanted = schema.Arguments[i];
            string? text = i < call.Arguments.Length && call.Arguments[i].Name.Length == 0
                ? call.Arguments[i].Text
                : call.Arguments.Where(a => a.Name == wanted.Name).Select(a => a.Text).FirstOrDefault() ?? wanted.Default;
            if (text is null || Evaluate(text, op, locals) is not { } argument || !SchemaAdapter.Fits(wanted.Type, argument))
                return null;
            arguments.Add(argument);
        }
        return arguments.MoveToImmutable();
    }

    private static PlannedArgument? Evaluate(string text, PlannedOperator op, Dictionary<string, PlannedArgument> locals)
    {
        if (locals.TryGetValue(text, out var local))
            return local;
        if (Find(op, text) is { } argument)
            return argument with { IsPrepared = false };
        if (DefaultValue.Parse(text) is { } literal)
            return PlannedArgument.Of(literal);
        if (ValueExpression.SlotsOf(op, text) is [{ } result])
            return PlannedArgument.OfTensor(result);
        if (text.Length < 2 || text[0] != '[' || text[^1] != ']')
            return null;
        // A list of tensors, by their names; those that are None are left out.
        var slots = ImmutableArray.CreateBuilder<Slot?>();
        foreach (string name in text[1..^1].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (Evaluate(name, op, locals) is not { } item || item.Literal is not (null or NoneValue))
                return null;
            slots.AddRange(item.Slots);
        }
        return new PlannedArgument(slots.ToImmutable(), null);
    }

    private PlannedResult ResultOf(SubstituteCall call, int index, PlannedOperator op, Dictionary<string, PlannedArgument> locals)
    {
        string name = call.Results[index];
        if (name == "_")
            return new PlannedResult([null]);
        if (name.StartsWith("out", StringComparison.Ordinal) && int.TryParse(name.AsSpan(3), out int number))
            return number < op.Results.Length ? op.Results[number] : new PlannedResult([null]);
        var model = (call.Like.StartsWith("out", StringComparison.Ordinal) && int.TryParse(call.Like.AsSpan(3), out int result)
            ? op.Results.ElementAtOrDefault(result)?.Slots
            : Find(op, call.Like.Length > 0 ? call.Like : op.Schema.Arguments.FirstOrDefault()?.Name ?? "")?.Slots) ?? [];
        var slots = model.Where(s => s is not null).Select(s => (Slot?)builder.AddIntermediate(builder[s!.Value])).ToImmutableArray();
        locals[name] = new PlannedArgument(slots, null);
        return new PlannedResult(slots);
    }

    private static PlannedArgument? Find(PlannedOperator op, string name) =>
        op.Schema.PlaceOf(name) is { } place ? op.Arguments[place] : null;
}
