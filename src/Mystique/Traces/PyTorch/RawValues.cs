using System.Text.Json;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

internal enum RawKind : byte
{
    Array,
    Int,
    Double,
    Bool,
    String,
    Null,
}

/// <summary>One JSON value; an array is followed by its elements, and <see cref="End"/> says where they end.</summary>
internal struct RawValue
{
    public RawKind Kind;
    public int End;

    /// <summary>The value of an integer or a boolean; of a double, its bits.</summary>
    public long Int;
    public string? Text;

    public readonly double Double => Kind == RawKind.Double ? BitConverter.Int64BitsToDouble(Int) : Int;
}

/// <summary>
/// A nested JSON array, flat and in a buffer that is used again: values, shapes, types and strides stand in separate
/// arrays, so a node's arguments can be made only once all four were read.
/// </summary>
/// <param name="budget">What counts the elements.</param>
internal sealed class RawValues(ReadBudget budget)
{
    private const int InitialLength = 256;

    /// <summary>A buffer beyond this is not kept for the next node.</summary>
    private const int KeptLength = 1 << 16;

    private RawValue[] _items = new RawValue[InitialLength];

    public int Count { get; private set; }

    /// <summary>Elements of the outermost array.</summary>
    public int Length { get; private set; }

    public ref RawValue this[int index] => ref _items[index];

    public void Clear()
    {
        Count = Length = 0;
        if (_items.Length > KeptLength)
            _items = new RawValue[InitialLength];
    }

    /// <summary>Reads the array whose start the reader is at.</summary>
    public void Read(ref Utf8JsonReader reader, Utf8StringPool strings)
    {
        Clear();
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException("an array was expected");
        ReadArray(ref reader, strings, isOutermost: true);
    }

    private void ReadArray(ref Utf8JsonReader reader, Utf8StringPool strings, bool isOutermost)
    {
        while (true)
        {
            NodeParser.ReadOrSuspend(ref reader);
            if (reader.TokenType == JsonTokenType.EndArray)
                return;
            budget.AddElement();
            if (isOutermost)
                Length++;
            int index = Count++;
            if (index == _items.Length)
                Array.Resize(ref _items, index * 2);
            ref var item = ref _items[index];
            item = default;
            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray:
                    item.Kind = RawKind.Array;
                    ReadArray(ref reader, strings, isOutermost: false);
                    _items[index].End = Count; // Not through `item`: the buffer may have moved.
                    continue;
                case JsonTokenType.Number:
                    if (reader.TryGetInt64(out item.Int))
                    {
                        item.Kind = RawKind.Int;
                    }
                    else
                    {
                        item.Kind = RawKind.Double;
                        item.Int = BitConverter.DoubleToInt64Bits(reader.GetDouble());
                    }
                    break;
                case JsonTokenType.String:
                    item.Kind = RawKind.String;
                    item.Text = NodeParser.GetString(ref reader, strings);
                    break;
                case JsonTokenType.True:
                case JsonTokenType.False:
                    item.Kind = RawKind.Bool;
                    item.Int = reader.TokenType == JsonTokenType.True ? 1 : 0;
                    break;
                case JsonTokenType.Null:
                    item.Kind = RawKind.Null;
                    break;
                default:
                    throw new JsonException($"unexpected {reader.TokenType}");
            }
            item.End = index + 1;
        }
    }
}
