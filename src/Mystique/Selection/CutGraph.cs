using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>A tensor of the graph whose backward pass is cut.</summary>
/// <param name="tensor">The tensor.</param>
/// <param name="maker">The place of the part in which its own function runs; that of no part for a leaf.</param>
/// <param name="owner">The operator or the call that returns it; null for a leaf.</param>
internal sealed class CutTensor(StoredTensor tensor, int maker, TraceNode? owner)
{
    /// <inheritdoc cref="CutTensor(StoredTensor, int, TraceNode?)" path="/param[@name='tensor']"/>
    public StoredTensor Tensor => tensor;

    /// <inheritdoc cref="CutTensor(StoredTensor, int, TraceNode?)" path="/param[@name='maker']"/>
    public int Maker => maker;

    /// <inheritdoc cref="CutTensor(StoredTensor, int, TraceNode?)" path="/param[@name='owner']"/>
    public TraceNode? Owner => owner;

    /// <summary>The part of what the caller gives.</summary>
    public const int Caller = -1;

    /// <summary>The part of what no function makes.</summary>
    public const int NoPart = int.MaxValue;

    /// <summary>Whether a function of the job's own returns it.</summary>
    public bool IsResult { get; init; }

    /// <summary>Of which tensors the operator makes it.</summary>
    public IReadOnlyCollection<CutTensor> Parents { get; init; } = [];

    /// <summary>The first operator of another part that takes it; null where there is none.</summary>
    public TraceNode? FirstUser { get; set; }

    /// <summary>The parts in which it gets gradients, as far as the forward operators tell.</summary>
    public SortedSet<int> Users { get; } = [];

    /// <summary>Its gradient, when the pass is done with it; null where it gets none.</summary>
    public GradientValue? Value { get; set; }

    /// <summary>The function that takes that gradient; null where it gets none.</summary>
    public BackwardFunction? Taker { get; set; }

    /// <summary>Whether autograd goes on from it to one of some tensors.</summary>
    public bool LeadsTo(IReadOnlySet<CutTensor> others)
    {
        var seen = new HashSet<CutTensor>(ReferenceEqualityComparer.Instance);
        var pending = new Stack<CutTensor>(Parents);
        while (pending.TryPop(out var tensor))
        {
            if (others.Contains(tensor))
                return true;
            if (seen.Add(tensor))
                foreach (var parent in tensor.Parents)
                    pending.Push(parent);
        }
        return false;
    }
}

/// <summary>
/// The forward operators of a pass that is cut: which tensors they hand from one to another, and in which parts of the pass their
/// functions run.
/// </summary>
internal sealed class CutGraph
{
    private readonly StorageTimeline _timeline;
    private readonly Dictionary<TraceNode, int> _partOf = []; // Of operators, and of calls of the job's own functions.
    private readonly Dictionary<TraceNode, TraceNode> _callOf = []; // Of what runs within such calls.
    private readonly Dictionary<(StorageGeneration, long Offset), CutTensor> _leaves = [];
    private readonly Dictionary<(StorageGeneration, long Id), CutTensor> _current = [];
    private readonly List<CutTensor> _tensors = [];

    private CutGraph(StorageTimeline timeline) => _timeline = timeline;

    /// <summary>All tensors that get gradients, as far as the forward operators tell.</summary>
    public IReadOnlyList<CutTensor> Tensors => _tensors;

    /// <summary>Why it is not known, or cannot be cut; null where it can.</summary>
    public string? WhyNot { get; private set; }

    /// <summary>Reads it.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="parts">Its parts.</param>
    /// <param name="operators">The operators that are called.</param>
    /// <param name="covered">For each node at or below one of them, that one.</param>
    /// <param name="timeline">The storages of tensors.</param>
    public static CutGraph Of(BackwardPass pass, IEnumerable<PassPart> parts, IEnumerable<TraceNode> operators,
        Dictionary<TraceNode, TraceNode> covered, StorageTimeline timeline)
    {
        var graph = new CutGraph(timeline);
        foreach (var part in parts)
            foreach (var step in part.Steps.Where(s => !s.IsAccumulation))
                graph.Place(step, part.Place, covered);
        foreach (var gradient in pass.Accumulated)
            if (gradient.Leaf is { } leaf)
                graph._leaves.TryAdd((leaf.Storage, leaf.Tensor.Offset), new CutTensor(new StoredTensor(leaf.Tensor, leaf.Storage),
                    CutTensor.NoPart, null));
        var calls = graph._partOf.Keys.Where(n => n.Schema is null);
        foreach (var node in operators.Concat(calls).Where(n => n.Id < pass.Steps[0].Node.Id).OrderBy(n => n.Id))
            graph.Follow(node);
        return graph;
    }

