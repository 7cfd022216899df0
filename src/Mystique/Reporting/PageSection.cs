using System.Text.Json.Serialization;

namespace Mystique.Reporting;

/// <summary>A section of a page, as <c>report.js</c> reads it.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Top), "title")]
[JsonDerivedType(typeof(Table), "table")]
[JsonDerivedType(typeof(List), "list")]
[JsonDerivedType(typeof(Bars), "bars")]
[JsonDerivedType(typeof(Lines), "lines")]
[JsonDerivedType(typeof(Map), "map")]
[JsonDerivedType(typeof(Timeline), "timeline")]
[JsonDerivedType(typeof(Tree), "tree")]
internal abstract record PageSection
{
    internal sealed record Top : PageSection
    {
        public required string Title { get; init; }
        public required string Verdict { get; init; }
        public required string? Detail { get; init; }
        public required string? Word { get; init; }
        public required string Level { get; init; }
        public required Tile[] Tiles { get; init; }
    }

    internal sealed record Tile(string Name, string Value, string? Note, string? Level);

    internal sealed record Table : PageSection
    {
        public required string Title { get; init; }
        public required string? Hint { get; init; }
        public required string[]? Head { get; init; }
        public required string[][] Rows { get; init; }
        public required int[] Text { get; init; }
        public required bool Folded { get; init; }
    }

    internal sealed record List(string Title, string[] Items, string? Hint) : PageSection;

    internal sealed record Bars : PageSection
    {
        public required string Title { get; init; }
        public required string Hint { get; init; }
        public required string What { get; init; }
        public required string Unit { get; init; }
        public required string[] Names { get; init; }
        public required bool Signed { get; init; }
        public required BarSeries[] Series { get; init; }
    }

    internal sealed record BarSeries(string Name, double[] Values);

    internal sealed record Lines : PageSection
    {
        public required string Title { get; init; }
        public required string Hint { get; init; }
        public required string X { get; init; }
        public required string Unit { get; init; }
        public required bool Area { get; init; }
        public bool Step => Area;
        public bool Scale => !Area;
        public required LineSeries[] Series { get; init; }
    }

    internal sealed record LineSeries(string Name, double? From, double Width, double[] Values);

    /// <summary>A point has two places, a weight, a group, a name, and whether it is a member.</summary>
    internal sealed record Map(string Title, string Hint, string[] Groups, object[][] Points) : PageSection;

    internal sealed record Timeline(string Title, string Hint, string[] Names, Row[] Rows) : PageSection;

    internal sealed record Row(string Name, double Iteration, int[] Names, double[] Starts, double[] Durations);

    internal sealed record Tree(string Title, string Hint, string[] Texts, int[] Depths, int[] Nodes) : PageSection;
}

/// <summary>All of a page.</summary>
internal sealed record PageData(List<PageSection> Sections);

/// <summary>How a page's data is written (generated); the last three are in points of a map.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PageData))]
[JsonSerializable(typeof(double))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(bool))]
internal sealed partial class PageJson : JsonSerializerContext;
