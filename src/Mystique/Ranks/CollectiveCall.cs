using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// A call between ranks, whatever recorded it: an operator of functional collectives, of <c>c10d</c>, or <c>record_param_comms</c>. What
/// the trace does not tell is null. Immutable.
/// </summary>
internal sealed record CollectiveCall
{
    /// <summary>What it does.</summary>
    public required CollectiveKind Kind { get; init; }

    /// <summary>Its name as recorded, for example <c>c10d::_allgather_base_</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The outermost node that it was called by.</summary>
    public required TraceNode Start { get; init; }

    /// <summary>The backend's own node of its work, within it or beside it; null where none was recorded.</summary>
    public TraceNode? Work { get; init; }

    /// <summary>The node that waits for it; null where none was recorded.</summary>
    public TraceNode? Wait { get; init; }

    /// <summary>
    /// The process group's name; of traces before schema 1.1.0 <c>@</c> and the place of the group among those of the trace, for it is an
    /// address there. Null where the trace does not tell.
    /// </summary>
    public string? Group { get; init; }

    /// <summary>The group's number of ranks as the call recorded it.</summary>
    public int? GroupSize { get; init; }

    /// <summary>Its number among the group's calls, as the backend counts.</summary>
    public long? Sequence { get; init; }

    /// <summary>Whether it is of two ranks alone.</summary>
    public bool IsPointToPoint => Kind is CollectiveKind.Send or CollectiveKind.Receive;

    /// <summary>The root, or the other rank of a send or receive, as its place in the group.</summary>
    public int? Root { get; init; }

    /// <summary>Whether it receives from whichever rank sends.</summary>
    public bool IsFromAny { get; init; }

    /// <summary>
    /// The reduction, as <c>torch.distributed.ReduceOp</c> names it in small letters: functional operators have it, others do not.
    /// </summary>
    public string? Reduction { get; init; }

    /// <summary>What this rank puts in.</summary>
    public ImmutableArray<TensorValue> Inputs { get; init; } = [];

    /// <summary>What this rank gets.</summary>
    public ImmutableArray<TensorValue> Outputs { get; init; } = [];

    /// <summary>Elements of what it puts in, where no tensor is recorded.</summary>
    public long? RecordedInputElements { get; init; }

    /// <summary>How much of the first dimension goes to each rank; empty where each gets as much.</summary>
    public ImmutableArray<long> InputSplits { get; init; } = [];

    /// <summary>How much of the first dimension comes from each rank; empty where each gives as much.</summary>
    public ImmutableArray<long> OutputSplits { get; init; } = [];

    /// <summary>Whether the caller went on before it was done.</summary>
    public bool? IsAsynchronous { get; init; }

    /// <summary>Whether an operator began while it was at work, as the profile shows; null where nothing tells.</summary>
    public bool? WasOvertaken { get; init; }

    /// <summary>Whether this rank's part is known from tensors.</summary>
    public bool HasTensors => !Inputs.IsEmpty || !Outputs.IsEmpty;

    /// <summary>The element type of what is moved.</summary>
    public ScalarType? Type => Inputs.Concat(Outputs).FirstOrDefault() is { } tensor ? tensor.Type : null;

    /// <summary>Elements that this rank puts in; null where nothing tells.</summary>
    public long? InputElements => Inputs.IsEmpty ? RecordedInputElements : ElementsOf(Inputs);

    /// <summary>Bytes that this rank puts in; null where nothing tells.</summary>
    public long? InputBytes => Inputs.IsEmpty ? null : BytesOf(Inputs);

    /// <summary>Bytes that this rank gets; null where nothing tells.</summary>
    public long? OutputBytes => Outputs.IsEmpty ? null : BytesOf(Outputs);

    /// <summary>The message's bytes as nccl-tests counts them: the larger of what goes in and comes out; null for not known.</summary>
    public long? Bytes => HasTensors ? Math.Max(InputBytes ?? 0, OutputBytes ?? 0) : null;

    /// <summary>Elements of tensors.</summary>
    public static long ElementsOf(ImmutableArray<TensorValue> tensors) =>
        tensors.Aggregate(0L, (sum, t) => TensorLayout.SaturatingAdd(sum, t.ElementCount));

    /// <summary>Bytes of tensors.</summary>
    public static long BytesOf(ImmutableArray<TensorValue> tensors) => tensors.Aggregate(0L,
        (sum, t) => TensorLayout.SaturatingAdd(sum, TensorLayout.SaturatingMultiply(t.ElementCount, t.ItemSizeBytes)));

    /// <summary>Its name and place, for messages.</summary>
    public override string ToString() => $"{CollectiveNames.NameOf(Kind)} (node {Start.Id}, {Start.Name})";
}
