using System.Collections.Immutable;
using System.Globalization;
using Mystique.Planning;
using Mystique.Verification;

namespace Mystique.Fidelity;

/// <summary>Replays as sides of comparisons.</summary>
internal static class ReplayRun
{
    /// <summary>What the result of a replay tells.</summary>
    /// <param name="result">The result.</param>
    public static Run Of(ReplayResult result)
    {
        bool isOnHost = result.Engine.IsOnHost;
        var plan = result.Plan;
        var groups = OperatorGroup.Of(plan);
        var run = new Run
        {
            Name = "replay",
            Provenance = ProvenanceOf(result),
            Times = result.Iterations,
            CpuTimeNs = result.CpuTimeNs > 0 ? result.CpuTimeNs : null,
            UsedBytes = isOnHost ? result.Memory.UsedBytes : null,
            DeviceKind = result.Engine.DeviceKind,
            Clock = result.Clock,
            KernelOrigin = OriginalRun.KernelOriginOf(result.Engine.Device.Split('(', ')').ElementAtOrDefault(1) ?? "",
                result.Engine.Versions),
            DeviceBytes = isOnHost ? null : result.Instrumented?.DeviceMemory?.PeakBytes,
            Device = result.Memory.Device,
            AllocatedBytes = isOnHost ? result.Instrumented?.HostMemory?.PeakBytes : null,
            System = result.System,
            Groups = GroupsOf(result, groups),
            DecomposedOperators = plan.Source.DecomposedCount,
            MemoryCurve = PlanMemory.CurveOf(plan),
            Coverage = new RunCoverage
            {
                Selected = plan.SelectedCount,
                Classes = result.Verification?.Classes,
                Replaced = [.. ReplacedGroup.Of(plan).Select(g => (g.Name, g.Count, g.RemedyName, g.By, g.Reason))],
                Level = plan.Level,
                Verification = DescribeVerification(result.Verification),
                OriginalGroups = OriginalGroupsOf(result, groups),
                OriginalInstrumentedNs = plan.Times?.RecordedNs,
            },
        };
        return result.Instrumented is { } watched ? WithInstrumented(run, watched)
            : run with { Timeline = TimelineOf(result, run.Times.MedianNs) };
    }

    /// <summary>What the observer saw, in a word.</summary>
    /// <param name="verification">What it saw; null where nobody looked.</param>
    public static string DescribeVerification(VerificationResult? verification) => DescribeVerification(verification?.IsExact,
        verification?.ExactCount ?? 0, verification?.ExpectedCount ?? 0, verification?.UnobservedKernels ?? 0,
        verification?.Backward is { } b ? (b.RecordedCount, b.RanCount, b.ExactCount) : null);

