using System.Text.Json;
using Json.Schema;

namespace Mystique.Tests.Shared;

/// <summary>Holds documents to the schemas in <c>docs/schemas</c>.</summary>
internal static class DocumentSchema
{
    private static readonly Dictionary<string, JsonSchema> Schemas = [];

    /// <summary>Fails where a file is not what its schema says.</summary>
    /// <param name="name">The format: <c>mystique-run</c>, ….</param>
    /// <param name="path">The file.</param>
    public static void AssertFits(string name, string path)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(path));
        var results = Of(name).Evaluate(json.RootElement, new EvaluationOptions { OutputFormat = OutputFormat.List });
        Assert.True(results.IsValid, string.Join("\n", (results.Details ?? []).Where(d => d.Errors is not null)
            .Select(d => $"{d.InstanceLocation}: {string.Join("; ", d.Errors!.Values)}")));
    }

    /// <summary>A schema, read once: JsonSchema.Net knows each by its address, and refuses a second one.</summary>
    private static JsonSchema Of(string name)
    {
        lock (Schemas)
        {
            if (!Schemas.TryGetValue(name, out var schema))
                Schemas.Add(name, schema = JsonSchema.FromFile(Path.Combine(Repository.Root, "docs", "schemas", $"{name}.schema.json")));
            return schema;
        }
    }
}
