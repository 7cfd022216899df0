using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Reporting;

/// <summary>Reads results for machines back, <c>mystique-run</c> (<c>docs/result-format.md</c>), to compare them.</summary>
internal static class ResultReader
{
    private const int MaxBytes = 256 << 20;

    /// <summary>Whether a path is a file that looks like a result.</summary>
    public static bool IsResult(string path)
    {
        if (!File.Exists(path))
            return false;
        Span<char> head = stackalloc char[64];
        try
        {
            using var reader = new StreamReader(PlainFile.Open(path));
            return new string(head[..reader.ReadBlock(head)]).Contains("\"mystique-run\"", StringComparison.Ordinal);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false; // Whoever reads it as something else says why it cannot be read.
        }
    }

    /// <summary>Reads a result file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MystiqueException">It is no result (MYS123).</exception>
    public static ComparedRun Read(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(PlainFile.ReadAllBytes(path, MaxBytes));
            return Of(json.RootElement, Path.GetFileName(path));
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException
            or KeyNotFoundException or OverflowException or IOException or UnauthorizedAccessException)
        {
            throw Problems.ResultInvalid(path, exception);
        }
    }

    /// <summary>A result that is at hand, as it would be read from a file.</summary>
    /// <param name="result">The result.</param>
    public static ComparedRun Of(ReplayResult result)
    {
        var stream = new MemoryStream();
        ResultJson.Write(result, stream);
        using var json = JsonDocument.Parse(stream.ToArray());
        var run = Of(json.RootElement, "replay");
        run = run with { MemoryCurve = PlanMemory.CurveOf(result.Plan) };
        return result.Watched is { } watched ? Watched(run, watched) : run with { Timeline = TimelineOf(result, run.Times.MedianNs) };
    }

    /// <summary>The times that were watched as the original's were, in place of those of operators that are called one by one.</summary>
    private static ComparedRun Watched(ComparedRun run, InstrumentedIteration watched)
    {
        var sums = watched.Operators.GroupBy(o => o.Name).ToDictionary(g => g.Key, g => g.Sum(o => (double)o.DurationNs));
        double scale = run.Times.MedianNs / Math.Max(watched.IterationNs, watched.Operators.Sum(o => o.DurationNs));
        return run with
        {
            Kinds = run.Kinds.ToImmutableSortedDictionary(k => k.Key, k =>
                k.Value with { TimeNs = sums.GetValueOrDefault(k.Key) }, StringComparer.Ordinal),
            WatchedNs = watched.IterationNs,
            HostMemory = watched.HostMemory,
            DeviceMemory = watched.DeviceMemory,
            Timeline = [.. watched.Operators.Select(o => new TimelineSpan(o.Name, o.StartNs * scale, o.DurationNs * scale, o.Id, ""))],
            Kernels = watched.Operators.SelectMany(o => o.Kernels).GroupBy(k => k.Name).ToImmutableSortedDictionary(g => g.Key, g =>
                (g.Count(), g.Sum(k => k.DurationNs)), StringComparer.Ordinal),
            Concurrency = Concurrency.Of(watched.Operators.Select(o => (o.StartNs, o.DurationNs)), watched.Operators.SelectMany(o =>
                o.Kernels), watched.IterationNs),
        };
    }

    /// <summary>The operators end to end, each as long as it takes alone, scaled to an iteration.</summary>
    private static ImmutableArray<TimelineSpan> TimelineOf(ReplayResult result, double iterationNs)
    {
        double sum = result.OperatorTimesNs.Sum();
        double at = 0;
        var spans = ImmutableArray.CreateBuilder<TimelineSpan>(result.OperatorTimesNs.Length);
        foreach (var (op, time) in result.Plan.Operators.Zip(result.OperatorTimesNs))
        {
            double scaled = time * iterationNs / Math.Max(iterationNs, sum);
            spans.Add(new TimelineSpan(op.Schema.FullName, at, scaled, null, ""));
            at += scaled;
        }
        return spans.ToImmutable();
    }

    private static ComparedRun Of(JsonElement root, string name)
    {
        if (root.GetProperty("format").GetString() != "mystique-run" || root.GetProperty("format_version")
            .GetInt32() != ResultJson.FormatVersion)
            throw new FormatException($"it is no mystique-run of format version {ResultJson.FormatVersion}");
        var coverage = root.GetProperty("coverage");
        var kinds = ImmutableSortedDictionary.CreateBuilder<string, RunOperatorGroup>(StringComparer.Ordinal);
        var originals = ImmutableSortedDictionary.CreateBuilder<string, RunOperatorGroup>(StringComparer.Ordinal);
        foreach (var op in root.GetProperty("operators").EnumerateArray())
        {
            string kind = op.GetProperty("name").GetString()!;
            long? bytes = NumberOf(op, "allocated_bytes");
            if (op.GetProperty("count").GetInt32() - (NumberOf(op, "added_count") ?? 0) is > 0 and var all && (int)all is var count)
                kinds[kind] = new RunOperatorGroup(count, op.GetProperty("time_ns").GetDouble(), bytes);
            if (NumberOf(op, "original_count") is > 0 and { } original)
                originals[kind] = new RunOperatorGroup((int)original, NumberOf(op, "original_ns"), bytes);
        }
        var memory = root.GetProperty("memory");
        bool isOnHost = root.GetProperty("engine").GetProperty("device").GetString()!.StartsWith("cpu", StringComparison.Ordinal);
        return new ComparedRun
        {
            Name = name,
            Provenance = ProvenanceOf(root),
            Times = new SampleStatistics([.. root.GetProperty("iterations").GetProperty("samples_ns").EnumerateArray()
                .Select(s => s.GetInt64() is > 0 and var t ? t : throw new FormatException("a sample is not above 0"))]),
            CpuTimeNs = root.GetProperty("cpu_time_ns").GetDouble(),
            UsedBytes = isOnHost ? memory.GetProperty("used_bytes").GetInt64() : 0,
            DeviceBytes = isOnHost ? 0 : memory.GetProperty("peak_bytes").GetInt64(),
            AllocatedBytes = isOnHost ? NumberOf(memory, "allocated_bytes") ?? 0 : 0,
            System = root.TryGetProperty("system", out var system) ? system.Deserialize<SystemMetrics>(SnakeJson.Compact) : null,
            Kinds = kinds.ToImmutable(),
            OpenedOperators = coverage.GetProperty("opened_operators").GetInt32(),
            Coverage = new ComparedCoverage(
                coverage.GetProperty("selected_operators").GetInt32(), coverage.GetProperty("replayed_operators")
                    .GetInt32(), coverage.GetProperty("substituted_operators").GetInt32(),
                [.. coverage.GetProperty("replaced").EnumerateArray()
                    .Select(r => (r.GetProperty("operator").GetString()!, r.GetProperty("count").GetInt32(), r.GetProperty("remedy")
                    .GetString()!, r.GetProperty("by").GetString()!, r.GetProperty("reason").GetString()!))],
                VerificationOf(root.GetProperty("verification")), originals.Count == 0 ? null : originals.ToImmutable(),
                root.TryGetProperty("reference", out var reference) ? reference.GetProperty("recorded_ns").GetInt64() : 0),
        };
    }

    private static long? NumberOf(JsonElement element, string name) => element.TryGetProperty(name, out var value)
        && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : null;

    private static string VerificationOf(JsonElement verification) => verification.GetProperty("status").GetString() switch
    {
        "exact" => string.Create(CultureInfo.InvariantCulture,
            $"exact: {verification.GetProperty("exact_operators").GetInt32():N0} operators"),
        "different" => string.Create(CultureInfo.InvariantCulture,
            $"{verification.GetProperty("exact_operators").GetInt32():N0} of "
            + $"{verification.GetProperty("expected_operators").GetInt32():N0} exact"),
        _ => "not run",
    };

    private static ImmutableArray<(string, string)> ProvenanceOf(JsonElement root)
    {
        var (source, engine, host, options) =
            (root.GetProperty("source"), root.GetProperty("engine"), root.GetProperty("host"), root.GetProperty("options"));
        return
        [
            ("trace", $"{source.GetProperty("trace").GetString()}, SHA-256 {source.GetProperty("sha256").GetString()}"),
            ("iterations", $"{root.GetProperty("iterations").GetProperty("count")} after {options.GetProperty("warmup")} of warm-up, "
                + $"seed {options.GetProperty("seed")}, pace {options.GetProperty("pace").GetString()}"),
            ("engine", $"{engine.GetProperty("name").GetString()} on {engine.GetProperty("device").GetString()}, "
                + $"{engine.GetProperty("threads")} threads"),
            ("host", $"{host.GetProperty("processor").GetString()}, {host.GetProperty("processors")} processors, "
                + $"{host.GetProperty("os").GetString()}"),
            .. engine.GetProperty("versions").EnumerateObject().Select(v => (v.Name, v.Value.GetString() ?? "")),
        ];
    }
}
