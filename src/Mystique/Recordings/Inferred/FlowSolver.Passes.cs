using Mystique.Traces;

namespace Mystique.Recordings.Inferred;

/// <summary>The flow through autograd's nodes.</summary>
internal sealed partial class FlowSolver
{
    private readonly OptimizerRoles _optimizer;

    /// <summary>Chooses the gradients that a node starts from: those of its forward operator's results.</summary>
    private void BeginBackward(ProfileNode node)
    {
        if (node.Details?.Inputs is not { } inputs)
            return;
        foreach (var input in inputs.Inputs)
        {
            if (!input.IsTensor || ScalarTypes.FromTraceName(input.Type) is not (not ScalarType.Undefined and var type))
            {
                node.Taken.Add(null);
                continue;
            }
            var wanted = TensorLayout.TensorOf(type, input.Tensors[0].Shape, input.Tensors[0].Strides);
            var gradient = GradientFor(node, wanted);
            node.Taken.Add(gradient);
            if (gradient is null)
                continue;
            gradient.Pending--;
            gradient.LastUser = node;
        }
    }

    private static bool IsAccumulation(ProfileNode node) => node.Name.EndsWith("AccumulateGrad", StringComparison.Ordinal);

    private LiveTensor? GradientFor(ProfileNode node, TensorValue wanted)
    {
        LiveTensor? best = null;
        double bestScore = 0;
        foreach (bool anyStrides in (ReadOnlySpan<bool>)[false, true])
        {
            double recent = 0;
            foreach (var candidate in _live.Like(wanted, node.StartNs, anyStrides))
            {
                if (candidate.Maker is null || candidate.IsInternal || node.Taken.Contains(candidate)
                    || candidate.Maker.Pass is { } of && IsAccumulation(of))
                    continue; // What was accumulated is the optimizer's.
                double score = (candidate.Pending > 0 ? 4 : 1) - (recent += 1e-4);
                if (node.Forward is { } forward && candidate.GradientOf.Any(o => forward.Made.Any(m => m is not null && IsSame(m, o))))
                    score += 5;
                else if (candidate.GradientOf.Count > 0)
                    score += node.Forward is not null ? -1 : candidate.GradientOf.Any(o => o.Maker is null) ? 2 : 0;
                if (score > bestScore)
                    (best, bestScore) = (candidate, score);
            }
            if (best is not null)
                break;
        }
        return best;
    }

    /// <summary>Whether two tensors are one, or views of the same elements.</summary>
    private static bool IsSame(LiveTensor a, LiveTensor b) => a == b
        || a.Storage == b.Storage && a.Layout.Offset == b.Layout.Offset && TensorLayout.IsSameShape(a.Layout, b.Layout);

