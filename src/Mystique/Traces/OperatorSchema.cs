using System.Collections.Immutable;

namespace Mystique.Traces;

/// <summary>
/// A parsed operator schema, for example <c>aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor</c>.
/// Grammar: <c>torch/csrc/jit/frontend/function_schema_parser.cpp</c>.
/// </summary>
/// <param name="Namespace">For example <c>aten</c>.</param>
/// <param name="Name">The operator's name without its namespace, for example <c>add</c>.</param>
/// <param name="Overload">For example <c>Tensor</c>; empty for the default overload.</param>
/// <param name="Arguments">The arguments in order.</param>
/// <param name="Returns">The results in order; their names may be empty.</param>
/// <param name="Text">The schema as recorded.</param>
public sealed record OperatorSchema(
    string Namespace,
    string Name,
    string Overload,
    ImmutableArray<SchemaArgument> Arguments,
    ImmutableArray<SchemaArgument> Returns,
    string Text)
{
    /// <summary>Namespace and name, for example <c>aten::add</c>.</summary>
    public string QualifiedName { get; } = $"{Namespace}::{Name}";

    /// <summary>Namespace, name and overload, for example <c>aten::add.Tensor</c>.</summary>
    public string FullName { get; } = Overload.Length == 0 ? $"{Namespace}::{Name}" : $"{Namespace}::{Name}.{Overload}";

    /// <summary>Whether some argument is written to: an in-place or out variant.</summary>
    public bool IsMutating { get; } = Arguments.Any(a => a.Type.Alias is { IsWrite: true });

    /// <summary>The place of the argument of a name; null where there is none.</summary>
    internal int? PlaceOf(string argument)
    {
        for (int i = 0; i < Arguments.Length; i++)
            if (Arguments[i].Name == argument)
                return i;
        return null;
    }
}

/// <summary>An argument or a result of a schema.</summary>
/// <param name="Name">The name; may be empty for a result.</param>
/// <param name="Type">The type.</param>
/// <param name="Default">The default as written in the schema, or null where there is none.</param>
/// <param name="IsKeywordOnly">Whether it comes after the <c>*</c>.</param>
public sealed record SchemaArgument(string Name, SchemaType Type, string? Default, bool IsKeywordOnly);

/// <summary>How a <see cref="SchemaType"/> is made.</summary>
public enum SchemaTypeKind
{
    /// <summary>A named type: <c>Tensor</c>, <c>int</c>, <c>__torch__.torch.classes.c10d.Work</c>.</summary>
    Named,

    /// <summary>A list of <see cref="SchemaType.Element"/>.</summary>
    List,

    /// <summary><see cref="SchemaType.Element"/> or nothing.</summary>
    Optional,

    /// <summary>A tuple, dictionary or future; <see cref="SchemaType.Name"/> is its text.</summary>
    Other,
}

/// <summary>A type in a schema.</summary>
/// <param name="Kind">How it is made.</param>
/// <param name="Name">The name of a named type, without <c>SymInt</c>'s prefix: <c>int</c>; empty for lists and optionals.</param>
/// <param name="Element">What a list or an optional holds.</param>
/// <param name="Alias">The alias annotation, for example <c>(a!)</c>; of a list, that of its elements if it has none.</param>
public sealed record SchemaType(SchemaTypeKind Kind, string Name, SchemaType? Element, AliasAnnotation? Alias)
{
    /// <summary>The named type at the bottom: <c>Tensor</c> for <c>Tensor?[]</c>.</summary>
    public string BaseName => Element?.BaseName ?? Name;

    /// <summary>Whether <c>None</c> is allowed.</summary>
    public bool IsOptional => Kind == SchemaTypeKind.Optional;

    /// <summary>The list type, be it optional or not; null for a type that is no list.</summary>
    public SchemaType? AsList => Kind switch
    {
        SchemaTypeKind.List => this,
        SchemaTypeKind.Optional => Element!.AsList,
        _ => null,
    };
}

/// <summary>An alias annotation: <c>(a!)</c>, <c>(a)</c>, <c>(a -> *)</c>.</summary>
/// <param name="Text">What stands between the parentheses.</param>
/// <param name="IsWrite">Whether the operator writes to it.</param>
public sealed record AliasAnnotation(string Text, bool IsWrite);
