using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>A backward pass that the target's autograd is to make.</summary>
/// <param name="Pass">What was recorded.</param>
/// <param name="RetainsGraph">Whether a later pass needs its functions again.</param>
internal sealed record FrameworkPass(BackwardPass Pass, bool RetainsGraph)
{
    /// <summary>The result that it starts from, and the gradient that it starts with; null where it is cut.</summary>
    public (StoredTensor Of, StoredTensor Gradient)? Start { get; init; }

    /// <summary>Where it is cut, the parts that autograd makes; empty where it is one call.</summary>
    public ImmutableArray<PassPart> Parts { get; init; } = [];

    /// <summary>Where it is cut, tensors from which a graph starts anew.</summary>
    public ImmutableArray<CutLeaf> Leaves { get; init; } = [];
}

/// <summary>
/// The selection of the framework's level: forward operators as the job called them, and backward passes that are left to autograd.
/// A pass that autograd could not repeat stays as its recorded operators.
/// </summary>
/// <param name="segment">What a selection of operators has.</param>
internal sealed class FrameworkSelector(Segment segment)
{
    private readonly long _first = segment.Iteration?.FirstId ?? 0;
    private readonly Dictionary<BackwardPass, string> _left = [];
    private readonly Dictionary<BackwardPass, ImmutableArray<ExtraCut>> _cuts = []; // Of passes that are cut.
    private readonly HashSet<BackwardPass> _isWhole = []; // Of these, those that are not cut at collectives.

    /// <summary>The selection, and why some of its backward passes are not autograd's; all of them where none can be.</summary>
    public static (Segment Segment, ImmutableArray<(BackwardPass Pass, string Reason)> Left) Select(Segment segment) =>
        new FrameworkSelector(segment).Select();

    private (Segment Segment, ImmutableArray<(BackwardPass Pass, string Reason)> Left) Select()
    {
        var passes = BackwardReader.Of(segment);
        foreach (var pass in passes)
            if (pass.WhyNotCut is { } reason)
                _left.Add(pass, reason);
        while (true)
        {
            var chosen = passes.Where(p => !_left.ContainsKey(p)).ToArray();
            if (chosen.Length == 0)
                return (segment, [.. passes.Select(p => (p, _left[p]))]);
            // Recorded operators accumulate what is cut: so they do for all passes then, for one adds to what another left.
            bool isCut = chosen.Any(p => p.WhyNot is not null);
            var leaves = chosen.SelectMany(p => p.Accumulated).Select(a => a.Leaf?.Storage).OfType<StorageGeneration>().ToHashSet();
            var selected = Without(chosen, isCut);
            var framework = new List<FrameworkPass>();
            int count = _left.Count;
            var before = new HashSet<StorageGeneration>(); // Of the passes so far, leaves and their gradients.
            var covered = OperatorDecomposer.OwnersOf(selected.Operators);
            var cutter = new PassCutter(selected, covered);
            foreach (var (place, pass) in chosen.Index())
            {
                bool retains = chosen.Skip(place + 1).Any(later => later.Creators.Overlaps(pass.Creators));
                var (made, reason) = isCut ? Cut(pass, retains, cutter) : Whole(pass, retains, covered, before);
                if (made is not null)
                    reason = WhyNot(pass, covered) ?? WhyNotFrozen(pass, leaves) ?? WhyNotInside(made, selected);
                if (reason is not null)
                    _left.Add(pass, reason);
                else if (made is not null)
                    framework.Add(made);
                foreach (var gradient in pass.Accumulated.Where(a => a.Leaf is not null))
                    before.UnionWith(new[] { gradient.Leaf!.Storage, gradient.Result?.Storage }.OfType<StorageGeneration>());
            }
            if (_left.Count == count && framework.Count == chosen.Length)
                return (selected with { Passes = [.. framework] },
                    [.. passes.Where(_left.ContainsKey).Select(p => (p, _left[p]))]);
        }
    }

    private (FrameworkPass? Pass, string? WhyNot) Whole(BackwardPass pass, bool retains, Dictionary<TraceNode, TraceNode> covered,
        HashSet<StorageGeneration> before) =>
        RootOf(pass, covered) is not { } root ? (null, "no operator of the selection returns the result that it starts from")
        : WhyNotGradients(pass, before) is { } reason ? (null, reason)
        : (new FrameworkPass(pass, retains) { Start = (root, pass.FirstGradient!) }, null);

    /// <summary>A pass that is cut; neither that nor a reason where it is to be tried again with more cuts.</summary>
    private (FrameworkPass? Pass, string? WhyNot) Cut(BackwardPass pass, bool retains, PassCutter cutter)
    {
        var cut = cutter.Cut(pass, CutsOf(pass));
        if (cut.WhyNot is not null && (CutsOf(pass).IsEmpty || !_isWhole.Add(pass)))
            return (null, cut.WhyNot);
        if (cut.WhyNot is not null)
        {
            _cuts[pass] = []; // What stands against it may be where it is cut at collectives alone.
            return (null, null);
        }
        if (!cut.More.IsEmpty)
        {
            _cuts[pass] = CutsOf(pass).AddRange(cut.More);
            return (null, null);
        }
        return cut.Parts.SelectMany(p => p.Ends).FirstOrDefault(e => e.IsLeaf && IsMade(e.Of.Storage)) is { } leaf
            ? (null, $"the leaf with the gradient of node {leaf.Gradient.Storage.Birth?.Id} is made within the iteration")
            : (new FrameworkPass(pass, retains) { Parts = cut.Parts, Leaves = cut.Leaves }, null);
    }

