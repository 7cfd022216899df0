using System.Collections.Immutable;

namespace Mystique.Traces;

/// <summary>Where a node was recorded (<c>at::RecordScope</c>, <c>aten/src/ATen/record_function.h</c>).</summary>
public enum RecordScope : byte
{
    /// <summary>An operator or the body of one.</summary>
    Function = 0,

    /// <summary>A node of the autograd graph, run backwards.</summary>
    BackwardFunction = 1,

    /// <summary>A TorchScript function.</summary>
    TorchScriptFunction = 2,

    /// <summary>A kernel function's dtype dispatch.</summary>
    KernelFunctionDtype = 3,

    /// <summary>A custom class.</summary>
    CustomClass = 4,

    /// <summary>A build feature.</summary>
    BuildFeature = 5,

    /// <summary>A lite interpreter's scope.</summary>
    LiteInterpreter = 6,

    /// <summary>A label of the user's, for example <c>ProfilerStep#2</c>; also the roots of threads.</summary>
    UserScope = 7,

    /// <summary>A static runtime's operator.</summary>
    StaticRuntimeOp = 8,

    /// <summary>A static runtime's model.</summary>
    StaticRuntimeModel = 9,

    /// <summary>A scope that this version does not know.</summary>
    Unknown = 255,
}

/// <summary>What a collective's node records besides its arguments (schema 1.1.0 and later).</summary>
public sealed record CollectiveInfo
{
    /// <summary>For example <c>allreduce</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The dtype's name as recorded.</summary>
    public required string ElementType { get; init; }

    /// <summary>Elements that a rank puts in.</summary>
    public required long InputElements { get; init; }

    /// <summary>Elements that a rank gets out.</summary>
    public required long OutputElements { get; init; }

    /// <summary>The process group's name.</summary>
    public required string GroupName { get; init; }

    /// <summary>The process group's number of ranks.</summary>
    public required long GroupSize { get; init; }

    /// <summary>What the group is for (<c>pg_desc</c>); empty where it is not recorded.</summary>
    public string GroupDescription { get; init; } = "";

    /// <summary>The group's first rank; null where it is not recorded, or the group is not regular.</summary>
    public int? FirstRank { get; init; }

    /// <summary>From one of the group's ranks to the next; null where it is not recorded, or the group is not regular.</summary>
    public int? RankStride { get; init; }

    /// <summary>Whether the caller went on before it was done; null where it is not recorded.</summary>
    public bool? IsAsynchronous { get; init; }
}

/// <summary>A node of the trace: an operator, a label, or the root of a process or thread. Immutable once read.</summary>
public sealed class TraceNode
{
    /// <summary>Another one in each process, so that no trace can have numbers that all meet in one place of a dictionary.</summary>
    private static readonly ulong HashFactor = (ulong)Random.Shared.NextInt64() | 1;

    internal TraceNode(long id, string name)
    {
        Id = id;
        Name = name;
    }

    /// <summary>The node's number. Numbers rise in the order in which nodes start.</summary>
    public long Id { get; }

    /// <summary>The name, for example <c>aten::addmm</c> or <c>ProfilerStep#2</c>.</summary>
    public string Name { get; }

    /// <summary>The node that was running when this one started; null for the root.</summary>
    public TraceNode? Parent { get; internal set; }

    /// <summary>The nodes started by this one, by rising id.</summary>
    public ImmutableArray<TraceNode> Children { get; internal set; } = [];

    /// <summary>The operator's schema; null for labels, roots and what has no schema (<c>record_param_comms</c>).</summary>
    public OperatorSchema? Schema { get; internal init; }

    /// <summary>The arguments, one for each of the schema's.</summary>
    public ImmutableArray<ArgumentValue> Inputs { get; internal init; } = [];

    /// <summary>The results.</summary>
    public ImmutableArray<ArgumentValue> Outputs { get; internal init; } = [];

    /// <summary>
    /// The record function's number, from 1: the join with a Kineto profile's <c>Record function id</c>; null where there is none.
    /// </summary>
    public long? RecordFunctionId { get; internal init; }

    /// <summary>The forward node of a backward node; null where there is none.</summary>
    public long? ForwardParentId { get; internal init; }

    /// <summary>Autograd's sequence number; from 0; null where there is none.</summary>
    public long? SequenceId { get; internal init; }

    /// <summary>The thread's number in the trace, from 1; null for the process, and where it is not known.</summary>
    public long? ThreadId { get; internal init; }

    /// <summary>The thread that ran the forward node; null where there is none.</summary>
    public long? ForwardThreadId { get; internal init; }

    /// <summary>Where it was recorded.</summary>
    public RecordScope Scope { get; internal init; }

    /// <summary>For example <c>triton</c>; empty where the node is no such kernel.</summary>
    public string KernelBackend { get; internal init; } = "";

    /// <summary>The file with the kernel's source, as recorded: untrusted, relative to nothing.</summary>
    public string KernelFile { get; internal init; } = "";

    /// <summary>
    /// The operator that it does the work of (<c>stands_for</c>, which Mystique writes into what it makes of profiles): its parent. Empty
    /// for what was recorded itself.
    /// </summary>
    internal string StandsFor { get; init; } = "";

    /// <summary>
    /// Of an operator without a schema, why neither it nor anything in it does its work, or why something stands for it
    /// (<c>not_run</c>, which Mystique writes); empty for all else.
    /// </summary>
    internal string NotRun { get; init; } = "";

    /// <summary>The recorded ranges of integral inputs, as JSON text; empty where there is none.</summary>
    public string TensorRange { get; internal init; } = "";

    /// <summary>A collective's own attributes; null for everything else.</summary>
    public CollectiveInfo? Collective { get; internal init; }

    /// <summary>The node's parent as recorded; equal to <see cref="Id"/> for the root.</summary>
    internal long ParentId { get; init; }

    /// <summary>Its place among the nodes of the file, from 0: PyTorch writes a node when it ends.</summary>
    internal int FilePlace { get; set; }

    /// <summary>The nodes that it is within, the innermost first.</summary>
    internal IEnumerable<TraceNode> Ancestors
    {
        get
        {
            for (var above = Parent; above is not null; above = above.Parent)
                yield return above;
        }
    }

    /// <summary>Itself, and all that is within it, level by level; by hand, for a hostile trace nests deeper than a call stack.</summary>
    internal IEnumerable<TraceNode> SelfAndBelow
    {
        get
        {
            var pending = new Queue<TraceNode>([this]);
            while (pending.TryDequeue(out var node))
            {
                yield return node;
                foreach (var child in node.Children)
                    pending.Enqueue(child);
            }
        }
    }

    /// <summary>The same node with another parent; nothing is linked yet.</summary>
    internal TraceNode Under(long parentId) => new(Id, Name)
    {
        Schema = Schema,
        Inputs = Inputs,
        Outputs = Outputs,
        RecordFunctionId = RecordFunctionId,
        ForwardParentId = ForwardParentId,
        SequenceId = SequenceId,
        ThreadId = ThreadId,
        ForwardThreadId = ForwardThreadId,
        Scope = Scope,
        KernelBackend = KernelBackend,
        KernelFile = KernelFile,
        StandsFor = StandsFor,
        NotRun = NotRun,
        TensorRange = TensorRange,
        Collective = Collective,
        ParentId = parentId,
        FilePlace = FilePlace,
    };

    /// <summary>By its number, which is quicker than by the object: there are many dictionaries of nodes.</summary>
    public override int GetHashCode() => (int)(((ulong)Id * HashFactor) >> 32);

    /// <inheritdoc/>
    public override string ToString() => $"node {Id} ({Name})";
}