    /// <summary>The same, of a result that was read back.</summary>
    /// <param name="isExact">Whether all was the same; null where nobody looked.</param>
    /// <param name="exact">Operators that were exact.</param>
    /// <param name="expected">Operators that should have run.</param>
    /// <param name="unobservedKernels">Compiled kernels.</param>
    /// <param name="backward">At the framework's level, operators of backward passes: recorded, ran, and exact.</param>
    public static string DescribeVerification(bool? isExact, int exact, int expected, int unobservedKernels,
        (int Recorded, int Ran, int Exact)? backward) => (isExact, backward) switch
        {
            (null, _) => "not run",
            (true, null) => string.Create(CultureInfo.InvariantCulture, $"exact: {exact:N0} operators"),
            (true, _) => string.Create(CultureInfo.InvariantCulture,
                $"exact: {exact:N0} operators, {backward.Value.Ran:N0} of them in backward passes"),
            (_, { } b) when b.Exact < b.Recorded || b.Ran > b.Exact => string.Create(CultureInfo.InvariantCulture,
                $"{exact - b.Exact:N0} of {expected - b.Recorded:N0} exact; backward passes are the target's own: it ran {b.Ran:N0} "
                + $"operators where {b.Recorded:N0} were recorded, {b.Exact:N0} of them exact"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{exact:N0} of {expected:N0} exact"),
        } + (isExact is null ? "" : DescribeKernels(unobservedKernels));

    /// <summary>What is said of compiled kernels behind a verification; empty where there are none.</summary>
    public static string DescribeKernels(int unobserved) => unobserved == 0 ? "" : string.Create(CultureInfo.InvariantCulture,
        $"; {unobserved:N0} compiled kernels were launched, which no observer sees");

    private static ImmutableSortedDictionary<string, RunOperatorGroup> GroupsOf(ReplayResult result,
        ImmutableSortedDictionary<string, OperatorGroup> planned) =>
        result.OperatorGroups.Select(t => (Time: t, Planned: planned.GetValueOrDefault(t.Name) ?? OperatorGroup.Empty(t.Name)))
            .Select(t => (t.Time, t.Planned, Count: t.Time.Count - t.Planned.AddedCount)).Where(t => t.Count > 0)
            .ToImmutableSortedDictionary(t => t.Time.Name, t =>
                new RunOperatorGroup(t.Count, t.Time.TimeNs, t.Planned.AllocatedBytes), StringComparer.Ordinal);

    private static ImmutableSortedDictionary<string, RunOperatorGroup>? OriginalGroupsOf(ReplayResult result,
        ImmutableSortedDictionary<string, OperatorGroup> planned) => result.OperatorGroups.IsEmpty ? null
            : planned.Values.Where(g => g.OriginalCount > 0).ToImmutableSortedDictionary(g => g.Name, g =>
                new RunOperatorGroup(g.OriginalCount, g.OriginalNs, g.AllocatedBytes)
                {
                    DeviceNs = g.OriginalDeviceNs,
                    Kernels = g.OriginalKernels,
                }, StringComparer.Ordinal);

    /// <summary>
    /// The times of the instrumented iteration, as the original's are, in place of those of operators that are called one by
    /// one.
    /// </summary>
    private static Run WithInstrumented(Run run, InstrumentedIteration watched)
    {
        var byName = watched.Operators.ToLookup(o => o.Name);
        double scale = run.Times.MedianNs / Math.Max(watched.IterationNs, watched.Operators.Sum(o => o.DurationNs));
        var kernels = watched.Operators.SelectMany(o => o.Kernels).ToArray();
        return run with
        {
            Groups = run.Groups.ToImmutableSortedDictionary(k => k.Key, k =>
                k.Value with
                {
                    TimeNs = byName[k.Key].Sum(o => (double)o.DurationNs),
                    DeviceNs = kernels.Length == 0 ? null : byName[k.Key].Sum(o => o.Kernels.Sum(w => (double)w.DurationNs)),
                    Kernels = kernels.Length == 0 ? null : byName[k.Key].Sum(o => o.Kernels.Length),
                }, StringComparer.Ordinal),
            InstrumentedNs = watched.IterationNs,
            HostMemory = watched.HostMemory,
            DeviceMemory = watched.DeviceMemory,
            Timeline = [.. watched.Operators.Select(o => new TimelineSpan(o.Name, o.StartNs * scale, o.DurationNs * scale, o.Id, ""))],
            Kernels = kernels.GroupBy(k => k.Name)
                .ToImmutableSortedDictionary(g => g.Key, g => (g.Count(), g.Sum(k => k.DurationNs)), StringComparer.Ordinal),
            Concurrency = Concurrency.Of(watched.Operators.Select(o => (o.StartNs, o.DurationNs)), kernels, watched.IterationNs),
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

    private static ImmutableArray<(string, string)> ProvenanceOf(ReplayResult result) =>
    [
        ("trace", $"{result.Plan.Source.Name}, SHA-256 {result.Plan.Source.Digest}"),
        ("iterations", $"{result.Iterations.SamplesNs.Length} after {result.Options.Warmup} of warm-up, seed {result.Options.Seed}, "
            + $"pace {result.Options.Pace.ToString().ToLowerInvariant()}"),
        ("level", result.Plan.Level.Word()),
        ("engine", $"{result.Engine.Name} on {result.Engine.Device}, {result.Engine.Threads} threads"),
        ("host", $"{result.Host.Processor}, {result.Host.Processors} logical CPUs, {result.Host.OperatingSystem}"),
        .. result.Engine.Versions.Select(v => (v.Key, v.Value)),
    ];
}
