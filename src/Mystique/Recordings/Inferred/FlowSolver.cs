using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>
/// Finds which tensors flow where in a profile, which tells their shapes alone. It goes through the profile as time did: an operator's
/// arguments are chosen among the tensors that there are then, its results are added when it ends. What is sought for is under
/// constraints: what is made is used; memory is alive from its allocation to its free; what an operator calls works on its arguments;
/// what autograd runs for an operator works on gradients of its results, and on what it had; parameters are those of one module, and
/// optimizers take them in their order. See <c>docs/kineto-alone.md</c>.
/// </summary>
internal sealed partial class FlowSolver
{
    private static readonly HashSet<string> ParameterNames =
        ["weight", "bias", "running_mean", "running_var", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "w_ih", "w_hh", "b_ih", "b_hh"];

    private readonly List<ProfileNode> _nodes;
    private readonly ResultKnowledge _knowledge;
    private readonly LiveTensors _live = new();
    private readonly PriorityQueue<ProfileNode, (long EndNs, long Depth)> _running = new();
    private readonly Dictionary<(string Module, string Operator, string Argument), LiveTensor> _ofModules = [];
    private readonly Dictionary<ProfileNode, ProfileNode?> _next;
    private readonly long _backwardEndNs;
    private int _begun; // The place of the node that is begun.

    private FlowSolver(ProfileTree tree, ResultKnowledge knowledge)
    {
        (_nodes, _knowledge) = (tree.Nodes, knowledge);
        _next = NextOutermost(tree.Nodes);
        _backwardEndNs = tree.Nodes.Where(n => n.IsEvaluation).Select(n => n.EndNs).DefaultIfEmpty(long.MaxValue).Max();
        _optimizer = new OptimizerRoles(_live, _next);
    }

    /// <summary>How sure it is.</summary>
    public FlowCounts Counts { get; } = new();

    /// <summary>Fills what nodes take and make.</summary>
    public static FlowCounts Solve(ProfileTree tree, ResultKnowledge knowledge)
    {
        var solver = new FlowSolver(tree, knowledge);
        for (; solver._begun < solver._nodes.Count; solver._begun++)
        {
            var node = solver._nodes[solver._begun];
            solver.FinishUntil(node.StartNs);
            solver.Begin(node);
            solver._running.Enqueue(node, (node.EndNs, -node.StartNs));
        }
        solver.FinishUntil(long.MaxValue);
        solver.Counts.Externals = solver._live.Externals;
        return solver.Counts;
    }

    /// <summary>For each outermost operator, the next one on its thread.</summary>
    private static Dictionary<ProfileNode, ProfileNode?> NextOutermost(List<ProfileNode> nodes)
    {
        var next = new Dictionary<ProfileNode, ProfileNode?>();
        var last = new Dictionary<long, ProfileNode>();
        foreach (var node in nodes.Where(n => n.IsOperator && n.Caller is null))
        {
            if (last.TryGetValue(node.Thread ?? 0, out var before))
                next[before] = node;
            next[node] = null;
            last[node.Thread ?? 0] = node;
        }
        return next;
    }

    private void FinishUntil(long atNs)
    {
        while (_running.TryPeek(out var node, out var end) && end.EndNs <= atNs)
        {
            _running.Dequeue();
            if (node.IsBackward)
                FinishBackward(node);
            else if (node.Schema is not null)
                Finish(node);
        }
    }

    private void Begin(ProfileNode node)
    {
        if (node.IsBackward)
            BeginBackward(node);
        if (node.Schema is null)
            return;
        bool isOptimizer = node.Caller is null && node.Pass is null && IsOptimizer(node);
        for (int i = 0; i < node.Arguments.Length; i++)
        {
            if (node.Arguments[i] is TensorValue tensor)
                Take(node, i, tensor.IsUndefined ? null : isOptimizer ? _optimizer.Choose(node, i, tensor) ?? Choose(node, i, tensor)
                    : Choose(node, i, tensor));
            else if (node.Arguments[i] is ListValue list
                && (list.TypeName == OverloadChooser.LostList || list.Items.Any(t => t is TensorValue)))
                TakeList(node, i, list, isOptimizer);
        }
        _knowledge.Complete(node);
    }

    private void Take(ProfileNode node, int argument, LiveTensor? tensor)
    {
        node.Taken.Add(tensor);
        if (tensor is null)
            return;
        if (node.Caller is { } caller && (tensor.Maker is null || !IsWithin(tensor.Maker, caller)))
            return; // It is its caller's, which has used it.
        if (node.Pass is { } pass && pass.Taken.Contains(tensor))
            return; // So is a gradient its node's.
        if (node.Parent is { IsEvaluation: true } evaluation && evaluation.Children.Find(c => c.IsBackward)?.Taken.Contains(tensor) == true)
            return;
        tensor.LastUser = node;
        if (node.Caller is null && IsDifferentiated(node, tensor.Layout))
            tensor.IsUsedUp = HasLaterUse(node, tensor) == false;
        if (node.Schema!.Arguments[argument].Type.Alias is { IsWrite: true })
            return;
        if (node.Caller is null && node.Pass is null && tensor.Maker is not null && HasLaterUse(node, tensor) is { } isUsed)
            tensor.Pending = isUsed ? Math.Max(1, tensor.Pending) : 0;
        else
            tensor.Pending--;
    }

