using System.Collections.Immutable;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Planning;

/// <summary>When the operators of a plan ran in the original, as far as it is known. Immutable.</summary>
public sealed record PlanTimes
{
    /// <summary>Where it is known from: a profile's file name; empty where only the iteration's time is.</summary>
    public required string Source { get; init; }

    /// <summary>
    /// The time of an iteration of the original that nobody watched, in nanoseconds: what a replay that keeps the pace comes
    /// to.
    /// </summary>
    public required long IterationNs { get; init; }

    /// <summary>The time of the iteration that was profiled, in nanoseconds: what <see cref="Operators"/> are parts of.</summary>
    public required long RecordedNs { get; init; }

    /// <summary>When each ran.</summary>
    public required ImmutableSortedDictionary<OperatorId, PlannedTime> Operators { get; init; }

    /// <summary>Operators of the plan whose times are not known.</summary>
    public required int Unlinked { get; init; }

    /// <summary>What the operators started on the device, by name: how often, and for how many nanoseconds.</summary>
    public required ImmutableArray<KernelTime> Kernels { get; init; }

    /// <summary>Time on the device that no operator started, in nanoseconds.</summary>
    public required long UnexplainedNs { get; init; }

    /// <summary>All time on the device, in nanoseconds.</summary>
    public required long DeviceNs { get; init; }

    /// <summary>Whether operators are known to have started work on a device.</summary>
    internal bool IsOnDevice => Operators.Values.Any(t => t.Kernels > 0);

    /// <summary>
    /// When streams of the device waited for each other in the original; null where that is not known. Times in nanoseconds, from the first
    /// operator's start on.
    /// </summary>
    public ImmutableArray<StreamWait>? StreamWaits { get; init; }

    /// <summary>Share of the device's time that no operator explains, 0 to 1.</summary>
    public double UnexplainedShare => DeviceNs == 0 ? 0 : (double)UnexplainedNs / DeviceNs;

    /// <summary>The time alone of an iteration.</summary>
    /// <param name="iterationNs">In nanoseconds.</param>
    private static PlanTimes OfIteration(long iterationNs) =>
        new PlanTimes
        {
            Source = "",
            IterationNs = iterationNs,
            RecordedNs = iterationNs,
            Operators = ImmutableSortedDictionary<OperatorId, PlannedTime>.Empty,
            Unlinked = 0,
            Kernels = [],
            UnexplainedNs = 0,
            DeviceNs = 0,
        };

    /// <summary>Times whose iteration takes as long as an uninstrumented one.</summary>
    /// <param name="times">What is known; null for nothing.</param>
    /// <param name="iterationNs">In nanoseconds; null leaves all as it is.</param>
    public static PlanTimes? WithIterationTime(PlanTimes? times, long? iterationNs) => iterationNs is not { } time ? times
        : times is null ? OfIteration(time) : times with { IterationNs = time };

    /// <summary>
    /// The host waits after what it started last. What it waits for before the first operator is work of the iteration before, which is
    /// the same: the wait goes to the end.
    /// </summary>
    private static void AddWaits(ImmutableSortedDictionary<OperatorId, PlannedTime>.Builder times,
        (OperatorId Id, OperatorTime Time)[] known, LinkedProfile profile)
    {
        if (known.Length == 0)
            return;
        var byStart = known.OrderBy(k => k.Time.StartNs).ToArray();
        var ids = known.ToLookup(k => k.Id.Node, k => k.Id);
        foreach (var wait in profile.HostWaits)
        {
            int next = Array.FindIndex(byStart, k => k.Time.StartNs > wait.AtNs);
            var last = byStart[next > 0 ? next - 1 : ^1].Id;
            OperatorId? until = wait.Node is { } node && ids[node].Any() ? ids[node].First() : null;
            var before = times[last].Wait;
            times[last] = times[last] with
            {
                Wait = new PlannedWait((before?.DurationNs ?? 0) + wait.DurationNs, before is { Until: null } ? null : until),
            };
        }
    }

    /// <summary>
    /// When an operator ran on the host: of a backward pass, from its first recorded operator to the end of its last. Null where nothing is
    /// known.
    /// </summary>
    internal (long StartNs, long EndNs)? SpanOf(PlannedOperator op) =>
        SpanOf(op, id => Operators.TryGetValue(id, out var time) ? (time.StartNs, time.DurationNs) : null);

