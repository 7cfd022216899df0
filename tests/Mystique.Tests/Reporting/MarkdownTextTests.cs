using System.Collections.Immutable;
using System.Text;
using CsCheck;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Reporting;
using Mystique.Tests.Shared;
using Mystique.Verification;

namespace Mystique.Tests.Reporting;

/// <summary>Hostile names in everything that is written to be shown: Markdown and pages.</summary>
public class MarkdownTextTests
{
    private static readonly HostInfo Host = new("An OS", "A processor", 2, 1 << 30, ".NET");

    public static TheoryData<string> Names => [.. HostileText.All];

    [Theory]
    [InlineData("aten::add_.Tensor", "aten::add_.Tensor")]
    [InlineData("aten::_foreach_add__", "aten::\\_foreach_add__")]
    [InlineData("a|b", "a\\|b")]
    [InlineData("a\\|b", "a\\\\\\|b")]
    [InlineData("**b**", "\\*\\*b\\*\\*")]
    [InlineData("<b>&amp;", "&lt;b&gt;&amp;amp;")]
    [InlineData("![i](http://x)", "!\\[i\\](http:\\//x)")]
    [InlineData("www.x.y", "www\\.x.y")]
    [InlineData("`c`", "\\`c\\`")]
    [InlineData("ProfilerStep#2 ##", "ProfilerStep#2 \\##")]
    [InlineData("# h", "\\# h")]
    [InlineData("a\nb", "a\\\\x0ab")]
    [InlineData("-13.7 %", "-13.7 %")]
    public void Escape_IsReadable(string text, string expected) => Assert.Equal(expected, MarkdownText.Escape(text));

    [Theory]
    [InlineData("- x", "\\- x")]
    [InlineData("+ x", "\\+ x")]
    [InlineData("---", "\\---")]
    [InlineData("-0.3 ms", "-0.3 ms")]
    [InlineData("12. x", "12\\. x")]
    [InlineData("1)", "1\\)")]
    [InlineData("1.5 ms", "1.5 ms")]
    [InlineData("==", "\\==")]
    [InlineData("    x", "x")]
    public void EscapeLine_StartsNothing(string text, string expected) => Assert.Equal(expected, MarkdownText.EscapeLine(text));

    [Theory]
    [InlineData("mystique bench x", "`mystique bench x`")]
    [InlineData("a`b", "``a`b``")]
    [InlineData("``", "``` `` ```")]
    [InlineData("a\n\n# h", "`a\\x0a\\x0a# h`")]
    public void Code_CannotBeLeft(string text, string expected) => Assert.Equal(expected, MarkdownText.Code(text));

    /// <summary>Whatever could be markup has a backslash of its own before it.</summary>
    [Fact]
    public void Escape_AnyText_HasNoMarkup() =>
        Gen.OneOf(Gen.Char[" !#$&'()*+-./:;<=>?@[]\\^_`{|}~aw1\n"], Gen.Char).Array[0, 20].Select(c => new string(c))
            .Sample(text => AssertInert(MarkdownText.EscapeLine(text)), iter: 20_000);

