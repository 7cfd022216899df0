using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;

namespace Mystique.Traces.Kineto;

/// <summary>Finds the nodes of a trace in a Kineto profile of the same job.</summary>
internal static class ProfileLinker
{
    /// <summary>Fewer operators than this share are there by chance.</summary>
    private const double Enough = 0.5;

    /// <summary>So many found by ids leave nothing for the order to find.</summary>
    private const double Nearly = 0.999;

    /// <summary>Processes of a merged profile that are tried.</summary>
    private const int MaxProcesses = 64;

    /// <summary>
    /// Reads a profile and links it. A node's <c>rf_id</c> is the profile's <c>Record function id</c>, or <c>External id</c> in old ones,
    /// or is away from it by a constant. Where another iteration was profiled, or ids were lost, the order of operators on each thread
    /// tells, without or with gaps. Of these, the way by which most operators are found under their own names is taken.
    /// </summary>
    /// <param name="trace">The trace.</param>
    /// <param name="path">The profile's file.</param>
    /// <exception cref="MystiqueException">It cannot be read, is no profile, or is of another job (MYS116, MYS118 to MYS120).</exception>
    public static LinkedProfile Link(ExecutionTrace trace, string path) => Link(trace, KinetoReader.Read(path));

    /// <summary>The same, where a profile helps but is not needed.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="path">The profile's file.</param>
    /// <param name="why">Why it cannot be used; empty where it can.</param>
    public static LinkedProfile? TryLink(ExecutionTrace trace, string path, out string why)
    {
        try
        {
            why = "";
            return Link(trace, path);
        }
        catch (MystiqueException exception)
        {
            why = exception.What;
            return null;
        }
    }

    /// <summary>Links a profile that was read; of several processes, the trace's, else the one that fits best.</summary>
    internal static LinkedProfile Link(ExecutionTrace trace, KinetoProfile profile)
    {
        var operators = trace.Nodes.Where(n => IsOperatorName(n.Name)).ToArray();
        if (operators.Length == 0)
            throw Problems.NothingSelected(trace.Source);
        if (!profile.Events.Any(e => e.Kind == KinetoKind.Operator))
            throw Problems.ProfileHasNoOperators(profile.Source, string.Join("; ", profile.Warnings));
        long[] processes = profile.Processes.Contains(trace.ProcessId) ? [trace.ProcessId] : [.. profile.Processes.Take(MaxProcesses)];
        if (profile.Processes.Count < 2)
            processes = [0];
        Candidate? best = null;
        foreach (long process in processes)
        {
            var candidate = LinkProcess(trace, DeviceStreams.Apart(profile.Of(process)), operators);
            if (best is null || candidate.Found.Events.Count > best.Found.Events.Count)
                best = candidate;
        }
        if (best!.Found.Events.Count == 0 || best.Link != ProfileLink.Order && best.Found.Events.Count < Enough * operators.Length)
            throw Problems.ProfileOfAnotherJob(profile.Source, trace.Source, string.Create(CultureInfo.InvariantCulture,
                $"{best.Found.Events.Count} of {operators.Length} operators are there under their ids or in their order"));
        string[] notes = profile.Processes.Count < 2 ? [] :
            [string.Create(CultureInfo.InvariantCulture,
                $"{profile.Source} has {profile.Processes.Count} processes: {best.Profile.Processes[0]} was taken")];
        return Build(trace, best, operators, notes);
    }

    private static Candidate LinkProcess(ExecutionTrace trace, KinetoProfile profile, TraceNode[] operators)
    {
        var events = profile.Events;
        var tree = new KinetoTree(profile);
        Candidate Of(ProfileLink link, Found found) => new(profile, tree, link, found);
        var best = Of(ProfileLink.Id, new Found(IdLinker.ByRecordFunction(operators, events), []));
        void Try(ProfileLink link, Func<Found> find)
        {
            if (best.Found.Events.Count < Nearly * operators.Length && find() is var found && found.Events.Count > best.Found.Events.Count)
                best = Of(link, found);
        }
        Try(ProfileLink.ExternalId, () => new Found(IdLinker.ByExternalId(operators, events), []));
        Try(ProfileLink.ShiftedId, () => new Found(IdLinker.ByShiftedId(operators, events), []));
        Try(ProfileLink.Order, () => OrderLinker.Link(trace, operators, tree, events));
        Try(ProfileLink.OrderWithGaps, () => GapLinker.Link(operators, tree, events));
        return best;
    }

    private sealed record Candidate(KinetoProfile Profile, KinetoTree Tree, ProfileLink Link, Found Found);

    /// <summary>What was found: by node id the event, and, by order, how long iterations took.</summary>
    internal sealed record Found(Dictionary<long, int> Events, IReadOnlyList<long> PeriodsNs);

