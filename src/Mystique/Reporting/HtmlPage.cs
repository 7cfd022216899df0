using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mystique.Diagnostics;

namespace Mystique.Reporting;

/// <summary>
/// A page that needs nothing else: the data as JSON, and the script that draws it. The page's policy lets it load nothing
/// from anywhere. All text goes through <see cref="Text"/> or
/// <see cref="Data"/>: the first for the one name in the markup, the second for the data.
/// </summary>
internal sealed class HtmlPage(string title)
{
    private readonly List<PageSection> _sections = [];

    /// <summary>The top: a sentence, how good that is in a word, and key figures.</summary>
    public void Title(string verdict, string? detail, PageLevel level, string? word, IEnumerable<PageTile> tiles) =>
        _sections.Add(new PageSection.Top
        {
            Title = title,
            Verdict = verdict,
            Detail = detail,
            Word = word,
            Level = NameOf(level),
            Tiles = [.. tiles.Select(t => new PageSection.Tile(t.Name, t.Value, t.Note, t.Level is { } l ? NameOf(l) : null))],
        });

    /// <summary>A table; a place in <paramref name="text"/> is a column of words, the first always is.</summary>
    public void Table(string heading, string[]? head, IEnumerable<string[]> rows, int[]? text = null, string? hint = null,
        bool folded = false)
    {
        string[][] all = [.. rows];
        if (all.Length > 0)
            _sections.Add(new PageSection.Table
            {
                Title = heading,
                Hint = hint,
                Head = head,
                Rows = all,
                Text = text ?? [],
                Folded = folded,
            });
    }

    public void List(string heading, IReadOnlyCollection<string> items, string? hint = null)
    {
        if (items.Count > 0)
            _sections.Add(new PageSection.List(heading, [.. items], hint));
    }

    /// <summary>Bars, a row of them for each name; the script folds all but the first rows. <paramref name="what"/> names a row.</summary>
    public void Bars(string heading, string hint, string what, string unit, string[] names, bool signed,
        params (string Name, double[] Values)[] series)
    {
        if (names.Length > 0)
            _sections.Add(new PageSection.Bars
            {
                Title = heading,
                Hint = hint,
                What = what,
                Unit = unit,
                Names = names,
                Signed = signed,
                Series = [.. series.Select(s => new PageSection.BarSeries(s.Name, s.Values))],
            });
    }

    /// <summary>Lines of values at equal distances: from a place on, a width apart; or by their number.</summary>
    public void Lines(string heading, string hint, string x, string unit, bool area,
        params (string Name, double? From, double Width, double[] Values)[] series)
    {
        PageSection.LineSeries[] shown = [.. series.Where(s => s.Values.Length > 0)
            .Select(s => new PageSection.LineSeries(s.Name, s.From, s.Width, s.Values))];
        if (shown.Length > 0)
            _sections.Add(new PageSection.Lines { Title = heading, Hint = hint, X = x, Unit = unit, Area = area, Series = shown });
    }

    /// <summary>
    /// Points on a plane, with weights, in groups; those of members have a rim. Groups are named in order of their numbers.
    /// </summary>
    public void Map(string heading, string hint, string[] groups,
        IReadOnlyCollection<(double X, double Y, double Weight, int Group, string Name, bool IsMember)> points)
    {
        if (points.Count > 0)
            _sections.Add(new PageSection.Map(heading, hint, groups,
                [.. points.Select(p => (object[])[p.X, p.Y, p.Weight, p.Group, p.Name, p.IsMember])]));
    }

    /// <summary>Rows of spans above each other, on one axis of time, each with the length of its iteration.</summary>
    public void Timeline(string heading, string hint, string[] names,
        params (string Name, double Iteration, int[] Names, double[] Starts, double[] Durations)[] rows)
    {
        if (rows.Any(r => r.Names.Length > 0))
            _sections.Add(new PageSection.Timeline(heading, hint, names,
                [.. rows.Select(r => new PageSection.Row(r.Name, r.Iteration, r.Names, r.Starts, r.Durations))]));
    }

    /// <summary>A tree whose nodes open; given in order, each node before what is in it.</summary>
    public void Tree(string heading, string hint, IEnumerable<(int Depth, string Text)> nodes)
    {
        var all = nodes.ToArray();
        string[] texts = [.. all.Select(n => n.Text).Distinct()];
        var places = texts.Index().ToDictionary(t => t.Item, t => t.Index);
        _sections.Add(new PageSection.Tree(heading, hint, texts, [.. all.Select(n => n.Depth)], [.. all.Select(n => places[n.Text])]));
    }

    public void Write(Stream stream)
    {
        string data = JsonSerializer.Serialize(new PageData(_sections), Data.Value.PageData);
        string page = EmbeddedText.Join("html/report.html")
            .Replace("$SCRIPT$", EmbeddedText.Join("html/report.js"), StringComparison.Ordinal)
            .Replace("$TITLE$", Text(title), StringComparison.Ordinal);
        int at = page.IndexOf("$DATA$", StringComparison.Ordinal);
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true);
        writer.Write(page.AsSpan(0, at));
        writer.Write(data);
        writer.Write(page.AsSpan(at + 6));
    }

    private static string NameOf(PageLevel level) => level.ToString().ToLowerInvariant();

    /// <summary>Text in markup: nothing in it is a tag, an entity, or one of the page's places (<c>$DATA$</c>).</summary>
    private static string Text(string text) =>
        WebUtility.HtmlEncode(PrintableText.Escape(text)).Replace("$", "&#36;", StringComparison.Ordinal);

    /// <summary>The default encoder escapes &lt; and &amp;, so the data cannot end its element; the script only makes text of it.</summary>
    private static readonly Lazy<PageJson> Data = new(() => new PageJson(new JsonSerializerOptions(PageJson.Default.Options)
    {
        Converters = { new PrintableConverter() },
    }));

    private sealed class PrintableConverter : JsonConverter<string>
    {
        public override string Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) =>
            writer.WriteStringValue(PrintableText.Escape(value));
    }
}

/// <summary>How good something is: the colour that a page gives it.</summary>
internal enum PageLevel
{
    /// <summary>Not known, or neither good nor bad.</summary>
    None,

    /// <summary>As it should be.</summary>
    Good,

    /// <summary>Worth a look.</summary>
    Warn,

    /// <summary>Not as it should be.</summary>
    Bad,
}

/// <summary>A key figure at the top of a page.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Value">The figure.</param>
/// <param name="Note">What it is to be compared with; null for nothing.</param>
/// <param name="Level">Its colour; null for that of text.</param>
internal sealed record PageTile(string Name, string Value, string? Note = null, PageLevel? Level = null);
