using Mystique.Recordings.Serving;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Inferred;

/// <summary>The operators and labels of a profile, nested by time on each thread, and linked forward to backward.</summary>
internal sealed class ProfileTree
{
    private ProfileTree(List<ProfileNode> nodes) => Nodes = nodes;

    /// <summary>All, by their starts; what contains another comes before it.</summary>
    public List<ProfileNode> Nodes { get; }

    /// <summary>Nests the events of a profile of one process.</summary>
    public static ProfileTree Of(KinetoProfile profile)
    {
        var nodes = new List<ProfileNode>();
        for (int i = 0; i < profile.Events.Length; i++)
            if (profile.Events[i].Kind is KinetoKind.Operator or KinetoKind.Label or KinetoKind.Module)
                nodes.Add(new ProfileNode(i, profile.Events[i]));
        nodes.Sort((a, b) => a.StartNs != b.StartNs ? a.StartNs.CompareTo(b.StartNs) : a.EndNs != b.EndNs
            ? b.EndNs.CompareTo(a.EndNs) : a.Place.CompareTo(b.Place));
        var open = new Dictionary<long, (Stack<ProfileNode> Nodes, Stack<ProfileNode> Modules)>();
        foreach (var node in nodes)
        {
            long thread = node.Thread ?? 0;
            if (!open.TryGetValue(thread, out var stacks))
                open.Add(thread, stacks = ([], []));
            while (stacks.Nodes.TryPeek(out var top) && top.EndNs <= node.StartNs)
                stacks.Nodes.Pop();
            while (stacks.Modules.TryPeek(out var top) && top.EndNs <= node.StartNs)
                stacks.Modules.Pop();
            if (node.Kind == KinetoKind.Module)
            {
                stacks.Modules.Push(node);
                continue;
            }
            node.Module = stacks.Modules.TryPeek(out var module) ? module.Name : null;
            if (stacks.Nodes.TryPeek(out var parent))
            {
                node.Parent = parent;
                parent.Children.Add(node);
            }
            stacks.Nodes.Push(node);
        }
        nodes.RemoveAll(n => n.Kind == KinetoKind.Module);
        var tree = new ProfileTree(nodes);
        tree.LinkBackward();
        tree.PlaceAllocations(profile.Allocations);
        tree.LookWithin();
        return tree;
    }

    /// <summary>
    /// Finds the forward operator of each node of autograd's. Of those with its sequence number, only one makes it: that of its name,
    /// else the last one that is in no other (<c>torch/csrc/autograd/record_function_ops.cpp</c>: the number is what the next node gets).
    /// </summary>
    private void LinkBackward()
    {
        var forward = Nodes.Where(n => n is { IsOperator: true, Details.Sequence: not null } && n.Pass is null)
            .ToLookup(n => n.Details!.Sequence!.Value);
        foreach (var node in Nodes.Where(n => n is { IsBackward: true, Details.Sequence: not null }))
        {
            string name = Letters(node.Name[(node.Name.LastIndexOf(':') + 1)..].Split("Backward")[0]);
            var candidates = forward[node.Details!.Sequence!.Value].Where(n => n.EndNs <= node.StartNs).ToArray();
            var found = candidates.LastOrDefault(n => Letters(n.Name[(n.Name.LastIndexOf(':') + 1)..]) == name)
                ?? candidates.LastOrDefault(n => n.Caller is null) ?? candidates.LastOrDefault();
            node.Forward = found;
            if (found is not null)
                found.Backward ??= node;
        }
    }

    private static string Letters(string name) => string.Concat(name.Where(char.IsAsciiLetterOrDigit)).ToLowerInvariant();

