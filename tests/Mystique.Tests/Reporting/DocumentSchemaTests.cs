using Mystique.Reporting.Documents;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Reporting;

/// <summary>The schemas in <c>docs/schemas</c> are those of the types; <c>MYSTIQUE_ACCEPT=1</c> writes them.</summary>
public class DocumentSchemaTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "docs", "schemas");

    public static TheoryData<string> Names => [.. DocumentSchemas.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Schema_OfEachDocument_IsInTheDocs(string name)
    {
        string path = Path.Combine(Folder, name);
        if (Environment.GetEnvironmentVariable("MYSTIQUE_ACCEPT") == "1")
            File.WriteAllText(path, DocumentSchemas.All[name]);
        Assert.Equal(DocumentSchemas.All[name], File.ReadAllText(path));
    }

    [Fact]
    public void Schemas_InTheDocs_AreThoseOfDocuments() =>
        Assert.Equal(DocumentSchemas.All.Keys, Directory.EnumerateFiles(Folder).Select(f => Path.GetFileName(f))
            .Order(StringComparer.Ordinal));

    /// <summary>A schema refuses what is not its document: a field that is missing, or of another type.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Schema_OfEachDocument_RefusesOtherThings(string name)
    {
        var schema = Json.Schema.JsonSchema.FromText(DocumentSchemas.All[name]);
        string format = name.Split('.')[0];
        foreach (string text in (string[])["{}", "[]", $"{{\"format\": \"{format}\"}}"])
        {
            using var json = System.Text.Json.JsonDocument.Parse(text);
            Assert.False(schema.Evaluate(json.RootElement).IsValid);
        }
    }
}
