using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Selection;

/// <summary>A gradient within a backward pass.</summary>
/// <param name="tensor">The tensor.</param>
/// <param name="at">The node that made it; null for one that the pass was given.</param>
internal sealed class GradientValue(StoredTensor tensor, long? at)
{
    /// <summary>The tensor.</summary>
    public StoredTensor Tensor => tensor;

    /// <summary>The node that made it; null for one that the pass was given.</summary>
    public long? At => at;

    /// <summary>
    /// What it was before the engine added another gradient to it, or before a hook changed it; null where it is the first.
    /// </summary>
    public GradientValue? Before { get; init; }

    /// <summary>Of one that the pass was given, the first function that gets it; null for all others.</summary>
    public BackwardFunction? Start { get; init; }

    /// <summary>What was added to that in place; null where nothing was.</summary>
    public GradientValue? Added { get; init; }

    /// <summary>What it was before a node; null where it was nothing.</summary>
    public GradientValue? BeforeNode(long node)
    {
        var value = this;
        while (value?.At >= node)
            value = value.Before;
        return value;
    }

    /// <summary>It, and what it was before, the last first.</summary>
    public IEnumerable<GradientValue> History()
    {
        for (var value = this; value is not null; value = value.Before)
            yield return value;
    }
}

/// <summary>
/// Which gradients the functions of a backward pass get: made by which node, and added up by the engine of what
/// (<c>torch/csrc/autograd/input_buffer.cpp</c>). Ids of tensors are used again within a pass; what made one last counts.
/// </summary>
internal sealed class GradientFlow
{
    private readonly StorageTimeline _timeline;
    private readonly Dictionary<(long Id, long Storage, string Shape), GradientValue> _known = [];
    private readonly Dictionary<BackwardFunction, ImmutableArray<GradientValue?>> _given = [];
    private readonly List<GradientValue> _sums = [];

    public GradientFlow(BackwardPass pass, StorageTimeline timeline)
    {
        _timeline = timeline;
        foreach (var step in pass.Steps)
            Follow(step);
    }

    /// <summary>What the engine made by adding in place, in order.</summary>
    public IReadOnlyList<GradientValue> Sums => _sums;

    /// <summary>The gradients that a function gets, one for each result of the operator that made it; null where there is none.</summary>
    public ImmutableArray<GradientValue?> Of(BackwardFunction step) => _given[step];

    private void Follow(BackwardFunction step)
    {
        bool isGiven = false;
        var changed = new List<GradientValue>(); // Gradients that a hook took.
        foreach (var op in SegmentSelector.OutermostBelow(step.Node, UnseenWork.None))
        {
            if (!isGiven && op.Id > step.Body.Id)
                (isGiven, _given[step]) = (true, GivenTo(step, changed));
            if (op.Id < step.Body.Id)
                changed.AddRange(TensorLayout.TensorsOf(op.Inputs).Select(t => _known.GetValueOrDefault(KeyOf(t)))
                    .OfType<GradientValue>().Where(v => !(v.At >= step.Node.Id)));
            bool isSum = op.Name is "aten::add" or "aten::add_" && op.Id > step.Body.Id && !HookWork.IsWithin(op, step.Body);
            var terms = isSum ? TensorLayout.TensorsOf(op.Inputs).Select(t => _known.GetValueOrDefault(KeyOf(t))).ToArray() : [];
            Make(op.Outputs, _timeline.OutputsOf(op), op.Id, terms.FirstOrDefault(),
                op.Name == "aten::add_" ? terms.ElementAtOrDefault(1) : null);
        }
        if (!isGiven)
            _given[step] = GivenTo(step, changed);
    }

    private ImmutableArray<GradientValue?> GivenTo(BackwardFunction step, List<GradientValue> changed)
    {
        var given = ImmutableArray.CreateBuilder<GradientValue?>();
        var storages = _timeline.InputsOf(step.Body);
        foreach (var (place, tensor) in TensorLayout.TensorsOf(step.Body.Inputs).Index())
        {
            if (tensor.IsUndefined || place >= storages.Length || storages[place] is not { } storage)
            {
                given.Add(null);
                continue;
            }
            if (!_known.TryGetValue(KeyOf(tensor), out var value))
                _known[KeyOf(tensor)] = value = new GradientValue(new StoredTensor(tensor, storage), null) { Start = step };
            if (value.At > step.Node.Id)
                value = new GradientValue(value.Tensor, value.At)
                {
                    Before = changed.FirstOrDefault(c => c.Tensor.Tensor.Shape.SequenceEqual(tensor.Shape)),
                };
            given.Add(value);
        }
        return given.ToImmutable();
    }

    private void Make(ImmutableArray<ArgumentValue> outputs, ReadOnlySpan<StorageGeneration?> storages, long at, GradientValue? sum,
        GradientValue? added)
    {
        foreach (var (place, tensor) in TensorLayout.TensorsOf(outputs).Index())
        {
            if (tensor.IsUndefined || place >= storages.Length || storages[place] is not { } storage)
                continue;
            _known[KeyOf(tensor)] = new GradientValue(new StoredTensor(tensor, storage), at) { Before = sum, Added = added };
            if (added is not null)
                _sums.Add(_known[KeyOf(tensor)]);
        }
    }

    private static (long Id, long Storage, string Shape) KeyOf(TensorValue tensor) =>
        (tensor.TensorId, tensor.StorageKey, string.Join(',', tensor.Shape));
}
