using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>What operators make: new memory, views, or what they were given.</summary>
internal sealed partial class FlowSolver
{
    /// <summary>Operators whose results after the first are for their nodes of autograd's alone.</summary>
    private static readonly HashSet<string> Auxiliary = ["aten::embedding_bag", "aten::_embedding_bag",
        "aten::_embedding_bag_forward_only", "aten::native_layer_norm", "aten::native_batch_norm", "aten::native_group_norm",
        "aten::nll_loss_forward", "aten::nll_loss2d_forward", "aten::max_pool2d_with_indices", "aten::native_dropout",
        "aten::_scaled_dot_product_flash_attention", "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_scaled_dot_product_efficient_attention", "aten::_scaled_dot_product_cudnn_attention", "aten::log_sigmoid_forward",
        "aten::miopen_batch_norm", "aten::cudnn_batch_norm", "aten::_fused_rms_norm"];

    private void Finish(ProfileNode node)
    {
        var schema = node.Schema!;
        var results = node.Results ?? [];
        for (int i = 0; i < schema.Returns.Length; i++)
        {
            var type = schema.Returns[i].Type;
            var result = i < results.Length ? results[i] : NoneValue.Instance;
            if (result is TensorValue tensor)
                node.Made.Add(MakeOne(node, type.Alias, tensor));
            else if (result is ListValue list)
                foreach (var item in list.Items.OfType<TensorValue>())
                    node.Made.Add(MakeOne(node, type.Alias, item));
        }
        if (Auxiliary.Contains(node.Name))
            foreach (var made in node.Made.Skip(1).OfType<LiveTensor>())
                made.Pending = 0;
        // Nobody within it is still to use what it gives back; somebody after it is.
        foreach (var made in node.Made)
            if (made?.Maker is not null && IsWithin(made.Maker, node) && made.Pending <= 0
                && !(Auxiliary.Contains(node.Name) && made != node.Made[0]))
                made.Pending = 1;
        if (node.Caller is null)
            foreach (var made in MadeBelow(node).Where(m => !node.Made.Contains(m) && !node.Taken.Contains(m)))
                made.IsInternal = true;
        if (node.Parent is { IsEvaluation: true } evaluation)
            NoteSums(node, evaluation);
    }

    private static IEnumerable<LiveTensor> MadeBelow(ProfileNode node)
    {
        var pending = new Stack<ProfileNode>(node.Children);
        while (pending.TryPop(out var below))
        {
            foreach (var made in below.Made)
                if (made is not null)
                    yield return made;
            below.Children.ForEach(pending.Push);
        }
    }

    /// <summary>Between its nodes autograd adds gradients of one tensor.</summary>
    private static void NoteSums(ProfileNode node, ProfileNode evaluation)
    {
        if (evaluation.Children.Find(c => c.IsBackward)?.Forward is { } forward)
            foreach (var made in node.Made.OfType<LiveTensor>())
                made.GradientOf.AddRange(TakenWithNames(forward).Select(t => t.Tensor).OfType<LiveTensor>().Where(t =>
                    !made.GradientOf.Contains(t) && TensorLayout.IsSameShape(t.Layout, made.Layout)));
        foreach (var made in node.Made.OfType<LiveTensor>())
            foreach (var taken in node.Taken.OfType<LiveTensor>().Where(t => t != made))
                made.GradientOf.AddRange(taken.GradientOf.Where(o => TensorLayout.IsSameShape(o.Layout, made.Layout)
                    && !made.GradientOf.Contains(o)));
    }

    private LiveTensor? MakeOne(ProfileNode node, AliasAnnotation? alias, TensorValue result)
    {
        if (result.IsUndefined)
            return null;
        if (alias is { IsWrite: true } && Aliased(node, alias) is { } written)
        {
            if (!LiveTensors.Fits(written, result))
                _live.Change(written, result with { Offset = written.Layout.Offset }); // An out variant gives it its shape.
            written.Pending = Math.Max(written.Pending, 1);
            return written;
        }
        var allocation = node.Allocations.Where(a => !a.IsTaken && a.Bytes >= BytesOf(result) && !(a.FreedNs <= node.EndNs))
            .MinBy(a => a.Bytes);
        if (allocation is not null && (alias is null || Below(node, result, alias) is null))
        {
            allocation.IsTaken = true;
            var made = Make(node, result);
            made.Storage.FreedNs = allocation.FreedNs;
            return made;
        }
        if ((Below(node, result, alias) ?? (alias is null ? Below(node, result, alias, anyStrides: true) : null)) is { } below)
            return below;
        var viewed = alias is null ? null : Aliased(node, alias);
        if (viewed is null && alias is null && _knowledge.HasAllocations && BytesOf(result) > 0)
            viewed = node.Taken.Find(t => t is not null && LiveTensors.Fits(t, result)); // Nothing was allocated: dropout in evaluation.
        if (viewed is not null)
        {
            bool isAbsolute = node.Name == "aten::as_strided" && node.Arguments[^1] is IntValue;
            long offset = isAbsolute ? result.Offset : viewed.Layout.Offset + result.Offset;
            if (LiveTensors.Fits(viewed, result) && offset == viewed.Layout.Offset && (alias is null || node.Children.Count == 0
                && !IsView(node.Name)))
                return viewed;
            return Make(node, result, viewed.Storage, offset);
        }
        return Make(node, result);
    }

    private LiveTensor Make(ProfileNode node, TensorValue result, LiveStorage? storage = null, long offset = 0)
    {
        var made = _live.Add(result with { Offset = offset }, node, storage);
        made.Pending = 1;
        return made;
    }

    /// <summary>Operators that give back a tensor of its own even where it looks the same.</summary>
    private static bool IsView(string name) => name is "aten::detach" or "aten::alias" or "aten::view" or "aten::expand" or "aten::slice"
        or "aten::as_strided" or "aten::_reshape_alias" or "aten::view_as" or "aten::t" or "aten::transpose" or "aten::permute";

    private static LiveTensor? Aliased(ProfileNode node, AliasAnnotation alias)
    {
        string set = alias.Text.TrimEnd('!');
        int place = 0;
        for (int i = 0; i < node.Arguments.Length; i++)
        {
            int count = node.TensorsIn(i);
            if (count > 0 && place < node.Taken.Count && node.Schema!.Arguments[i].Type.Alias is { } of
                && of.Text.Split(' ')[0].TrimEnd('!') == set)
                return node.Taken[place];
            place += count;
        }
        return null;
    }

    /// <summary>What an operator that it called made, where that is what it gives back: the last that looks so.</summary>
    private static LiveTensor? Below(ProfileNode node, TensorValue result, AliasAnnotation? alias, bool anyStrides = false)
    {
        LiveTensor? found = null;
        LiveTensor? used = null;
        foreach (var made in MadeWithin(node))
        {
            if (!LiveTensors.Fits(made, result, anyStrides) || node.Made.Contains(made) || node.Taken.Contains(made)
                || alias is null && node.Taken.Exists(t => t?.Storage == made.Storage)) // What is no view has memory of its own.
                continue;
            if (made.Pending <= 0)
                used ??= made;
            else if (found is null || found.Maker == made.Maker)
                found = made; // Of several results, the first.
        }
        return found ?? used;
    }

    private static bool IsWithin(ProfileNode node, ProfileNode above)
    {
        for (var at = node; at is not null; at = at.Parent)
            if (at == above)
                return true;
        return false;
    }

    private static long BytesOf(TensorValue tensor) => TensorLayout.SpanBytes(0, tensor.Shape, tensor.Strides, tensor.ItemSizeBytes);
}
