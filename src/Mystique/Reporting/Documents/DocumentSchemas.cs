using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Mystique.Composition;
using Mystique.Execution.Mixes;
using Mystique.Packaging;
using Mystique.Packaging.Jobs;
using Mystique.Recordings;

namespace Mystique.Reporting.Documents;

/// <summary>The JSON schemas of all formats that are written, made of the types that write and read them.</summary>
internal static class DocumentSchemas
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = PrintableJsonEncoder.Instance,
        TypeInfoResolver = DocumentContext.Default,
    };

    /// <summary>The schemas by their files' names in <c>docs/schemas</c>.</summary>
    public static IReadOnlyDictionary<string, string> All { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["mystique-benchmark.schema.json"] = Of<Manifest>(ManifestContext.Default, Manifest.FormatName, Manifest.CurrentVersion),
        ["mystique-capture.schema.json"] =
            Of<CaptureRecord>(CaptureContext.Default, CaptureRecord.FormatName, CaptureRecord.CurrentVersion),
        ["mystique-doctor.schema.json"] =
            Of<DoctorDocument>(DocumentContext.Default, DoctorDocument.FormatName, DoctorDocument.CurrentVersion),
        ["mystique-fidelity.schema.json"] =
            Of<FidelityDocument>(DocumentContext.Default, FidelityDocument.FormatName, FidelityDocument.CurrentVersion),
        ["mystique-platforms.schema.json"] =
            Of<PlatformsDocument>(DocumentContext.Default, PlatformsDocument.FormatName, PlatformsDocument.CurrentVersion),
        ["mystique-mix.schema.json"] = Of<MixManifest>(MixJson.Default, MixBenchmark.FormatName, MixBenchmark.CurrentVersion),
        ["mystique-mix-result.schema.json"] = Of<MixResult>(MixResultJson.Default, MixResult.FormatName, MixResult.CurrentVersion),
        ["mystique-recipe.schema.json"] = EmbeddedText.Join("Mystique.Composition.mystique-recipe.schema.json"),
        ["mystique-job.schema.json"] = Of<JobManifest>(ManifestContext.Default, JobManifest.FormatName, JobManifest.CurrentVersion),
        ["mystique-job-run.schema.json"] =
            Of<JobRunDocument>(DocumentContext.Default, JobRunDocument.FormatName, JobRunDocument.CurrentVersion),
        ["mystique-ranks.schema.json"] =
            Of<RanksDocument>(DocumentContext.Default, RanksDocument.FormatName, RanksDocument.CurrentVersion),
        ["mystique-reference.schema.json"] = Of<Baseline>(CaptureContext.Default, Baseline.FormatName, Baseline.CurrentVersion),
        ["mystique-run.schema.json"] = Of<RunDocument>(DocumentContext.Default, RunDocument.FormatName, RunDocument.CurrentVersion),
        ["mystique-summary.schema.json"] =
            Of<SummaryDocument>(DocumentContext.Default, SummaryDocument.FormatName, SummaryDocument.CurrentVersion),
    };

    private static string Of<T>(JsonSerializerContext context, string format, int version)
    {
        var exporter = new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Complete };
        var schema = (JsonObject)context.Options.GetJsonSchemaAsNode(typeof(T), exporter);
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        schema.Insert(1, "title", format);
        var properties = (JsonObject)schema["properties"]!;
        properties["format"] = new JsonObject { ["const"] = format };
        properties["format_version"] = new JsonObject { ["const"] = version };
        return schema.ToJsonString(Indented) + "\n";
    }

    /// <summary>
    /// What the exporter cannot know: the form of what a converter writes, and that a field with a default is written all the same.
    /// </summary>
    private static JsonNode Complete(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (context.TypeInfo.Type == typeof(ManifestLiteral))
            return JsonNode.Parse(ManifestLiteral.Schema)!;
        if (context.TypeInfo.Kind == JsonTypeInfoKind.Object && schema["properties"] is JsonObject fields
            && context.TypeInfo.Properties.Where(p => fields.ContainsKey(p.Name) && IsAlwaysWritten(p)).ToArray() is [_, ..] written)
            schema["required"] = new JsonArray([.. written.Select(p => (JsonNode)p.Name)]);
        return schema;
    }

    private static bool IsAlwaysWritten(JsonPropertyInfo property)
    {
        object[] own = property.AttributeProvider?.GetCustomAttributes(typeof(JsonIgnoreAttribute), inherit: true) ?? [];
        var ignore = own is [JsonIgnoreAttribute attribute] ? attribute.Condition : property.Options.DefaultIgnoreCondition;
        return property.IsRequired || ignore == JsonIgnoreCondition.Never
            || ignore == JsonIgnoreCondition.WhenWritingNull && !property.IsGetNullable;
    }
}
