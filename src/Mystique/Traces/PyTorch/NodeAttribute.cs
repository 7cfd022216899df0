using System.Text.Json;

namespace Mystique.Traces.PyTorch;

/// <summary>Writes attributes of nodes as the observer does (<c>execution_trace_observer.cpp</c>): a name, a type and a value.</summary>
internal static class NodeAttribute
{
    /// <summary>A whole number.</summary>
    public static void Write(Utf8JsonWriter json, string name, long value, string type = "uint64")
    {
        Start(json, name, type);
        json.WriteNumberValue(value);
        json.WriteEndObject();
    }

    /// <summary>A text.</summary>
    public static void Write(Utf8JsonWriter json, string name, string value)
    {
        Start(json, name, "string");
        json.WriteStringValue(value);
        json.WriteEndObject();
    }

    /// <summary>A flag.</summary>
    public static void Write(Utf8JsonWriter json, string name, bool value)
    {
        Start(json, name, "bool");
        json.WriteBooleanValue(value);
        json.WriteEndObject();
    }

    private static void Start(Utf8JsonWriter json, string name, string type)
    {
        json.WriteStartObject();
        json.WriteString("name"u8, name);
        json.WriteString("type"u8, type);
        json.WritePropertyName("value"u8);
    }
}
