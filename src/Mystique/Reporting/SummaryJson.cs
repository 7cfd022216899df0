using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>Writes summaries for machines; the fields are in <c>docs/result-format.md</c>.</summary>
internal static class SummaryJson
{
    /// <summary>Writes a summary.</summary>
    /// <param name="summary">The summary.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(TraceSummary summary, Stream stream) => DocumentContext.Write(SummaryDocument.Of(summary), stream);
}
