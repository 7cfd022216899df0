namespace Mystique.Traces.Kineto;

/// <summary>What an event of a profile is.</summary>
internal enum KinetoKind : byte
{
    /// <summary>An operator or a label of autograd on the host (<c>cpu_op</c>).</summary>
    Operator,

    /// <summary>A label of the user's or the profiler's (<c>user_annotation</c>), for example <c>ProfilerStep#2</c>.</summary>
    Label,

    /// <summary>A call of a module (<c>nn.Module: Linear_3</c>), where the profile has stacks and somebody asked for it.</summary>
    Module,

    /// <summary>A call of the device's runtime or driver (<c>cuda_runtime</c>, <c>cuda_driver</c>, <c>hip_runtime</c>, …).</summary>
    Runtime,

    /// <summary>A kernel on the device.</summary>
    Kernel,

    /// <summary>A copy on, to or from the device (<c>gpu_memcpy</c>).</summary>
    Memcpy,

    /// <summary>A filling of memory on the device (<c>gpu_memset</c>).</summary>
    Memset,
}

/// <summary>
/// An event of a Kineto profile (<c>libkineto/src/output_json.cpp</c>). Times are nanoseconds since an arbitrary start,
/// which is the same for all events of a profile.
/// </summary>
internal struct KinetoEvent
{
    // A profile has millions of events: each id takes 8 bytes, not the 16 of a long?. It is one less than what is kept; 0 is none.
    private long _recordFunctionId;
    private long _externalId;
    private long _correlation;
    private long _graphNode;
    private long _stream; // Numbers of streams and threads can be anything.
    private long _thread;
    private bool _hasStream;
    private bool _hasThread;

    public KinetoKind Kind;
    public string Name;
    public long StartNs;
    public long DurationNs;

    /// <summary>The process; for what runs on the device, the device. Null where the profile does not say.</summary>
    public long? Process;

    /// <summary>
    /// The argument <c>Concrete Inputs</c> of an operator with a number that six decimals do not hold; null for all others, and where it
    /// is not recorded (<c>record_shapes</c>).
    /// </summary>
    public string[]? ConcreteInputs;

    /// <summary>What an operator was called with; null for all else, and where nobody asked for it.</summary>
    public OperatorDetails? Details;

    /// <summary>
    /// The kernel that a call of the runtime launches, as ROCm records it (<c>kernel</c>, <c>libkineto/src/RoctracerActivity_inl.h</c>);
    /// null for all else, and where nobody asked for it.
    /// </summary>
    public string? Launched;

    /// <summary>Blocks of a kernel's grid, in x, y and z.</summary>
    public (int X, int Y, int Z) Grid;

    /// <summary>
    /// The argument <c>Record function id</c> (newer profiles); null where there is none, or 0, which PyTorch never gives out.
    /// </summary>
    public long? RecordFunctionId
    {
        readonly get => Id(_recordFunctionId);
        set => _recordFunctionId = value is 0 ? 0 : Kept(value);
    }

    /// <summary>The argument <c>External id</c>; null where there is none.</summary>
    public long? ExternalId
    {
        readonly get => Id(_externalId);
        set => _externalId = Kept(value);
    }

    /// <summary>What joins a call of the runtime to what it started on the device; null where there is none.</summary>
    public long? Correlation
    {
        readonly get => Id(_correlation);
        set => _correlation = Kept(value);
    }

    /// <summary>
    /// Of work that a graph started, the graph's node (<c>graph node id</c>, Kineto of 2026 and newer); null for all else, and where it is
    /// not recorded.
    /// </summary>
    public long? GraphNode
    {
        readonly get => Id(_graphNode);
        set => _graphNode = Kept(value);
    }

    /// <summary>The thread on the host; for what runs on the device, the device's stream. Null where the profile does not say.</summary>
    public long? Thread
    {
        readonly get => _hasThread ? _thread : null;
        set => (_thread, _hasThread) = (value.GetValueOrDefault(), value.HasValue);
    }

    /// <summary>The device's stream; null on the host, and where the profile does not say.</summary>
    public StreamId? Stream
    {
        readonly get => _hasStream ? new StreamId(_stream) : null;
        set => (_stream, _hasStream) = (value.GetValueOrDefault().Number, value.HasValue);
    }

    public readonly long EndNs => StartNs + DurationNs;

    public readonly bool IsOnDevice => Kind >= KinetoKind.Kernel;

    private static long? Id(long kept) => kept == 0 ? null : unchecked(kept - 1);

    /// <summary>Ids are not negative: what is, is none.</summary>
    private static long Kept(long? id) => id is >= 0 and long number ? unchecked(number + 1) : 0;
}

/// <summary>Whether an event is used.</summary>
/// <param name="e">The event; its arguments may not have been read yet.</param>
/// <param name="kind">What it is; null for what is no operator, label, call or work of the device, among them memory.</param>
internal delegate bool EventFilter(in KinetoEvent e, KinetoKind? kind);
