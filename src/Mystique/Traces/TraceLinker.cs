using System.Collections.Immutable;
using Mystique.Diagnostics;

namespace Mystique.Traces;

/// <summary>Makes the tree from the nodes' parent ids.</summary>
internal static class TraceLinker
{
    /// <summary>Sorts the nodes by id and links them.</summary>
    /// <returns>The root.</returns>
    /// <remarks>
    /// A node is written when it ends. So parents are missing not only where a file is damaged, but also where a label or an
    /// operator was still open when the observer stopped.
    /// </remarks>
    /// <exception cref="MystiqueException">An id occurs twice, parents run in a circle, or, if <paramref name="isStrict"/>, a parent is missing.</exception>
    public static TraceNode Link(List<TraceNode> nodes, string source, bool isDamaged, bool isStrict, ImmutableArray<string>.Builder warnings)
    {
        nodes.Sort((a, b) => a.Id.CompareTo(b.Id));
        var byId = new Dictionary<long, TraceNode>(nodes.Count);
        foreach (var node in nodes)
            if (!byId.TryAdd(node.Id, node))
                throw Problems.TraceDuplicateId(source, node.Id, byId[node.Id].Name, node.Name);
        var root = nodes.FirstOrDefault(n => n.ParentId == n.Id || !byId.ContainsKey(n.ParentId) && IsProcessRoot(n));
        if (root is null)
        {
            if (!isDamaged && nodes.All(n => byId.ContainsKey(n.ParentId)))
                throw Problems.TraceCycle(source, nodes[0].Id);
            // The process's node is written last: a file that was cut short lacks it.
            root = new TraceNode(nodes[0].Id - 1, "[pytorch|profiler|execution_trace|process]") { ParentId = nodes[0].Id - 1 };
            nodes.Insert(0, root);
            byId.Add(root.Id, root);
        }
        int orphans = 0;
        var children = new Dictionary<TraceNode, ImmutableArray<TraceNode>.Builder>(nodes.Count / 2);
        foreach (var node in nodes)
        {
            if (node == root)
                continue;
            if (!byId.TryGetValue(node.ParentId, out var parent))
            {
                if (isStrict)
                    throw Problems.TraceParentMissing(source, node.Id, node.Name, node.ParentId);
                orphans++;
                parent = root;
            }
            node.Parent = parent;
            if (!children.TryGetValue(parent, out var list))
                children.Add(parent, list = ImmutableArray.CreateBuilder<TraceNode>());
            list.Add(node);
        }
        foreach (var (parent, list) in children)
            parent.Children = list.DrainToImmutable();
        CheckReachable(nodes, root, source);
        if (orphans > 0)
            warnings.Add(isDamaged ? $"{orphans} nodes whose parents were lost now belong to the root"
                : $"{orphans} nodes whose parents are missing (still open when the observer stopped) now belong to the root");
        return root;
    }

    private static bool IsProcessRoot(TraceNode node) =>
        node.Name.StartsWith("[pytorch|profiler|execution_", StringComparison.Ordinal) && node.Name.EndsWith("|process]", StringComparison.Ordinal);

    private static void CheckReachable(List<TraceNode> nodes, TraceNode root, string source)
    {
        var reached = new HashSet<TraceNode>(nodes.Count) { root };
        var pending = new Stack<TraceNode>([root]);
        while (pending.TryPop(out var node))
            foreach (var child in node.Children)
                if (reached.Add(child))
                    pending.Push(child);
        if (reached.Count != nodes.Count)
            throw Problems.TraceCycle(source, nodes.First(n => !reached.Contains(n)).Id);
    }
}