    /// <summary>
    /// Whether a name is an operator's, and not a label's: <c>aten::add</c>, but not <c>autograd::engine::evaluate_function:
    /// …</c> or <c>torch::distributed::reducer::mul_out</c>.
    /// </summary>
    internal static bool IsOperatorName(string name) => name == "record_param_comms" || name.Contains("::", StringComparison.Ordinal)
        && !name.StartsWith("autograd::", StringComparison.Ordinal) && !name.StartsWith("torch::", StringComparison.Ordinal)
            && !name.Contains(' ');

    private static LinkedProfile Build(ExecutionTrace trace, Candidate candidate, TraceNode[] operators, string[] notes)
    {
        var (profile, tree, link, found) = (candidate.Profile, candidate.Tree, candidate.Link, candidate.Found);
        var events = profile.Events;
        var linked = found.Events.Values.ToHashSet();
        long start = linked.Min(i => events[i].StartNs);
        long end = linked.Max(i => events[i].EndNs);
        var times = found.Events.ToImmutableDictionary(f => f.Key, f =>
            new OperatorTime(events[f.Value].StartNs - start, events[f.Value].DurationNs, [.. tree.WorkOf(f.Value, start)]));
        string reason = link < ProfileLink.Order ? "the profile has no operator of this name under its id"
            : "the operators of its thread are not in the profile in this order";
        ImmutableArray<(long, string, string)> unlinked =
            [.. operators.Where(n => !found.Events.ContainsKey(n.Id)).Select(n => (n.Id, n.Name, reason))];
        bool IsExplained(int index) => linked.Contains(index) || tree.AncestorsOf(index).Any(linked.Contains);

        int unlinkedEvents = 0;
        long deviceNs = 0;
        var unexplained = new Dictionary<string, (int Count, long DurationNs)>();
        for (int i = 0; i < events.Length; i++)
        {
            ref var e = ref events[i];
            int? launch = tree.LaunchOf(i);
            long at = launch is { } started ? events[started].StartNs : e.StartNs;
            if (at < start || at > end)
                continue;
            if (e.Kind == KinetoKind.Operator && IsOperatorName(e.Name) && !linked.Contains(i))
                unlinkedEvents++;
            if (!e.IsOnDevice)
                continue;
            deviceNs += e.DurationNs;
            if (launch is { } call && IsExplained(call))
                continue;
            string name = launch is { } graph && events[graph].Name.Contains("GraphLaunch", StringComparison.Ordinal) ? events[graph].Name
                : e.Name;
            var (count, duration) = unexplained.GetValueOrDefault(name);
            unexplained[name] = (count + 1, duration + e.DurationNs);
        }
        return new LinkedProfile
        {
            Source = profile.Source,
            Link = link,
            IterationNs = IterationOf(events, trace, found, end - start),
            Operators = times,
            Labels = LabelsOf(trace, events, found, link, start, end).ToImmutableDictionary(l => l.Key,
                l => new OperatorTime(events[l.Value].StartNs - start, events[l.Value].DurationNs, [])),
            Unlinked = unlinked,
            UnlinkedEvents = unlinkedEvents,
            Unexplained = [.. unexplained.Select(u => (u.Key, u.Value.Count, u.Value.DurationNs)).OrderByDescending(u => u.DurationNs)
                .ThenBy(u => u.Key, StringComparer.Ordinal)],
            DeviceNs = deviceNs,
            HostWaits = [.. HostWaitFinder.Find(profile, tree, NodesOf(found),
                WindowOf(events, trace, start, end), start).OrderBy(w => w.AtNs)],
            StreamWaits = StreamWaitFinder.Find(profile, start)?.ToImmutableArray(),
            Steps = StepsOf(events),
            Notes = [.. NotesOn(profile, operators.Length, found, link), .. notes],
            ConcreteInputs = link >= ProfileLink.Order ? ImmutableDictionary<long, ImmutableArray<string>>.Empty
                : found.Events.Where(f => events[f.Value].ConcreteInputs is not null)
                    .ToImmutableDictionary(f => f.Key, f => ImmutableArray.Create(events[f.Value].ConcreteInputs!)),
            Allocations = [.. AllocationsOf(profile, trace, start, end,
                isOfOne: link < ProfileLink.Order || link == ProfileLink.Order && found.PeriodsNs.Count == 0)],
        };
    }

    /// <summary>
    /// The events of labels, by node. Where a process group was at work, all labels tell what was running; where ids are not there, those
    /// of a name are found in their order, if the profile has as many in the one iteration that it is of.
    /// </summary>
    private static Dictionary<long, int> LabelsOf(ExecutionTrace trace, KinetoEvent[] events, Found found, ProfileLink link, long start,
        long end)
    {
        bool hasBackend = trace.Nodes.Any(CallMarks.IsWork);
        var labels = trace.Nodes.Where(n => n.Schema is null && (hasBackend || n.Name.Contains(':', StringComparison.Ordinal)));
        if (link == ProfileLink.Id)
            return IdLinker.Labels(labels, events);
        return hasBackend && found.PeriodsNs.Count == 0 ? IdLinker.ByNames(labels, events, start, end) : [];
    }

