using System.Text.Json.Serialization;

namespace Mystique.Capture;

/// <summary>
/// How the hook is told what to do, and what it writes is read (generated). A property with <c>init</c> that the hook does not write has
/// its type's default, whatever is assigned to it; one with <c>set</c> keeps what is assigned.
/// </summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(HookSettings))]
[JsonSerializable(typeof(HookStatus))]
[JsonSerializable(typeof(HookWindow))]
internal sealed partial class HookJson : JsonSerializerContext;