    /// <summary>What a node runs works on its gradients, what it made of them, and what its forward operator had.</summary>
    private LiveTensor? ChooseInPass(ProfileNode node, ProfileNode pass, int argument, TensorValue wanted)
    {
        string name = node.Schema!.Arguments[argument].Name;
        // A product in a pass is of a gradient and of something else.
        bool? isProduct = node.Name is "aten::mm" or "aten::bmm" && argument == 1 && node.Taken is [{ } first]
            ? pass.Taken.Exists(t => t is not null && t.Storage == first.Storage) : null;
        bool isNamed = node.Schema.Arguments.Any(a => a.Name.StartsWith("grad", StringComparison.Ordinal));
        // What is left of a gradient's is for gradients; for the others, what the forward operator had comes first.
        bool prefersForward = isProduct ?? (isNamed ? !name.StartsWith("grad", StringComparison.Ordinal) : IsOfForward(node.Name)
            || argument > 0 && !node.Name.StartsWith("aten::add", StringComparison.Ordinal)
                && !node.Name.StartsWith("aten::cat", StringComparison.Ordinal));
        // Of what is multiplied by the first factor of addmm, the second comes first.
        bool isSecondFactor = node.Name == "aten::t" && pass.Forward is { Name: "aten::addmm" }
            && pass.Children.Count(c => c.Name == "aten::mm") > 1
            && !pass.Children.Any(c => c != node && c.Name == "aten::t" && c.StartNs < node.StartNs);
        foreach (bool anyStrides in (ReadOnlySpan<bool>)[false, true])
        {
            LiveTensor? best = null;
            double bestScore = 0;
            double recent = 0;
            double less = prefersForward ? 3 : 0;
            foreach (var made in MadeWithin(pass))
                Consider(made, (made.Pending > 0 ? 8 : 4) - (IsFinal(pass, made, node) ? 4.2 : 0) - less);
            bool isTurned = node.Name is "aten::t" or "aten::transpose" && pass.Forward is not { Name: "aten::bmm" or "aten::baddbmm" };
            bool isFactor = node.Name == "aten::transpose" && !isTurned; // grad.bmm(mat2.transpose(1, 2)): of a batch, factors are.
            foreach (var gradient in pass.Taken)
                Consider(gradient, isTurned
                    ? pass.Children.Any(c => c.Name == node.Name && c != node && c.Taken.Contains(gradient)) ? 3 : 8.5
                    : (gradient?.LastUser == pass ? 7 : 4.5) - (isFactor ? 3 : less));
            if (pass.Forward is { } forward)
            {
                foreach (var (taken, of) in TakenWithNames(forward))
                    Consider(taken, isSecondFactor && of == "mat2" ? 9.5 : (of == name ? 6 : 5)
                        - (pass.Children.Any(c => c != node && c.Taken.Contains(taken)) ? 0.5 : 0)
                        - (isProduct == false ? 3 : 0));
                foreach (var made in forward.Made)
                    Consider(made, name is "output" or "result" or "out" ? 6.5 : 4.9);
                foreach (var made in MadeWithin(forward))
                    Consider(made, 4.2);
                if (forward.Caller is { } caller)
                {
                    foreach (var (taken, _) in TakenWithNames(caller))
                        Consider(taken, 4);
                    foreach (var made in MadeWithin(caller))
                        Consider(made, 3.9);
                }
            }
            if (best is not null)
                return best;

            void Consider(LiveTensor? tensor, double score)
            {
                if (tensor is null || tensor.Storage.FreedNs <= node.StartNs || !LiveTensors.Fits(tensor, wanted, anyStrides))
                    return;
                score -= (node.Taken.Contains(tensor) ? 5 : 0) + (recent += 1e-4);
                score += 1;
                if (score > bestScore)
                    (best, bestScore) = (tensor, score);
            }
        }
        return null;
    }

    /// <summary>
    /// Whether what an operator made in a node of autograd's is one of the gradients that the node gives back, and not for another operator
    /// in it; products are transposed where the forward operator's argument is.
    /// </summary>
    private static bool IsFinal(ProfileNode pass, LiveTensor made, ProfileNode node)
    {
        if (node.Name is "aten::t" or "aten::transpose")
            return pass.Forward is { } forward && DifferentiableOf(forward).Any(t => LiveTensors.Fits(t, made.Layout));
        string maker = made.Maker?.Name ?? "";
        return (maker is "aten::mm" or "aten::bmm" or "aten::matmul" || maker.Contains("_backward", StringComparison.Ordinal))
            && node.Name is not ("aten::view" or "aten::_unsafe_view" or "aten::reshape");
    }

