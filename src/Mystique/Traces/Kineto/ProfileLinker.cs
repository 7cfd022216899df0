using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;

namespace Mystique.Traces.Kineto;

/// <summary>Finds the nodes of a trace in a Kineto profile of the same job.</summary>
internal static class ProfileLinker
{
    /// <summary>By ids, at least so many of the operators must be found under their own names.</summary>
    private const double EnoughByIds = 0.9;

    /// <summary>Reads a profile and links it. PyTorch's ids first: a node's <c>rf_id</c> is the profile's <c>Record function id</c>, or
    /// <c>External id</c> in old ones.
    /// Where these do not fit, because another iteration was profiled, the order of operators on each thread decides.</summary>
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

    /// <summary>Links a profile that was read.</summary>
    internal static LinkedProfile Link(ExecutionTrace trace, KinetoProfile profile)
    {
        var tree = new KinetoTree(profile);
        var events = profile.Events;
        var operators = trace.Nodes.Where(n => IsOperatorName(n.Name)).ToArray();
        if (operators.Length == 0)
            throw Problems.NothingSelected(trace.Source);
        var byId = LinkById(operators, events);
        if (byId.Count >= EnoughByIds * operators.Length)
            return Build(trace, profile, tree, operators, new Found(byId, []), ProfileLink.Id);
        var byOrder = OrderLinker.Link(trace, operators, tree, events);
        if (byOrder.Events.Count == 0)
            throw Problems.ProfileOfAnotherJob(profile.Source, trace.Source, string.Create(CultureInfo.InvariantCulture,
                $"{byId.Count} of {operators.Length} operators are there under their ids, and their order is not"));
        return Build(trace, profile, tree, operators, byOrder, ProfileLink.Order);
    }

    /// <summary>What was found: by node id the event, and, by order, how long iterations took.</summary>
    internal sealed record Found(Dictionary<long, int> Events, IReadOnlyList<long> PeriodsNs);

    /// <summary>
    /// Whether a name is an operator's, and not a label's: <c>aten::add</c>, but not <c>autograd::engine::evaluate_function:
    /// …</c> or <c>torch::distributed::reducer::mul_out</c>.
    /// </summary>
    internal static bool IsOperatorName(string name) => name == "record_param_comms" || name.Contains("::", StringComparison.Ordinal)
        && !name.StartsWith("autograd::", StringComparison.Ordinal) && !name.StartsWith("torch::", StringComparison.Ordinal)
            && !name.Contains(' ');

    private static Dictionary<long, int> LinkById(TraceNode[] operators, KinetoEvent[] events)
    {
        var byId = new Dictionary<long, int>();
        for (int i = 0; i < events.Length; i++)
            if (events[i].Kind == KinetoKind.Operator)
                byId.TryAdd(events[i].RecordFunctionId >= 0 ? events[i].RecordFunctionId : events[i].ExternalId, i);
        var found = new Dictionary<long, int>();
        foreach (var node in operators)
            if (byId.TryGetValue(node.RecordFunctionId, out int at) && events[at].Name == node.Name)
                found.Add(node.Id, at);
        return found;
    }

