using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mystique.Packaging;

/// <summary>
/// How manifests are read and written: generated from <see cref="Manifest"/>, and so is
/// <c>docs/schemas/mystique-benchmark.schema.json</c>. What the schema cannot say, the ranges and sums, is in
/// <see cref="ManifestRules"/> and <see cref="ManifestChecks"/>.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(Manifest))]
[JsonSerializable(typeof(Jobs.JobManifest))]
internal sealed partial class ManifestContext : JsonSerializerContext
{
    private static readonly Lazy<ManifestContext> Writer = new(() =>
        new ManifestContext(new JsonSerializerOptions(Default!.Options) { Encoder = PrintableJsonEncoder.Instance }));

    /// <summary>For writing: text that is not safe to print is escaped.</summary>
    public static ManifestContext Written => Writer.Value;
}
