using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Suites;

namespace Mystique.Reporting;

/// <summary>What came of jobs on platforms, as one table: how far benchmarks predict what other platforms do.</summary>
/// <param name="Platforms">The platforms; the first is the reference.</param>
/// <param name="Outcomes">The jobs that ran on the reference.</param>
/// <param name="Failures">The others, and why they did not.</param>
/// <param name="Host">The machine.</param>
/// <param name="Rounds">Blocks of each process, of each platform.</param>
internal sealed record PlatformReport(ImmutableArray<Platform> Platforms, IReadOnlyList<PlatformOutcome> Outcomes,
    IReadOnlyList<(string Name, string Why)> Failures, HostInfo Host, int Rounds)
{
    private const string Interval = "95 %";

    private IEnumerable<string> Levels => Outcomes.SelectMany(o => o.Reference.Select(r => r.Level)).Distinct();

    /// <summary>The table's head: what each level predicts has columns of its own.</summary>
    public ImmutableArray<string> Head => ["workload", "platform", "original",
        .. Levels.SelectMany(level =>
            (string[])[$"{level} replay", $"{level} error", $"{level} {Interval}", $"{level} verification"]), "A/A control"];

    /// <summary>The table's rows.</summary>
    public IEnumerable<ImmutableArray<string>> Rows => Outcomes.SelectMany(o => o.Changes.Select(c => RowOf(o, c)));

    /// <summary>Columns for a terminal, which is narrow.</summary>
    public ImmutableArray<int> NarrowColumns =>
        [.. Head.Index().Where(h => !h.Item.EndsWith(Interval, StringComparison.Ordinal)).Select(h => h.Index)];

    /// <summary>A row in these columns, with the first words of what the observer saw.</summary>
    public IEnumerable<string> NarrowRow(ImmutableArray<string> row) =>
        NarrowColumns.Select(i => Head[i].EndsWith("verification", StringComparison.Ordinal) ? row[i].Split(':', ';')[0] : row[i]);

    /// <summary>Medians and the worst, in sentences, and what is not in them.</summary>
    public IEnumerable<string> Summary => PlatformSummary.Of(Outcomes).Select(SentenceOf).Concat(NotMeasured is { Length: > 0 } missing
        ? [$"not measured: {string.Join(", ", missing)}"] : []);

    private string[] NotMeasured =>
        [.. Outcomes.SelectMany(o => o.Failures.Select(f => $"{o.Name} on {f.Platform}")), .. Failures.Select(f => f.Name)];

    private static string SentenceOf(PlatformSummary s) => string.Create(CultureInfo.InvariantCulture,
        $"{s.Platform ?? "all platforms"}, {s.Level} replay: median error {Figures.Percent(s.MedianError)}, largest "
        + $"{Figures.Percent(s.WorstError)} ({s.WorstJob}{(s.Platform is null ? $" on {s.WorstPlatform}" : "")}), of {s.Count} "
        + $"prediction{(s.Count == 1 ? "" : "s")}, {s.Exact} of them by exact replays; A/A control: median error "
        + $"{Figures.Percent(s.MedianControl)}");

    /// <summary>The table, what ran on each platform, the machine and the command, as Markdown.</summary>
    /// <param name="command">The command that makes it.</param>
    public string ToMarkdown(string command)
    {
        var text = new StringBuilder();
        var head = Head;
        text.Append(CultureInfo.InvariantCulture,
            $"# Portability\n\nMade by {MarkdownText.Code(command)} on {MarkdownText.Escape(Host.Processor)}, {Host.Processors} logical "
                + $"CPUs, {MarkdownText.Escape(Host.OperatingSystem)}; {Rounds} rounds for each platform, interleaved: in each, the "
                + $"original and the unpaced replay on {MarkdownText.Escape(Platforms[0].Name)} (the reference, on which the job was "
                + $"captured), both on the platform, and a second original on the reference run a block. Figures are speed-ups over the "
                + $"reference, medians over the rounds; the replay's is what it predicts. The error is the replay's speed-up over the "
                + $"original's, less 1. The A/A control is the error of the second original, as if it were a replay of the first.\n\n");
        foreach (var platform in Platforms)
            text.Append(CultureInfo.InvariantCulture, $"- {MarkdownText.EscapeLine(DescriptionOf(platform))}\n");
        text.Append(CultureInfo.InvariantCulture,
            $"\n| {string.Join(" | ", head)} |\n| {string.Join(" | ", head.Select((_, i) => i < 2 ? "---" : "---:"))} |\n");
        foreach (var row in Rows)
            text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", row.Select(MarkdownText.Escape))} |\n");
        text.Append('\n');
        foreach (string sentence in Summary)
            text.Append(CultureInfo.InvariantCulture, $"- {MarkdownText.EscapeLine(sentence)}\n");
        foreach (var outcome in Outcomes)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {MarkdownText.Escape(outcome.Name)}\n\n");
            foreach (string sentence in PlatformText.NotesOf(outcome, Platforms[0].Name))
                text.Append(CultureInfo.InvariantCulture, $"- {MarkdownText.EscapeLine(sentence)}\n");
        }
        foreach (var (name, why) in Failures)
            text.Append(CultureInfo.InvariantCulture, $"\n## {MarkdownText.Escape(name)}\n\nNot measured: {MarkdownText.Escape(why)}\n");
        return text.ToString();
    }

    /// <summary>A path's last part: where things lie on a machine is nobody else's business.</summary>
    internal static string WithoutFolder(string text) => Path.GetFileName(text.TrimEnd('/'));

    private static string DescriptionOf(Platform platform) => $"{platform.Name}: " + string.Join(" ",
    [
        .. platform.Variables.Select(v => $"{v.Key}={WithoutFolder(v.Value)}"), WithoutFolder(platform.Python),
        .. platform.Device.Length > 0 ? ["--device", platform.Device] : (string[])[],
        .. platform.KeepsSettings ? ["--flags", "target"] : (string[])[],
    ]);

    private ImmutableArray<string> RowOf(PlatformOutcome outcome, PlatformChange change)
    {
        var row = ImmutableArray.CreateBuilder<string>();
        row.AddRange(outcome.Name, change.Platform, Figures.Speedup(change.Speedup));
        foreach (string name in Levels)
        {
            if (change.Levels.FirstOrDefault(l => l.Run.Level == name) is not { } level)
            {
                row.AddRange("", "", "", "not run");
                continue;
            }
            var error = change.ErrorOf(level);
            row.AddRange(Figures.Speedup(level.Speedup), Figures.Difference(error.Error),
                $"{Figures.Difference(error.Low)} to {Figures.Difference(error.High)}",
                PlatformText.VerificationOf(level.Run, outcome.Reference.First(r => r.Level == name), Platforms[0].Name));
        }
        row.Add(Figures.Difference(change.Control.Error));
        return row.ToImmutable();
    }
}
