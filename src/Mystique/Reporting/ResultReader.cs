using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Fidelity;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Reporting.Documents;
using Mystique.Traces;

namespace Mystique.Reporting;

/// <summary>Reads results for machines back, <c>mystique-run</c> (<c>docs/result-format.md</c>), to compare them.</summary>
internal static class ResultReader
{
    private const int MaxBytes = 256 << 20;
    private const int MaxJobBytes = 1 << 30; // Of many ranks there are as many results in one.

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
    public static Run Read(string path) => Read<RunDocument, Run>(path, MaxBytes, run => Of(run, Path.GetFileName(path)));

    /// <summary>Reads the result file of a job's ranks, <c>mystique-job-run</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MystiqueException">It is no such result (MYS123).</exception>
    public static JobRunDocument ReadJob(string path) => Read<JobRunDocument, JobRunDocument>(path, MaxJobBytes, run =>
        run.Format == JobRunDocument.FormatName && run.FormatVersion == JobRunDocument.CurrentVersion && run.Ranks.Length > 0 ? run
            : throw new FormatException($"it is no {JobRunDocument.FormatName} of format version {JobRunDocument.CurrentVersion}"));

    private static TResult Read<TDocument, TResult>(string path, int maxBytes, Func<TDocument, TResult> take)
    {
        try
        {
            return take(DocumentContext.Read<TDocument>(PlainFile.ReadAllBytes(path, maxBytes)));
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException
            or KeyNotFoundException or OverflowException or IOException or UnauthorizedAccessException)
        {
            throw Problems.ResultInvalid(path, exception);
        }
    }

    private static Run Of(RunDocument run, string name)
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
                groups[group.Name] = new RunOperatorGroup(count, group.TimeNs, group.AllocatedBytes)
                {
                    DeviceNs = group.DeviceNs,
                    Kernels = group.Kernels,
                };
            if (group.OriginalCount > 0)
                originals[group.Name] = new RunOperatorGroup(group.OriginalCount, group.OriginalNs, group.AllocatedBytes)
                {
                    DeviceNs = group.OriginalDeviceNs,
                    Kernels = group.OriginalKernels,
                };
        }
        bool isOnHost = DeviceName.KindOf(run.Engine.Device) == DeviceName.Host;
        var coverage = run.Coverage;
        return new Run
        {
            Name = name,
            Provenance = ProvenanceOf(run),
            Clock = run.Engine.Clock,
            Times = new SampleStatistics(run.Iterations.SamplesNs),
            CpuTimeNs = run.CpuTimeNs > 0 ? run.CpuTimeNs : null,
            UsedBytes = isOnHost ? run.Memory.UsedBytes : null,
            DeviceBytes = isOnHost ? null : run.Memory.AllocatedBytes,
            Device = run.Memory.Device,
            AllocatedBytes = isOnHost ? run.Memory.AllocatedBytes : null,
            System = run.System,
            Groups = groups.ToImmutable(),
            DecomposedOperators = coverage.DecomposedOperators,
            Coverage = new RunCoverage
            {
                Selected = coverage.SelectedOperators,
                Classes = run.Verification.Classes?.ToClasses(),
                Replaced = [.. coverage.Replaced.Select(r => (r.Operator, r.Count, r.Remedy, r.By, r.Reason))],
                Verification = ReplayRun.DescribeVerification(
                    run.Verification.Status switch { "exact" => true, "different" => false, _ => null },
                    run.Verification.ExactOperators, run.Verification.ExpectedOperators, run.Verification.UnobservedKernels,
                    run.Verification.Backward is { } b ? (b.RecordedOperators, b.RanOperators, b.ExactOperators) : null),
                Level = run.Program.Level == "framework" ? ReplayLevel.Framework : ReplayLevel.Operator,
                OriginalGroups = originals.Count == 0 ? null : originals.ToImmutable(),
                OriginalInstrumentedNs = run.Reference?.RecordedNs,
            },
        };
    }

    private static ImmutableArray<(string, string)> ProvenanceOf(RunDocument run) =>
    [
        ("trace", $"{run.Source.Trace}, SHA-256 {run.Source.Sha256}"),
        ("iterations", $"{run.Iterations.Count} after {run.Options.Warmup} of warm-up, seed {run.Options.Seed}, pace {run.Options.Pace}"),
        ("engine", $"{run.Engine.Name} on {run.Engine.Device}, {run.Engine.Threads} threads"),
        ("host", $"{run.Host.Processor}, {run.Host.Processors} logical CPUs, {run.Host.Os}"),
        .. run.Engine.Versions.Select(v => (v.Key, v.Value)),
    ];
}
