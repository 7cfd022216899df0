using System.CommandLine;
using System.Text;
using Mystique.Cli.Reporting;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary>Where a comparison is written: the same table, page, Markdown and document in each command that makes one.</summary>
internal sealed record ReportOptions(Option<string?> Html, Option<string?> Markdown, Option<string?> Json)
{
    public static ReportOptions Create() => new(
        new Option<string?>("--html") { Description = "Write the report as an HTML page into FILE", HelpName = "FILE" },
        new Option<string?>("--markdown")
        {
            Description = "Write the report as Markdown into FILE; - is standard output",
            HelpName =
            "FILE"
        },
        SharedOptions.Json());

    public void AddTo(Command command)
    {
        command.Add(Html);
        command.Add(Markdown);
        command.Add(Json);
    }

    /// <summary>Says at once, and not after a long run, that a file cannot be written.</summary>
    public void Check(ParseResult result)
    {
        foreach (var option in (Option<string?>[])[Html, Markdown, Json])
            Terminal.CheckFolder(result.GetValue(option));
    }

    /// <summary>Writes the files that are asked for, and the table where none of them is standard output.</summary>
    public void Write(ParseResult result, FidelityReport report)
    {
        if (result.GetValue(Html) is { } page)
            Terminal.WriteFile(page, stream => FidelityHtml.Write(report, stream));
        if (result.GetValue(Markdown) is { } text)
            Terminal.WriteFile(text, stream => stream.Write(Encoding.UTF8.GetBytes(FidelityMarkdown.Of(report))));
        if (result.GetValue(Json) is { } file)
            Terminal.WriteFile(file, stream => FidelityJson.Write(report, stream));
        if (!new[] { Html, Markdown, Json }.Any(o => result.GetValue(o) == Terminal.StandardOutput))
            FidelityTables.Write(report);
    }
}
