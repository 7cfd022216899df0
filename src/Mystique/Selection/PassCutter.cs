using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// Cuts a backward pass around what the framework could not run: a function of the job's own, what a hook ran. The engine runs the ready
/// function with the highest number first; so what ran before such a function is of forward operators behind its call, and depends on
/// nothing in front of it. That part is a pass of its own: from what the pass starts from, to the gradients of what the operators behind
/// the call were given. The recorded operators of the function take these; the next part starts from what they left.
/// </summary>
/// <param name="segment">The selection, without what autograd runs.</param>
/// <param name="covered">For each node at or below one of its operators, that one.</param>
internal sealed class PassCutter(Segment segment, Dictionary<TraceNode, TraceNode> covered)
{
    /// <summary>
    /// The parts of a pass, with what they start from and are asked for; or where else it is to be cut; or why it cannot be.
    /// </summary>
    /// <param name="pass">The pass.</param>
    /// <param name="cuts">Where it is to be cut beside functions of the job's own and hooks.</param>
    public CutPass Cut(BackwardPass pass, ImmutableArray<ExtraCut> cuts)
    {
        var parts = PassPart.Of(pass, cuts);
        var graph = CutGraph.Of(pass, parts, segment.Operators, covered, segment.Timeline);
        var flow = new GradientFlow(pass, segment.Timeline);
        if ((graph.WhyNot ?? WhyNotStarted(pass, graph, flow) ?? WhyNotValued(pass, graph, flow)
            ?? WhyNotAccumulated(pass, parts, graph, flow)) is { } reason)
            return new CutPass { WhyNot = reason };
        PassPart[] own = [.. parts.Where(p => !p.IsRecorded)];
        ImmutableArray<ExtraCut> more = [.. own.Select(p => SumOf(p, graph, pass) ?? CutAtSum(p, flow, pass)).OfType<ExtraCut>()];
        // A function that adds twice to one cannot be cut in two.
        if (more.FirstOrDefault(m => cuts.Contains(m) || m.Sum >= m.BeforeId) is { } twice)
            return new CutPass
            {
                WhyNot = $"the engine adds to a gradient in place from node {twice.BeforeId} on, which is not autograd's alone",
            };
        if (!more.IsEmpty)
            return new CutPass { More = more };
        var copies = own.SelectMany(p => CopiesOf(p, graph)).ToHashSet();
        var cut = ImmutableArray.CreateBuilder<PassPart>();
        foreach (var part in own)
        {
            var from = StartsOf(part, graph).ToArray();
            if (graph.Unreached(part.Place, from.Select(s => s.Tensor.Owner).ToHashSet()) is { } unreached)
                return new CutPass { WhyNot = $"nothing is known that the function of node {unreached.Id} ({unreached.Name}) gets" };
            var starts = from.Select(s => Of(s.Tensor, s.Gradient, part, copies)).ToImmutableArray();
            var ends = EndsOf(part, graph).Select(e => Of(e.Tensor, e.Gradient, part, copies)).ToImmutableArray();
            if (starts.Length > 0 && ends.Length > 0)
                cut.Add(part with { Starts = starts, Ends = ends });
            else if (part.Steps.FirstOrDefault(s => !s.IsAccumulation) is { } step)
                return new CutPass { WhyNot = $"nothing is known that node {step.Body.Id} ({step.Body.Name}) could start from" };
        }
        var places = cut.Select(p => p.Place).ToHashSet();
        var results = graph.Tensors.Where(t => t is { IsResult: true, Value: not null } && t.Users.Any(places.Contains));
        return cut.Count == 0 ? new CutPass { WhyNot = pass.WhyNot } : new CutPass
        {
            Parts = cut.ToImmutable(),
            Leaves = [.. results.Select(t => new CutLeaf(t.Tensor, t.Owner, null)),
                .. copies.Select(t => new CutLeaf(t.Tensor, null, t.FirstUser))],
        };
    }

    /// <summary>Finds what the caller gave gradients of; or tells which is not known.</summary>
    private string? WhyNotStarted(BackwardPass pass, CutGraph graph, GradientFlow flow)
    {
        foreach (var step in pass.Steps.Where(s => s is { IsOfTheJob: false, IsAccumulation: false, Creator: not null }))
            foreach (var value in flow.Of(step).SelectMany(v => v?.History() ?? []).Where(v => v.Start == step))
            {
                var owner = covered.GetValueOrDefault(step.Creator!);
                var root = graph.Tensors.LastOrDefault(t => t.Owner == owner && ValueOf(t, step, flow)?.History().Contains(value) == true);
                if (root is null)
                    return $"no operator of the selection returns the result that node {step.Body.Id} ({step.Body.Name}) starts from";
                if (root.Users.Count > 0)
                    return $"node {step.Body.Id} ({step.Body.Name}) gets a gradient that neither the caller gave nor the trace has";
                root.Users.Add(CutTensor.Caller);
            }
        return null;
    }

