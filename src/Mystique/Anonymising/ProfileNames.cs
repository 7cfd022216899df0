using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Anonymising;

/// <summary>A profile of which relative times are left: an iteration takes one second, and kernels have no names.</summary>
/// <param name="known">What everybody knows.</param>
/// <param name="ids">By id of the old trace's nodes, those of the new.</param>
/// <param name="iterationNs">An iteration's time in the old profile's nanoseconds.</param>
internal sealed partial class ProfileNames(PublicNames known, IReadOnlyDictionary<long, long> ids, long iterationNs)
{
    private const long SecondNs = 1_000_000_000;

    private readonly Dictionary<long, long> _addresses = [];
    private readonly Dictionary<StreamId, StreamId> _streams = [];

    /// <summary>The profile.</summary>
    public LinkedProfile Of(LinkedProfile profile) => new()
    {
        Source = Anonymiser.Name,
        Link = profile.Link,
        IterationNs = Scaled(profile.IterationNs),
        Operators = profile.Operators.Where(o => ids.ContainsKey(o.Key)).ToImmutableDictionary(o => ids[o.Key], o => Of(o.Value)),
        Labels = profile.Labels.Where(o => ids.ContainsKey(o.Key)).ToImmutableDictionary(o => ids[o.Key], o => Of(o.Value)),
        Unlinked = [.. profile.Unlinked.Where(u => ids.ContainsKey(u.NodeId)).Select(u => (ids[u.NodeId], known.IsOperator(u.Name) ? u.Name
            : $"{OwnSchema.Namespace}::operator", "it was not found in the profile"))],
        UnlinkedEvents = profile.UnlinkedEvents,
        Unexplained = [.. profile.Unexplained.GroupBy(u => KernelOf(u.Name), (name, group) => group.ToArray() is var all
            ? (name, all.Sum(u => u.Count), Scaled(all.Sum(u => u.DurationNs))) : default)],
        DeviceNs = Scaled(profile.DeviceNs),
        HostWaits = [.. profile.HostWaits.Select(w => new HostWait(Scaled(w.AtNs), Scaled(w.DurationNs),
            w.Node is { } node && ids.TryGetValue(node, out long id) ? id : null))],
        StreamWaits = profile.StreamWaits is { } waits ? [.. waits.Select(w => w with
        {
            AtNs = Scaled(w.AtNs),
            RecordedNs = Scaled(w.RecordedNs),
            Stream = Of(w.Stream),
            OnStream = Of(w.OnStream),
        })] : null,
        Steps = ImmutableDictionary<long, long>.Empty,
        Notes = [],
        Allocations = [.. profile.Allocations.Select(a => a with
        {
            AtNs = Scaled(a.AtNs),
            Address = a.Address is not { } address ? null : _addresses.TryGetValue(address, out long number) ? number
                : _addresses[address] = _addresses.Count + 1,
        })],
    };

    private OperatorTime Of(OperatorTime time) => new(Scaled(time.StartNs), Scaled(time.DurationNs), [.. time.Kernels.Select(k => k with
    {
        Name = KernelOf(k.Name),
        StartNs = Scaled(k.StartNs),
        DurationNs = Scaled(k.DurationNs),
        Stream = k.Stream is { } stream ? Of(stream) : null,
        Grid = Grid().IsMatch(k.Grid) ? k.Grid : "",
    })]);

    private StreamId Of(StreamId stream) => _streams.TryGetValue(stream, out var known) ? known
        : _streams[stream] = new StreamId(_streams.Count + 1);

    private long Scaled(long nanoseconds) => (long)Math.Round((double)nanoseconds / iterationNs * SecondNs);

    /// <summary>Copies and fillings have names that all profiles have; kernels have those of whoever wrote them.</summary>
    private static string KernelOf(string name) => Copy().IsMatch(name) ? name : "kernel";

    [GeneratedRegex(@"\AMem(?:cpy|set)(?: (?:HtoD|DtoH|DtoD|PtoP))?(?: \((?:Pageable|Pinned|Device|Unknown|Array|Managed)"
        + @"(?: -> (?:Pageable|Pinned|Device|Unknown|Array|Managed))?\))?\z")]
    private static partial Regex Copy();

    [GeneratedRegex(@"\A[0-9]{1,10}(?:x[0-9]{1,10}){0,2}\z")]
    private static partial Regex Grid();
}
