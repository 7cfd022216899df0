using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Verification;

namespace Mystique.Fidelity;

/// <summary>Originals to compare with: capture folders, and profiles.</summary>
internal static class OriginalRun
{
    /// <summary>Of a replay's operators, the share that a profile of the same job has at least.</summary>
    private const double SameJob = 0.9;

    /// <summary>What <c>mystique capture --modules</c> puts around a module's forward (<c>python/hook/recorder.py</c>).</summary>
    private const string ModuleLabel = "nn.Module: ";

    /// <summary>What a job's own measurements tell of it, and nothing else.</summary>
    /// <param name="baseline">The measurements.</param>
    public static Run Of(Baseline baseline) => new()
    {
        Name = "original",
        Provenance = ProvenanceOf(baseline),
        Times = baseline.Uninstrumented.SamplesNs.IsEmpty ? new SampleStatistics(baseline.RecordedNs) : baseline.Uninstrumented,
        // Further runs are what counts; within one run the machine has less time to change.
        Repeats = baseline.RunsNs.IsEmpty
            ? baseline.IsOnDevice ? [] : [new SampleStatistics(baseline.Before.SamplesNs), new SampleStatistics(baseline.After.SamplesNs)]
            : [baseline.Uninstrumented, .. baseline.RunsNs.Select(r => new SampleStatistics([r]))],
        CpuTimeNs = baseline.CpuTimeNs > 0 ? baseline.CpuTimeNs : null,
        UsedBytes = baseline.UsedBytes > 0 ? baseline.UsedBytes : null,
        Clock = baseline.Clock,
        DeviceKind = baseline.Device.Type.Length > 0 ? baseline.Device.Type : null,
        KernelOrigin = KernelOriginOf(baseline.Device.Name, baseline.Versions),
        System = baseline.Before.System ?? baseline.After.System,
    };

    /// <summary>What a recording tells of the original.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="benchmark">Its benchmark; null where there is none yet.</param>
    /// <exception cref="MystiqueException">Nothing was measured of the original (MYS126).</exception>
    public static Run Of(Recording recording, Benchmark? benchmark = null)
    {
        if (recording.Baseline is not { } baseline)
            throw Problems.NoBaseline(recording.Trace.Source);
        var plan = (benchmark ?? Benchmark.Create(recording)).Plan;
        var profile = recording.Profile;
        var hostMemory = MemoryOf(profile, plan, isOnDevice: false);
        var deviceMemory = MemoryOf(profile, plan, isOnDevice: true);
        return Of(baseline) with
        {
            Name = recording.Name,
            AllocatedBytes = hostMemory?.PeakBytes,
            HostMemory = hostMemory,
            DeviceMemory = deviceMemory,
            DeviceBytes = deviceMemory?.PeakBytes,
            DeviceKind = DeviceName.AcceleratorOf(plan.Devices) ?? DeviceName.Host,
            Groups = GroupsOf(plan),
            InstrumentedNs = plan.Times is { Operators.Count: > 0 } times ? times.RecordedNs : null,
            Kernels = (plan.Times?.Kernels ?? []).ToImmutableSortedDictionary(k => k.Name, k =>
                (k.Count, k.DurationNs), StringComparer.Ordinal),
            DecomposedOperators = plan.Source.DecomposedCount,
            Timeline = TimelineOf(plan, recording.Trace),
            Concurrency = ConcurrencyOf(plan, profile),
            MemoryCurve = PlanMemory.CurveOf(plan),
        };
    }

    /// <summary>What kernels' names depend on, in a text; null where one of it is not known.</summary>
    internal static string? KernelOriginOf(string device, ImmutableSortedDictionary<string, string> versions) =>
        device.Length > 0 && versions.TryGetValue("torch", out string? torch)
            && (versions.GetValueOrDefault("cuda") ?? versions.GetValueOrDefault("hip")) is { } build
            ? $"{device}, PyTorch {torch}, {build}" : null;

    /// <summary>What the groups of a plan tell of the original.</summary>
    /// <param name="plan">The plan.</param>
    private static ImmutableSortedDictionary<string, RunOperatorGroup> GroupsOf(ReplayPlan plan) =>
        OperatorGroup.Of(plan).Values.Where(k => k.OriginalCount > 0).ToImmutableSortedDictionary(k => k.Name, k =>
            new RunOperatorGroup(k.OriginalCount, k.OriginalNs, k.AllocatedBytes)
            {
                DeviceNs = k.OriginalDeviceNs,
                Kernels = k.OriginalKernels,
            }, StringComparer.Ordinal);

