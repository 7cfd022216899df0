using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Mystique.Reporting.Documents;

/// <summary>
/// The documents that are written for machines, one type a format: what writes and reads them is generated from the types, and so are
/// the schemas in <c>docs/schemas</c>.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(RunDocument))]
[JsonSerializable(typeof(FidelityDocument))]
[JsonSerializable(typeof(SummaryDocument))]
[JsonSerializable(typeof(PlatformsDocument))]
[JsonSerializable(typeof(RanksDocument))]
[JsonSerializable(typeof(JobRunDocument))]
[JsonSerializable(typeof(DoctorDocument))]
[JsonSerializable(typeof(DoctorPython))]
internal sealed partial class DocumentContext : JsonSerializerContext
{
    private static readonly Lazy<DocumentContext> Written = new(() => new DocumentContext(new JsonSerializerOptions(Default!.Options)
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = PrintableJsonEncoder.Instance,
    }));

    /// <summary>Writes a document, and a line end.</summary>
    public static void Write<T>(T document, Stream stream)
    {
        JsonSerializer.Serialize(stream, document, (JsonTypeInfo<T>)Written.Value.GetTypeInfo(typeof(T))!);
        stream.WriteByte((byte)'\n');
    }

    /// <summary>Reads a document; fields that this version does not know are passed over.</summary>
    /// <exception cref="JsonException">It is no such document.</exception>
    public static T Read<T>(ReadOnlySpan<byte> text) => JsonSerializer.Deserialize(text, (JsonTypeInfo<T>)Default.GetTypeInfo(typeof(T))!)
        ?? throw new JsonException("null is no document");
}
