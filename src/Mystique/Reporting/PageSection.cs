using System.Text.Json.Serialization;

namespace Mystique.Reporting;

/// <summary>A section of a page, as <c>report.js</c> reads it.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Title), "title")]
[JsonDerivedType(typeof(Table), "table")]
[JsonDerivedType(typeof(List), "list")]
[JsonDerivedType(typeof(Bars), "bars")]
[JsonDerivedType(typeof(Lines), "lines")]
[JsonDerivedType(typeof(Map), "map")]
[JsonDerivedType(typeof(Timeline), "timeline")]
[JsonDerivedType(typeof(Tree), "tree")]
internal abstract record PageSection([property: JsonPropertyName("title"), JsonPropertyOrder(-1)] string Heading)
{
    internal sealed record Title(string Heading, string Verdict, string? Detail, string? Word, string Level, Tile[] Tiles)
        : PageSection(Heading);

    internal sealed record Tile(string Name, string Value, string? Note, string? Level);

    internal sealed record Table(string Heading, string? Hint, string[]? Head, string[][] Rows, int[] Text, bool Folded)
        : PageSection(Heading);

    internal sealed record List(string Heading, string[] Items, string? Hint) : PageSection(Heading);

    internal sealed record Bars(string Heading, string Hint, string What, string Unit, string[] Names, bool Signed, BarSeries[] Series)
        : PageSection(Heading);

    internal sealed record BarSeries(string Name, double[] Values);

    internal sealed record Lines(string Heading, string Hint, string X, string Unit, bool Area, bool Step, bool Scale, LineSeries[] Series)
        : PageSection(Heading);

    internal sealed record LineSeries(string Name, double? From, double Width, double[] Values);

    internal sealed record Map(string Heading, string Hint, string[] Groups, object[][] Points) : PageSection(Heading);

    internal sealed record Timeline(string Heading, string Hint, string[] Names, Row[] Rows) : PageSection(Heading);

    internal sealed record Row(string Name, double Iteration, int[] Names, double[] Starts, double[] Durations);

    internal sealed record Tree(string Heading, string Hint, string[] Texts, int[] Depths, int[] Nodes) : PageSection(Heading);
}

/// <summary>All of a page.</summary>
internal sealed record PageData(List<PageSection> Sections);

/// <summary>How a page's data is written (generated); the last three are what a point of a map has.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PageData))]
[JsonSerializable(typeof(double))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(bool))]
internal sealed partial class PageJson : JsonSerializerContext;
