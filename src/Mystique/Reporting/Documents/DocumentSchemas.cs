using System.Text.Json.Nodes;
using System.Text.Json.Schema;

namespace Mystique.Reporting.Documents;

/// <summary>The JSON schemas of the documents, made of the types that write and read them.</summary>
internal static class DocumentSchemas
{
    /// <summary>The schemas by their files' names in <c>docs/schemas</c>.</summary>
    public static IReadOnlyDictionary<string, string> All { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["mystique-fidelity.schema.json"] = Of<FidelityDocument>(FidelityDocument.FormatName, FidelityDocument.CurrentVersion),
        ["mystique-run.schema.json"] = Of<RunDocument>(RunDocument.FormatName, RunDocument.CurrentVersion),
        ["mystique-summary.schema.json"] = Of<SummaryDocument>(SummaryDocument.FormatName, SummaryDocument.CurrentVersion),
    };

    private static string Of<T>(string format, int version)
    {
        var schema = (JsonObject)DocumentContext.Default.Options.GetJsonSchemaAsNode(typeof(T),
            new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true });
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        schema.Insert(1, "title", format);
        var properties = (JsonObject)schema["properties"]!;
        properties["format"] = new JsonObject { ["const"] = format };
        properties["format_version"] = new JsonObject { ["const"] = version };
        return schema.ToJsonString(SnakeJson.Indented) + "\n";
    }
}