    /// <summary>
    /// Whether autograd makes the gradient of an argument of an operator: it has no other, or its gradient is summed, as that of what was
    /// expanded is.
    /// </summary>
    private static bool IsDifferentiated(ProfileNode node, TensorValue argument)
    {
        if (node.Pass is not null || node.Arguments.Any(a => a is ListValue))
            return false;
        var tensors = node.Arguments.OfType<TensorValue>().Where(t => !t.IsUndefined).ToArray();
        if (tensors.Length == 1)
            return HasLaterUse(node, null) is not null;
        return node.Backward is { Parent: { } evaluation } && tensors.Any(t => t.ElementCount > argument.ElementCount)
            && evaluation.Children.Any(c => c is { IsOperator: true, Name: "aten::sum" });
    }

    /// <summary>
    /// Whether something after an operator uses a tensor that it uses, too, as autograd tells: it adds the gradients of a tensor, that
    /// of the last user first, so that all users but the last have a sum with their nodes. Null where autograd has no part in it.
    /// </summary>
    private static bool? HasLaterUse(ProfileNode node, LiveTensor? tensor)
    {
        bool hasNodes = false;
        var pending = new Stack<ProfileNode>([node]);
        while (pending.TryPop(out var at))
        {
            at.Children.ForEach(pending.Push);
            if (at.Backward is not { Parent: { } evaluation })
                continue;
            hasNodes = true;
            if (tensor is not null && evaluation.Children.Any(c => c is { IsOperator: true, Name: "aten::add" or "aten::add_" }
                && c.Arguments.Length > 1 && c.Arguments[1] is TensorValue sum && TensorLayout.IsSameShape(sum, tensor.Layout)))
                return true;
        }
        return hasNodes ? false : null;
    }

    /// <summary>Whether it is an optimizer's: by its label, or as what comes after autograd and writes to parameters.</summary>
    private bool IsOptimizer(ProfileNode node) => node.IsWithin("Optimizer.step")
        || node.StartNs >= _backwardEndNs && OptimizerRoles.IsKnown(node.Name);

    /// <summary>The tensor that an argument most likely is; a new one from outside where no other is as likely.</summary>
    private LiveTensor Choose(ProfileNode node, int argument, TensorValue wanted)
    {
        Counts.Inputs++;
        if (node.Caller is { } caller && ChooseWithin(node, caller, argument, wanted) is { } within)
            return within;
        if (node.Caller is null && node.Pass is { } pass && ChooseInPass(node, pass, argument, wanted) is { } passed)
            return passed;
        if (node.Parent is { IsEvaluation: true } evaluation && ChooseAfterNode(node, evaluation, argument, wanted) is { } after)
            return after;
        return ChooseAmongAll(node, argument, wanted);
    }

    /// <summary>What an operator calls works on its arguments, and on what it made of them.</summary>
    private LiveTensor? ChooseWithin(ProfileNode node, ProfileNode caller, int argument, TensorValue wanted)
    {
        string name = node.Schema!.Arguments[argument].Name;
        for (var above = caller; above is not null; above = above.Caller)
        {
            LiveTensor? best = null;
            double bestScore = 0;
            foreach (bool anyStrides in (ReadOnlySpan<bool>)[false, true])
            {
                double recent = 0;
                foreach (var made in MadeWithin(above))
                    Consider(made, (made.Pending > 0 ? 4 : 1.2) - (recent += 1e-4), anyStrides);
                int place = 0;
                foreach (var (taken, of) in TakenWithNames(above))
                    Consider(taken, (of == name ? 3 : 2) - 1e-3 * Math.Abs(place++ - node.Taken.Count)
                        - (IsTakenWithin(above, node, taken) ? 0.3 : 0), anyStrides); // One of a list's is used by one of several calls.
                if (best is not null)
                    return best;
            }

            void Consider(LiveTensor? tensor, double score, bool anyStrides)
            {
                if (tensor is null || !LiveTensors.Fits(tensor, wanted, anyStrides))
                    return;
                score -= node.Taken.Contains(tensor) ? 3 : 0;
                score += 4;
                if (score > bestScore)
                    (best, bestScore) = (tensor, score);
            }
        }
        return null;
    }

    private static bool IsTakenWithin(ProfileNode caller, ProfileNode node, LiveTensor? tensor) =>
        caller.Arguments.Any(a => a is ListValue) && caller.Children.Any(c => c != node && c.Name == node.Name && c.Taken.Contains(tensor));

    /// <summary>What was made within a node so far, the last first.</summary>
    private static IEnumerable<LiveTensor> MadeWithin(ProfileNode node)
    {
        for (int i = node.Children.Count - 1; i >= 0; i--)
        {
            var child = node.Children[i];
            for (int j = child.Made.Count - 1; j >= 0; j--)
                if (child.Made[j] is { } made)
                    yield return made;
            if (!child.IsOperator || child.Schema is null)
                foreach (var made in MadeWithin(child))
                    yield return made;
        }
    }

    private static IEnumerable<(LiveTensor? Tensor, string Name)> TakenWithNames(ProfileNode node)
    {
        if (node.Schema is null)
            yield break;
        int place = 0;
        for (int i = 0; i < node.Arguments.Length && place < node.Taken.Count; i++)
        {
            int count = node.TensorsIn(i);
            for (int j = 0; j < count && place < node.Taken.Count; j++)
                yield return (node.Taken[place++], node.Schema.Arguments[i].Name);
        }
    }
}

/// <summary>How sure the flow is.</summary>
internal sealed class FlowCounts
{
    /// <summary>Tensors among arguments.</summary>
    public int Inputs { get; set; }

    /// <summary>Of these, outermost ones with several candidates.</summary>
    public int Ambiguous { get; set; }

    /// <summary>Lists of tensors that are not recorded.</summary>
    public int LostLists { get; set; }

    /// <summary>Indices for which no tensor was found.</summary>
    public int MadeUp { get; set; }

    /// <summary>Tensors that were there before.</summary>
    public int Externals { get; set; }
}
