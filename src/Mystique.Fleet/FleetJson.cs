using System.Text.Json.Serialization;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Suites;

namespace Mystique.Fleet;

/// <summary>The JSON that is written beside the tables: indented, names in small letters with underscores.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NewLine = "\n",
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(AsideEntry[]))]
[JsonSerializable(typeof(SuiteDocument))]
[JsonSerializable(typeof(SuiteRunDocument))]
internal sealed partial class FleetJson : JsonSerializerContext;
