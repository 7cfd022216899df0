using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Mystique.Recordings;

/// <summary>
/// How the files of a capture folder are read and written: generated from <see cref="Baseline"/> and <see cref="CaptureRecord"/>, and
/// so are their schemas in <c>docs/schemas</c>.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    Converters = [typeof(TensorValuesConverter)])]
[JsonSerializable(typeof(Baseline))]
[JsonSerializable(typeof(CaptureRecord))]
internal sealed partial class CaptureContext : JsonSerializerContext
{
    private static readonly Lazy<CaptureContext> Written = new(() => new CaptureContext(new JsonSerializerOptions(Default!.Options)
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = PrintableJsonEncoder.Instance,
    }));

    /// <summary>The text of a file, with its line end.</summary>
    public static string Write<T>(T document) =>
        JsonSerializer.Serialize(document, (JsonTypeInfo<T>)Written.Value.GetTypeInfo(typeof(T))!) + "\n";

    /// <summary>Reads a file; fields that this version does not know are passed over.</summary>
    /// <exception cref="JsonException">It is no such file.</exception>
    public static T Read<T>(ReadOnlySpan<byte> text) => JsonSerializer.Deserialize(text, (JsonTypeInfo<T>)Default.GetTypeInfo(typeof(T))!)
        ?? throw new JsonException("it is empty");

    private sealed class TensorValuesConverter() : JsonStringEnumConverter<TensorValues>(JsonNamingPolicy.SnakeCaseLower, false);
}
