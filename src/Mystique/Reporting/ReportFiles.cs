using System.Text;
using Mystique.Files;
using Mystique.Reporting;

namespace Mystique;

/// <summary>Writes results and comparisons into files: all of a file, or nothing.</summary>
public static class ReportFiles
{
    /// <summary>Writes the result of a replay for machines, as <c>mystique run --json</c> does (<c>docs/result-format.md</c>).</summary>
    /// <param name="result">The result.</param>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <exception cref="Diagnostics.MystiqueException">It cannot be written (MYS305).</exception>
    public static void SaveJson(this ReplayResult result, string path) =>
        OutputFile.Write(path, stream => ResultJson.Write(result, stream));

    /// <summary>Writes a comparison for machines, as <c>mystique compare --json</c> does.</summary>
    /// <inheritdoc cref="SaveJson(ReplayResult, string)"/>
    /// <param name="report">The comparison.</param>
    /// <param name="path">The file; one that is there is replaced.</param>
    public static void SaveJson(this FidelityReport report, string path) =>
        OutputFile.Write(path, stream => FidelityJson.Write(report, stream));

    /// <summary>Writes a comparison as a page that needs no network, as <c>mystique compare --html</c> does.</summary>
    /// <inheritdoc cref="SaveJson(FidelityReport, string)"/>
    public static void SaveHtml(this FidelityReport report, string path) =>
        OutputFile.Write(path, stream => FidelityHtml.Write(report, stream));

    /// <summary>Writes a comparison as Markdown, as <c>mystique compare --markdown</c> does.</summary>
    /// <inheritdoc cref="SaveJson(FidelityReport, string)"/>
    public static void SaveMarkdown(this FidelityReport report, string path) =>
        OutputFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(FidelityMarkdown.Of(report))));
}
