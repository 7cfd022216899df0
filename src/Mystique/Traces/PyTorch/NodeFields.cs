using System.Collections.Immutable;

namespace Mystique.Traces.PyTorch;

/// <summary>The fields of the node being read; used again for each node.</summary>
internal sealed class NodeFields
{
    public long Id { get; set; }

    public string? Name { get; set; }

    public long Parent { get; set; }

    public long RecordFunctionId { get; set; }

    public long ForwardParent { get; set; }

    public long SequenceId { get; set; }

    public long Scope { get; set; }

    public long Thread { get; set; }

    public long ForwardThread { get; set; }

    public string Schema { get; set; } = "";

    public string KernelBackend { get; set; } = "";

    public string StandsFor { get; set; } = "";

    public string NotRun { get; set; } = "";

    public string KernelFile { get; set; } = "";

    public string TensorRange { get; set; } = "";

    public string? CollectiveName { get; set; }

    public string CollectiveType { get; set; } = "";

    public long CollectiveInput { get; set; }

    public long CollectiveOutput { get; set; }

    public string GroupName { get; set; } = "";

    public long GroupSize { get; set; }

    public string GroupDescription { get; set; } = "";

    public long FirstRank { get; set; }

    public long RankStride { get; set; }

    public bool? IsAsynchronous { get; set; }

    public void Clear()
    {
        Id = Parent = SequenceId = -1;
        Name = CollectiveName = null;
        RecordFunctionId = ForwardParent = Scope = Thread = ForwardThread = 0;
        CollectiveInput = CollectiveOutput = GroupSize = 0;
        FirstRank = RankStride = -1;
        IsAsynchronous = null;
        Schema = KernelBackend = StandsFor = NotRun = KernelFile = TensorRange = CollectiveType = GroupName = GroupDescription = "";
    }

    public TraceNode ToNode(ImmutableArray<ArgumentValue> inputs, ImmutableArray<ArgumentValue> outputs, OperatorSchema? schema) =>
        new(Id, Name!)
        {
            ParentId = Parent,
            Schema = schema,
            Inputs = inputs,
            Outputs = outputs,
            RecordFunctionId = Known(RecordFunctionId),
            ForwardParentId = Known(ForwardParent),
            SequenceId = SequenceId < 0 ? null : SequenceId,
            ThreadId = Known(Thread),
            ForwardThreadId = Known(ForwardThread),
            Scope = Scope is >= 0 and <= (long)RecordScope.StaticRuntimeModel ? (RecordScope)Scope : RecordScope.Unknown,
            KernelBackend = KernelBackend,
            StandsFor = StandsFor,
            NotRun = NotRun,
            KernelFile = KernelFile,
            TensorRange = TensorRange,
            Collective = CollectiveName is null ? null
                : new CollectiveInfo
                {
                    Name = CollectiveName,
                    ElementType = CollectiveType,
                    InputElements = CollectiveInput,
                    OutputElements = CollectiveOutput,
                    GroupName = GroupName,
                    GroupSize = GroupSize,
                    GroupDescription = GroupDescription,
                    FirstRank = Rank(FirstRank),
                    RankStride = Rank(RankStride),
                    IsAsynchronous = IsAsynchronous,
                },
        };

    /// <summary>
    /// The observer writes 0 for an id that it does not know (<c>torch/csrc/profiler/standalone/execution_trace_observer.cpp</c>).
    /// </summary>
    private static long? Known(long id) => id == 0 ? null : id;

    /// <summary>Ranks of a group that is not regular are -1.</summary>
    private static int? Rank(long value) => value is >= 0 and <= int.MaxValue ? (int)value : null;
}
