using Mystique.Diagnostics;

namespace Mystique.Traces.PyTorch;

/// <summary>Nodes whose id another node before them has.</summary>
internal static class DuplicateNodes
{
    /// <summary>Removes them.</summary>
    /// <param name="nodes">The nodes, in the file's order.</param>
    /// <param name="offsets">Where each of them stands.</param>
    /// <param name="damage">What counts them.</param>
    /// <param name="source">What to call the file in messages.</param>
    /// <param name="isStrict">Whether one is an error.</param>
    /// <exception cref="MystiqueException">If <paramref name="isStrict"/>: there is one.</exception>
    public static void LeaveOut(List<TraceNode> nodes, List<long> offsets, TraceDamage damage, string source, bool isStrict)
    {
        var ids = new long[nodes.Count];
        for (int i = 0; i < ids.Length; i++)
            ids[i] = nodes[i].Id;
        Array.Sort(ids);
        bool isUnique = true;
        for (int i = 1; i < ids.Length && isUnique; i++)
            isUnique = ids[i] != ids[i - 1];
        if (isUnique)
            return;
        var known = new Dictionary<long, string>(nodes.Count);
        int kept = 0;
        for (int i = 0; i < nodes.Count; i++)
        {
            var node = nodes[i];
            if (known.TryAdd(node.Id, node.Name))
            {
                nodes[kept++] = node;
                continue;
            }
            if (isStrict)
                throw Problems.TraceDuplicateId(source, node.Id, known[node.Id], node.Name);
            damage.LeaveOut(node.Id, node.Name, offsets[i], $"a node before it ({known[node.Id]}) has the same id");
        }
        nodes.RemoveRange(kept, nodes.Count - kept);
    }
}