    /// <summary>Finds the gradients of what is handed from one part to another; or tells which is not known.</summary>
    private string? WhyNotValued(BackwardPass pass, CutGraph graph, GradientFlow flow)
    {
        var makers = pass.Steps.Where(s => s.Creator is not null).ToLookup(s => covered.GetValueOrDefault(s.Creator!));
        foreach (var tensor in graph.Tensors.Where(t => !t.IsResult && t.Owner is not null && t.Users.Any(u => u < t.Maker)))
            foreach (var step in makers[tensor.Owner])
                if (tensor.Value is null && ValueOf(tensor, step, flow) is { } value)
                    (tensor.Value, tensor.Taker) = (value, step);
        foreach (var (gradient, step) in pass.Accumulated.Zip(pass.Steps.Where(s => s.IsAccumulation)))
            if (gradient.Leaf is { } bound && graph.LeafOf(bound) is { } leaf)
                (leaf.Value, leaf.Taker) = (flow.Of(step).FirstOrDefault(), step);
        foreach (var step in pass.Steps.Where(s => s.IsOfTheJob))
        {
            var gradients = flow.Of(step).Where(v => v is not null).ToList();
            foreach (var alike in graph.Tensors.Where(t => t.IsResult && t.Owner == step.Call && t.Users.Count > 0)
                .GroupBy(t => string.Join(',', t.Tensor.Tensor.Shape)))
            {
                var own = gradients.FindAll(v => string.Join(',', v!.Tensor.Tensor.Shape) == alike.Key);
                if (own.Count > 0 && alike.Count() > own.Count)
                    return $"node {step.Body.Id} ({step.Body.Name}) gets fewer gradients than its call has results of their shape";
                foreach (var (result, value) in alike.Zip(own))
                    (result.Value, result.Taker) = (value, step);
            }
        }
        return null;
    }

    /// <summary>The gradient of a result of an operator, as the function got it that one of its operators made.</summary>
    private GradientValue? ValueOf(CutTensor tensor, BackwardFunction maker, GradientFlow flow)
    {
        var values = flow.Of(maker);
        var storages = segment.Timeline.OutputsOf(maker.Creator!);
        foreach (var (place, made) in TensorLayout.TensorsOf(maker.Creator!.Outputs).Index())
            if (place < values.Length && place < storages.Length && storages[place] == tensor.Tensor.Storage
                && made.Shape.AsSpan().SequenceEqual(tensor.Tensor.Tensor.Shape.AsSpan()))
                return values[place];
        return null;
    }

    /// <summary>A gradient that autograd is to make, and that its recorded operators accumulate, must be some known leaf's.</summary>
    private static string? WhyNotAccumulated(BackwardPass pass, ImmutableArray<PassPart> parts, CutGraph graph, GradientFlow flow)
    {
        var autograds = parts.SelectMany(p => p.Operators).Select(o => o.Id).ToHashSet();
        var valued = graph.Tensors.Where(t => t.Owner is null).Select(t => t.Value).ToHashSet();
        foreach (var (gradient, step) in pass.Accumulated.Zip(pass.Steps.Where(s => s.IsAccumulation)))
        {
            var value = flow.Of(step).FirstOrDefault();
            if ((value is null || value.History().Any(v => v.At is { } at && autograds.Contains(at))) && !valued.Contains(value))
                return $"the leaf of the gradient that node {gradient.Node.Id} accumulates is not known: "
                    + (gradient.Reason.Length > 0 ? gradient.Reason : "no operator that is called takes it");
        }
        return null;
    }

    /// <summary>
    /// A sum in a part, in place and to a gradient of a tensor that has it from before the part; null where there is none that is not yet
    /// recorded.
    /// </summary>
    private static ExtraCut? SumOf(PassPart part, CutGraph graph, BackwardPass pass)
    {
        foreach (var tensor in Of(part, graph).Where(t => t.Users.Min < part.Place))
            if (AddedIn(part, tensor) is { } sum && part.Cuts.All(c => c.Sum != sum.At))
            {
                var user = tensor.Value!.History().FirstOrDefault(v => v.Before == sum) is { } next ? StepOf(pass, next) : tensor.Taker!;
                return new ExtraCut(sum.At!.Value, user.Node.Id);
            }
        return null;
    }

