using System.Collections.Immutable;
using System.Text;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Reporting;

/// <summary>What became of the operators of one trace.</summary>
internal sealed record CoverageRow
{
    /// <summary>The trace's name.</summary>
    public required string Trace { get; init; }

    /// <summary>Its operators by what became of them.</summary>
    public required OperatorClasses Classes { get; init; }

    /// <summary>Whether the observer saw what was planned, and nothing else, in each run.</summary>
    public required bool IsExact { get; init; }

    /// <summary>Operators that made values that are not finite.</summary>
    public required int NonFinite { get; init; }

    /// <summary>Operators of PyTorch's own namespace.</summary>
    public required int AtenCount { get; init; }

    /// <summary>Of these, those whose work was done: as recorded, by another implementation or by substitutes.</summary>
    public required int AtenDone { get; init; }

    /// <summary>What did not run as recorded.</summary>
    public required ImmutableArray<ReplacedGroup> Replaced { get; init; }

    /// <summary>Inputs that are prepared because values decide what runs.</summary>
    public required int PreparedInputs { get; init; }

    /// <summary>The plan's notes.</summary>
    public required ImmutableArray<string> Notes { get; init; }

    private const string Aten = "aten::";

    /// <summary>Sums up a verified replay.</summary>
    /// <param name="name">The trace's name.</param>
    /// <param name="result">The replay; verified.</param>
    public static CoverageRow Of(string name, ReplayResult result)
    {
        var plan = result.Plan;
        var verification = result.Verification!;
        var aten = OperatorClasses.Of(plan with
        {
            Operators = [.. plan.Operators.Where(o => IsAten(o.Schema.FullName))],
            Replaced = [.. plan.Replaced.Where(r => IsAten(r.Name))],
        }, verification.Differences);
        return new CoverageRow
        {
            Trace = name,
            Classes = verification.Classes,
            IsExact = verification.IsExact,
            NonFinite = result.NonFinite?.Length ?? 0,
            AtenCount = aten.Selected,
            AtenDone = aten.Done,
            Replaced = ReplacedGroup.Of(plan),
            PreparedInputs = plan.Operators.Sum(o => o.Arguments.Count(a => a.IsPrepared)),
            Notes = plan.Source.Notes,
        };
    }

    private static bool IsAten(string name) => name.StartsWith(Aten, StringComparison.Ordinal);
}

/// <summary>A table of traces and what became of their operators, in Markdown.</summary>
internal static class CoverageReport
{
    /// <summary>Writes the table.</summary>
    /// <param name="rows">The traces.</param>
    /// <param name="engine">What they ran on.</param>
    /// <param name="host">Where.</param>
    /// <param name="runs">How often each ran.</param>
    /// <param name="command">The command that makes the table again.</param>
    public static string ToMarkdown(IReadOnlyList<CoverageRow> rows, EngineInfo engine, HostInfo host, int runs, string command)
    {
        var text = new StringBuilder();
        void Line(string line) => text.Append(line).Append('\n');
        Line($"# Coverage");
        Line($"");
        Line($"What became of the operators of traces, as PyTorch's own observer saw the replay: made by");
        Line($"");
        Line($"{MarkdownText.CodeLine(command)}");
        Line($"");
        string versions = string.Join(", ", engine.Versions.Select(v => $"{v.Key} {v.Value}"));
        string target = MarkdownText.EscapeLine($"{versions} on {engine.Device}, {engine.Threads} threads, {host.Processor}");
        string times = runs == 1 ? "time" : "times in a row, in a process of its own each, with the same outcome";
        Line($"{target}; each trace {runs} {times}.");
        Line($"");
        Line($"- exact: ran with the recorded name, overload, shapes, element types and strides (where the trace has them)");
        bool hasOther = rows.Any(r => r.Classes.OtherImplementation > 0); // On a device alone.
        if (hasOther)
            Line($"- other: the device did it by another operator within it, or with another number of kernels");
        Line($"- variant: ran with another overload or other strides; different: with other shapes or types");
        Line($"- substituted: other operators did its work, because the target lacks it");
        Line($"- stand-in: its results were there from the start, no work was done");
        Line($"- missing: it did not run and nothing took its place");
        Line($"- aten: operators of PyTorch's own that are exact{(hasOther ? ", other" : "")} or substituted");
        Line($"- not finite: operators that made a NaN, or an infinity that the trace does not ask for");
        Line($"");
        Line($"| trace | operators | exact |{(hasOther ? " other |" : "")} variant | different | substituted | stand-in | missing | aten "
            + $"| verification | not finite |");
        Line($"| --- | ---: | ---: |{(hasOther ? " ---: |" : "")} ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |");
        foreach (var row in rows)
        {
            var c = row.Classes;
            Line($"| {MarkdownText.Escape(row.Trace)} | {c.Selected} | {c.Exact} |{(hasOther ? $" {c.OtherImplementation} |" : "")} "
                + $"{c.Variant} | {c.Different} | {c.Substituted} | {c.StandIn} | {c.Missing} "
                + $"| {row.AtenDone} of {row.AtenCount} | {(row.IsExact ? "exact" : "different")} | {row.NonFinite} |");
        }
        var kinds = rows.SelectMany(r => r.Replaced.Select(k => (r.Trace, Kind: k)))
            .GroupBy(k => (k.Kind.Name, k.Kind.RemedyName, k.Kind.By, k.Kind.Reason))
            .OrderBy(g => g.Key.RemedyName, StringComparer.Ordinal).ThenBy(g => g.Key.Name, StringComparer.Ordinal).ToArray();
        if (kinds.Length > 0)
        {
            Line($"");
            Line($"## Not run as recorded");
            Line($"");
            Line($"| operator | count | traces | instead | reason |");
            Line($"| --- | ---: | ---: | --- | --- |");
            foreach (var group in kinds)
                Line($"| {MarkdownText.Escape(group.Key.Name)} | {group.Sum(k => k.Kind.Count)} | "
                    + $"{group.Select(k => k.Trace).Distinct().Count()} | "
                    + $"{MarkdownText.Escape(ReplacedGroup.InsteadOf(group.Key.RemedyName, group.Key.By))} | "
                    + $"{MarkdownText.Escape(group.Key.Reason)} |");
        }
        var notes = rows.SelectMany(r => NotesOf(r).Select(n => (r.Trace, Note: n))).ToArray();
        if (notes.Length > 0)
        {
            Line($"");
            Line($"## Notes");
            Line($"");
            foreach (var (trace, note) in notes)
                Line($"- {MarkdownText.EscapeLine($"{trace}: {note}")}");
        }
        return text.ToString();
    }

    private static IEnumerable<string> NotesOf(CoverageRow row) => row.PreparedInputs == 0 ? row.Notes
        : row.Notes.Prepend($"{row.PreparedInputs} inputs are prepared, because their values decide what runs and the replay's own would "
            + $"not be right");
}
