using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>
/// A stretch of a backward pass: functions that autograd runs, or what stays as recorded operators, because it is a function of the job's
/// own or a hook's. Gradients are accumulated by their recorded operators.
/// </summary>
/// <param name="Place">Its place among those of the pass.</param>
/// <param name="FirstId">The first node of it.</param>
/// <param name="EndId">The first node behind it.</param>
/// <param name="Steps">The functions within it; those that accumulate too.</param>
/// <param name="IsRecorded">Whether it stays as its recorded operators.</param>
internal sealed record PassPart(int Place, long FirstId, long EndId, ImmutableArray<BackwardFunction> Steps, bool IsRecorded)
{
    /// <summary>What autograd starts from: results of forward operators, with their gradients so far.</summary>
    public ImmutableArray<GradientOf> Starts { get; init; } = [];

    /// <summary>What autograd is asked for: gradients as they are at the end of the part.</summary>
    public ImmutableArray<GradientOf> Ends { get; init; } = [];

    /// <summary>Where the pass is cut beside functions of the job's own and hooks.</summary>
    public required ImmutableArray<ExtraCut> Cuts { get; init; }

    /// <summary>The operators that autograd runs, outermost ones.</summary>
    public IEnumerable<TraceNode> Operators => IsRecorded ? [] : Steps.Where(s => !s.IsAccumulation).SelectMany(s => SegmentSelector
        .OutermostBelow(s.Node, UnseenWork.None).Where(o => (s.Hooks.IsEmpty || o.Id > s.Body.Id) && Cuts.All(c => c.Sum != o.Id)));

    /// <summary>The parts of a pass, in order.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="cuts">Where it is cut beside functions of the job's own and hooks.</param>
    public static ImmutableArray<PassPart> Of(BackwardPass pass, ImmutableArray<ExtraCut> cuts)
    {
        var parts = new List<PassPart>();
        var steps = ImmutableArray.CreateBuilder<BackwardFunction>();
        long first = pass.Steps[0].Node.Id;
        foreach (var step in pass.Steps)
        {
            if (cuts.Any(c => c.BeforeId == step.Node.Id))
                Close(step.Node.Id, isRecorded: false);
            bool isHooked = !step.Hooks.IsEmpty && step is { IsAccumulation: false, IsOfTheJob: false };
            if (!step.IsOfTheJob && !isHooked)
            {
                steps.Add(step);
                continue;
            }
            Close(step.Node.Id, isRecorded: false);
            if (step.IsOfTheJob)
                steps.Add(step);
            Close(step.IsOfTheJob ? EndOf(pass, step) : step.Body.Id, isRecorded: true);
            if (isHooked)
                steps.Add(step);
        }
        Close(EndOf(pass, pass.Steps[^1]), isRecorded: false);
        return [.. parts];

        void Close(long end, bool isRecorded)
        {
            if (steps.Count > 0 || isRecorded)
                parts.Add(new PassPart(parts.Count, first, end, steps.ToImmutable(), isRecorded) { Cuts = cuts });
            steps.Clear();
            first = end;
        }
    }

    /// <summary>
    /// Where a pass is cut so that collectives, which hooks start when gradients are there, start while autograd has more to do, as in the
    /// original: behind the operator whose functions came last.
    /// </summary>
    public static ImmutableArray<ExtraCut> CutsAtCollectives(BackwardPass pass)
    {
        var last = new Dictionary<TraceNode, int>();
        foreach (var (place, step) in pass.Steps.Index())
            if (step.Creator is not null)
                last[OutermostOf(step.Creator)] = place;
        var cuts = ImmutableArray.CreateBuilder<ExtraCut>();
        int end = 0;
        bool hasCollective = false;
        foreach (var (place, step) in pass.Steps.Index())
        {
            end = Math.Max(end, step.Creator is null ? place : last[OutermostOf(step.Creator)]);
            hasCollective |= step.Hooks.Any(h => SegmentSelector.IsCollective(h) || h.Schema?.Namespace == "c10d");
            if (!hasCollective || end > place || place + 1 == pass.Steps.Length)
                continue;
            cuts.Add(new ExtraCut(null, pass.Steps[place + 1].Node.Id));
            hasCollective = false;
        }
        return cuts.ToImmutable();
    }

    private static TraceNode OutermostOf(TraceNode node) => node.Ancestors.LastOrDefault(SegmentSelector.IsOperator, node);

    private static long EndOf(BackwardPass pass, BackwardFunction step)
    {
        int next = pass.Steps.IndexOf(step) + 1;
        return next < pass.Steps.Length ? pass.Steps[next].Node.Id : long.MaxValue;
    }
}

/// <summary>
/// Where a pass is cut beside functions of the job's own and hooks. The engine adds to a gradient in place where nobody else has it: it
/// would not if it got that gradient from outside. So its recorded operator makes the sum, behind the part that makes what is added.
/// </summary>
/// <param name="Sum">The operator that stays as recorded; null where the cut alone is needed.</param>
/// <param name="BeforeId">The function before which the pass is cut.</param>
internal sealed record ExtraCut(long? Sum, long BeforeId);

/// <summary>A tensor of the graph, and a gradient of it.</summary>
/// <param name="Of">The tensor, as an operator returns it that is called.</param>
/// <param name="Gradient">The gradient.</param>
/// <param name="IsLeaf">Whether the tensor is a leaf of the graph that is there before the iteration.</param>
/// <param name="IsAccumulated">Whether autograd has no function behind it: it is a leaf, or the graph is cut there.</param>
/// <param name="IsOriginal">Whether it is the tensor itself where there is a copy.</param>
internal sealed record GradientOf(StoredTensor Of, StoredTensor Gradient, bool IsLeaf, bool IsAccumulated, bool IsOriginal);

/// <summary>
/// A tensor from which a graph starts anew: a result of a function of the job's own, which has no other; or a copy of a tensor without its
/// graph, for the engine would go on from it to something else that it is asked for.
/// </summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Call">The node of the function's call; null for a copy.</param>
/// <param name="FirstUser">Of a copy, the first operator that takes it.</param>
internal sealed record CutLeaf(StoredTensor Tensor, TraceNode? Call, TraceNode? FirstUser);
