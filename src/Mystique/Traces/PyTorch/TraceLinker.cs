using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Mystique.Diagnostics;

namespace Mystique.Traces.PyTorch;

/// <summary>Makes the tree from the nodes' parent ids.</summary>
internal static class TraceLinker
{
    /// <summary>Sorts the nodes by id, of which none occurs twice, and links them.</summary>
    /// <returns>The root.</returns>
    /// <remarks>
    /// A node is written when it ends. So parents are missing not only where a file is damaged, but also where a label or an
    /// operator was still open when the observer stopped.
    /// </remarks>
    /// <exception cref="MystiqueException">
    /// If <paramref name="isStrict"/>: parents run in a circle, or one is missing.
    /// </exception>
    public static TraceNode Link(List<TraceNode> nodes, string source, TraceDamage damage, bool isStrict,
        ImmutableArray<string>.Builder warnings)
    {
        nodes.Sort((a, b) => a.Id.CompareTo(b.Id));
        var places = new Dictionary<long, int>(nodes.Count + 1);
        for (int i = 0; i < nodes.Count; i++)
            places.Add(nodes[i].Id, i);
        bool isDamaged = damage.First is not null || damage.LeftOut > 0;
        int rootPlace = nodes.FindIndex(n => IsProcessRoot(n) && (n.ParentId == n.Id || !places.ContainsKey(n.ParentId)));
        if (rootPlace < 0)
            rootPlace = nodes.FindIndex(n => n.ParentId == n.Id);
        if (rootPlace < 0)
        {
            if (isStrict && nodes.All(n => places.ContainsKey(n.ParentId)))
                throw Problems.TraceCycle(source, nodes[0].Id);
            // The process's node is written last: a file that was cut short lacks it. It goes behind the others until all are linked.
            rootPlace = nodes.Count;
            nodes.Add(new TraceNode(nodes[0].Id - 1, "[pytorch|profiler|execution_trace|process]") { ParentId = nodes[0].Id - 1 });
            places.Add(nodes[^1].Id, rootPlace);
        }
        int orphans = 0;
        var parents = new int[nodes.Count];
        for (int i = 0; i < nodes.Count; i++)
        {
            if (i != rootPlace && !places.TryGetValue(nodes[i].ParentId, out parents[i]))
            {
                if (isStrict)
                    throw Problems.TraceParentMissing(source, nodes[i].Id, nodes[i].Name, nodes[i].ParentId);
                orphans++;
                parents[i] = rootPlace;
            }
        }
        BreakCycles(nodes, parents, rootPlace, isStrict, source, warnings);
        LinkChildren(nodes, parents, rootPlace);
        var root = nodes[rootPlace];
        if (rootPlace == nodes.Count - 1 && nodes.Count > 1 && root.Id < nodes[0].Id)
        {
            nodes.RemoveAt(rootPlace);
            nodes.Insert(0, root);
        }
        if (orphans > 0)
            warnings.Add(isDamaged ? $"{orphans} nodes whose parents were lost now belong to the root"
                : $"{orphans} nodes whose parents are missing (still open when the observer stopped) now belong to the root");
        return root;
    }

    /// <summary>
    /// Gives each node its parent and its children, these by rising id; in arrays of the right size, for there are millions.
    /// </summary>
    internal static void LinkChildren(List<TraceNode> nodes, int[] parents, int root)
    {
        var counts = new int[nodes.Count];
        for (int i = 0; i < nodes.Count; i++)
            if (i != root)
                counts[parents[i]]++;
        for (int i = 0; i < nodes.Count; i++)
            if (counts[i] > 0)
                nodes[i].Children = ImmutableCollectionsMarshal.AsImmutableArray(new TraceNode[counts[i]]);
        // From the last node on, so that a count is the place of the next child.
        for (int i = nodes.Count - 1; i >= 0; i--)
        {
            if (i == root)
                continue;
            var parent = nodes[parents[i]];
            nodes[i].Parent = parent;
            ImmutableCollectionsMarshal.AsArray(parent.Children)![--counts[parents[i]]] = nodes[i];
        }
    }

    /// <summary>Whether a node stands for the process or a thread.</summary>
    public static bool IsFrame(TraceNode node) => node.Name.StartsWith("[pytorch|profiler|", StringComparison.Ordinal);

    private static bool IsProcessRoot(TraceNode node) =>
        node.Name.StartsWith("[pytorch|profiler|execution_", StringComparison.Ordinal)
            && node.Name.EndsWith("|process]", StringComparison.Ordinal);

    /// <summary>
    /// Goes up from each node until one is met whose way to the root is known. Where one of this way is met again, those
    /// from there on form a cycle: all of them become the root's children.
    /// </summary>
    private static void BreakCycles(List<TraceNode> nodes, int[] parents, int root, bool isStrict, string source,
        ImmutableArray<string>.Builder warnings)
    {
        var metFrom = new int[nodes.Count]; // 1 and up: the node whose way it is on.
        metFrom[root] = -1;
        int count = 0;
        int first = -1;
        for (int i = 0; i < nodes.Count; i++)
        {
            int at = i;
            for (; metFrom[at] == 0; at = parents[at])
                metFrom[at] = i + 1;
            if (metFrom[at] != i + 1)
                continue;
            if (isStrict)
                throw Problems.TraceCycle(source, nodes[at].Id);
            first = first < 0 ? at : first;
            for (int next = parents[at]; parents[at] != root; at = next, next = parents[at])
            {
                parents[at] = root;
                count++;
            }
        }
        if (count > 0)
            warnings.Add($"{count} nodes whose parents form a cycle now belong to the root; the first: node {nodes[first].Id} "
                + $"({nodes[first].Name})");
    }
}
