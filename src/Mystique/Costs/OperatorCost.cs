using Mystique.Traces;

namespace Mystique.Costs;

/// <summary>What an operator costs by its shapes, whatever runs it.</summary>
/// <param name="Flops">
/// Floating-point operations: a multiplication and an addition are two. Null where the table does not know the operator; 0 where it
/// computes nothing.
/// </param>
/// <param name="Bytes">Bytes that it has to read and write at least, each once; null where its tensors are not known.</param>
internal readonly record struct OperatorCost(double? Flops, double? Bytes)
{
    /// <summary>The cost of a node; nothing known for one that is no operator.</summary>
    public static OperatorCost Of(TraceNode node)
    {
        if (node.Schema is not { } schema)
            return new OperatorCost(null, null);
        if (node.Inputs.Length > schema.Arguments.Length)
            return new OperatorCost(null, null); // Damaged: what it is given is not what it takes.
        bool isView = CostTable.IsView(schema);
        return new OperatorCost(isView ? 0 : CostTable.FlopsOf(node, schema), isView ? 0 : BytesOf(node, schema));
    }

    /// <summary>
    /// What is read and written: each tensor once, inputs that are only written to as what they get. Of a table of embeddings the rows
    /// that are looked up.
    /// </summary>
    private static double? BytesOf(TraceNode node, OperatorSchema schema)
    {
        bool isLookup = CostTable.IsLookup(schema.Name);
        var read = new HashSet<(long, long, long)>();
        double bytes = 0;
        for (int i = 0; i < node.Inputs.Length; i++)
        {
            bool isWritten = schema.Arguments[i].Type.Alias is { IsWrite: true };
            foreach (var tensor in node.Inputs[i].Tensors)
            {
                if (tensor.IsOpaque)
                    return null;
                if (isLookup && i == 0 || schema.Namespace == "aten" && schema.Name is "copy_" or "fill_" or "zero_" && isWritten)
                    continue; // Of these only what is written counts.
                if (read.Add((tensor.StorageKey, tensor.Offset, tensor.ElementCount)))
                    bytes += (double)tensor.ElementCount * tensor.ItemSizeBytes;
            }
        }
        var written = new HashSet<(long, long, long)>();
        var outputs = node.Outputs.SelectMany(o => o.Tensors)
            .Concat(node.Inputs.Index().Where(a => schema.Arguments[a.Index].Type.Alias is { IsWrite: true })
                .SelectMany(a => a.Item.Tensors));
        foreach (var tensor in outputs)
        {
            if (tensor.IsOpaque)
                return null;
            if (written.Add((tensor.StorageKey, tensor.Offset, tensor.ElementCount)))
                bytes += (isLookup ? 2.0 : 1.0) * tensor.ElementCount * tensor.ItemSizeBytes;
        }
        return bytes;
    }

    /// <summary>The sum over operators; what is not known is counted.</summary>
    public static CostSum Sum(IEnumerable<OperatorCost> costs)
    {
        var sum = new CostSum();
        foreach (var cost in costs)
        {
            sum = new CostSum(sum.Flops + (cost.Flops ?? 0), sum.Bytes + (cost.Bytes ?? 0), sum.Count + 1,
                sum.UnknownFlops + (cost.Flops is null ? 1 : 0));
        }
        return sum;
    }
}

/// <summary>The cost of several operators.</summary>
/// <param name="Flops">Of those that the table knows.</param>
/// <param name="Bytes">Of those whose tensors are known.</param>
/// <param name="Count">How many operators.</param>
/// <param name="UnknownFlops">Operators that the table does not know.</param>
internal readonly record struct CostSum(double Flops, double Bytes, int Count, int UnknownFlops);
