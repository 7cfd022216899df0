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
    /// <summary>The parts of a pass, with what they start from and are asked for; or why it cannot be cut.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="root">The result that it starts from; null where a function of the job's own comes first.</param>
    public (ImmutableArray<PassPart> Parts, ImmutableArray<CutResult> Results, string? WhyNot) Cut(BackwardPass pass, StoredTensor? root)
    {
        var parts = PassPart.Of(pass);
        var graph = CutGraph.Of(pass, parts, segment.Operators, covered, segment.Timeline);
        if (graph.WhyNot is { } unknown)
            return ([], [], unknown);
        var flow = new GradientFlow(pass, segment.Timeline);
        if (root is not null && graph.Find(root) is { } start)
            start.Users.Add(CutTensor.Caller);
        if ((WhyNotValued(pass, graph, flow) ?? WhyNotAccumulated(pass, parts, graph, flow)) is { } unvalued)
            return ([], [], unvalued);
        var cut = ImmutableArray.CreateBuilder<PassPart>();
        foreach (var part in parts.Where(p => !p.IsRecorded))
        {
            var (starts, ends, whyNot) = EdgesOf(part, graph);
            if (whyNot is not null)
                return ([], [], whyNot);
            if (starts.Length > 0 && ends.Length > 0)
                cut.Add(part with { Starts = starts, Ends = ends });
            else if (part.Steps.FirstOrDefault(s => !s.IsAccumulation) is { } step)
                return ([], [], $"nothing is known that node {step.Body.Id} ({step.Body.Name}) could start from");
        }
        var results = graph.Tensors.Where(t => t is { IsResult: true, Value: not null } && t.Users.Any(u => cut.Any(p => p.Place == u)));
        return cut.Count == 0 ? ([], [], pass.WhyNot) : (cut.ToImmutable(), [.. results.Select(t => new CutResult(t.Owner!, t.Tensor))], null);
    }

    /// <summary>Finds the gradients of what is handed from one part to another; or tells which is not known.</summary>
    private string? WhyNotValued(BackwardPass pass, CutGraph graph, GradientFlow flow)
    {
        var makers = pass.Steps.Where(s => s.Creator is not null).ToLookup(s => covered.GetValueOrDefault(s.Creator!));
        foreach (var tensor in graph.Tensors.Where(t => !t.IsResult && t.Owner is not null && t.Users.Any(u => u < t.Maker)
            || t.Users.Contains(CutTensor.Caller) && !t.IsResult))
            tensor.Value = makers[tensor.Owner].Select(s => ValueOf(tensor, s, flow)).FirstOrDefault(v => v is not null);
        foreach (var (gradient, step) in pass.Accumulated.Zip(pass.Steps.Where(s => s.IsAccumulation)))
            if (gradient.Leaf is { } bound && graph.LeafOf(bound) is { } leaf)
                leaf.Value = flow.Of(step).FirstOrDefault();
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
                    result.Value = value;
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
            if ((value is null || value.History().Any(v => autograds.Contains(v.At))) && !valued.Contains(value))
                return $"the leaf of the gradient that node {gradient.Node.Id} accumulates is not known: "
                    + (gradient.Reason.Length > 0 ? gradient.Reason : "no operator that is called takes it");
        }
        return null;
    }

    private static (ImmutableArray<GradientOf> Starts, ImmutableArray<GradientOf> Ends, string? WhyNot) EdgesOf(PassPart part, CutGraph graph)
    {
        var starts = ImmutableArray.CreateBuilder<GradientOf>();
        var ends = ImmutableArray.CreateBuilder<GradientOf>();
        foreach (var tensor in graph.Tensors.Where(t => t.Value is not null && t.Maker >= part.Place))
        {
            var before = tensor.Users.Min < part.Place ? tensor.Value!.BeforeNode(part.FirstId) : null;
            bool isMade = tensor.Maker == part.Place;
            var after = !isMade && tensor.Users.Contains(part.Place) ? tensor.Value!.BeforeNode(part.EndId) : null;
            if (!isMade && (after is null || after == before))
                continue; // Nothing is added to it here.
            if (before is not null && tensor.Value!.History().FirstOrDefault(v => v.IsInPlace && v.Before == before) is { } added
                && added.At >= part.FirstId && added.At < part.EndId)
                return ([], [], $"node {added.At} adds to a gradient in place that is not autograd's alone");
            if (before is not null)
                starts.Add(Of(tensor, before));
            if (after is not null)
                ends.Add(Of(tensor, after));
        }
        return (starts.ToImmutable(), ends.ToImmutable(), null);
    }

    private static GradientOf Of(CutTensor tensor, GradientValue value) =>
        new(tensor.Tensor, value.Tensor, tensor.Owner is null, tensor.Owner is null || tensor.IsResult);
}
