using System.Collections.Immutable;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Inferred;

/// <summary>An operator or a label of a profile, while a trace is made of it.</summary>
/// <param name="place">Its event's place in the profile.</param>
/// <param name="started">Its event.</param>
internal sealed class ProfileNode(int place, in KinetoEvent started)
{
    /// <summary>Its event's place in the profile.</summary>
    public int Place { get; } = place;

    public string Name { get; } = started.Name;

    public KinetoKind Kind { get; } = started.Kind;

    public long StartNs { get; } = started.StartNs;

    public long EndNs { get; } = started.EndNs;

    public long? Thread { get; } = started.Thread;

    public OperatorDetails? Details { get; } = started.Details;

    /// <summary>What was running on its thread when it started; null for nothing.</summary>
    public ProfileNode? Parent { get; set; }

    public List<ProfileNode> Children { get; } = [];

    /// <summary>Whether there is an operator in it, and whether one that does more than to allocate and to view.</summary>
    public bool HasOperators { get; set; }

    /// <inheritdoc cref="HasOperators"/>
    public bool HasWork { get; set; }

    /// <summary>The innermost call of a module that it is in; null where the profile has none.</summary>
    public string? Module { get; set; }

    /// <summary>The operator; null for labels, and where it is not known.</summary>
    public OperatorSchema? Schema { get; set; }

    /// <summary>Why the operator is not known; empty where it is, and for labels.</summary>
    public string WhyNot { get; set; } = "";

    /// <summary>Its arguments, one for each of the schema's: tensors have no ids, and in lists no types.</summary>
    public ImmutableArray<ArgumentValue> Arguments { get; set; } = [];

    /// <summary>What the engine says that it gives back; null where it says nothing.</summary>
    public ImmutableArray<ArgumentValue>? Results { get; set; }

    /// <summary>Allocations in it, and in none of its children.</summary>
    public List<Allocation> Allocations { get; } = [];

    /// <summary>The tensors of its arguments, in order; null for undefined ones.</summary>
    public List<LiveTensor?> Taken { get; } = [];

    /// <summary>The tensors of its results, in order; null for undefined ones.</summary>
    public List<LiveTensor?> Made { get; } = [];

    /// <summary>Of a node of autograd's, the forward operator; null for all else, and where it is not found.</summary>
    public ProfileNode? Forward { get; set; }

    /// <summary>Of a forward operator, its node of autograd's; null where there is none.</summary>
    public ProfileNode? Backward { get; set; }

    /// <summary>Whether it is an operator, and not a label.</summary>
    public bool IsOperator { get; } = started.Kind == KinetoKind.Operator && ProfileLinker.IsOperatorName(started.Name);

    /// <summary>Whether it is autograd's call of a node (<c>evaluate_function</c>, <c>torch/csrc/autograd/engine.cpp</c>).</summary>
    public bool IsEvaluation { get; } = started.Name.StartsWith("autograd::engine::evaluate_function: ", StringComparison.Ordinal);

    /// <summary>Whether it is a node of autograd's, run backwards.</summary>
    public bool IsBackward => Parent is { IsEvaluation: true } && !IsOperator;

    /// <summary>The operator that it is directly in, be it below labels; null where it is outermost.</summary>
    public ProfileNode? Caller
    {
        get
        {
            for (var above = Parent; above is not null; above = above.Parent)
                if (above.IsOperator)
                    return above;
                else if (above.IsBackward)
                    return null;
            return null;
        }
    }

    /// <summary>The operators that it is in, the innermost first.</summary>
    public IEnumerable<ProfileNode> Callers()
    {
        for (var caller = Caller; caller is not null; caller = caller.Caller)
            yield return caller;
    }

    /// <summary>The outermost operator that it is in, or itself.</summary>
    public ProfileNode Outermost => Caller is { } caller ? caller.Outermost : this;

    /// <summary>The node of autograd's that it is in; null for none.</summary>
    public ProfileNode? Pass
    {
        get
        {
            for (var above = Parent; above is not null; above = above.Parent)
                if (above.IsBackward)
                    return above;
            return null;
        }
    }

    /// <summary>How many tensors an argument has: those that are in <see cref="Taken"/>.</summary>
    public int TensorsIn(int argument) => Arguments[argument] switch
    {
        ListValue list => list.Items.Count(t => t is TensorValue),
        TensorValue => 1,
        _ => 0,
    };

    /// <summary>Whether it is within a label.</summary>
    public bool IsWithin(string label)
    {
        for (var above = Parent; above is not null; above = above.Parent)
            if (above.Name.StartsWith(label, StringComparison.Ordinal))
                return true;
        return false;
    }
}

/// <summary>A block of memory that was allocated.</summary>
/// <param name="Bytes">Its size.</param>
/// <param name="FreedNs">When it was freed; <see cref="long.MaxValue"/> for not in the profile; null where that is not known.</param>
internal sealed record Allocation(long Bytes, long? FreedNs)
{
    /// <summary>Whether a storage has it.</summary>
    public bool IsTaken { get; set; }
}

/// <summary>Memory of tensors.</summary>
/// <param name="id">Its number, from 1.</param>
internal sealed class LiveStorage(long id)
{
    public long Id { get; } = id;

    /// <summary>As in <see cref="Allocation"/>.</summary>
    public long? FreedNs { get; set; }
}

/// <summary>A tensor while a trace is made of a profile.</summary>
/// <param name="id">Its number, from 1.</param>
/// <param name="storage">Its memory.</param>
/// <param name="layout">Its type, shape, strides and offset.</param>
internal sealed class LiveTensor(long id, LiveStorage storage, TensorValue layout)
{
    public LiveStorage Storage { get; } = storage;

    public long Id { get; } = id;

    /// <summary>With its ids.</summary>
    public TensorValue Layout { get; set; } = layout with { TensorId = id, StorageId = storage.Id };

    /// <summary>What made it, be it a view; null for what was there before.</summary>
    public ProfileNode? Maker { get; init; }

    /// <summary>How often something still has to use it: what is made is made for somebody.</summary>
    public int Pending { get; set; }

    /// <summary>Whether it is an operator's own, and not among its results.</summary>
    public bool IsInternal { get; set; }

    /// <summary>Whether autograd tells that nothing with a gradient uses it any more.</summary>
    public bool IsUsedUp { get; set; }

    /// <summary>What used it last; null for nothing.</summary>
    public ProfileNode? LastUser { get; set; }

    /// <summary>The tensors that it is the gradient of, as far as is known.</summary>
    public List<LiveTensor> GradientOf { get; } = [];
}
