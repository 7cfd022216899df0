using System.Collections.Immutable;

namespace Mystique.Planning;

/// <summary>When the operators of a plan ran in the original, as far as it is known. Immutable.</summary>
/// <param name="Source">Where it is known from: a profile's file name; empty where only the iteration's time is.</param>
/// <param name="IterationNs">
/// The time of an iteration of the original that nobody watched, in nanoseconds: what a replay that keeps the pace comes to.
/// </param>
/// <param name="RecordedNs">
/// The time of the iteration that was profiled, in nanoseconds: what <paramref name="Operators"/> are parts of.
/// </param>
/// <param name="Operators">When each ran.</param>
/// <param name="Unlinked">Operators of the plan whose times are not known.</param>
/// <param name="Kernels">What the operators started on the device, by name: how often, and for how many nanoseconds.</param>
/// <param name="UnexplainedNs">Time on the device that no operator started, in nanoseconds.</param>
/// <param name="DeviceNs">All time on the device, in nanoseconds.</param>
public sealed record PlanTimes(
    string Source,
    long IterationNs,
    long RecordedNs,
    ImmutableSortedDictionary<OperatorId, PlannedTime> Operators,
    int Unlinked,
    ImmutableArray<KernelTime> Kernels,
    long UnexplainedNs,
    long DeviceNs)
{
    /// <summary>Share of the device's time that no operator explains, 0 to 1.</summary>
    public double UnexplainedShare => DeviceNs == 0 ? 0 : (double)UnexplainedNs / DeviceNs;

    /// <summary>The time alone of an iteration.</summary>
    /// <param name="iterationNs">In nanoseconds.</param>
    private static PlanTimes OfIteration(long iterationNs) =>
        new("", iterationNs, iterationNs, ImmutableSortedDictionary<OperatorId, PlannedTime>.Empty, 0, [], 0, 0);

    /// <summary>Times whose iteration takes as long as an uninstrumented one.</summary>
    /// <param name="times">What is known; null for nothing.</param>
    /// <param name="iterationNs">In nanoseconds; null leaves all as it is.</param>
    public static PlanTimes? WithIterationTime(PlanTimes? times, long? iterationNs) => iterationNs is not { } time ? times
        : times is null ? OfIteration(time) : times with { IterationNs = time };

    /// <summary>The times of a plan's operators.</summary>
    /// <param name="plan">The plan; its operators, and those that do not run.</param>
    /// <param name="recording">The profile, and the time of an uninstrumented iteration.</param>
    internal static PlanTimes? Of(ReplayPlan plan, Recording recording)
    {
        if (recording.Profile is not { } profile)
            return WithIterationTime(null, recording.IterationNs);
        var ids = plan.Operators.Where(o => o.Role == OperatorRole.Recorded).Select(o => o.Id)
            .Concat(plan.Replaced.Select(r => r.Id)).ToArray();
        var known = ids.Where(i => profile.Operators.ContainsKey(i.Node)).Order().Select(i => (Id: i, Time: profile.Operators[i.Node]))
            .ToArray();
        long start = known.Length == 0 ? 0 : known.Min(k => k.Time.StartNs);
        var times = known.ToImmutableSortedDictionary(k => k.Id,
            k => new PlannedTime(k.Time.StartNs - start, k.Time.DurationNs, k.Time.Kernels.Length, k.Time.DeviceNs, k.Time.Stream, false))
                .ToBuilder();
        foreach (long wait in profile.HostWaitsNs)
        {
            // The host waits after what it started last.
            var before = known.Where(k => k.Time.StartNs <= wait).ToArray();
            if (before.Length > 0)
            {
                var last = before.MaxBy(k => k.Time.StartNs).Id;
                times[last] = times[last] with { WaitsAfter = true };
            }
        }
        long recorded = plan.Source.Iteration is { } number && profile.Steps.TryGetValue(number, out long step) ? step
            // Nothing marks iterations in the profile of a TorchSharp program: its capture knows how long the recorded one took.
            : profile.Steps.IsEmpty && recording.Baseline?.RecordedNs is [var only] ? only : profile.IterationNs;
        var kernels = known.SelectMany(k => k.Time.Kernels).GroupBy(k => k.Name, (name, group) =>
            new KernelTime(name, group.Count(), group.Sum(k => k.DurationNs)));
        var result = new PlanTimes(profile.Source, recorded, recorded, times.ToImmutable(), ids.Length - known.Length,
            [.. kernels.OrderByDescending(k => k.DurationNs).ThenBy(k => k.Name, StringComparer.Ordinal)],
            profile.Unexplained.Sum(u => u.DurationNs), profile.DeviceNs);
        return WithIterationTime(result, recording.IterationNs);
    }
}

/// <summary>When an operator ran. Times in nanoseconds.</summary>
/// <param name="StartNs">Its start on the host, from the first operator's on.</param>
/// <param name="DurationNs">How long it took on the host.</param>
/// <param name="Kernels">How many kernels, copies and fillings it started on the device.</param>
/// <param name="DeviceNs">Their time, added up.</param>
/// <param name="Stream">The device's stream that they ran on; null where there were none.</param>
/// <param name="WaitsAfter">Whether the host then waited for the device.</param>
public sealed record PlannedTime(long StartNs, long DurationNs, int Kernels, long DeviceNs, long? Stream, bool WaitsAfter);

/// <summary>What ran on the device under one name.</summary>
/// <param name="Name">The kernel's name, or that of a copy or filling.</param>
/// <param name="Count">How often in an iteration.</param>
/// <param name="DurationNs">For how long, added up, in nanoseconds.</param>
public sealed record KernelTime(string Name, int Count, long DurationNs);
