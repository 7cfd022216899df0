using System.Text.Json;

namespace Mystique.Reporting;

/// <summary>Writes summaries for machines; the schema is in <c>docs/result-format.md</c>.</summary>
public static class SummaryJson
{
    /// <summary>Writes a summary.</summary>
    /// <param name="summary">The summary.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(TraceSummary summary, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, ResultJson.WriterOptions);
        json.WriteStartObject();
        json.WriteString("format", "mystique-summary");
        json.WriteNumber("format_version", ResultJson.FormatVersion);
        ResultJson.WriteSource(json, summary.Plan.Source);
        json.WriteNumber("size_bytes", summary.Trace.SizeBytes);
        json.WriteNumber("nodes", summary.Trace.Nodes.Length);
        json.WriteNumber("operators", summary.Trace.Operators.Count());
        json.WriteNumber("threads", summary.Threads);
        json.WriteStartArray("iterations");
        foreach (var iteration in summary.Iterations)
            json.WriteNumberValue(iteration.Number);
        json.WriteEndArray();
        ResultJson.WriteCoverage(json, summary.Plan);
        json.WriteStartObject("tensors");
        json.WriteNumber("count", summary.Plan.Tensors.Length);
        json.WriteNumber("external_storages", summary.Plan.Storages.Count(s => s.IsExternal));
        json.WriteNumber("intermediate_storages", summary.Plan.Storages.Count(s => !s.IsExternal));
        json.WriteNumber("external_bytes", summary.Memory.ExternalBytes);
        json.WriteNumber("peak_bytes", summary.Memory.PeakBytes);
        json.WriteNumber("largest_bytes", summary.Memory.LargestBytes);
        json.WriteEndObject();
        json.WriteStartArray("operator_kinds");
        foreach (var kind in summary.Kinds)
        {
            json.WriteStartObject();
            json.WriteString("name", kind.Name);
            json.WriteNumber("count", kind.Count);
            json.WriteNumber("input_bytes", kind.InputBytes);
            json.WriteNumber("output_bytes", kind.OutputBytes);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("collectives");
        foreach (var collective in summary.Collectives)
        {
            json.WriteStartObject();
            json.WriteString("name", collective.Name);
            json.WriteNumber("count", collective.Count);
            json.WriteNumber("input_elements", collective.InputElements);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("unknown_attributes");
        foreach (var (name, count) in summary.Trace.UnknownAttributes)
            json.WriteNumber(name, count);
        json.WriteEndObject();
        json.WriteStartArray("warnings");
        foreach (string warning in summary.Trace.Warnings)
            json.WriteStringValue(warning);
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        stream.WriteByte((byte)'\n');
    }
}
