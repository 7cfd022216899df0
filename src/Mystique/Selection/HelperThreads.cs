using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// Operators that run on many threads inside (OpenMP) may allocate scratch memory on each. The observer sees that as an
/// <c>aten::empty</c> on a thread of its own, below no operator. It is part of the operator, and runs again with it.
/// </summary>
internal static class HelperThreads
{
    /// <summary>Takes out allocations that stand directly below a thread's root and that nothing uses.</summary>
    public static void Drop(List<TraceNode> outermost, ExecutionTrace trace)
    {
        var candidates = outermost.Where(n => OperatorDecomposer.IsAllocation(n.Name) && n.Parent?.Parent == trace.Root).ToHashSet();
        if (candidates.Count == 0)
            return;
        var mainThread = outermost.Except(candidates).FirstOrDefault()?.ThreadId;
        outermost.RemoveAll(n => candidates.Contains(n) && n.ThreadId != mainThread
            && n.Outputs is [TensorValue result] && !IsUsedAfter(n, result, trace));
    }

    private static bool IsUsedAfter(TraceNode node, TensorValue result, ExecutionTrace trace)
    {
        int start = trace.Nodes.AsSpan().BinarySearch(node, Comparer<TraceNode>.Create((a, b) => a.Id.CompareTo(b.Id)));
        for (int i = start + 1; i < trace.Nodes.Length; i++)
        {
            foreach (var tensor in TensorLayout.TensorsOf(trace.Nodes[i].Inputs))
                if (tensor.StorageId == result.StorageId)
                    return tensor.TensorId == result.TensorId && tensor.Type == result.Type;
            foreach (var tensor in TensorLayout.TensorsOf(trace.Nodes[i].Outputs))
                if (tensor.StorageId == result.StorageId)
                    return false; // The id belongs to a newer storage from here on.
        }
        return false;
    }
}
