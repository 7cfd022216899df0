using System.Text.Json;
using Mystique.Fidelity;
using Mystique.Measurement;

namespace Mystique.Reporting;

/// <summary>A comparison for machines; the schema is in <c>docs/result-format.md</c>.</summary>
public static class FidelityJson
{
    /// <summary>Writes the comparison.</summary>
    /// <param name="report">The comparison.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(FidelityReport report, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, ResultJson.WriterOptions);
        json.WriteStartObject();
        json.WriteString("format", "mystique-fidelity");
        json.WriteNumber("format_version", 2);
        json.WriteString("headline", FidelityText.Headline(report));
        WriteSide(json, "original", report.Original);
        WriteSide(json, "replay", report.Replay);
        json.WriteStartObject("errors");
        WriteShare(json, "time", report.Time?.Error);
        WriteShare(json, "time_low", report.Time?.Low);
        WriteShare(json, "time_high", report.Time?.High);
        WriteShare(json, "original_again", report.Again?.Error);
        WriteShare(json, "noise_floor", report.NoiseFloor);
        WriteShare(json, "cpu_time", report.CpuTimeError);
        WriteShare(json, "memory", report.MemoryError);
        WriteShare(json, "resident_memory", report.ResidentError);
        WriteShare(json, "device_memory", report.DeviceMemoryError);
        json.WriteEndObject();
        json.WriteStartArray("operators");
        foreach (var kind in report.Kinds)
        {
            json.WriteStartObject();
            json.WriteString("name", kind.Name);
            json.WriteNumber("original_count", kind.OriginalCount);
            json.WriteNumber("replay_count", kind.ReplayCount);
            WriteRounded(json, "original_ns", kind.OriginalNs);
            WriteRounded(json, "replay_ns", kind.ReplayNs);
            WriteRounded(json, "original_bytes", kind.OriginalBytes);
            WriteRounded(json, "replay_bytes", kind.ReplayBytes);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (report.BetweenNs is { } between)
        {
            json.WriteStartObject("between_operators");
            WriteRounded(json, "original_ns", between.Original);
            WriteRounded(json, "replay_ns", between.Replay);
            json.WriteEndObject();
        }
        WriteShare(json, "in_order", report.InOrder);
        json.WriteStartArray("labels");
        foreach (var label in report.Labels)
        {
            json.WriteStartObject();
            json.WriteString("label", label.Label);
            json.WriteNumber("count", label.Count);
            WriteRounded(json, "original_ns", label.OriginalNs);
            WriteRounded(json, "replay_ns", label.ReplayNs);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("kernels");
        foreach (var (name, original, replay) in report.Kernels)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteNumber("original_count", original);
            json.WriteNumber("replay_count", replay);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        WriteStrings(json, "findings", report.Findings);
        WriteStrings(json, "notes", report.Notes);
        json.WriteEndObject();
        json.Flush();
        stream.WriteByte((byte)'\n');
    }

    private static void WriteSide(Utf8JsonWriter json, string name, ComparedRun run)
    {
        json.WriteStartObject(name);
        json.WriteString("name", run.Name);
        ResultJson.WriteSamples(json, "iterations", run.Times);
        json.WriteStartArray("repeats_median_ns");
        foreach (SampleStatistics repeat in run.Repeats)
            json.WriteNumberValue(Math.Round(repeat.MedianNs));
        json.WriteEndArray();
        json.WriteNumber("cpu_time_ns", Math.Round(run.CpuTimeNs));
        json.WriteNumber("allocated_bytes", run.AllocatedBytes);
        json.WriteNumber("used_bytes", run.UsedBytes);
        json.WriteNumber("device_bytes", run.DeviceBytes);
        if (run.Concurrency is { } concurrency)
        {
            json.WritePropertyName("concurrency");
            JsonSerializer.Serialize(json, concurrency, SnakeJson.Compact);
        }
        if (run.System is { } system)
        {
            json.WritePropertyName("system");
            JsonSerializer.Serialize(json, system, SnakeJson.Compact);
        }
        json.WriteStartObject("provenance");
        foreach (var group in run.Provenance.GroupBy(p => p.Name))
            json.WriteString(group.Key, string.Join("; ", group.Select(p => p.Value)));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteShare(Utf8JsonWriter json, string name, double? share)
    {
        if (share is { } value)
            json.WriteNumber(name, Math.Round(value, 6));
    }

    private static void WriteRounded(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number)
            json.WriteNumber(name, Math.Round(number));
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (string text in texts)
            json.WriteStringValue(text);
        json.WriteEndArray();
    }
}
