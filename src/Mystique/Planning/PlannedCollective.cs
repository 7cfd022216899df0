using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What was recorded of a collective: whoever fits the plan to a target decides what becomes of it. Immutable.</summary>
/// <param name="Name">The operator's full name, for example <c>c10d::allreduce_</c>.</param>
/// <param name="GroupName">The process group's name, as PyTorch numbers it; null where the trace does not say.</param>
/// <param name="GroupSize">The process group's number of ranks; null where the trace does not say.</param>
/// <param name="Elements">Elements that this rank puts in; null where the trace does not say.</param>
public sealed record PlannedCollective(string Name, string? GroupName, long? GroupSize, long? Elements)
{
    /// <summary>How ranks that run together make it; null where a rank runs alone, and other work stands for it.</summary>
    internal PlannedCall? Call { get; init; }

    /// <summary>
    /// The collective of a node whose tensors the trace names: an operator of <c>c10d</c> that takes tensors and lists of them
    /// (<c>torch/csrc/distributed/c10d/Ops.cpp</c>). Its group and size are those of the <c>record_param_comms</c> within it.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <returns>Null for any other node.</returns>
    internal static PlannedCollective? Of(TraceNode node)
    {
        if (node.Schema is not { Namespace: "c10d" } schema || node.Inputs.Length != schema.Arguments.Length
            || schema.Returns.Length > 0 && node.Outputs.Length != schema.Returns.Length
            || !node.Inputs.SelectMany(i => i.Tensors).Any())
            return null;
        for (int i = 0; i < node.Inputs.Length; i++)
            if (schema.Arguments[i].Type.BaseName == "Tensor" && !IsKnown(node.Inputs[i])
                && !(node.Inputs[i] is NoneValue && schema.Arguments[i].Type.IsOptional))
                return null;
        var info = node.Collective ?? node.Children.Select(c => c.Collective).FirstOrDefault(c => c is not null);
        return new PlannedCollective(schema.FullName, info?.GroupName is { Length: > 0 } group ? group : null,
            info is { GroupSize: > 0 } ? info.GroupSize : null, info is { InputElements: > 0 } ? info.InputElements : null);
    }

    private static bool IsKnown(ArgumentValue value) => value switch
    {
        TensorValue tensor => tensor is { IsUndefined: false, Type: not ScalarType.Undefined },
        ListValue { Items.Length: > 0 } list => list.Items.All(i => i is TensorValue && IsKnown(i)),
        _ => false,
    };
}

/// <summary>
/// A call between ranks as it is made in a replay of several: what its operator's tensors do not say. Ranks that run one program can differ
/// in it. Immutable.
/// </summary>
internal sealed record PlannedCall
{
    /// <summary>The kind that stands for waiting for another call.</summary>
    public const string Wait = "wait";

    /// <summary>What it does, as <c>torch.distributed</c> names it, or <see cref="Wait"/>.</summary>
    public required string Kind { get; init; }

    /// <summary>The group's place among those of the job, from 0.</summary>
    public required int Group { get; init; }

    /// <summary>The reduction, as <c>torch.distributed.ReduceOp</c> names it in small letters; null for not known, and SUM.</summary>
    public string? Reduction { get; init; }

    /// <summary>The root, or the other rank of a send or receive, as its place in the group; null for none, or any.</summary>
    public int? Root { get; init; }

    /// <summary>Of an all-to-all, how much of the first dimension goes to each rank; empty where each gets as much.</summary>
    public ImmutableArray<long> InputSplits { get; init; } = [];

    /// <summary>Of an all-to-all, how much of the first dimension comes from each rank; empty where each gives as much.</summary>
    public ImmutableArray<long> OutputSplits { get; init; } = [];

    /// <summary>Whether the caller goes on before it is done; then another operator waits for it.</summary>
    public bool IsAsynchronous { get; init; }

    /// <summary>Of a wait, the node of the call that it waits for.</summary>
    public long? WaitsFor { get; init; }
}