    /// <summary>
    /// Of the profiler's steps that the trace has too; without steps, to the end of the profile, if it is of just what the
    /// trace is of.
    /// </summary>
    private static IEnumerable<ProfiledAllocation> AllocationsOf(KinetoProfile profile, ExecutionTrace trace, long start, long end,
        bool isOfOne)
    {
        if (profile.Allocations.Count == 0)
            yield break;
        var names = trace.Nodes.Where(n => ProfilerStep.NumberOf(n.Name) is not null).Select(n => n.Name).ToHashSet(StringComparer.Ordinal);
        var steps = profile.Events.Where(e => names.Contains(e.Name)).ToArray();
        long from = steps.Select(e => e.StartNs).Append(start).Min();
        long until = steps.Select(e => e.EndNs).Append(steps.Length == 0 && isOfOne ? long.MaxValue : end).Max();
        var made = new HashSet<long>();
        foreach (var allocation in profile.Allocations.Where(a => a.AtNs >= from && a.AtNs <= until).OrderBy(a => a.AtNs))
        {
            bool wasThere = allocation.Bytes < 0 && allocation.Address is { } freed && !made.Remove(freed);
            if (allocation is { Bytes: > 0, Address: { } address })
                made.Add(address);
            yield return new ProfiledAllocation(allocation.AtNs - start, allocation.Bytes, allocation.IsOnDevice, wasThere)
            {
                Address = allocation.Address,
            };
        }
    }

    private static IEnumerable<string> NotesOn(KinetoProfile profile, int count, Found found, ProfileLink link)
    {
        string how = link switch
        {
            ProfileLink.Id => "by their ids",
            ProfileLink.ExternalId => "by their external ids",
            ProfileLink.ShiftedId => "by their ids, which are all as far from the trace's",
            ProfileLink.OrderWithGaps => "by their order, with gaps, for their ids are not there",
            _ => "by their order, for their ids are not there",
        };
        yield return string.Create(CultureInfo.InvariantCulture,
            $"times from {profile.Source}: {found.Events.Count} of {count} operators found {how}"
                + $"{(found.PeriodsNs.Count == 0 ? "" : $"; of {found.PeriodsNs.Count + 1} iterations, the median one")}");
        foreach (string warning in profile.Warnings)
            yield return $"{profile.Source}: {warning}";
    }

    /// <summary>By event, its node; where several nodes were found in one, the first.</summary>
    private static Dictionary<int, long> NodesOf(Found found)
    {
        var nodes = new Dictionary<int, long>();
        foreach (var (node, index) in found.Events.OrderBy(f => f.Key))
            nodes.TryAdd(index, node);
        return nodes;
    }

    /// <summary>
    /// From the start to the end of the profiler's steps that the trace has too; where it has none, of the step around what was found;
    /// without steps, from the first operator's start to the last one's end.
    /// </summary>
    private static (long Start, long End) WindowOf(KinetoEvent[] events, ExecutionTrace trace, long start, long end)
    {
        var names = trace.Nodes.Where(n => ProfilerStep.NumberOf(n.Name) is not null).Select(n => n.Name).ToHashSet(StringComparer.Ordinal);
        var steps = events.Where(e => !e.IsOnDevice && (names.Contains(e.Name)
            || names.Count == 0 && ProfilerStep.NumberOf(e.Name) is not null && e.StartNs <= start && e.EndNs >= end)).ToArray();
        return (steps.Select(e => e.StartNs).Append(start).Min(), steps.Select(e => e.EndNs).Append(end).Max());
    }

    /// <summary>
    /// The profiler's step that the trace has too, else the median of the periods, else from the first start to the last end.
    /// </summary>
    private static long IterationOf(KinetoEvent[] events, ExecutionTrace trace, Found found, long span)
    {
        var steps = StepsOf(events);
        foreach (var node in trace.Nodes)
            if (ProfilerStep.NumberOf(node.Name) is { } number && steps.TryGetValue(number, out long duration))
                return duration;
        return found.PeriodsNs.Count > 0 ? found.PeriodsNs.Order().ElementAt(found.PeriodsNs.Count / 2) : span;
    }

    private static ImmutableDictionary<long, long> StepsOf(KinetoEvent[] events)
    {
        var steps = ImmutableDictionary.CreateBuilder<long, long>();
        foreach (var e in events)
            if (e.Kind is KinetoKind.Label or KinetoKind.Operator && ProfilerStep.NumberOf(e.Name) is { } number)
                steps[number] = e.DurationNs;
        return steps.ToImmutable();
    }
}