    private ImmutableArray<ExtraCut> CutsOf(BackwardPass pass)
    {
        if (!_cuts.TryGetValue(pass, out var cuts))
            _cuts.Add(pass, cuts = PassPart.CutsAtCollectives(pass));
        return cuts;
    }

    /// <summary>The selection without what autograd runs of some passes.</summary>
    private Segment Without(IEnumerable<BackwardPass> passes, bool isCut)
    {
        var inside = (isCut ? passes.SelectMany(p => PassPart.Of(p, CutsOf(p))).SelectMany(p => p.Operators)
            : passes.SelectMany(p => p.Functions).SelectMany(f => SegmentSelector.OutermostBelow(f, segment.Unseen))).ToHashSet();
        return new Segment(segment.Recording, segment.Iteration, [.. segment.Outermost.Where(o => !inside.Contains(o))], segment.Timeline,
            segment.Unseen, ImmutableHashSet<long>.Empty);
    }

    /// <summary>The result that a pass starts from, as the operator returns it whose call is replayed.</summary>
    private StoredTensor? RootOf(BackwardPass pass, Dictionary<TraceNode, TraceNode> covered)
    {
        if (pass.FirstGradient is not { } gradient || pass.Root is not { } root || !covered.TryGetValue(root, out var owner))
            return null;
        var made = segment.Timeline.OutputsOf(root).ToArray();
        var returned = segment.Timeline.OutputsOf(owner).ToArray();
        foreach (var (place, tensor) in TensorLayout.TensorsOf(owner.Outputs).Index())
            if (returned[place] is { } storage && made.Contains(storage) && tensor.Type.IsFloating()
                && tensor.Shape.AsSpan().SequenceEqual(gradient.Tensor.Shape.AsSpan()))
                return new StoredTensor(tensor, storage);
        return null;
    }

    /// <summary>A function is made by an operator at or above its maker: below it, autograd does not see what runs.</summary>
    private static string? WhyNot(BackwardPass pass, Dictionary<TraceNode, TraceNode> covered) =>
        pass.Creators.Where(c => !covered.ContainsKey(c)).OrderBy(c => c.Id).FirstOrDefault() is { } maker
            ? $"node {maker.Id} ({maker.Name}) made one of its functions, and others need what is inside of it" : null;

    /// <summary>A leaf requires a gradient in all passes or in none: the plan has no call that freezes one for a while.</summary>
    private string? WhyNotFrozen(BackwardPass pass, HashSet<StorageGeneration> leaves)
    {
        var own = pass.Accumulated.Select(a => a.Leaf?.Storage).ToHashSet();
        foreach (var maker in pass.Creators.OrderBy(c => c.Id))
            foreach (var storage in segment.Timeline.InputsOf(maker))
                if (storage is not null && leaves.Contains(storage) && !own.Contains(storage))
                    return $"node {maker.Id} ({maker.Name}) takes a leaf of another pass, and this one gives it no gradient";
        return null;
    }

    private string? WhyNotGradients(BackwardPass pass, HashSet<StorageGeneration> before)
    {
        foreach (var gradient in pass.Accumulated)
        {
            if (IsMade(gradient.Leaf!.Storage))
                return $"the leaf of the gradient that node {gradient.Node.Id} accumulates is made within the iteration";
            if (gradient.Result is null)
                return $"the trace does not tell what node {gradient.Node.Id} made of its leaf's gradient";
            if (gradient.Existing is { Storage.IsOpaque: true })
                return $"node {gradient.Node.Id} adds to a sparse gradient";
            if (gradient.Existing is { } existing && IsMade(existing.Storage) && !before.Contains(existing.Storage))
                return $"node {gradient.Node.Id} adds to a gradient that no other pass of autograd made";
            if (gradient.Existing is null && before.Contains(gradient.Leaf.Storage))
                return $"the gradient that node {gradient.Node.Id} accumulates was set to None within the iteration";
        }
        return null;
    }

    private bool IsMade(StorageGeneration storage) => storage.Birth is { } birth && birth.Id >= _first;

    /// <summary>What later operators use of a pass must be gradients: nothing else of autograd can be asked for.</summary>
    private string? WhyNotInside(FrameworkPass pass, Segment selected)
    {
        var gradients = pass.Parts.IsEmpty ? pass.Pass.Accumulated.Select(a => a.Result!.Storage).ToHashSet()
            : pass.Parts.SelectMany(p => p.Ends).Select(e => e.Gradient.Storage).ToHashSet();
        var inside = new HashSet<TraceNode>();
        var pending = new Stack<TraceNode>(pass.Parts.IsEmpty ? pass.Pass.Functions : pass.Parts.SelectMany(p => p.Operators));
        while (pending.TryPop(out var node))
            if (inside.Add(node))
                foreach (var child in node.Children)
                    pending.Push(child);
        foreach (var node in selected.Operators.Where(o => o.Id > pass.Pass.Steps[0].Node.Id))
            foreach (var storage in segment.Timeline.InputsOf(node))
                if (storage?.Birth is { } birth && inside.Contains(birth) && !gradients.Contains(storage))
                    return $"node {node.Id} ({node.Name}) uses what node {birth.Id} ({birth.Name}) made inside it";
        return null;
    }
}