    private static LinkedProfile Build(ExecutionTrace trace, KinetoProfile profile, KinetoTree tree, TraceNode[] operators, Found found,
        ProfileLink link)
    {
        var events = profile.Events;
        var linked = found.Events.Values.ToHashSet();
        long start = linked.Min(i => events[i].StartNs);
        long end = linked.Max(i => events[i].EndNs);
        var times = found.Events.ToImmutableDictionary(f => f.Key, f =>
            new OperatorTime(events[f.Value].StartNs - start, events[f.Value].DurationNs, [.. tree.WorkOf(f.Value, start)]));
        string reason = link == ProfileLink.Id ? "the profile has no operator of this name under its id"
            : "the operators of its thread are not in the profile in this order";
        ImmutableArray<(long, string, string)> unlinked =
            [.. operators.Where(n => !found.Events.ContainsKey(n.Id)).Select(n => (n.Id, n.Name, reason))];
        bool IsExplained(int index) => linked.Contains(index) || tree.AncestorsOf(index).Any(linked.Contains);

        int unlinkedEvents = 0;
        long deviceNs = 0;
        var unexplained = new Dictionary<string, (int Count, long DurationNs)>();
        var waits = ImmutableArray.CreateBuilder<long>();
        for (int i = 0; i < events.Length; i++)
        {
            ref var e = ref events[i];
            int launch = tree.LaunchOf(i);
            long at = launch >= 0 ? events[launch].StartNs : e.StartNs;
            if (at < start || at > end)
                continue;
            if (e.Kind == KinetoKind.Operator && IsOperatorName(e.Name) && !linked.Contains(i))
                unlinkedEvents++;
            else if (e.Kind == KinetoKind.Runtime && IsWait(e.Name) && !IsExplained(i))
                waits.Add(e.StartNs - start);
            if (!e.IsOnDevice)
                continue;
            deviceNs += e.DurationNs;
            if (launch >= 0 && IsExplained(launch))
                continue;
            string name = launch >= 0 && events[launch].Name.Contains("GraphLaunch", StringComparison.Ordinal) ? events[launch].Name
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
            Unlinked = unlinked,
            UnlinkedEvents = unlinkedEvents,
            Unexplained = [.. unexplained.Select(u => (u.Key, u.Value.Count, u.Value.DurationNs)).OrderByDescending(u => u.DurationNs)
                .ThenBy(u => u.Key, StringComparer.Ordinal)],
            DeviceNs = deviceNs,
            HostWaitsNs = waits.ToImmutable(),
            Steps = StepsOf(events),
            Notes = [.. NotesOn(profile, operators.Length, found, link)],
            Allocations = [.. AllocationsOf(profile, trace, start, end, link)],
        };
    }

    /// <summary>
    /// Of the profiler's steps that the trace has too; without steps, to the end of the profile, if it is of just what the
    /// trace is of.
    /// </summary>
    private static IEnumerable<ProfiledAllocation> AllocationsOf(KinetoProfile profile, ExecutionTrace trace, long start, long end,
        ProfileLink link)
    {
        if (profile.Allocations.Count == 0)
            yield break;
        var names = trace.Nodes.Where(n => ProfilerStep.NumberOf(n.Name) is not null).Select(n => n.Name).ToHashSet(StringComparer.Ordinal);
        var steps = profile.Events.Where(e => names.Contains(e.Name)).ToArray();
        long from = steps.Select(e => e.StartNs).Append(start).Min();
        long until = steps.Select(e => e.EndNs).Append(steps.Length == 0 && link == ProfileLink.Id ? long.MaxValue : end).Max();
        var made = new HashSet<long>();
        foreach (var allocation in profile.Allocations.Where(a => a.AtNs >= from && a.AtNs <= until).OrderBy(a => a.AtNs))
        {
            bool wasThere = allocation.Bytes < 0 && allocation.Address != 0 && !made.Remove(allocation.Address);
            if (allocation.Bytes > 0)
                made.Add(allocation.Address);
            yield return new ProfiledAllocation(allocation.AtNs - start, allocation.Bytes, allocation.IsOnDevice, wasThere);
        }
    }

    private static IEnumerable<string> NotesOn(KinetoProfile profile, int count, Found found, ProfileLink link)
    {
        yield return link == ProfileLink.Id
            ? string.Create(CultureInfo.InvariantCulture,
                $"times from {profile.Source}: {found.Events.Count} of {count} operators found by their ids")
            : string.Create(CultureInfo.InvariantCulture,
                $"times from {profile.Source}: {found.Events.Count} of {count} operators found by their order, for their ids are not "
                + $"there{(found.PeriodsNs.Count == 0 ? "" : $"; of {found.PeriodsNs.Count + 1} iterations, the median one")}");
        foreach (string warning in profile.Warnings)
            yield return $"{profile.Source}: {warning}";
    }

    /// <summary>Whether a call of the runtime makes the host wait for the device.</summary>
    private static bool IsWait(string name) => name.EndsWith("Synchronize", StringComparison.Ordinal);

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
