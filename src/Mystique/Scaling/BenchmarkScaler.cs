using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Packaging;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Scaling;

/// <summary>The benchmark of a job at another value of a parameter, at both levels.</summary>
internal static class BenchmarkScaler
{
    /// <summary>Scales.</summary>
    /// <param name="first">The benchmark at the first value.</param>
    /// <param name="second">At the second.</param>
    /// <param name="model">The values.</param>
    /// <exception cref="MystiqueException">They differ in more than integers (MYS226), or an integer does not follow (MYS227).</exception>
    public static Benchmark Scale(Benchmark first, Benchmark second, ScaleModel model) =>
        Benchmark.Of(PlanScaler.Scale(first.Plan, second.Plan, model)) with
        {
            OtherLevel = new(() => FrameworkOf(first, second, model)),
        };

    /// <summary>How a scaled plan differs from one that was captured; null where it does not.</summary>
    /// <param name="scaled">The scaled plan.</param>
    /// <param name="captured">The other.</param>
    public static string? DifferenceFrom(ReplayPlan scaled, ReplayPlan captured)
    {
        foreach (var (i, (a, b)) in scaled.Operators.Zip(captured.Operators).Index())
        {
            string one = TextOf(scaled, a), two = TextOf(captured, b);
            if (one != two)
                return string.Create(CultureInfo.InvariantCulture, $"operator {i} is {one}, and was captured as {two}");
        }
        return scaled.Operators.Length == captured.Operators.Length ? null : string.Create(CultureInfo.InvariantCulture,
            $"it has {scaled.Operators.Length:N0} operators, and {captured.Operators.Length:N0} were captured");
    }

    /// <summary>Runs each operator once without memory: its results have to be of the sizes that the plan has.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="knowledge">A PyTorch.</param>
    /// <returns>How many operators were run, and how many there are.</returns>
    /// <exception cref="MystiqueException">One gives another size (MYS228).</exception>
    public static (int Checked, int All) Check(ReplayPlan plan, IOperatorKnowledge knowledge)
    {
        PlannedOperator[] operators = [.. plan.Operators.Where(o => o.Role == OperatorRole.Recorded && !o.IsOfHost)
            .DistinctBy(o => TextOf(plan, o))];
        var calls = operators.Select(o => new OperatorCall(o.Schema, [.. o.Arguments.Select(a => ValueOf(plan, a))]));
        var results = knowledge.Describe([.. calls]);
        int known = 0;
        foreach (var (op, result) in operators.Zip(results))
        {
            if (result.Outputs is not { } outputs)
                continue; // It does not run there, whatever its sizes are.
            known++;
            string[] given = [.. outputs.SelectMany(o => o.Tensors).Select(t => string.Join(", ", t.Shape))];
            string[] planned = [.. op.OutputSlots.Select(s => string.Join(", ", plan[s].Shape))];
            if (given.Length == planned.Length && !given.SequenceEqual(planned))
                throw Problems.ScaledInconsistent(TextOf(plan, op), $"it gives [{string.Join("], [", given)}]");
        }
        return (known, operators.Length);
    }

    private static FrameworkBenchmark FrameworkOf(Benchmark first, Benchmark second, ScaleModel model)
    {
        var (one, two) = (first.OtherLevel.Value, second.OtherLevel.Value);
        if (one.Benchmark is null || two.Benchmark is null)
            return one.Benchmark is null ? one : two;
        try
        {
            return new FrameworkBenchmark(Benchmark.Of(PlanScaler.Scale(one.Benchmark.Plan, two.Benchmark.Plan, model)), "");
        }
        catch (MystiqueException exception)
        {
            return new FrameworkBenchmark(null, exception.What);
        }
    }

    private static ArgumentValue ValueOf(ReplayPlan plan, PlannedArgument argument)
    {
        if (argument.Literal is { } literal)
            return literal;
        return argument.Slots is [{ } only] ? ValueOf(plan[only])
            : new ListValue([.. argument.Slots.Select(s => s is { } slot ? ValueOf(plan[slot]) : (ArgumentValue)NoneValue.Instance)], "");
    }

    private static TensorValue ValueOf(PlannedTensor tensor) =>
        TensorLayout.TensorOf(tensor.Type, tensor.Shape, tensor.Strides, tensor.Offset);

    /// <summary>An operator with its arguments: what it is called with, whatever its tensors are called.</summary>
    private static string TextOf(ReplayPlan plan, PlannedOperator op)
    {
        string Look(Slot? slot) => slot is { } own ? $"{plan[own].Type.TorchName()}[{string.Join(", ", plan[own].Shape)}]" : "None";
        string Value(ArgumentValue value) => value switch
        {
            IntListValue list => $"[{string.Join(", ", list.Items)}]",
            IntValue number => number.Value.ToString(CultureInfo.InvariantCulture),
            DoubleValue number => number.Value.ToString("G6", CultureInfo.InvariantCulture),
            ListValue list => $"[{string.Join(", ", list.Items.Select(Value))}]",
            BoolValue flag => flag.Value ? "True" : "False",
            StringValue text => text.Value,
            _ => "…",
        };
        return $"{op.Schema.FullName}({string.Join(", ", op.Arguments.Select(a => a.Literal is { } literal ? Value(literal)
            : string.Join(" ", a.Slots.Select(Look))))}) -> {string.Join(", ", op.Results.SelectMany(r => r.Slots).Select(Look))}";
    }
}
