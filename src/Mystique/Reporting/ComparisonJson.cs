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
        json.WriteString("workload", result.Captured.Name);
        ResultJson.WriteSource(json, result.Result.Plan.Source);
        ResultJson.WriteEngine(json, result.Result.Engine);
        ResultJson.WriteHost(json, result.Result.Host);
        ResultJson.WriteCoverage(json, result.Result.Plan);
        json.WriteNumber("rounds", result.Replay.Blocks.Length);
        WriteSide(json, "original", result.Original, result.MemoryBytes.Original);
        WriteSide(json, "replay", result.Replay, result.MemoryBytes.Replay);
        ResultJson.WriteSamples(json, "replay_flat_out", result.Unpaced.Times);
        json.WriteNumber("time_error", Math.Round(result.TimeError.Error, 6));
        if (result.Control is { } again)
            json.WriteNumber("time_error_original_again", Math.Round(again.Error, 6));
        json.WriteNumber("time_error_flat_out", Math.Round(result.UnpacedError.Error, 6));
        json.WriteNumber("memory_error", Math.Round(result.MemoryError, 6));
        if (result.CpuTimeError is { } cpuTimeError)
            json.WriteNumber("cpu_time_error", Math.Round(cpuTimeError, 6));
        ResultJson.WriteVerification(json, result.Result.Verification!);
        json.WriteEndObject();
        json.Flush();
        stream.WriteByte((byte)'\n');
    }

    private static void WriteSide(Utf8JsonWriter json, string name, ComparedSide side, long memoryBytes)
    {
        json.WriteStartObject(name);
        ResultJson.WriteSamples(json, "iterations", side.Times);
        json.WriteNumber("memory_bytes", memoryBytes);
        json.WriteNumber("used_bytes", side.UsedBytes);
        json.WriteNumber("cpu_time_ns", Math.Round(side.CpuTimeNs));
        json.WriteEndObject();
    }
}