    /// <summary>The original's tensors over the iteration, by what the profiler saw.</summary>
    private static MemoryTimeline? MemoryOf(LinkedProfile? profile, ReplayPlan plan, bool isOnDevice) => profile is null ? null
        : MemoryTimeline.Of(profile.Allocations, plan.Times?.RecordedNs ?? profile.IterationNs, isOnDevice,
            isOnDevice ? plan.Baseline?.DeviceLiveBytes : plan.Baseline?.LiveBytes, PlanMemory.ExternalBytesOn(plan, isOnDevice));

    private static Concurrency? ConcurrencyOf(ReplayPlan plan, LinkedProfile? profile)
    {
        if (profile is null || plan.Times is not { Operators.Count: > 0 } times)
            return null;
        var operators = times.Operators.Keys.Select(n => profile.Operators[n.Node]).ToArray();
        return Concurrency.Of(operators.Select(o => (o.StartNs, o.DurationNs)), operators.SelectMany(o => o.Kernels), times.RecordedNs);
    }

    /// <summary>The labels around a node, outermost first: what the user or PyTorch names parts of an iteration by.</summary>
    private static string LabelOf(TraceNode node)
    {
        var labels = new Stack<string>();
        for (var above = node.Parent; above is { Parent: not null }; above = above.Parent)
        {
            if (above.Schema is not null || above.Name.StartsWith("[pytorch", StringComparison.Ordinal)
                || ProfilerStep.NumberOf(above.Name) is not null)
                continue;
            if (above.Name.StartsWith(BackwardReader.Prefix, StringComparison.Ordinal))
                labels.Clear(); // What is within it only says the same again.
            if (above.Name.StartsWith(ModuleLabel, StringComparison.Ordinal)
                && labels.Any(l => l.StartsWith(ModuleLabel, StringComparison.Ordinal)))
                continue; // The name of the module within it has its own in it.
            labels.Push(above.Name.StartsWith(BackwardReader.Prefix, StringComparison.Ordinal)
                ? "backward: " + above.Name[BackwardReader.Prefix.Length..] : above.Name);
        }
        return string.Join(" / ", labels);
    }

    /// <summary>When the operators of a plan ran in the original, scaled to an iteration that nobody watched.</summary>
    private static ImmutableArray<TimelineSpan> TimelineOf(ReplayPlan plan, ExecutionTrace trace)
    {
        if (plan.Times is not { Operators.Count: > 0 } times)
            return [];
        double scale = (double)times.IterationNs / times.RecordedNs;
        var names = plan.Operators.Where(o => o.Role == OperatorRole.Recorded).Select(o => (o.Id, Name: o.Schema.FullName))
            .Concat(plan.Replaced.Select(r => (r.Id, r.Name)));
        var nodes = trace.Nodes.ToDictionary(n => n.Id);
        return [.. names.Where(n => times.Operators.ContainsKey(n.Id)).Select(n => (n.Name, n.Id, Time: times.Operators[n.Id]))
            .Select(n => new TimelineSpan(n.Name, n.Time.StartNs * scale, n.Time.DurationNs * scale, n.Id,
                nodes.TryGetValue(n.Id.Node, out var node) ? LabelOf(node) : "")).OrderBy(s => s.StartNs)];
    }

    /// <summary>
    /// What a Kineto profile tells: its steps, and the kernels of one of them; of several processes, that with the most operators.
    /// </summary>
    /// <param name="profile">The profile.</param>
    /// <param name="replay">What it is to be compared with: a replay of the same job.</param>
    /// <exception cref="MystiqueException">Its operators are not those of the replay's trace (MYS120).</exception>
    public static Run OfProfile(KinetoProfile profile, Run replay)
    {
        if (profile.Processes.Count > 1)
            profile = profile.Of(profile.Processes[0]);
        CheckSameJob(profile, replay);
        long[] steps = [.. profile.Events.Where(e => e.Kind is KinetoKind.Label or KinetoKind.Operator
            && ProfilerStep.NumberOf(e.Name) is not null).Select(e => e.DurationNs).Where(t => t > 0)];
        int count = Math.Max(1, steps.Length);
        return new Run
        {
            Name = profile.Source,
            Provenance =
            [
                ("profile", profile.Source), ("steps", steps.Length.ToString(CultureInfo.InvariantCulture)),
                .. profile.Processes.Select(p => ("process", p.ToString(CultureInfo.InvariantCulture))),
                .. profile.Warnings.Select(w => ("warning", w)),
            ],
            Times = new SampleStatistics([.. steps]),
            Kernels = profile.Events.Where(e => e.IsOnDevice).GroupBy(e => e.Name)
                .ToImmutableSortedDictionary(g => g.Key, g =>
                    ((int)Math.Round((double)g.Count() / count), g.Sum(e => e.DurationNs) / count), StringComparer.Ordinal),
        };
    }