    /// <summary>
    /// What autograd itself calls after a node: sums of gradients of one tensor, and of what was expanded (<c>sum_to</c>, in
    /// <c>torch/csrc/autograd/engine.cpp</c>, <c>validate_outputs</c>).
    /// </summary>
    private LiveTensor? ChooseAfterNode(ProfileNode node, ProfileNode evaluation, int argument, TensorValue wanted)
    {
        var ran = evaluation.Children.Find(c => c.IsBackward);
        if (ran is null)
            return null;
        bool isSum = node.Name is "aten::add" or "aten::add_";
        LiveTensor? best = null;
        double bestScore = 0;
        double recent = 0;
        if (isSum)
        {
            // One of them is this node's, the other was made before, for the same tensor.
            foreach (var candidate in _live.Like(wanted, node.StartNs))
            {
                bool isOwn = ran.Made.Contains(candidate) || MadeAfter(evaluation).Contains(candidate);
                bool isOfSame = ran.Forward is { } f && candidate.GradientOf.Any(o => TakenWithNames(f).Any(t => t.Tensor is not null
                    && IsSame(t.Tensor, o)));
                bool isFirst = argument == 0;
                Consider(candidate, (candidate.Pending > 0 ? 4 : 0) + (isOfSame ? 2 : 0) + (isOwn == !isFirst ? 1 : 0)
                    - (candidate.Maker is null ? 3 : 0));
            }
            return best;
        }
        foreach (var made in MadeAfter(evaluation))
            Consider(made, made.Pending > 0 ? 6 : 1);
        var targets = ran.Forward is { } forward ? TakenWithNames(forward).Select(t => t.Tensor).OfType<LiveTensor>().ToArray() : [];
        foreach (var made in ran.Made)
            Consider(made, made is not null && targets.Any(t => TensorLayout.IsSameShape(t.Layout, made.Layout)) ? 3 : 5);
        foreach (var gradient in ran.Taken)
            Consider(gradient, 4);
        return best;

        void Consider(LiveTensor? tensor, double score)
        {
            if (tensor is null || tensor.Storage.FreedNs <= node.StartNs || !LiveTensors.Fits(tensor, wanted))
                return;
            score -= (node.Taken.Contains(tensor) ? 5 : 0) + (recent += 1e-4);
            if (score > bestScore)
                (best, bestScore) = (tensor, score);
        }
    }

    private static IEnumerable<LiveTensor> MadeAfter(ProfileNode evaluation) =>
        evaluation.Children.Where(c => c.IsOperator).Reverse().SelectMany(c => c.Made).OfType<LiveTensor>();

    /// <summary>Operators that nodes of autograd's call on what the forward operator had, and not on gradients.</summary>
    private static bool IsOfForward(string name) => name is "aten::pow" or "aten::exp" or "aten::cos" or "aten::sin" or "aten::log"
        or "aten::sigmoid" or "aten::tanh" or "aten::sgn" or "aten::sign" or "aten::reciprocal" or "aten::gt" or "aten::lt" or "aten::ge"
        or "aten::le" or "aten::eq" or "aten::ne" or "aten::conj" or "aten::cosh" or "aten::sinh" or "aten::rsqrt";

    /// <summary>The arguments of a forward operator that can have gradients.</summary>
    private static LiveTensor[] DifferentiableOf(ProfileNode forward) => [.. TakenWithNames(forward)
        .Where(t => t.Tensor is not null && t.Tensor.Layout.Type.IsFloating() && !t.Name.StartsWith("running_", StringComparison.Ordinal))
        .Select(t => t.Tensor!)];

    /// <summary>
    /// What a node leaves are the gradients of its forward operator's arguments; one that makes nothing hands on what it got.
    /// </summary>
    private void FinishBackward(ProfileNode node)
    {
        var left = MadeWithin(node).Where(m => m.Pending > 0).Distinct().Reverse().ToList();
        var targets = node.Forward is { } forward ? DifferentiableOf(forward) : [];
        if (left.Count == 0 && node.Taken.FirstOrDefault(t => t is not null) is { } handed)
        {
            handed.Pending += Math.Max(1, targets.Count(t => TensorLayout.IsSameShape(t.Layout, handed.Layout)));
            left.Add(handed);
        }
        foreach (var gradients in left.GroupBy(g => string.Join(',', g.Layout.Shape)))
        {
            var alike = targets.Where(t => TensorLayout.IsSameShape(t.Layout, gradients.First().Layout)).Distinct().ToArray();
            bool isOneEach = alike.Length == gradients.Count();
            foreach (var (place, gradient) in gradients.Index())
                gradient.GradientOf.AddRange(isOneEach ? [alike[place]] : alike.Where(t => !gradient.GradientOf.Contains(t)));
        }
        node.Made.AddRange(left);
        if (IsAccumulation(node) && left is [var accumulated, ..])
        {
            if (node.Taken is [{ } taken])
            {
                if (accumulated != taken)
                    accumulated.GradientOf.AddRange(taken.GradientOf);
                // Two parameters can have one gradient: both biases of an RNN's layer.
                var others = taken.Maker?.Pass?.Forward is { } of ? DifferentiableOf(of) : [];
                _optimizer.Learn(accumulated, [.. others.Where(o => TensorLayout.IsSameShape(o.Layout, taken.Layout))]);
            }
        }
    }
}
