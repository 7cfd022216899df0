using System.Collections.Immutable;
using System.Globalization;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What can be asked of an argument.</summary>
internal enum ArgumentProperty
{
    /// <summary>A number: the argument itself.</summary>
    Value,

    /// <summary>A tensor's type of elements, as PyTorch names it.</summary>
    Type,

    /// <summary>How many dimensions a tensor has.</summary>
    Dimensions,

    /// <summary>How many elements a tensor has.</summary>
    Elements,

    /// <summary>A tensor's size in one dimension; from the end where it is below 0.</summary>
    Size,
}

/// <summary>A condition of a row: <c>dim = 0</c>, <c>self.dtype = float32</c>, <c>mat1.size(-1) &gt;= 1024</c>.</summary>
internal sealed record ArgumentCondition
{
    /// <summary>The argument's name, in the operator's schema.</summary>
    public required string Argument { get; init; }

    /// <summary>What is asked of it.</summary>
    public ArgumentProperty Property { get; init; }

    /// <summary>For a size, of which dimension; else 0.</summary>
    public int Dimension { get; init; }

    /// <summary><c>=</c>, <c>!=</c>, <c>&lt;</c>, <c>&lt;=</c>, <c>&gt;</c> or <c>&gt;=</c>; of types the first two.</summary>
    public required string Relation { get; init; }

    /// <summary>What it is compared with, but for a type.</summary>
    public long Number { get; init; }

    /// <summary>The type that it is compared with; else empty.</summary>
    public string Type { get; init; } = "";

    private const int MaxCount = 64;

    private const string Form = "a condition is written ARGUMENT = NUMBER, ARGUMENT.dtype = TYPE, or with ARGUMENT.size(DIMENSION), "
        + ".dim or .numel and one of = != < <= > >=";

    /// <summary>Conditions with <c>and</c> between them.</summary>
    /// <exception cref="FormatException">One is invalid.</exception>
    public static ImmutableArray<ArgumentCondition> ParseAll(ReadOnlySpan<string> words)
    {
        var conditions = ImmutableArray.CreateBuilder<ArgumentCondition>();
        for (int i = 0; ; i += 4)
        {
            if (words.Length < i + 3)
                throw new FormatException(Form);
            if (conditions.Count == MaxCount)
                throw new FormatException("a row has at most 64 conditions");
            conditions.Add(Parse(words[i], words[i + 1], words[i + 2]));
            if (words.Length == i + 3)
                return conditions.ToImmutable();
            if (words[i + 3] != "and")
                throw new FormatException($"between conditions stands 'and', not '{words[i + 3]}'");
        }
    }

    private static ArgumentCondition Parse(string left, string relation, string right)
    {
        int dot = left.IndexOf('.');
        string argument = dot < 0 ? left : left[..dot];
        int dimension = 0;
        ArgumentProperty property = (dot < 0 ? "" : left[(dot + 1)..]) switch
        {
            "" when dot < 0 => ArgumentProperty.Value,
            "dtype" => ArgumentProperty.Type,
            "dim" => ArgumentProperty.Dimensions,
            "numel" => ArgumentProperty.Elements,
            var size when size.StartsWith("size(", StringComparison.Ordinal) && size.EndsWith(')')
                && int.TryParse(size.AsSpan(5, size.Length - 6), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture,
                    out dimension) => ArgumentProperty.Size,
            _ => throw new FormatException(Form),
        };
        if (!SchemaParser.IsIdentifier(argument))
            throw new FormatException(Form);
        if (property == ArgumentProperty.Type)
            return relation is "=" or "!=" && ScalarTypes.TryFromTorchName(right, out _)
                ? new ArgumentCondition { Argument = argument, Property = property, Relation = relation, Type = right }
                : throw new FormatException(Form);
        return relation is "=" or "!=" or "<" or "<=" or ">" or ">="
            && long.TryParse(right, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
            ? new ArgumentCondition
            {
                Argument = argument,
                Property = property,
                Dimension = dimension,
                Relation = relation,
                Number = number,
            }
            : throw new FormatException(Form);
    }

    /// <summary>Whether it holds; of what an operator has not, nothing holds.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="tensors">The plan's tensors.</param>
    public bool Holds(PlannedOperator op, PlanBuilder tensors)
    {
        if (op.Schema.PlaceOf(Argument) is not { } place)
            return false;
        var argument = op.Arguments[place];
        if (Property == ArgumentProperty.Value)
            return argument.Literal is IntValue value && Compare(value.Value);
        if (argument.Slots is not [{ } slot])
            return false;
        var tensor = tensors[slot];
        return Property switch
        {
            ArgumentProperty.Type => (ScalarTypes.TryFromTorchName(Type, out var type) && tensor.Type == type) == (Relation == "="),
            ArgumentProperty.Dimensions => Compare(tensor.Shape.Length),
            ArgumentProperty.Elements => Compare(tensor.ElementCount),
            _ => (Dimension < 0 ? tensor.Shape.Length + Dimension : Dimension) is var at && at >= 0 && at < tensor.Shape.Length
                && Compare(tensor.Shape[at]),
        };
    }

    private bool Compare(long value) => Relation switch
    {
        "=" => value == Number,
        "!=" => value != Number,
        "<" => value < Number,
        "<=" => value <= Number,
        ">" => value > Number,
        _ => value >= Number,
    };
}
