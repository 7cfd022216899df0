using System.Collections.Immutable;
using System.Data.Common;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace Mystique.Cli.Reporting;

/// <summary>A row that a query gave, as a line of JSON: numbers as numbers, lists as arrays, all else as text.</summary>
internal static class RowJson
{
    /// <summary>The row that a reader stands at.</summary>
    /// <param name="reader">The reader.</param>
    /// <param name="isJson">Whether a column is JSON.</param>
    public static string LineOf(DbDataReader reader, ImmutableArray<bool> isJson = default)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            for (int i = 0; i < reader.FieldCount; i++)
            {
                json.WritePropertyName(reader.GetName(i));
                Write(json, reader.IsDBNull(i) ? null : ValueOf(reader, isJson, i));
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    /// <summary>The value of a column where the reader stands; what is JSON is parsed.</summary>
    public static object ValueOf(DbDataReader reader, ImmutableArray<bool> isJson, int column)
    {
        object value = reader.GetValue(column);
        if (isJson.IsDefault || !isJson[column])
            return value;
        try
        {
            return JsonElement.Parse((string)value);
        }
        catch (JsonException)
        {
            return value; // It has a number that JSON has not.
        }
    }

    /// <summary>A value for people.</summary>
    public static string TextOf(object value) => value switch
    {
        string text => text,
        JsonElement { ValueKind: JsonValueKind.Array } list => $"[{string.Join(", ", list.EnumerateArray().Select(i => TextOf(i)))}]",
        JsonElement { ValueKind: JsonValueKind.Object } fields =>
            $"{{{string.Join(", ", fields.EnumerateObject().Select(f => $"{f.Name}: {TextOf(f.Value)}"))}}}",
        DateOnly day => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    private static void Write(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null:
                json.WriteNullValue();
                break;
            case bool truth:
                json.WriteBooleanValue(truth);
                break;
            case BigInteger or sbyte or byte or short or ushort or int or uint or long or ulong or decimal:
                json.WriteRawValue(Convert.ToString(value, CultureInfo.InvariantCulture)!);
                break;
            case float or double when double.IsFinite(Convert.ToDouble(value, CultureInfo.InvariantCulture)):
                json.WriteNumberValue(Convert.ToDouble(value, CultureInfo.InvariantCulture));
                break;
            case JsonElement element:
                element.WriteTo(json);
                break;
            default:
                json.WriteStringValue(TextOf(value));
                break;
        }
    }
}
