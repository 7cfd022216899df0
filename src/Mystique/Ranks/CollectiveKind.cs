using System.Collections.Frozen;

namespace Mystique.Ranks;

/// <summary>What a call between ranks does, as <c>torch.distributed</c> and nccl-tests name it.</summary>
internal enum CollectiveKind
{
    /// <summary>A name that this version does not know.</summary>
    Unknown,

    /// <summary>All ranks get the reduction of what all put in.</summary>
    AllReduce,

    /// <summary>All ranks get what the root puts in.</summary>
    Broadcast,

    /// <summary>The root gets the reduction of what all put in.</summary>
    Reduce,

    /// <summary>All ranks get what each puts in.</summary>
    AllGather,

    /// <summary>Each rank gets its part of the reduction of what all put in.</summary>
    ReduceScatter,

    /// <summary>Each rank gets a part of what each puts in.</summary>
    AllToAll,

    /// <summary>The root gets what each puts in.</summary>
    Gather,

    /// <summary>Each rank gets its part of what the root puts in.</summary>
    Scatter,

    /// <summary>A rank gives another one what it puts in.</summary>
    Send,

    /// <summary>A rank gets what another one sends.</summary>
    Receive,

    /// <summary>All wait for all.</summary>
    Barrier,
}

/// <summary>
/// The names of collectives in traces. <c>record_param_comms</c> has those of <c>ProcessGroupNCCL.cpp</c> and XCCL's up to PyTorch 2.14,
/// and those of torchcomms from 2.15 on; the dispatcher's are of <c>torch/csrc/distributed/c10d/Ops.cpp</c> and <c>Functional.cpp</c>; a
/// backend names its work as <c>gloo:all_reduce</c> (<c>ProcessGroupGloo.cpp</c>).
/// </summary>
internal static class CollectiveNames
{
    private static readonly FrozenDictionary<string, CollectiveKind> Kinds = new (CollectiveKind Kind, string Names)[]
    {
        (CollectiveKind.AllReduce, "allreduce all_reduce allreduce_coalesced all_reduce_coalesced allreduce_sparse multimem_all_reduce "
            + "one_shot_all_reduce one_shot_all_reduce_copy two_shot_all_reduce"),
        (CollectiveKind.Broadcast, "broadcast _broadcast_oop"),
        (CollectiveKind.Reduce, "reduce _reduce_oop"),
        (CollectiveKind.AllGather, "allgather all_gather _allgather_base all_gather_single all_gather_v allgather_coalesced "
            + "allgather_into_tensor_coalesced all_gather_into_tensor all_gather_into_tensor_coalesced multimem_all_gather"),
        (CollectiveKind.ReduceScatter, "reduce_scatter _reduce_scatter_base reduce_scatter_single reduce_scatter_v "
            + "reduce_scatter_tensor reduce_scatter_tensor_coalesced"),
        (CollectiveKind.AllToAll, "alltoall all_to_all alltoall_base all_to_allv all_to_all_single all_to_all_v_single shard_dim_alltoall"),
        (CollectiveKind.Gather, "gather"),
        (CollectiveKind.Scatter, "scatter"),
        (CollectiveKind.Send, "send"),
        (CollectiveKind.Receive, "recv recvanysource recv_any_source"),
        (CollectiveKind.Barrier, "barrier monitored_barrier"),
    }.SelectMany(k => k.Names.Split(' ').Select(n => (n, k.Kind))).ToFrozenDictionary(k => k.n, k => k.Kind);

    /// <summary>Names of what is no call of its own: the making of groups, waits, and the end of a batch of sends and receives.</summary>
    private static readonly FrozenSet<string> Labels = new[] { "init", "wait", "split", "new_window", "batch_op_issue", "wait_tensor" }
        .ToFrozenSet();

    /// <summary>The kind that a name means, whatever its case, in place (<c>_</c>) or into a given result (<c>_out</c>).</summary>
    public static CollectiveKind KindOf(string name)
    {
        string plain = name.ToLowerInvariant();
        plain = plain.EndsWith("_out", StringComparison.Ordinal) ? plain[..^4] : plain.TrimEnd('_');
        return Kinds.GetValueOrDefault(plain);
    }

    /// <summary>Whether a name is of something else than a call.</summary>
    public static bool IsLabel(string name) => Labels.Contains(name.ToLowerInvariant());

    /// <summary>The kind's name as <c>torch.distributed</c> has it.</summary>
    public static string NameOf(CollectiveKind kind) => kind switch
    {
        CollectiveKind.AllReduce => "all_reduce",
        CollectiveKind.AllGather => "all_gather",
        CollectiveKind.ReduceScatter => "reduce_scatter",
        CollectiveKind.AllToAll => "all_to_all",
        CollectiveKind.Receive => "recv",
        _ => kind.ToString().ToLowerInvariant(),
    };
}
