using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Fitting;

/// <summary>
/// Rewrites a call from the schema that the trace recorded to the one that the target has. Between versions PyTorch adds
/// arguments with defaults, takes some away, and moves them: each is found by its name.
/// </summary>
internal static class SchemaAdapter
{
    /// <summary>Whether a call as recorded is a call of the target's operator as it stands.</summary>
    public static bool IsSame(OperatorSchema recorded, OperatorSchema target) =>
        recorded.Arguments.Length == target.Arguments.Length && recorded.Returns.Length == target.Returns.Length
        && recorded.Arguments.Zip(target.Arguments).All(p => p.First.IsKeywordOnly == p.Second.IsKeywordOnly
            && IsSame(p.First.Type, p.Second.Type));

    /// <summary>The call of the target's operator.</summary>
    /// <param name="op">The call as recorded.</param>
    /// <param name="target">The target's schema.</param>
    /// <param name="reason">Why it cannot be; empty where it can.</param>
    public static PlannedOperator? Adapt(PlannedOperator op, OperatorSchema target, out string reason)
    {
        var arguments = ImmutableArray.CreateBuilder<PlannedArgument>(target.Arguments.Length);
        var used = new HashSet<int>();
        foreach (var wanted in target.Arguments)
        {
            int? at = op.Schema.PlaceOf(wanted.Name);
            var argument = at is { } place ? op.Arguments[place] : wanted.Default is { } text && DefaultValue.Parse(text) is { } value
                ? PlannedArgument.Of(value) : null;
            if (argument is null)
                return Fail($"it takes '{wanted.Name}' there, which the trace does not have", out reason);
            if (!Fits(wanted.Type, argument))
                return Fail($"its '{wanted.Name}' is of another type there", out reason);
            if (at is { } found)
                used.Add(found);
            arguments.Add(argument);
        }
        for (int i = 0; i < op.Arguments.Length; i++)
            if (!used.Contains(i) && !IsDefault(op.Schema.Arguments[i], op.Arguments[i]))
                return Fail($"it does not take '{op.Schema.Arguments[i].Name}' there", out reason);
        reason = "";
        var results = op.Results.Take(target.Returns.Length)
            .Concat(Enumerable.Range(op.Results.Length, Math.Max(0, target.Returns.Length - op.Results.Length))
                .Select(_ => new PlannedResult([null])));
        return op with { Schema = target, Arguments = arguments.MoveToImmutable(), Results = [.. results] };
    }

    /// <summary>Whether an argument can be passed where a type is asked for.</summary>
    public static bool Fits(SchemaType type, PlannedArgument argument)
    {
        bool isTensor = type.BaseName == "Tensor";
        if (argument.Literal is { } literal)
            return literal is NoneValue ? type.IsOptional : !isTensor && OperatorSupport.IsFit(type, literal);
        return isTensor && (type.AsList is not null || argument.Slots.Length == 1);
    }

    private static PlannedOperator? Fail(string why, out string reason)
    {
        reason = why;
        return null;
    }

    private static bool IsDefault(SchemaArgument schema, PlannedArgument argument) => argument.Literal switch
    {
        null => false,
        NoneValue => true,
        var literal => schema.Default is { } text && literal.Equals(DefaultValue.Parse(text)),
    };

    private static bool IsSame(SchemaType a, SchemaType b) =>
        a.Kind == b.Kind && NameOf(a) == NameOf(b) && (a.Element is null || b.Element is not null && IsSame(a.Element, b.Element));

    /// <summary>Numbers stand for dtypes, layouts and memory formats in programs, and PyTorch prints their types as either.</summary>
    private static string NameOf(SchemaType type) => type.Name switch
    {
        "ScalarType" or "Layout" or "MemoryFormat" => "int",
        "number" => "Scalar",
        var name => name,
    };
}
