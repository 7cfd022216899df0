using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>
/// Lists of tensors. A profile has none of a list with more than 30 (<c>TENSOR_LIST_DISPLAY_LENGTH_LIMIT</c>,
/// <c>torch/csrc/profiler/util.cpp</c>), nor of one that may hold None, as the indices of <c>aten::index</c>.
/// </summary>
internal sealed partial class FlowSolver
{
    private const int MaxIndices = 3;

    private void TakeList(ProfileNode node, int argument, ListValue list, bool isOptimizer)
    {
        if (list.TypeName == OverloadChooser.LostList)
        {
            var lost = node.Schema!.Arguments[argument].Type.AsList!.Element!.IsOptional ? IndicesOf(node, argument)
                : LostOf(node, argument, isOptimizer);
            Counts.LostLists++;
            Replace(node, argument, new ListValue([.. lost.Select(t => t is null ? NoneValue.Instance : (ArgumentValue)Unnamed(t))], ""));
            foreach (var tensor in lost.OfType<LiveTensor>())
                Take(node, argument, tensor);
            return;
        }
        var wanted = list.Items.OfType<TensorValue>().ToArray();
        var chosen = isOptimizer ? _optimizer.ChooseList(node, argument, wanted) : null;
        for (int i = 0; i < wanted.Length; i++)
            Take(node, argument, chosen?[i] ?? Choose(node, argument, wanted[i]));
        if (isOptimizer)
            _optimizer.Note([.. node.Taken.TakeLast(wanted.Length).Select(t => t!)]);
    }

    /// <summary>The nodes that began before the one that begins, the last first.</summary>
    private IEnumerable<ProfileNode> BegunBefore(int most)
    {
        for (int i = _begun - 1; i >= Math.Max(0, _begun - most); i--)
            yield return _nodes[i];
    }

    private static TensorValue Unnamed(LiveTensor tensor) => tensor.Layout with { TensorId = 0, StorageId = 0, Offset = 0 };

    private static void Replace(ProfileNode node, int argument, ArgumentValue value) =>
        node.Arguments = node.Arguments.SetItem(argument, value);

    /// <summary>
    /// A long list: of an operator on lists, what an optimizer has for all parameters; else what was made last and nobody has used, with
    /// all others that look so.
    /// </summary>
    private LiveTensor?[] LostOf(ProfileNode node, int argument, bool isOptimizer)
    {
        if (isOptimizer && _optimizer.ChooseAll(node, argument) is { } all)
            return all;
        var last = BegunBefore(200).SelectMany(n => n.Made)
            .FirstOrDefault(m => m is not null && IsFresh(m) && !m.IsInternal);
        return last is null ? [] : [.. _live.Like(last.Layout, node.StartNs).Where(t => IsFresh(t) && !t.IsInternal).Reverse()];
    }

    /// <summary>
    /// Indices: those of the forward operator, else integers or masks that nobody has used, as many as make the result that was allocated.
    /// </summary>
    private LiveTensor?[] IndicesOf(ProfileNode node, int argument)
    {
        if (node.Pass?.Forward is { } forward && forward.Arguments.Length > argument && forward.Schema?.Name == "index"
            && forward.Arguments[argument] is ListValue known)
        {
            var taken = new Queue<LiveTensor?>(forward.Taken.Skip(1));
            return [.. known.Items.Select(i => i is TensorValue && taken.TryDequeue(out var tensor) ? tensor : null)];
        }
        var candidates = BegunBefore(400).SelectMany(n => n.Made.Concat(n.Taken))
            .OfType<LiveTensor>().Where(t => !t.IsInternal && t.Layout.Type is ScalarType.Long or ScalarType.Int or ScalarType.Bool
                or ScalarType.Byte && t.Layout.Shape.Length > 0 && !(t.Storage.FreedNs <= node.StartNs))
            .Distinct().Take(8).OrderByDescending(IsFresh).ToArray();
        foreach (var indices in CombinationsOf(candidates))
            if (IsResult(node, argument, indices))
                return indices;
        return MadeUpIndices(node);
    }

    /// <summary>Rows that make up what was allocated, from outside.</summary>
    private LiveTensor?[] MadeUpIndices(ProfileNode node)
    {
        long? allocated = node.Allocations.Where(a => !(a.FreedNs <= node.EndNs)).Select(a => (long?)a.Bytes).Max();
        if (node.Schema!.Name != "index" || node.Arguments[0] is not TensorValue { Shape.Length: > 0 } self || allocated is not { } bytes)
            return [];
        long row = self.Shape.Skip(1).Aggregate((long)self.ItemSizeBytes, TensorLayout.SaturatingMultiply);
        if (row == 0 || bytes % row != 0)
            return [];
        Counts.MadeUp++;
        ImmutableArray<long> rows = [bytes / row];
        return [_live.Add(TensorLayout.TensorOf(ScalarType.Long, rows, [1]), null)];
    }

    private static IEnumerable<LiveTensor?[]> CombinationsOf(LiveTensor[] candidates)
    {
        foreach (var first in candidates)
            for (int before = 0; before < MaxIndices; before++)
                yield return [.. Enumerable.Repeat<LiveTensor?>(null, before), first];
        foreach (var first in candidates)
            foreach (var second in candidates)
                if (first != second)
                    for (int before = 0; before < MaxIndices - 1; before++)
                        yield return [.. Enumerable.Repeat<LiveTensor?>(null, before), second, first];
    }

    /// <summary>Whether indices make what the operator allocated; of a mask, how many it selects is told by that.</summary>
    private bool IsResult(ProfileNode node, int argument, LiveTensor?[] indices)
    {
        var arguments = node.Arguments.SetItem(argument,
            new ListValue([.. indices.Select(t => t is null ? NoneValue.Instance : (ArgumentValue)Unnamed(t))], ""));
        var allocated = node.Allocations.Where(a => !(a.FreedNs <= node.EndNs)).Select(a => a.Bytes).ToHashSet();
        bool isPut = node.Schema!.IsMutating || node.Schema.Name.StartsWith("index_put", StringComparison.Ordinal);
        if (indices is [{ Layout.Type: ScalarType.Bool } mask] && node.Arguments[0] is TensorValue self && allocated.Count > 0 && !isPut
            && self.Shape.AsSpan().StartsWith(mask.Layout.Shape.AsSpan()))
        {
            ImmutableArray<long> rest = self.Shape[mask.Layout.Shape.Length..];
            long row = rest.Aggregate((long)self.ItemSizeBytes, TensorLayout.SaturatingMultiply);
            long bytes = allocated.Max();
            if (row == 0 || bytes % row != 0 || bytes / row > mask.Layout.ElementCount)
                return false;
            ImmutableArray<long> shape = [bytes / row, .. rest];
            node.Results = [TensorLayout.TensorOf(self.Type, shape, TensorLayout.ContiguousStrides(shape))];
            return true;
        }
        if (_knowledge.Ask(node.Schema, arguments).Outputs is not [TensorValue result, ..])
            return false;
        return isPut || !_knowledge.HasAllocations || allocated.Contains(BytesOf(result));
    }
}
