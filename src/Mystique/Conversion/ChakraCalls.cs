using System.Collections.Immutable;
using System.Globalization;
using Mystique.Ranks;
using Mystique.Traces.Chakra.Messages;

namespace Mystique.Conversion;

/// <summary>
/// Calls between ranks as Chakra has them: groups by numbers that all ranks share, and sends and receives with their peers and tags, by
/// which the two meet. The group of all ranks is 0, as ASTRA-sim takes it (<c>astra-sim/workload/Workload.cc</c>).
/// </summary>
internal sealed class ChakraCalls
{
    private readonly RankJob _job;
    private readonly Dictionary<(int Rank, long Node), (int Peer, int Tag)> _pairs = [];
    private readonly Dictionary<(int Rank, long Node), (int Number, int? Size)> _groups = [];

    private ChakraCalls(RankJob job)
    {
        _job = job;
        for (int i = 0; i < job.Groups.Length; i++)
        {
            var group = job.Groups[i];
            bool isWhole = group.Members.IsDefault || group.Members.Length == job.WorldSize;
            foreach (var (rank, calls) in group.Calls)
                foreach (var call in calls)
                    _groups[(rank, call.Start.Id)] = (isWhole ? 0 : i + 1, isWhole ? job.WorldSize : group.Size);
            AddPairs(group);
        }
    }

    /// <summary>Of the ranks of a job.</summary>
    public static ChakraCalls Of(RankJob job) => new(job);

    /// <summary>The groups with members of their own: their numbers and ranks.</summary>
    public IEnumerable<(int Number, ImmutableArray<int> Ranks)> Groups => _job.Groups.Index()
        .Where(g => !g.Item.Members.IsDefault && g.Item.Members.Length < _job.WorldSize).Select(g => (g.Index + 1, g.Item.Members));

    /// <summary>The number and the size of a call's group; null where nothing tells.</summary>
    public (int Number, int? Size)? GroupOf(int rank, CollectiveCall call) =>
        _groups.TryGetValue((rank, call.Start.Id), out var group) ? group : null;

    /// <summary>How many ranks the job has.</summary>
    public int WorldSize => _job.WorldSize;

    /// <summary>The node of a call; null for a send or receive whose other end nothing tells.</summary>
    /// <param name="rank">The rank that makes it.</param>
    /// <param name="call">The call.</param>
    public Node? NodeOf(int rank, CollectiveCall call)
    {
        var node = new Node
        {
            Name = call.Work?.Name ?? CollectiveNames.NameOf(call.Kind),
            Type = call.Kind switch
            {
                CollectiveKind.Send => NodeType.CommSendNode,
                CollectiveKind.Receive => NodeType.CommRecvNode,
                _ => NodeType.CommCollNode,
            },
        };
        node.Add("is_cpu_op", false);
        if (!call.IsPointToPoint)
            node.Add("comm_type", (long)TypeOf(call.Kind));
        node.Add("comm_size", call.Kind == CollectiveKind.Receive ? call.OutputBytes ?? 0 : call.InputBytes ?? call.OutputBytes ?? 0);
        if (GroupOf(rank, call) is { } group)
            node.Add("pg_name", group.Number.ToString(CultureInfo.InvariantCulture));
        if (call.Root is { } root && call.Kind is CollectiveKind.Broadcast or CollectiveKind.Scatter)
            node.Add("comm_src", (long)root);
        else if (call.Root is { } to && call.Kind is CollectiveKind.Reduce or CollectiveKind.Gather)
            node.Add("comm_dst", (long)to);
        if (!call.IsPointToPoint)
            return node;
        if (!_pairs.TryGetValue((rank, call.Start.Id), out var pair))
            return null;
        bool isSend = call.Kind == CollectiveKind.Send;
        node.Add("comm_src", isSend ? rank : (long)pair.Peer);
        node.Add("comm_dst", isSend ? (long)pair.Peer : rank);
        node.Add("comm_tag", (long)pair.Tag);
        return node;
    }

    /// <summary>The k-th send from one rank to another has the tag of the receive that it meets.</summary>
    private void AddPairs(RankGroup group)
    {
        var tags = new Dictionary<(int From, int To), int>();
        foreach (var (from, to, calls, _) in new PointToPoint(group).Pairs())
        {
            int tag = tags[(from, to)] = tags.GetValueOrDefault((from, to)) + 1;
            foreach (var (rank, call) in calls)
                _pairs[(rank, call.Start.Id)] = (rank == from && call.Kind == CollectiveKind.Send ? to : from, tag);
        }
        foreach (var (rank, calls) in group.Calls) // Those whose other end nobody recorded.
        {
            foreach (var call in calls.Where(c => c.IsPointToPoint && c.Root is not null && !_pairs.ContainsKey((rank, c.Start.Id))))
            {
                int peer = group.RankAt(call.Root!.Value);
                var key = call.Kind == CollectiveKind.Send ? (rank, peer) : (peer, rank);
                _pairs[(rank, call.Start.Id)] = (peer, tags[key] = tags.GetValueOrDefault(key) + 1);
            }
        }
    }

    private static CollectiveCommType TypeOf(CollectiveKind kind) => kind switch
    {
        CollectiveKind.Broadcast => CollectiveCommType.Broadcast,
        CollectiveKind.Reduce => CollectiveCommType.Reduce,
        CollectiveKind.AllGather => CollectiveCommType.AllGather,
        CollectiveKind.ReduceScatter => CollectiveCommType.ReduceScatter,
        CollectiveKind.AllToAll => CollectiveCommType.AllToAll,
        CollectiveKind.Gather => CollectiveCommType.Gather,
        CollectiveKind.Scatter => CollectiveCommType.Scatter,
        CollectiveKind.Barrier => CollectiveCommType.Barrier,
        _ => CollectiveCommType.AllReduce,
    };
}

/// <summary>Attributes of nodes, with the types that the public converter gives them.</summary>
internal static class ChakraNodes
{
    public static void Add(this Node node, string name, long value) =>
        node.Attr.Add(new AttributeProto { Name = name, Int64Val = value });

    public static void Add(this Node node, string name, bool value) =>
        node.Attr.Add(new AttributeProto { Name = name, BoolVal = value });

    public static void Add(this Node node, string name, string value) =>
        node.Attr.Add(new AttributeProto { Name = name, StringVal = value });
}
