using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mystique;

/// <summary>JSON files as this tool writes and reads them: names in snake case.</summary>
internal static class SnakeJson
{
    public static JsonSerializerOptions Compact { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        Encoder = PrintableJsonEncoder.Instance,
    };

    public static JsonSerializerOptions Indented { get; } = new(Compact) { WriteIndented = true, NewLine = "\n" };
}
