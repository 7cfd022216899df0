using System.Collections.Immutable;
using Mystique.Planning.Contents;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Tensors without storage, while a plan is made. One that an operator of the selection makes is there when it runs. A sparse one
/// from before is made of its indices and values, whose shapes the trace shows where some operator took them out of it. All others
/// (nested tensors, wrappers, tensors of symbolic shape) cannot be made: what uses them does not run.
/// </summary>
internal sealed class OpaqueTensors
{
    private readonly StorageTimeline _timeline;
    private readonly Dictionary<StorageGeneration, SparseParts> _parts = [];
    private readonly HashSet<StorageGeneration> _there = [];
    private readonly List<(TraceNode Node, StorageGeneration Storage)> _coalesced = [];
    private int _made;

    public OpaqueTensors(ExecutionTrace trace, StorageTimeline timeline)
    {
        _timeline = timeline;
        foreach (var node in trace.Operators)
            Note(node);
    }

    /// <summary>What is made up, as a sentence.</summary>
    public ImmutableArray<string> Notes => _made == 0 ? []
        :
        [
            $"{_made} sparse tensors from before the iteration are made up, with as many values as they have where the trace first "
                + "shows them",
        ];

    /// <summary>Makes what an operator needs, where that can be. Returns why it cannot run; null where all is there.</summary>
    /// <param name="node">The operator.</param>
    /// <param name="id">Its id.</param>
    /// <param name="table">The plan's tensors.</param>
    /// <param name="operators">The plan's operators so far.</param>
    public string? Prepare(TraceNode node, OperatorId id, TensorTable table, ImmutableArray<PlannedOperator>.Builder operators)
    {
        int i = 0;
        foreach (var tensor in TensorLayout.TensorsOf(node.Inputs))
        {
            if (_timeline.InputsOf(node)[i++] is not { IsOpaque: true } storage || _there.Contains(storage))
                continue;
            if (!_parts.TryGetValue(storage, out var parts) || Make(tensor, parts, DeviceOf(node), table) is not { } made)
                return "it uses a tensor without storage (sparse, nested, or of symbolic shape), whose contents are not in the trace";
            operators.Add(new PlannedOperator(id, made.Schema, made.Arguments, [new PlannedResult([table.Make(storage, tensor)])],
                OperatorRole.Added));
            _there.Add(storage);
            _made++;
        }
        return null;
    }

    /// <summary>Takes note of what an operator that runs makes.</summary>
    public void NoteResults(TraceNode node)
    {
        foreach (var storage in _timeline.OutputsOf(node))
            if (storage is { IsOpaque: true })
                _there.Add(storage);
    }

    /// <summary>
    /// The backward of a sparse embedding with indices of which as many differ as in the original: they become the values that
    /// are left when the gradient is coalesced, and what follows has that many rows.
    /// </summary>
    public PlannedOperator WithIndices(PlannedOperator op, TraceNode node, TensorTable table)
    {
        if (op.Schema.QualifiedName is not ("aten::embedding_backward" or "aten::embedding_sparse_backward")
            || op.Schema.PlaceOf("indices") is not { } place || node.Inputs[place] is not TensorValue indices
            || _timeline.OutputsOf(node) is not [{ IsOpaque: true }] || node.Outputs is not [TensorValue gradient])
            return op;
        var coalesced = _coalesced.FirstOrDefault(c => c.Node.Id > node.Id && c.Node.Outputs is [TensorValue result]
            && result.Shape.AsSpan().SequenceEqual(gradient.Shape.AsSpan()));
        if (coalesced.Storage is null || _parts.GetValueOrDefault(coalesced.Storage)?.Indices is not { Shape: [1, var count] }
            || count < 1 || count > indices.ElementCount)
            return op;
        var slot = table.AddExternal(indices.Device, indices.Type, indices.Shape,
            new Initializer(InitializerKind.CoversRange, indices.Type, 0, count));
        return op with { Arguments = op.Arguments.SetItem(place, new PlannedArgument([slot], null, IsPrepared: true)) };
    }

