using System.Collections.Immutable;

namespace Mystique.Traces.PyTorch;

/// <summary>What a recorded type string says (<c>GenericList[Tensor(float),None]</c>).</summary>
internal enum RecordedKind
{
    Tensor,
    List,
    None,
    Int,
    Double,
    Bool,
    String,
    Device,
    Opaque,
}

/// <summary>A recorded type, parsed once for each text. Source: <c>convertIValue</c> in <c>execution_trace_observer.cpp</c>.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Element">The element type of a tensor.</param>
/// <param name="Items">The types of a list's or tuple's elements.</param>
/// <param name="Text">As recorded.</param>
internal sealed record RecordedType(RecordedKind Kind, ScalarType Element, ImmutableArray<RecordedType> Items, string Text)
{
    /// <summary>Lists of lists of tensors are as deep as operators' arguments go.</summary>
    private const int MaxDepth = 16;

    public bool IsAllInts { get; } = Items.Length > 0 && Items.All(i => i.Kind == RecordedKind.Int);

    /// <summary>Bytes of memory that it takes, with its elements' types.</summary>
    public long Bytes { get; } = 96 + 2L * Text.Length + (long)sizeof(long) * Items.Length
        + Items.Where((item, i) => i == 0 || !ReferenceEquals(item, Items[i - 1])).Sum(item => item.Bytes);

    public static RecordedType Parse(string text) => Parse(text, 0);

    private static RecordedType Parse(string text, int depth)
    {
        if (depth < MaxDepth)
        {
            if (text.StartsWith("Tensor(", StringComparison.Ordinal) && text.EndsWith(')'))
                return new(RecordedKind.Tensor, ScalarTypes.FromTraceName(text[7..^1]), [], text);
            if ((text.StartsWith("GenericList[", StringComparison.Ordinal)
                || text.StartsWith("Tuple[", StringComparison.Ordinal)) && text.EndsWith(']'))
                return new(RecordedKind.List, ScalarType.Undefined, ParseItems(text[(text.IndexOf('[') + 1)..^1], depth), text);
        }
        var kind = text switch
        {
            "None" => RecordedKind.None,
            "Int" or "SymInt" => RecordedKind.Int,
            "Double" => RecordedKind.Double,
            "Bool" => RecordedKind.Bool,
            "String" => RecordedKind.String,
            "Device" => RecordedKind.Device,
            _ => RecordedKind.Opaque,
        };
        return new(kind, ScalarType.Undefined, [], text);
    }

    private static ImmutableArray<RecordedType> ParseItems(string text, int depth)
    {
        if (text.Length == 0)
            return [];
        var items = ImmutableArray.CreateBuilder<RecordedType>();
        int nesting = 0;
        int start = 0;
        string? previousText = null;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] is '(' or '[' or '<')
            {
                nesting++;
            }
            else if (i < text.Length && text[i] is ')' or ']' or '>')
            {
                nesting--;
            }
            else if (i == text.Length || (text[i] == ',' && nesting == 0))
            {
                // Long lists repeat one type thousands of times.
                if (previousText is not null && text.AsSpan(start, i - start).SequenceEqual(previousText))
                {
                    items.Add(items[^1]);
                }
                else
                {
                    previousText = text[start..i];
                    items.Add(Parse(previousText, depth + 1));
                }
                start = i + 1;
            }
        }
        return items.ToImmutable();
    }
}
