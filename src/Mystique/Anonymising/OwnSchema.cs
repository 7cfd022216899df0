using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Traces;

namespace Mystique.Anonymising;

/// <summary>The schema of an operator that its owner does not give away: what it takes and gives, under names that say nothing.</summary>
internal static class OwnSchema
{
    /// <summary>The namespace of such operators; no library has it.</summary>
    public const string Namespace = "custom";

    private static readonly ImmutableHashSet<string> Types = [.. "Tensor int float bool str Scalar number Device ScalarType Layout "
        .Split(' ', StringSplitOptions.RemoveEmptyEntries), "MemoryFormat", "Generator", "Stream", "Storage", "complex"];

    /// <summary>The schema.</summary>
    /// <param name="schema">As recorded.</param>
    /// <param name="number">The operator's number.</param>
    public static OperatorSchema Of(OperatorSchema schema, int number)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Namespace}::operator_{number}(");
        for (int i = 0; i < schema.Arguments.Length; i++)
            text.Append(CultureInfo.InvariantCulture, $"{(i > 0 ? ", " : "")}{TypeOf(schema.Arguments[i].Type)} a{i}");
        text.Append(") -> (").AppendJoin(", ", schema.Returns.Select(r => TypeOf(r.Type))).Append(')');
        return SchemaParser.Parse(text.ToString());
    }

    private static string TypeOf(SchemaType type) => type.Kind switch
    {
        SchemaTypeKind.List => $"{TypeOf(type.Element! with { Alias = type.Element.Alias == type.Alias ? null : type.Element.Alias })}[]"
            + (type.Alias is null ? "" : AliasOf(type.Alias)),
        SchemaTypeKind.Optional => $"{TypeOf(type.Element!)}?",
        SchemaTypeKind.Named when Types.Contains(type.Name) => type.Name + (type.Alias is null ? "" : AliasOf(type.Alias)),
        _ => "Any",
    };

    /// <summary>What is written to matters, and which results are views does not: an operator that is not known runs nowhere.</summary>
    private static string AliasOf(AliasAnnotation alias) => alias.IsWrite ? "(a!)" : "";
}