    private void Note(TraceNode node)
    {
        if (node.Name is "aten::coalesce" or "aten::_coalesce" && _timeline.OutputsOf(node) is [{ IsOpaque: true } made])
            _coalesced.Add((node, made));
        if (node.Name is not ("aten::_indices" or "aten::indices" or "aten::_values" or "aten::values" or "aten::crow_indices"
            or "aten::col_indices"))
            return;
        if (_timeline.InputsOf(node) is not [{ IsOpaque: true } storage, ..] || node.Outputs is not [TensorValue { IsOpaque: false } part])
            return;
        var known = _parts.GetValueOrDefault(storage) ?? new SparseParts(null, null, null, null);
        _parts[storage] = node.Name switch
        {
            "aten::_indices" or "aten::indices" => known with { Indices = known.Indices ?? part },
            "aten::_values" or "aten::values" => known with { Values = known.Values ?? part },
            "aten::crow_indices" => known with { RowStarts = known.RowStarts ?? part },
            _ => known with { Columns = known.Columns ?? part },
        };
    }

    /// <summary>The call that makes a sparse tensor, of contents that are within its sizes; null where a part is not known.</summary>
    private static (OperatorSchema Schema, ImmutableArray<PlannedArgument> Arguments)? Make(TensorValue tensor, SparseParts parts,
        string device, TensorTable table)
    {
        if (parts.Values is not { Type: var type } values || type != tensor.Type)
            return null;
        Slot Part(TensorValue part, Initializer contents) => table.AddExternal(device, part.Type, part.Shape, contents);
        var sizes = PlannedArgument.Of(new IntListValue(tensor.Shape));
        if (parts is { Indices: { Shape: [var dims, var count] } indices } && dims <= tensor.Shape.Length && values.Shape is [var n, ..]
            && n == count)
        {
            long least = tensor.Shape.Take((int)dims).DefaultIfEmpty(1).Min();
            return (AddedOperators.SparseCoo, [PlannedArgument.OfTensor(Part(indices, Below(indices.Type, least))),
                PlannedArgument.OfTensor(Part(values, Initializer.Default(values.Type, values.Shape))), sizes, .. NoOptions]);
        }
        if (parts is { RowStarts: { Shape: [> 1] } rows, Columns: { Shape: [var stored] } columns } && tensor.Shape is [_, var width])
        {
            var starts = new Initializer(InitializerKind.Offsets, rows.Type, 0, stored);
            var places = new Initializer(InitializerKind.Ramp, columns.Type, 0, Math.Max(1, width));
            return (AddedOperators.SparseCsr, [PlannedArgument.OfTensor(Part(rows, starts)),
                PlannedArgument.OfTensor(Part(columns, places)),
                PlannedArgument.OfTensor(Part(values, Initializer.Default(values.Type, values.Shape))), sizes, .. NoOptions]);
        }
        return null;
    }

    private static Initializer Below(ScalarType type, long end) => end > 1 ? new Initializer(InitializerKind.Uniform, type, 0, end)
        : new Initializer(InitializerKind.Constant, type, 0, 0);

    /// <summary>Element type, layout, device and page-locking: as the parts have them.</summary>
    private static IEnumerable<PlannedArgument> NoOptions => Enumerable.Repeat(PlannedArgument.Of(NoneValue.Instance), 4);

    /// <summary>A sparse tensor's device is not recorded: it is that of what it is used with.</summary>
    private static string DeviceOf(TraceNode node) => node.SelfAndBelow
        .SelectMany(n => TensorLayout.TensorsOf(n.Inputs).Concat(TensorLayout.TensorsOf(n.Outputs)))
        .Select(t => t.Device).FirstOrDefault(d => d.Length > 0, "");

    /// <summary>What a sparse tensor is made of, where the trace shows it first: COO, or CSR.</summary>
    private sealed record SparseParts(TensorValue? Indices, TensorValue? Values, TensorValue? RowStarts, TensorValue? Columns);
}
