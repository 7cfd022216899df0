using System.Text.Json.Serialization;

namespace Mystique.Measurement;

/// <summary>How workers write what they measured (generated).</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SystemMetrics))]
[JsonSerializable(typeof(AllocatorUse))]
internal sealed partial class MeasurementJson : JsonSerializerContext;
