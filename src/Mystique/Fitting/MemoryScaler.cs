using System.Collections.Immutable;
using System.Globalization;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Fitting;

/// <summary>
/// Makes a plan fit into less memory, by cutting rows of embedding tables: what a lookup costs depends on how many rows
/// it reads and how they are spread, and hardly on how many there are beyond the caches. Gradients and optimizer state
/// of a cut table are cut with it, and so is the time of operators over all of them: the plan says so.
/// </summary>
internal static class MemoryScaler
{
    /// <summary>A table of fewer rows would fit into a cache, and its lookups cost something else.</summary>
    private const long MinRows = 1 << 16;

    /// <summary>Each attempt cuts by what is too much; temporaries beside the tables may need another.</summary>
    private const int MaxAttempts = 8;

    /// <summary>The plan, cut where it is above the limit; as it was where cutting does not bring it below.</summary>
    public static ReplayPlan Fit(ReplayPlan plan, PlanningOptions options)
    {
        if (options.MemoryLimitBytes is not { } limit)
            return plan;
        long peak = PlanMemory.Of(plan).PeakBytes;
        if (peak <= limit)
            return plan;
        var tables = FindTables(plan, options);
        double share = 1;
        for (int attempt = 0; attempt < MaxAttempts && tables.Count > 0; attempt++)
        {
            long tableBytes = BytesOf(plan, tables);
            share *= Math.Clamp(1 - (double)(peak - limit) / Math.Max(1, tableBytes) * share, 0, 0.95);
            var cut = Cut(plan, tables, share);
            long cutPeak = PlanMemory.Of(cut).PeakBytes;
            if (cutPeak <= limit)
                return cut;
        }
        return plan;
    }

    /// <summary>
    /// The shapes of tables that lookups read: two or more dimensions, enough rows, and no view of another shape on their
    /// memory.
    /// </summary>
    private static HashSet<LayoutOf> FindTables(ReplayPlan plan, PlanningOptions options)
    {
        var tables = new HashSet<LayoutOf>();
        foreach (var op in plan.Operators)
        {
            foreach (var row in options.Values.RowsOf(op.Schema) ?? [])
            {
                // The first argument of an operator that has indices into it.
                if (row.Word == ValueWord.Index && row.Tensor is "indices" or "index" && op.Arguments[0].Slots is [{ } slot]
                    && op.Schema.Arguments[0].Name is "weight"
                        && plan[slot] is { IsExternal: true, Shape: [> MinRows, _, ..] } table)
                    tables.Add(new LayoutOf(table.Shape));
            }
        }
        var storages = plan.Tensors.Where(t => !t.IsUndefined && tables.Contains(new LayoutOf(t.Shape))).Select(t => t.Storage!.Value)
            .ToHashSet();
        foreach (var tensor in plan.Tensors)
            if (tensor.Storage is { } storage && storages.Contains(storage) && !tables.Contains(new LayoutOf(tensor.Shape)))
                tables.RemoveWhere(t => plan.Tensors.Any(o => o.Storage == storage && t.Equals(new LayoutOf(o.Shape))));
        return tables;
    }

    private static long BytesOf(ReplayPlan plan, HashSet<LayoutOf> tables) =>
        plan.Tensors.Where(t => !t.IsUndefined && tables.Contains(new LayoutOf(t.Shape))).Select(t => t.Storage!.Value).Distinct()
            .Aggregate(0L, (sum, s) => TensorLayout.SaturatingAdd(sum, plan[s].SizeBytes));

    private static ReplayPlan Cut(ReplayPlan plan, HashSet<LayoutOf> tables, double share)
    {
        var tensors = plan.Tensors.ToBuilder();
        var storages = plan.Storages.ToBuilder();
        for (int i = 0; i < tensors.Count; i++)
        {
            var tensor = tensors[i];
            if (tensor.Storage is not { } id || !tables.Contains(new LayoutOf(tensor.Shape)))
                continue;
            tensors[i] = tensor = tensor with { Shape = tensor.Shape.SetItem(0, RowsOf(tensor.Shape[0], share)) };
            long bytes = TensorLayout.SpanBytes(tensor.Offset, tensor.Shape, tensor.Strides, tensor.Type.SizeBytes());
            storages[id.Index] = storages[id.Index] with { SizeBytes = bytes };
        }
        var operators = plan.Operators.Select(op => op.InputSlots.Concat(op.OutputSlots).Any(s => !plan[s].IsUndefined
            && tables.Contains(new LayoutOf(plan[s].Shape)))
            ? op with
            {
                Arguments = [.. op.Arguments.Select(a => a.Literal is null ? a
                : a with { Literal = CutLiteral(a.Literal, tables, share) })]
            } : op);
        // Indices below the rows that are left.
        var rows = tables.ToDictionary(t => t.Rows, t => RowsOf(t.Rows, share));
        for (int i = 0; i < storages.Count; i++)
            if (storages[i].Initializer is { Kind: InitializerKind.Uniform or InitializerKind.Zipf } index && !index.Type.IsFloating()
                && rows.TryGetValue((long)index.High, out long left))
                storages[i] = storages[i] with { Initializer = index with { High = left } };
        string what = string.Create(CultureInfo.InvariantCulture,
            $"embedding tables of {tables.Count} shape{(tables.Count == 1 ? "" : "s")} are cut to {share * 100:F1} % of their rows, or "
            + $"{MinRows} rows, to fit into memory: times of operators over whole tables are not the original's");
        return plan with
        {
            Tensors = tensors.ToImmutable(),
            Storages = storages.ToImmutable(),
            Operators = [.. operators],
            Source = plan.Source with { Notes = plan.Source.Notes.Add(what) },
        };
    }

    private static long RowsOf(long rows, double share) => Math.Max(MinRows, (long)(rows * share));

    /// <summary>A number of rows, or a shape, that is passed as a literal (<c>num_weights</c>, <c>size</c>).</summary>
    private static ArgumentValue CutLiteral(ArgumentValue value, HashSet<LayoutOf> tables, double share) => value switch
    {
        IntValue number when tables.Any(t => t.Rows == number.Value) => new IntValue(RowsOf(number.Value, share)),
        IntListValue list when tables.Contains(new LayoutOf(list.Items)) =>
            new IntListValue(list.Items.SetItem(0, RowsOf(list.Items[0], share))),
        _ => value,
    };

    /// <summary>A shape, compared by its sizes.</summary>
    private readonly struct LayoutOf(ImmutableArray<long> shape) : IEquatable<LayoutOf>
    {
        private readonly ImmutableArray<long> _shape = shape;

        public long Rows => _shape.IsEmpty ? 0 : _shape[0];

        public bool Equals(LayoutOf other) => _shape.AsSpan().SequenceEqual(other._shape.AsSpan());

        public override bool Equals(object? obj) => obj is LayoutOf other && Equals(other);

        public override int GetHashCode() => _shape.Aggregate(_shape.Length, HashCode.Combine);
    }
}