    /// <summary>A leaf; null where no operator that is called takes it.</summary>
    public CutTensor? LeafOf(Leaf leaf) =>
        _leaves.TryGetValue((leaf.Storage, leaf.Tensor.Offset), out var known) && known.Users.Count > 0 ? known : null;

    /// <summary>
    /// An operator whose function would get no gradient in a part, as far as is known; null where there is none. What it is that gets there
    /// is a tensor that was not told (of complex numbers, or a view that no operator made).
    /// </summary>
    /// <param name="part">The part.</param>
    /// <param name="starts">The operators whose results it starts from.</param>
    public TraceNode? Unreached(int part, IReadOnlySet<TraceNode?> starts)
    {
        var reached = _tensors.Where(t => t.Users.Contains(part)).Select(t => t.Owner).ToHashSet();
        return _partOf.Where(o => o.Value == part && o.Key.Schema is not null && !reached.Contains(o.Key) && !starts.Contains(o.Key))
            .Select(o => o.Key).MinBy(o => o.Id);
    }

    private void Place(BackwardFunction step, int part, Dictionary<TraceNode, TraceNode> covered)
    {
        var owner = step.IsOfTheJob ? step.Call : step.Creator is { } creator ? covered.GetValueOrDefault(creator) : null;
        if (owner is null)
        {
            WhyNot ??= step.IsOfTheJob ? $"the call that made node {step.Body.Id} ({step.Body.Name}) is not in the trace"
                : step.Creator is null ? null : $"node {step.Creator.Id} ({step.Creator.Name}) made one of its functions, and others need "
                    + "what is inside of it";
            return;
        }
        if (_partOf.TryGetValue(owner, out int other) && other != part)
            WhyNot ??= $"node {owner.Id} ({owner.Name}) made functions before and behind what is not autograd's";
        _partOf[owner] = part;
        if (!step.IsOfTheJob)
            return;
        var pending = new Stack<TraceNode>([owner]);
        while (pending.TryPop(out var node))
            foreach (var child in node.Children)
            {
                _callOf[child] = owner;
                pending.Push(child);
            }
    }

    private void Follow(TraceNode node)
    {
        int? part = _partOf.TryGetValue(node, out int known) ? known : null;
        var inputs = _timeline.InputsOf(node);
        var taken = new List<CutTensor>();
        foreach (var (place, tensor) in TensorLayout.TensorsOf(node.Inputs).Index())
            if (part is { } user && place < inputs.Length && inputs[place] is { } storage && tensor.Type.IsFloating()
                && Find(tensor, storage) is { } given)
            {
                given.Users.Add(user);
                if (user < given.Maker && node.Schema is not null)
                    given.FirstUser ??= node;
                taken.Add(given);
            }
        if (node.Schema is null)
            return;
        var call = _callOf.GetValueOrDefault(node);
        var outputs = _timeline.OutputsOf(node);
        foreach (var (place, tensor) in TensorLayout.TensorsOf(node.Outputs).Index())
            if (place < outputs.Length && outputs[place] is { } storage && tensor.Type.IsFloating())
                Make(node, tensor, storage, call is null ? part : _partOf[call], call, taken);
    }

    private void Make(TraceNode node, TensorValue tensor, StorageGeneration storage, int? part, TraceNode? call,
        List<CutTensor> taken)
    {
        bool isThere = _current.TryGetValue((storage, tensor.TensorId), out var before)
            && TensorLayout.TensorsOf(node.Inputs).Any(t => t.TensorId == tensor.TensorId && t.StorageKey == tensor.StorageKey);
        if (isThere && part is not null && before!.Maker != part)
            WhyNot ??= $"node {node.Id} ({node.Name}) writes in place to what another part of the graph made";
        if (part is { } maker)
            Add(new CutTensor(new StoredTensor(tensor, storage), maker, call ?? node)
            {
                IsResult = call is not null,
                Parents = taken,
            });
        else if (!isThere)
            _current.Remove((storage, tensor.TensorId)); // Its id stands for a tensor that autograd does not see.
    }

    private CutTensor? Find(TensorValue tensor, StorageGeneration storage)
    {
        if (_current.TryGetValue((storage, tensor.TensorId), out var known))
            return known;
        // A view that no operator made, of what a call of one of the job's own functions did.
        if (storage.Birth is { } birth && _callOf.TryGetValue(birth, out var call))
            return Add(new CutTensor(new StoredTensor(tensor, storage), _partOf[call], call) { IsResult = true });
        if (!_leaves.TryGetValue((storage, tensor.Offset), out var leaf))
            return null;
        if (leaf.Users.Count == 0)
            _tensors.Add(leaf); // Its first user finds it.
        return leaf;
    }

    private CutTensor Add(CutTensor tensor)
    {
        _current[(tensor.Tensor.Storage, tensor.Tensor.Tensor.TensorId)] = tensor;
        _tensors.Add(tensor);
        return tensor;
    }
}