    /// <summary>
    /// A profile of the same job has the operators of the trace, as often at least: for it has all iterations and what is within
    /// operators too. One without operators of the host, or a replay that does not tell its original's, cannot be judged.
    /// </summary>
    private static void CheckSameJob(KinetoProfile profile, Run replay)
    {
        var profiled = profile.Events.Where(e => e.Kind == KinetoKind.Operator).GroupBy(e => e.Name)
            .ToDictionary(g => g.Key, g => g.Count());
        var recorded = CountsOf(replay.Coverage?.OriginalGroups);
        if (profiled.Count == 0 || recorded.Count == 0)
            return;
        int all = recorded.Values.Sum();
        int found = Common(recorded, profiled);
        if (found < SameJob * all)
            throw Problems.ProfileOfAnotherJob(profile.Source, replay.Name, string.Create(CultureInfo.InvariantCulture,
                $"{found:N0} of the {all:N0} operators of the replay's trace are in it by their names"));
    }

    /// <summary>Holds a replay to be one of a capture's job: the operators of the trace that it replays are the capture's.</summary>
    /// <param name="original">The capture's run.</param>
    /// <param name="replay">The replay. One that does not tell the operators of its trace cannot be judged.</param>
    /// <exception cref="MystiqueException">They are others (MYS128).</exception>
    public static void CheckSameJob(Run original, Run replay)
    {
        var recorded = CountsOf(original.Groups);
        var replayed = CountsOf(replay.Coverage?.OriginalGroups);
        int common = Common(recorded, replayed);
        int all = Math.Max(recorded.Values.Sum(), replayed.Values.Sum());
        if (recorded.Count > 0 && replayed.Count > 0 && common < SameJob * all)
            throw Problems.ReplayOfAnotherJob(replay.Name, original.Name, string.Create(CultureInfo.InvariantCulture,
                $"the capture has {recorded.Values.Sum():N0} operators, the replay's trace {replayed.Values.Sum():N0}, {common:N0} of them "
                + $"the same by name"));
    }

    private static Dictionary<string, int> CountsOf(ImmutableSortedDictionary<string, RunOperatorGroup>? groups) =>
        (groups ?? ImmutableSortedDictionary<string, RunOperatorGroup>.Empty)
            .Where(g => ProfileLinker.IsOperatorName(g.Key)).GroupBy(g => g.Key.Split('.')[0])
            .ToDictionary(g => g.Key, g => g.Sum(k => k.Value.Count));

    private static int Common(Dictionary<string, int> counts, Dictionary<string, int> others) =>
        counts.Sum(c => Math.Min(c.Value, others.GetValueOrDefault(c.Key)));

    private static ImmutableArray<(string, string)> ProvenanceOf(Baseline reference)
    {
        var provenance = ImmutableArray.CreateBuilder<(string, string)>();
        provenance.Add(("iterations",
            $"{reference.Uninstrumented.SamplesNs.Length} uninstrumented; marked by: {reference.Source} {reference.SourceName}".Trim()));
        provenance.Add(("rank", $"{reference.Rank} of {reference.WorldSize}"));
        provenance.Add(("device", reference.Device.Name.Length > 0 ? reference.Device.Name : reference.Device.Type));
        if (reference.Host is { } host)
            provenance.Add(("host", $"{host.Processor}, {host.Processors} logical CPUs, {host.OperatingSystem}"));
        foreach (var (name, version) in reference.Versions)
            provenance.Add((name, version));
        foreach (var (name, threads) in reference.Threads)
            provenance.Add(($"threads, {name}", threads.ToString(CultureInfo.InvariantCulture)));
        foreach (var (name, value) in reference.Environment)
            provenance.Add((name, value));
        return provenance.ToImmutable();
    }
}