    /// <summary>The same, by times from elsewhere.</summary>
    internal static (long StartNs, long EndNs)? SpanOf(PlannedOperator op, Func<OperatorId, (long StartNs, long DurationNs)?> timeOf)
    {
        (long StartNs, long EndNs)? span = null;
        foreach (var id in op.Role == OperatorRole.Autograd ? op.Backward.Select(b => b.Id) : [op.Id])
            if (timeOf(id) is { } time)
                span = (Math.Min(span?.StartNs ?? time.StartNs, time.StartNs), Math.Max(span?.EndNs ?? 0, time.StartNs + time.DurationNs));
        return span;
    }

    /// <summary>The times of a plan's operators.</summary>
    /// <param name="plan">The plan; its operators, and those that do not run.</param>
    /// <param name="recording">The profile, and the time of an uninstrumented iteration.</param>
    internal static PlanTimes? Of(ReplayPlan plan, Recording recording)
    {
        if (recording.Profile is not { } profile)
            return WithIterationTime(null, recording.IterationNs);
        var ids = plan.Observed.Where(o => o.Role == OperatorRole.Recorded).Select(o => o.Id)
            .Concat(plan.Replaced.Select(r => r.Id)).ToArray();
        var known = ids.Where(i => profile.Operators.ContainsKey(i.Node)).Order().Select(i => (Id: i, Time: profile.Operators[i.Node]))
            .ToArray();
        long start = known.Length == 0 ? 0 : known.Min(k => k.Time.StartNs);
        var times = known.ToImmutableSortedDictionary(k => k.Id,
            k => new PlannedTime
            {
                StartNs = k.Time.StartNs - start,
                DurationNs = k.Time.DurationNs,
                Kernels = k.Time.Kernels.Length,
                DeviceNs = k.Time.DeviceNs,
                Stream = k.Time.Stream,
            })
                .ToBuilder();
        AddWaits(times, known, profile);
        long recorded = plan.Source.Iteration is { } number && profile.Steps.TryGetValue(number, out long step) ? step
            // Nothing marks iterations in the profile of a TorchSharp program: its capture knows how long the recorded one took.
            : profile.Steps.IsEmpty && recording.Baseline?.RecordedNs is [var only] ? only : profile.IterationNs;
        var kernels = known.SelectMany(k => k.Time.Kernels).GroupBy(k => k.Name, (name, group) =>
            new KernelTime(name, group.Count(), group.Sum(k => k.DurationNs)));
        var result = new PlanTimes
        {
            Source = profile.Source,
            IterationNs = recorded,
            RecordedNs = recorded,
            Operators = times.ToImmutable(),
            Unlinked = ids.Length - known.Length,
            Kernels = [.. kernels.OrderByDescending(k => k.DurationNs).ThenBy(k => k.Name, StringComparer.Ordinal)],
            UnexplainedNs = profile.Unexplained.Sum(u => u.DurationNs),
            DeviceNs = profile.DeviceNs,
            // An event from before the first operator is of what the iteration starts after.
            StreamWaits = profile.StreamWaits?.Where(w => w.RecordedNs >= start && w.AtNs >= start)
                .Select(w => w with { AtNs = w.AtNs - start, RecordedNs = w.RecordedNs - start }).ToImmutableArray(),
        };
        return WithIterationTime(result, recording.IterationNs);
    }
}

/// <summary>When an operator ran. Times in nanoseconds.</summary>
public sealed record PlannedTime
{
    /// <summary>Its start on the host, from the first operator's on.</summary>
    public required long StartNs { get; init; }

    /// <summary>How long it took on the host.</summary>
    public required long DurationNs { get; init; }

    /// <summary>How many kernels, copies and fillings it started on the device.</summary>
    public required int Kernels { get; init; }

    /// <summary>Their time, added up.</summary>
    public required long DeviceNs { get; init; }

    /// <summary>The device's stream that they ran on; null where there were none.</summary>
    public required StreamId? Stream { get; init; }

    /// <summary>The wait of the host for the device that came after it; null where there was none.</summary>
    public PlannedWait? Wait { get; init; }
}

/// <summary>A wait of the host for the device.</summary>
/// <param name="DurationNs">How long the original waited, in nanoseconds.</param>
/// <param name="Until">Whose work must be done; null for all work of the device.</param>
public sealed record PlannedWait(long DurationNs, OperatorId? Until);

/// <summary>What ran on the device under one name.</summary>
/// <param name="Name">The kernel's name, or that of a copy or filling.</param>
/// <param name="Count">How often in an iteration.</param>
/// <param name="DurationNs">For how long, added up, in nanoseconds.</param>
public sealed record KernelTime(string Name, int Count, long DurationNs);
