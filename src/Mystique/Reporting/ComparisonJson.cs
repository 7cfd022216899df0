using System.Text.Json;
using Mystique.Fidelity;

namespace Mystique.Reporting;

/// <summary>Writes comparisons for machines; the schema is in <c>docs/result-format.md</c>.</summary>
public static class ComparisonJson
{
    /// <summary>Writes a comparison.</summary>
    /// <param name="result">The comparison.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ComparisonResult result, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, ResultJson.WriterOptions);
        json.WriteStartObject();
        json.WriteString("format", "mystique-comparison");
        json.WriteNumber("format_version", ResultJson.FormatVersion);
        json.WriteString("workload", result.Name);
        ResultJson.WriteSource(json, result.Package.Plan.Source);
        ResultJson.WriteEngine(json, result.Engine);
        ResultJson.WriteHost(json, result.Host);
        ResultJson.WriteCoverage(json, result.Package.Plan);
        json.WriteNumber("rounds", result.Rounds);
        WriteSide(json, "original", result.Original);
        WriteSide(json, "replay", result.Replay);
        json.WriteNumber("time_error", Math.Round(result.TimeError, 6));
        json.WriteNumber("memory_error", Math.Round(result.MemoryError, 6));
        json.WriteNumber("cpu_time_error", Math.Round(result.CpuTimeError, 6));
        ResultJson.WriteVerification(json, result.Verification);
        json.WriteEndObject();
        json.Flush();
        stream.WriteByte((byte)'\n');
    }

    private static void WriteSide(Utf8JsonWriter json, string name, ComparedSide side)
    {
        json.WriteStartObject(name);
        ResultJson.WriteSamples(json, "iterations", side.Times);
        json.WriteNumber("memory_bytes", side.MemoryBytes);
        json.WriteNumber("cpu_time_ns", Math.Round(side.CpuTimeNs));
        json.WriteEndObject();
    }
}
