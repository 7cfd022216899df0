using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Diagnostics;

/// <summary><c>docs/errors.md</c> lists every message once, with its words; an id stands for one message.</summary>
public partial class ErrorCatalogueTests
{
    /// <summary>Made-up arguments, and what the page has in their places.</summary>
    private const string Text = "…";
    private const int Number = 777;

    /// <summary>Problems that are made of other problems.</summary>
    private static readonly string[] Others = [nameof(Problems.OfParts)];

    private static readonly string Page = File.ReadAllText(PathOf("docs", "errors.md"));

    /// <summary>Messages by the methods that make them.</summary>
    private static Dictionary<string, MystiqueException> Messages { get; } =
        typeof(Problems).GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static)
            .Where(m => m.ReturnType == typeof(MystiqueException) && !Others.Contains(m.Name))
            .ToDictionary(m => m.Name, m => (MystiqueException)m.Invoke(null, [.. m.GetParameters().Select(ArgumentOf)])!);

    /// <summary>Ids and messages, up to what is put in, that are not made in <see cref="Problems"/>.</summary>
    private static (string Id, string What)[] Elsewhere { get; } =
        [.. Directory.EnumerateFiles(PathOf("python", "run"), "*.py").Concat(Directory.EnumerateFiles(PathOf("python", "wheel"), "*.py"))
            .SelectMany(f => PythonProblem().Matches(File.ReadAllText(f)).Select(m => (m.Groups[1].Value, Start(m.Groups[2].Value)))),
        .. Directory.EnumerateFiles(PathOf("src", "Mystique.Cli"), "*.cs")
            .SelectMany(f => CommandProblem().Matches(File.ReadAllText(f)).Select(m => (m.Groups[1].Value, Start(m.Groups[2].Value))))];

    [Fact]
    public void EachMessage_HasAnIdOfItsOwn() =>
        Assert.Equal(Messages.Values.Select(m => m.Id).Distinct().Order(), Messages.Values.Select(m => m.Id).Order());

    [Fact]
    public void EachIdElsewhere_StandsForOneMessage() =>
        Assert.All(Elsewhere.GroupBy(e => e.Id), group =>
        {
            string[] starts = [.. group.Select(e => e.What), .. Messages.Values.Where(m => m.Id == group.Key).Select(m => Start(m.What))];
            string shortest = starts.MinBy(s => s.Length)!;
            Assert.All(starts, s => Assert.StartsWith(shortest, s, StringComparison.Ordinal));
        });

    [Fact]
    public void Page_ListsEachIdOnce() =>
        Assert.Equal(Messages.Values.Select(m => m.Id).Concat(Elsewhere.Select(e => e.Id)).Distinct().Order(StringComparer.Ordinal),
            Rows().Select(r => r[0]).Order(StringComparer.Ordinal));

    [Fact]
    public void Page_HasTheWordsOfEachMessage()
    {
        var lines = Page.Split('\n').ToHashSet();
        Assert.All(Messages.Values.Select(RowOf), r => Assert.Contains(r, lines));
        Assert.All(Elsewhere, e => Assert.StartsWith(e.What, Rows().Single(r => r[0] == e.Id)[1], StringComparison.Ordinal));
        Assert.All(Rows(), r => Assert.All(r, cell => Assert.NotEmpty(cell)));
    }

    private static string[][] Rows() => [.. Page.Split('\n').Where(l => l.StartsWith("| MYS", StringComparison.Ordinal))
        .Select(l => l.Trim('|', ' ').Split('|').Select(c => c.Trim()).ToArray())];

    private static string RowOf(MystiqueException problem) => string.Join(" | ",
        new[] { problem.Id, problem.What, problem.Where, problem.Fix, ((int)problem.ExitCode).ToString(CultureInfo.InvariantCulture) }
            .Select(c => c.Replace(Number.ToString(CultureInfo.InvariantCulture), "N", StringComparison.Ordinal)
                .Replace("0.0 GB", "N GB", StringComparison.Ordinal)
                .Replace(nameof(InvalidOperationException), Text, StringComparison.Ordinal))).Insert(0, "| ") + " |";

    private static string Start(string what) => what.Split(':', '{', '…', '\\')[0].TrimEnd();

    private static string PathOf(params string[] parts) => Path.Combine([Repository.Root, .. parts]);

    private static object ArgumentOf(ParameterInfo parameter) => parameter.ParameterType switch
    {
        var t when t == typeof(string) => Text,
        var t when t == typeof(bool) => false,
        var t when t == typeof(int) => Number,
        var t when t == typeof(long) => (long)Number,
        var t when t == typeof(IEnumerable<long>) => new long[] { Number },
        var t when t == typeof(Exception) => new InvalidOperationException(Text),
        var t => throw new NotSupportedException(t.Name),
    };

    /// <summary>The id and the text of a problem in Python; the text may have values put in.</summary>
    [GeneratedRegex("(?:Problem|end)\\(\"(MYS[0-9]{3})\", f?\"([^\"]*)\"")]
    private static partial Regex PythonProblem();

    /// <summary>The same of one that the command itself writes, where nothing else can be loaded or a bug was met.</summary>
    [GeneratedRegex("\"(MYS[0-9]{3}): ([^\"]*)\"")]
    private static partial Regex CommandProblem();
}
