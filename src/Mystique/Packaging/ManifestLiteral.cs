using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mystique.Traces;

namespace Mystique.Packaging;

/// <summary>
/// A literal argument in JSON: an integer is a number, a double <c>{"double": "0.1"}</c> (so that 1.0 stays a double
/// and infinities fit), a device <c>{"device": "cuda:0"}</c>, None <c>{}</c>; booleans, strings and lists are their own.
/// </summary>
[JsonConverter(typeof(Converter))]
internal sealed record ManifestLiteral(ArgumentValue Value)
{
    /// <summary>The JSON schema: what <see cref="ManifestRules"/> calls <c>literal</c>.</summary>
    public const string Schema = """
        {
          "type": ["integer", "boolean", "string", "array", "object"],
          "properties": { "double": { "type": "string" }, "device": { "type": "string" } },
          "additionalProperties": false,
          "maxProperties": 1
        }
        """;

    internal sealed class Converter : JsonConverter<ManifestLiteral>
    {
        public override ManifestLiteral Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            new(ReadValue(ref reader));

        public override void Write(Utf8JsonWriter writer, ManifestLiteral value, JsonSerializerOptions options) =>
            WriteValue(writer, value.Value);

        private static void WriteValue(Utf8JsonWriter writer, ArgumentValue value)
        {
            switch (value)
            {
                case IntValue number:
                    writer.WriteNumberValue(number.Value);
                    break;
                case BoolValue flag:
                    writer.WriteBooleanValue(flag.Value);
                    break;
                case StringValue text:
                    writer.WriteStringValue(text.Value);
                    break;
                case DoubleValue number:
                    writer.WriteStartObject();
                    writer.WriteString("double", number.Value.ToString("R", CultureInfo.InvariantCulture));
                    writer.WriteEndObject();
                    break;
                case DeviceValue device:
                    writer.WriteStartObject();
                    writer.WriteString("device", device.Name);
                    writer.WriteEndObject();
                    break;
                case NoneValue:
                    writer.WriteStartObject();
                    writer.WriteEndObject();
                    break;
                case IntListValue list:
                    writer.WriteStartArray();
                    foreach (long item in list.Items)
                        writer.WriteNumberValue(item);
                    writer.WriteEndArray();
                    break;
                case ListValue list:
                    writer.WriteStartArray();
                    foreach (var item in list.Items)
                        WriteValue(writer, item);
                    writer.WriteEndArray();
                    break;
                default:
                    throw new InvalidOperationException($"a plan has no literals of the type {value.GetType().Name}");
            }
        }

        private static ArgumentValue ReadValue(ref Utf8JsonReader reader)
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.Number:
                    return new IntValue(reader.GetInt64());
                case JsonTokenType.True or JsonTokenType.False:
                    return new BoolValue(reader.GetBoolean());
                case JsonTokenType.String:
                    return new StringValue(reader.GetString()!);
                case JsonTokenType.StartArray:
                    var items = ImmutableArray.CreateBuilder<ArgumentValue>();
                    while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                        items.Add(ReadValue(ref reader));
                    return items.Count > 0 && items.All(i => i is IntValue)
                        ? new IntListValue([.. items.Select(i => ((IntValue)i).Value)])
                        : new ListValue(items.ToImmutable(), "");
                case JsonTokenType.StartObject:
                    return ReadObject(ref reader);
                default:
                    throw new JsonException($"a literal cannot be {reader.TokenType}");
            }
        }

        private static ArgumentValue ReadObject(ref Utf8JsonReader reader)
        {
            reader.Read();
            if (reader.TokenType == JsonTokenType.EndObject)
                return NoneValue.Instance;
            string? name = reader.GetString();
            reader.Read();
            string text = reader.GetString() ?? throw new JsonException("a literal without a value");
            reader.Read();
            return name switch
            {
                "double" => new DoubleValue(double.Parse(text, CultureInfo.InvariantCulture)),
                "device" => new DeviceValue(text),
                _ => throw new JsonException($"a literal of the unknown kind {name}"),
            };
        }
    }
}
