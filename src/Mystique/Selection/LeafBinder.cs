using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>Finds the leaves of the gradients that a backward pass accumulates.</summary>
/// <param name="timeline">The storages of tensors.</param>
/// <param name="made">Storages that forward operators of the selection made: those are no leaves'.</param>
/// <param name="written">Storages that operators write to in place, outside of backward passes.</param>
/// <param name="creatorOf">The forward operator that made a function; null where there is none.</param>
internal sealed class LeafBinder(StorageTimeline timeline, IReadOnlySet<StorageGeneration> made,
    IReadOnlySet<StorageGeneration?> written, Func<TraceNode, TraceNode?> creatorOf)
{
    /// <summary>
    /// The leaf of each gradient: of the forward operator that made its function, the argument that nobody made, of the gradient's shape.
    /// Of several, the first gradient is the first argument's: derivatives come in the order of arguments (<c>derivatives.yaml</c>). Where
    /// more could be leaves than get a gradient, those are that are updated.
    /// </summary>
    public ImmutableArray<AccumulatedGradient> Bind(
        List<(TraceNode Node, TensorValue? Gradient, (TraceNode Function, int Order, int Place)? Source)> gradients)
    {
        var bound = new Dictionary<TraceNode, AccumulatedGradient>();
        foreach (var group in gradients.Where(g => g.Source is not null).GroupBy(g => g.Source!.Value.Function))
        {
            var user = creatorOf(group.Key);
            var left = user is null ? [] : LeavesOf(user);
            string name = group.Key.Name[BackwardReader.Prefix.Length..];
            foreach (var alike in group.OrderBy(g => (g.Source!.Value.Order, g.Source.Value.Place))
                .GroupBy(g => string.Join(',', g.Gradient!.Shape)))
            {
                Leaf[]? leaves = [.. left.Where(l => string.Join(',', l.Tensor.Shape) == alike.Key)
                    .DistinctBy(l => (l.Storage, l.Tensor.Offset))];
                // Data, or what is frozen, can have a parameter's shape: the optimizer writes to the parameter.
                if (leaves.Length > alike.Count())
                    leaves = leaves.Where(l => written.Contains(l.Storage)).ToArray() is var updated && updated.Length == alike.Count()
                        ? updated : null;
                foreach (var (place, (node, gradient, _)) in alike.Index())
                    bound[node] = leaves is null ? new(node, gradient, null,
                            $"{user!.Name} (node {user.Id}), which made {name}, takes several tensors of its shape")
                        : place < leaves.Length ? Accumulate(node, gradient!, leaves[place])
                        : new(node, gradient, null, user is null ? $"no forward operator made {name}"
                            : $"{user.Name} (node {user.Id}), which made {name}, takes no leaf of its shape");
            }
        }
        return [.. gradients.Select(g => bound.TryGetValue(g.Node, out var known) ? known : new(g.Node, g.Gradient, null,
            g.Gradient is null ? "the trace does not tell it" : "no function of the pass made it"))];
    }

    /// <summary>What an accumulation's operators say about the gradients before and after it.</summary>
    private AccumulatedGradient Accumulate(TraceNode node, TensorValue gradient, Leaf leaf)
    {
        var last = SegmentSelector.OutermostBelow(node, UnseenWork.None).LastOrDefault(o => !o.Outputs.IsEmpty);
        return new AccumulatedGradient(node, gradient, leaf, "")
        {
            Result = last is null ? StoredTensor.FirstOf(node.Inputs, timeline.InputsOf(node))
                : StoredTensor.FirstOf(last.Outputs, timeline.OutputsOf(last)),
            Existing = last is { Name: "aten::add_" } ? StoredTensor.FirstOf(last.Inputs, timeline.InputsOf(last)) : null,
        };
    }

    private List<Leaf> LeavesOf(TraceNode user)
    {
        var leaves = new List<Leaf>();
        var storages = timeline.InputsOf(user);
        int place = 0;
        for (int i = 0; i < user.Inputs.Length; i++)
            foreach (var tensor in user.Inputs[i].Tensors)
            {
                var storage = place < storages.Length ? storages[place] : null;
                place++;
                if (storage is not null && !made.Contains(storage) && tensor.Type.IsFloating())
                    leaves.Add(new Leaf(user, i, tensor, storage));
            }
        return leaves;
    }
}