    private static void AssertInert(string markdown)
    {
        Assert.Equal("", HostileText.Unprintable(markdown + markdown.Replace('\n', '\u0007')));
        for (int i = 0; i < markdown.Length; i++)
        {
            if (markdown[i] == '\\')
                i++; // The next has its backslash.
            else
                Assert.False(markdown[i] is '<' or '>' or '`' or '|' or '[' or ']' or '*' or '~' or '$' || markdown[i] == '_'
                    && (i == 0 || !char.IsLetterOrDigit(markdown[i - 1]) && markdown[i - 1] != '_'), markdown);
        }
        Assert.DoesNotMatch("&(?!amp;|lt;|gt;)|://|^#|^[-+]( |$)|^[0-9]+[.)]( |$)", markdown);
        Assert.False(markdown.EndsWith('\\') && !markdown.EndsWith("\\\\", StringComparison.Ordinal), markdown);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Coverage_HostileNames_KeepItsStructure(string name)
    {
        static string Of(string name) => CoverageReport.ToMarkdown(
            [new CoverageRow
            {
                Trace = name,
                Classes = new OperatorClasses
                {
                    Exact = 1,
                    Variant = 0,
                    Different = 0,
                    Substituted = 0,
                    StandIn = 0,
                    Missing = 1,
                    Unplanned = 0,
                },
                IsExact = true,
                NonFinite = 0,
                AtenCount = 1,
                AtenDone = 1,
                Replaced = [new ReplacedGroup(name, Remedy.Missing, name, name, 1)],
                PreparedInputs = 0,
                Notes = [name],
            }],
            new EngineInfo("torchsharp", ImmutableSortedDictionary<string, string>.Empty.Add("libtorch", name), name, 2),
                Host with { Processor = name }, 1, $"mystique coverage {name}");
        AssertAlike(Of("x"), Of(name));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void FidelityAndBench_HostileNames_KeepTheirStructure(string name)
    {
        AssertAlike(FidelityMarkdown.Of(Report("x")), FidelityMarkdown.Of(Report(name)));
        static string Bench(string name) =>
            BenchReport.ToMarkdown([(name, Report(name)), ("other", Report("x"))],
            [(name, "other")], [(name, name)], Host with { Processor = name, OperatingSystem = name }, 3, $"mystique bench {name}");
        AssertAlike(Bench("x"), Bench(name));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Page_HostileNames_BecomeNoMarkup(string name)
    {
        string page = Page(name);
        string tame = Page("x");
        static int Count(string text, string part) => text.Split(part).Length;
        // All but the title and the data is the same, byte for byte.
        foreach (string part in (string[])["<", ">", "<script", "</script", "<title>", "</title>"])
            Assert.Equal(Count(tame, part), Count(page, part));
        int data = page.IndexOf("id=\"data\">", StringComparison.Ordinal) + 10;
        string json = page[data..page.IndexOf("</script>", data, StringComparison.Ordinal)];
        using var parsed = System.Text.Json.JsonDocument.Parse(json);
        Assert.Equal("", HostileText.Unprintable(json));
        string headline = parsed.RootElement.GetProperty("sections")[0].GetProperty("title").GetString()!;
        Assert.Contains(Mystique.Diagnostics.PrintableText.Escape(name), headline);
        Assert.Equal("", HostileText.Unprintable(headline + page[..page.IndexOf("</title>", StringComparison.Ordinal)]));
    }

    private static string Page(string name)
    {
        using var stream = new MemoryStream();
        FidelityHtml.Write(Report(name), stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static FidelityReport Report(string name)
    {
        var times = new SampleStatistics([1_000_000, 1_010_000, 1_020_000, 1_030_000]);
        Run Run(double factor) => new()
        {
            Name = name,
            Provenance = [("host", name), ("torch", name)],
            Times = new SampleStatistics([.. times.SamplesNs.Select(t => (long)(t * factor))]),
            InstrumentedNs = 1_000_000,
            Groups = ImmutableSortedDictionary<string, RunOperatorGroup>.Empty.Add(name, new RunOperatorGroup(factor > 1 ? 2
                : 1, 900_000 * factor, 0)),
            Timeline = [new TimelineSpan(name, 0, 1000, new OperatorId(0, 3), name)],
        };
        return FidelityComparer.Compare(Run(1), Run(1.5) with
        {
            Coverage = new RunCoverage
            {
                Selected = 1,
                Classes = null,
                Replaced = [(name, 1, "missing", name, name)],
                Verification = "exact",
            },
        }) with
        { Labels = [new LabelError(name, 1, 1, 2)], Notes = [name], Kernels = [(name, 1, 2)] };
    }

    /// <summary>The same lines, each starting alike, with as many cells.</summary>
    private static void AssertAlike(string tame, string hostile)
    {
        Assert.Equal("", HostileText.Unprintable(hostile));
        string[] expected = tame.Split('\n'), actual = hostile.Split('\n');
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
        {
            if (a.StartsWith("    ", StringComparison.Ordinal))
            {
                Assert.StartsWith("    ", b, StringComparison.Ordinal);
                continue; // Code.
            }
            bool hasCode = b.StartsWith("Made by", StringComparison.Ordinal);
            Assert.True(hasCode || CellsOf(a) == CellsOf(b), b);
            string start = a[..Math.Max(0, a.IndexOf('x', StringComparison.Ordinal) is var x and >= 0 ? Math.Min(x, 2)
                : Math.Min(2, a.Length))];
            Assert.StartsWith(start, b, StringComparison.Ordinal);
            if (!hasCode)
                AssertInert(b.StartsWith("| ", StringComparison.Ordinal)
                    ? "x" + b.Trim('|').Replace(" | ", " ", StringComparison.Ordinal) : "x" + b.TrimStart('#', '-', ' '));
        }
    }

    private static int CellsOf(string line)
    {
        int cells = 0;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '\\')
                i++;
            else if (line[i] == '|')
                cells++;
        }
        return cells;
    }
}