    /// <summary>How many kernels, copies and fillings each operator's own calls of the runtime started; none without a device.</summary>
    public Dictionary<ProfileNode, int> WorkOf(KinetoProfile profile)
    {
        var started = profile.Events.Where(e => e.IsOnDevice && e.Correlation is not null).CountBy(e => e.Correlation!.Value)
            .ToDictionary();
        var work = new Dictionary<ProfileNode, int>();
        var byThread = Nodes.ToLookup(n => n.Thread ?? 0);
        foreach (var calls in started.Count == 0 ? [] : profile.Events.Where(e => e.Kind == KinetoKind.Runtime)
            .GroupBy(e => e.Thread ?? 0))
        {
            var open = new Stack<ProfileNode>();
            using var nodes = byThread[calls.Key].GetEnumerator();
            bool hasNode = nodes.MoveNext();
            foreach (var call in calls.OrderBy(c => c.StartNs))
            {
                for (; hasNode && nodes.Current.StartNs <= call.StartNs; hasNode = nodes.MoveNext())
                {
                    while (open.TryPeek(out var top) && top.EndNs <= nodes.Current.StartNs)
                        open.Pop();
                    open.Push(nodes.Current);
                }
                while (open.TryPeek(out var top) && top.EndNs < call.EndNs)
                    open.Pop();
                // A launch in a graph whose kernel was not found is work as well.
                int count = call.Correlation is { } correlation ? started.GetValueOrDefault(correlation) : CapturedGraph.IsLaunch(call) ? 1
                    : 0;
                if (count > 0 && open.FirstOrDefault(n => n.IsOperator) is { } innermost)
                    work[innermost] = work.GetValueOrDefault(innermost) + count;
            }
        }
        return work;
    }

    /// <summary>Sets what nodes have within them, from the inside out.</summary>
    private void LookWithin()
    {
        for (int i = Nodes.Count - 1; i >= 0; i--)
            foreach (var child in Nodes[i].Children)
            {
                Nodes[i].HasOperators |= child.IsOperator || child.HasOperators;
                Nodes[i].HasWork |= child.IsOperator && !IsTrivial(child.Name) || child.HasWork;
            }
    }

    /// <summary>Whether an operator only allocates memory, or views it.</summary>
    public static bool IsTrivial(string name) => Trivial.Contains(name);

    private static readonly HashSet<string> Trivial = [.. ("empty empty_like empty_strided new_empty new_empty_strided as_strided view "
        + "select slice reshape _unsafe_view _reshape_alias t transpose permute expand squeeze unsqueeze detach alias unbind split "
        + "split_with_sizes flatten narrow chunk unflatten resolve_conj resolve_neg lift_fresh").Split(' ').Select(n => $"aten::{n}")];

    /// <summary>Puts each allocation to the innermost operator or label that was running, on whichever thread.</summary>
    private void PlaceAllocations(IReadOnlyList<KinetoAllocation> allocations)
    {
        var freed = new Dictionary<int, long>();
        var live = new Dictionary<(long, bool), int>();
        bool hasAddresses = allocations.Any(a => a.Address is not null);
        var ordered = allocations.Index().OrderBy(a => a.Item.AtNs).ToArray();
        for (int i = 0; i < ordered.Length; i++)
        {
            var allocation = ordered[i].Item;
            var key = (allocation.Address ?? 0, allocation.IsOnDevice);
            if (allocation.Address is null)
                continue;
            if (allocation.Bytes > 0)
                live[key] = i;
            else if (live.Remove(key, out int made))
                freed[made] = allocation.AtNs;
        }
        var open = new List<ProfileNode>(); // By start; what has ended is taken out when it is in the way.
        int next = 0;
        for (int i = 0; i < ordered.Length; i++)
        {
            var allocation = ordered[i].Item;
            if (allocation.Bytes <= 0)
                continue;
            while (next < Nodes.Count && Nodes[next].StartNs <= allocation.AtNs)
            {
                open.RemoveAll(n => n.EndNs < Nodes[next].StartNs);
                open.Add(Nodes[next++]);
            }
            open.LastOrDefault(n => n.EndNs >= allocation.AtNs)?.Allocations.Add(new Allocation(allocation.Bytes,
                !hasAddresses ? null : freed.TryGetValue(i, out long at) ? at : long.MaxValue));
        }
    }
}
