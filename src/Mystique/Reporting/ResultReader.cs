using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Reporting.Documents;
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
            return Of(DocumentContext.Read<RunDocument>(PlainFile.ReadAllBytes(path, MaxBytes)), Path.GetFileName(path));
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException
            or KeyNotFoundException or OverflowException or IOException or UnauthorizedAccessException)
        {
            throw Problems.ResultInvalid(path, exception);
        }
    }

    /// <summary>A result that is at hand.</summary>
    /// <param name="result">The result.</param>
    public static ComparedRun Of(ReplayResult result)
    {
        var run = Of(ResultJson.DocumentOf(result), "replay") with { MemoryCurve = PlanMemory.CurveOf(result.Plan) };
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

    private static ComparedRun Of(RunDocument run, string name)
    {
        if (run.Format != RunDocument.FormatName || run.FormatVersion != RunDocument.CurrentVersion)
            throw new FormatException($"it is no {RunDocument.FormatName} of format version {RunDocument.CurrentVersion}");
        if (run.Iterations.SamplesNs.Any(s => s <= 0))
            throw new FormatException("a sample is not above 0");
        var groups = ImmutableSortedDictionary.CreateBuilder<string, RunOperatorGroup>(StringComparer.Ordinal);
        var originals = ImmutableSortedDictionary.CreateBuilder<string, RunOperatorGroup>(StringComparer.Ordinal);
        foreach (var group in run.Operators)
        {
            if (group.Count - (group.AddedCount ?? 0) is > 0 and var count)
                groups[group.Name] = new RunOperatorGroup(count, group.TimeNs, group.AllocatedBytes);
            if (group.OriginalCount > 0)
                originals[group.Name] = new RunOperatorGroup(group.OriginalCount, group.OriginalNs, group.AllocatedBytes);
        }
        bool isOnHost = run.Engine.Device.StartsWith("cpu", StringComparison.Ordinal);
        var coverage = run.Coverage;
        return new ComparedRun
        {
            Name = name,
            Provenance = ProvenanceOf(run),
            Times = new SampleStatistics(run.Iterations.SamplesNs),
            CpuTimeNs = run.CpuTimeNs,
            UsedBytes = isOnHost ? run.Memory.UsedBytes : 0,
            DeviceBytes = isOnHost ? 0 : run.Memory.PeakBytes,
            AllocatedBytes = isOnHost ? run.Memory.AllocatedBytes ?? 0 : 0,
            System = run.System,
            Kinds = groups.ToImmutable(),
            OpenedOperators = coverage.DecomposedOperators,
            Coverage = new ComparedCoverage(coverage.SelectedOperators, coverage.ReplayedOperators, coverage.SubstitutedOperators,
                [.. coverage.Replaced.Select(r => (r.Operator, r.Count, r.Remedy, r.By, r.Reason))], VerificationOf(run.Verification),
                originals.Count == 0 ? null : originals.ToImmutable(), run.Reference?.RecordedNs ?? 0),
        };
    }

    private static string VerificationOf(VerificationDocument verification) => verification.Status switch
    {
        "exact" => string.Create(CultureInfo.InvariantCulture, $"exact: {verification.ExactOperators:N0} operators"),
        "different" => string.Create(CultureInfo.InvariantCulture,
            $"{verification.ExactOperators:N0} of {verification.ExpectedOperators:N0} exact"),
        _ => "not run",
    };

    private static ImmutableArray<(string, string)> ProvenanceOf(RunDocument run) =>
    [
        ("trace", $"{run.Source.Trace}, SHA-256 {run.Source.Sha256}"),
        ("iterations", $"{run.Iterations.Count} after {run.Options.Warmup} of warm-up, seed {run.Options.Seed}, pace {run.Options.Pace}"),
        ("engine", $"{run.Engine.Name} on {run.Engine.Device}, {run.Engine.Threads} threads"),
        ("host", $"{run.Host.Processor}, {run.Host.Processors} processors, {run.Host.Os}"),
        .. run.Engine.Versions.Select(v => (v.Key, v.Value)),
    ];
}