    /// <summary>Where a part is to be cut, for its engine adds in place to what comes from before it; null where that is nowhere.</summary>
    private static ExtraCut? CutAtSum(PassPart part, GradientFlow flow, BackwardPass pass) =>
        flow.Sums.FirstOrDefault(v => IsAddedIn(part, v) && part.Cuts.All(c => c.Sum != v.At)) is { } sum
            ? new ExtraCut(null, StepOf(pass, sum).Node.Id) : null;

    /// <summary>Whether a gradient is a sum in place, made in a part, of one that comes from before it.</summary>
    private static bool IsAddedIn(PassPart part, GradientValue value) => value.Added is not null && value.At >= part.FirstId
        && value.At < part.EndId && value.Before is { } before && !(before.At >= part.FirstId);

    private static BackwardFunction StepOf(BackwardPass pass, GradientValue value) => pass.Steps.Last(s => s.Node.Id <= value.At);

    /// <summary>The gradient that is a sum in place, made in a part, of one that comes from before it; null where there is none.</summary>
    private static GradientValue? AddedIn(PassPart part, CutTensor tensor) =>
        tensor.Value!.History().FirstOrDefault(v => IsAddedIn(part, v));

    /// <summary>
    /// What a part starts from: gradients of the functions within it that come from before it, and those that it adds to.
    /// </summary>
    private static IEnumerable<(CutTensor Tensor, GradientValue Gradient)> StartsOf(PassPart part, CutGraph graph)
    {
        foreach (var tensor in Of(part, graph))
            if (BeforeOf(part, tensor) is { } before && AddedIn(part, tensor) is null
                && (tensor.Maker == part.Place || AfterOf(part, tensor) is { } after && after != before))
                yield return (tensor, before);
    }

    /// <summary>What a part is asked for; what a recorded operator adds to a sum is asked for alone.</summary>
    private static IEnumerable<(CutTensor Tensor, GradientValue Gradient)> EndsOf(PassPart part, CutGraph graph)
    {
        foreach (var tensor in Of(part, graph).Where(t => t.Maker > part.Place))
        {
            var before = BeforeOf(part, tensor);
            if (before is not null && AddedIn(part, tensor) is { } sum)
                yield return (tensor, sum.Added!);
            else if (AfterOf(part, tensor) is { } after && after != before)
                yield return (tensor, after);
        }
    }

    /// <summary>
    /// What a part would not be asked for alone: asked for the gradients of two tensors, the engine goes on from one to the other.
    /// </summary>
    private static IEnumerable<CutTensor> CopiesOf(PassPart part, CutGraph graph)
    {
        var ends = EndsOf(part, graph).Select(e => e.Tensor).ToHashSet();
        return ends.Where(e => e is { FirstUser: not null } && e.LeadsTo(ends));
    }

    private static IEnumerable<CutTensor> Of(PassPart part, CutGraph graph) =>
        graph.Tensors.Where(t => t.Value is not null && t.Maker >= part.Place);

    private static GradientValue? BeforeOf(PassPart part, CutTensor tensor) =>
        tensor.Users.Min < part.Place ? tensor.Value!.BeforeNode(part.FirstId) : null;

    private static GradientValue? AfterOf(PassPart part, CutTensor tensor) =>
        tensor.Users.Contains(part.Place) ? tensor.Value!.BeforeNode(part.EndId) : null;

    private static GradientOf Of(CutTensor tensor, GradientValue value, PassPart part, HashSet<CutTensor> copies)
    {
        bool isOriginal = tensor.Maker == part.Place || !copies.Contains(tensor);
        return new GradientOf(tensor.Tensor, value.Tensor, tensor.Owner is null, tensor.Owner is null || tensor.IsResult || !isOriginal,
            isOriginal);
    }
}

/// <summary>A pass that is cut, or where else it is to be cut, or why it cannot be.</summary>
internal sealed record CutPass
{
    /// <summary>The parts that autograd makes.</summary>
    public ImmutableArray<PassPart> Parts { get; init; } = [];

    /// <summary>Tensors from which a graph starts anew.</summary>
    public ImmutableArray<CutLeaf> Leaves { get; init; } = [];

    /// <summary>Where it is to be cut, too; nothing else is known then.</summary>
    public ImmutableArray<ExtraCut> More { get; init; } = [];

    /// <summary>Why it cannot be cut; null where it can.</summary>
    public string? WhyNot { get; init; }
}
