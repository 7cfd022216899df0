using System.Collections.Immutable;
using Mystique.Traces.Chakra;
using Mystique.Traces.Chakra.Messages;

namespace Mystique.Conversion;

/// <summary>
/// Makes of a Chakra graph what ASTRA-sim's feeder takes (<c>astra-sim/workload/Workload.cc</c>): all-reduce, all-gather, reduce-scatter,
/// all-to-all and broadcast; of work the device's, and the host's where nothing runs on a device.
/// </summary>
internal static class AstraLowering
{
    /// <summary>The nodes that it takes, with dependencies across what is left out, and what was changed, by kind.</summary>
    /// <param name="nodes">The graph, in order.</param>
    public static (ImmutableArray<Node> Nodes, ImmutableSortedDictionary<string, int> Changes) Apply(ImmutableArray<Node> nodes)
    {
        var changes = ImmutableSortedDictionary.CreateBuilder<string, int>(StringComparer.Ordinal);
        void Note(string what) => changes[what] = changes.GetValueOrDefault(what) + 1;
        bool isOnDevice = nodes.Any(n => n.Type == NodeType.CompNode && n.Number("is_cpu_op") == 0);
        var kept = ImmutableArray.CreateBuilder<Node>();
        var standing = new Dictionary<ulong, SortedSet<ulong>>(); // What stands for a node that is left out: what it waited for.
        foreach (var given in nodes)
        {
            var node = given.Clone();
            var needs = new SortedSet<ulong>();
            foreach (ulong need in node.DataDeps)
                if (standing.TryGetValue(need, out var instead))
                    needs.UnionWith(instead);
                else
                    needs.Add(need);
            node.DataDeps.Clear();
            node.DataDeps.AddRange(needs);
            node.CtrlDeps.Clear(); // They tell what a node is below, and not what it waits for.
            bool isOfHost = node.Number("is_cpu_op") != 0;
            if (node.Type == NodeType.MetadataNode || isOfHost && (isOnDevice || node.DurationMicros == 0)
                || node.Number("is_decomposed") == 1)
            {
                standing.Add(node.Id, needs);
                continue;
            }
            if (node.Type == NodeType.CompNode && isOfHost)
                Set(node, "is_cpu_op", new AttributeProto { Name = "is_cpu_op", BoolVal = true });
            if (node.Type == NodeType.CommCollNode && Lowered((CollectiveCommType)(node.Number("comm_type") ?? 0)) is { } by)
            {
                Note($"{(CollectiveCommType)(node.Number("comm_type") ?? 0)} as {by}");
                Set(node, "comm_type", new AttributeProto { Name = "comm_type", Int64Val = (long)by });
                if (node.Number("comm_size") is null or 0)
                    Set(node, "comm_size", new AttributeProto { Name = "comm_size", Int64Val = 1 });
            }
            kept.Add(node);
        }
        return (kept.ToImmutable(), changes.ToImmutable());
    }

    /// <summary>The collective that moves what it moves, or more; null where it is taken as it is.</summary>
    private static CollectiveCommType? Lowered(CollectiveCommType kind) => kind switch
    {
        CollectiveCommType.Reduce or CollectiveCommType.Barrier => CollectiveCommType.AllReduce,
        CollectiveCommType.Gather => CollectiveCommType.AllGather,
        CollectiveCommType.Scatter or CollectiveCommType.ReduceScatterBlock => CollectiveCommType.ReduceScatter,
        _ => null,
    };

    private static void Set(Node node, string name, AttributeProto value)
    {
        for (int i = 0; i < node.Attr.Count; i++)
            if (node.Attr[i].Name == name)
            {
                node.Attr[i] = value;
                return;
            }
        node.Attr.Add(value);
    }
}
