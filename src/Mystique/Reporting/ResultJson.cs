using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Reporting;

/// <summary>Writes results for machines; the schema is in <c>docs/result-format.md</c>.</summary>
public static class ResultJson
{
    /// <summary>The version of the format: raised when a field changes its meaning or goes.</summary>
    public const int FormatVersion = 3;

    internal static readonly JsonWriterOptions WriterOptions = new()
    {
        Indented = true,
        NewLine = "\n",
        Encoder = PrintableJsonEncoder.Instance,
    };

    /// <summary>Writes the result of a replay.</summary>
    /// <param name="result">The result.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ReplayResult result, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, WriterOptions);
        json.WriteStartObject();
        json.WriteString("format", "mystique-run");
        json.WriteNumber("format_version", FormatVersion);
        WriteSource(json, result.Plan.Source);
        WriteEngine(json, result.Engine);
        WriteHost(json, result.Host);
        json.WriteStartObject("options");
        json.WriteNumber("iterations", result.Options.Iterations);
        json.WriteNumber("warmup", result.Options.Warmup);
        json.WriteNumber("seed", result.Options.Seed);
        json.WriteString("pace", result.Options.Pace.ToString().ToLowerInvariant());
        json.WriteEndObject();
        WriteCoverage(json, result.Plan);
        WriteReference(json, result.Plan.Times);
        if (result.Plan.Baseline is { } original)
        {
            json.WritePropertyName("original");
            JsonSerializer.Serialize(json, original, SnakeJson.Compact);
        }
        WriteSamples(json, "iterations", result.Iterations);
        json.WriteNumber("cpu_time_ns", Math.Round(result.CpuTimeNs));
        WriteMemory(json, result.Memory, result.Watched?.HostMemory);
        if (result.System is { } system)
        {
            json.WritePropertyName("system");
            JsonSerializer.Serialize(json, system, SnakeJson.Compact);
        }
        json.WriteStartArray("operators");
        WriteKinds(json, result);
        json.WriteEndArray();
        WriteVerification(json, result.Verification);
        if (result.Pace is { } pace)
        {
            json.WriteStartObject("pace");
            json.WriteNumber("waits", pace.Waits);
            json.WriteNumber("waited_ns", pace.WaitedNs);
            json.WriteNumber("late", pace.Late);
            json.WriteNumber("worst_late_ns", pace.WorstLateNs);
            json.WriteEndObject();
        }
        if (result.NonFinite is { } failures)
        {
            json.WriteStartArray("non_finite");
            foreach (var failure in failures)
            {
                json.WriteStartObject();
                json.WriteNumber("node", result.Plan.Operators[failure.Operator].Id.Node);
                json.WriteString("operator", result.Plan.Operators[failure.Operator].Schema.FullName);
                json.WriteString("what", failure.Reason);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
        json.Flush();
        stream.WriteByte((byte)'\n');
    }

    /// <summary>The kinds that were timed, the longest first; then those that the replay does not have.</summary>
    private static void WriteKinds(Utf8JsonWriter json, ReplayResult result)
    {
        if (result.OperatorKinds.IsEmpty)
            return;
        var planned = OperatorGroup.Of(result.Plan);
        var rows = result.OperatorKinds.Concat(planned.Values.Where(k => k.Count + k.AddedCount == 0)
            .Select(k => new OperatorGroupTime(k.Name, 0, 0)));
        foreach (var row in rows)
        {
            var kind = planned[row.Name];
            json.WriteStartObject();
            json.WriteString("name", row.Name);
            json.WriteNumber("count", row.Count);
            json.WriteNumber("time_ns", Math.Round(row.TimeNs));
            if (kind.AddedCount > 0)
                json.WriteNumber("added_count", kind.AddedCount);
            json.WriteNumber("allocated_bytes", kind.AllocatedBytes);
            json.WriteNumber("original_count", kind.OriginalCount);
            if (kind.OriginalNs is { } original)
                json.WriteNumber("original_ns", original);
            json.WriteEndObject();
        }
    }

    private static void WriteReference(Utf8JsonWriter json, PlanTimes? times)
    {
        if (times is null)
            return;
        json.WriteStartObject("reference");
        json.WriteString("source", times.Source);
        json.WriteNumber("iteration_ns", times.IterationNs);
        json.WriteNumber("recorded_ns", times.RecordedNs);
        json.WriteNumber("linked_operators", times.Operators.Count);
        json.WriteNumber("unlinked_operators", times.Unlinked);
        json.WriteNumber("device_ns", times.DeviceNs);
        json.WriteNumber("unexplained_ns", times.UnexplainedNs);
        json.WriteEndObject();
    }

    internal static void WriteSource(Utf8JsonWriter json, PlanSource source)
    {
        json.WriteStartObject("source");
        json.WriteString("trace", source.Name);
        json.WriteString("sha256", source.Digest);
        json.WriteString("schema", source.SchemaVersion);
        if (source.Iteration is { } iteration)
            json.WriteNumber("iteration", iteration);
        else
            json.WriteNull("iteration");
        json.WriteEndObject();
    }

    internal static void WriteEngine(Utf8JsonWriter json, EngineInfo engine)
    {
        json.WriteStartObject("engine");
        json.WriteString("name", engine.Name);
        json.WriteString("device", engine.Device);
        json.WriteNumber("threads", engine.Threads);
        json.WriteStartObject("versions");
        foreach (var (name, version) in engine.Versions)
            json.WriteString(name, version);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    internal static void WriteHost(Utf8JsonWriter json, HostInfo host)
    {
        json.WriteStartObject("host");
        json.WriteString("os", host.OperatingSystem);
        json.WriteString("processor", host.Processor);
        json.WriteNumber("processors", host.Processors);
        json.WriteNumber("memory_bytes", host.MemoryBytes);
        json.WriteString("runtime", host.Runtime);
        json.WriteEndObject();
    }

    internal static void WriteCoverage(Utf8JsonWriter json, ReplayPlan plan)
    {
        json.WriteStartObject("coverage");
        json.WriteNumber("outermost_operators", plan.Source.OutermostCount);
        json.WriteNumber("opened_operators", plan.Source.DecomposedCount);
        json.WriteNumber("selected_operators", plan.SelectedCount);
        json.WriteNumber("replayed_operators", plan.ReplayedCount);
        json.WriteNumber("substituted_operators", plan.CountOf(Remedy.Substitute));
        json.WriteNumber("stand_ins", plan.CountOf(Remedy.StandIn));
        json.WriteNumber("missing_operators", plan.CountOf(Remedy.Missing));
        json.WriteNumber("added_operators", plan.Operators.Count(o => o.Role == OperatorRole.Added));
        json.WriteNumber("prepared_inputs", plan.Operators.Sum(o => o.Arguments.Count(a => a.IsPrepared)));
        json.WriteNumber("share", Math.Round(plan.Coverage, 6));
        json.WriteStartArray("notes");
        foreach (string note in plan.Source.Notes)
            json.WriteStringValue(note);
        json.WriteEndArray();
        json.WriteStartArray("replaced");
        foreach (var kind in ReplacedGroup.Of(plan))
        {
            json.WriteStartObject();
            json.WriteString("operator", kind.Name);
            json.WriteNumber("count", kind.Count);
            json.WriteString("remedy", kind.RemedyName);
            json.WriteString("by", kind.By);
            json.WriteString("reason", kind.Reason);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    internal static void WriteSamples(Utf8JsonWriter json, string name, SampleStatistics statistics)
    {
        json.WriteStartObject(name);
        json.WriteNumber("count", statistics.SamplesNs.Length);
        json.WriteNumber("median_ns", Math.Round(statistics.MedianNs));
        json.WriteNumber("mean_ns", Math.Round(statistics.MeanNs));
        json.WriteNumber("p5_ns", Math.Round(statistics.P5Ns));
        json.WriteNumber("p95_ns", Math.Round(statistics.P95Ns));
        json.WriteStartArray("samples_ns");
        foreach (long sample in statistics.SamplesNs)
            json.WriteNumberValue(sample);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    internal static void WriteMemory(Utf8JsonWriter json, MemoryUse memory, MemoryTimeline? tensors = null)
    {
        json.WriteStartObject("memory");
        json.WriteNumber("baseline_bytes", memory.BaselineBytes);
        json.WriteNumber("peak_bytes", memory.PeakBytes);
        json.WriteNumber("used_bytes", memory.UsedBytes);
        json.WriteNumber("planned_peak_bytes", memory.PlannedPeakBytes);
        if (tensors is not null)
            json.WriteNumber("allocated_bytes", tensors.PeakBytes);
        json.WriteEndObject();
    }

    internal static void WriteVerification(Utf8JsonWriter json, VerificationResult? verification)
    {
        json.WriteStartObject("verification");
        json.WriteString("status", verification switch { null => "not_run", { IsExact: true } => "exact", _ => "different" });
        json.WriteNumber("expected_operators", verification?.ExpectedCount ?? 0);
        json.WriteNumber("exact_operators", verification?.ExactCount ?? 0);
        if (verification is not null)
        {
            json.WriteStartObject("classes");
            json.WriteNumber("exact", verification.Classes.Exact);
            json.WriteNumber("variant", verification.Classes.Variant);
            json.WriteNumber("different", verification.Classes.Different);
            json.WriteNumber("substituted", verification.Classes.Substituted);
            json.WriteNumber("stand_in", verification.Classes.StandIn);
            json.WriteNumber("missing", verification.Classes.Missing);
            json.WriteEndObject();
        }
        json.WriteBoolean("strides_compared", verification?.StridesCompared ?? false);
        json.WriteStartArray("differences");
        foreach (var difference in verification?.Differences ?? ImmutableArray<OperatorDifference>.Empty)
        {
            json.WriteStartObject();
            json.WriteNumber("node", difference.Id?.Node ?? 0);
            json.WriteString("operator", difference.Operator);
            json.WriteString("kind", difference.Kind.ToString().ToLowerInvariant());
            json.WriteString("what", difference.What);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
